//! Folds of the main index.

use futures::FutureExt as _;
use serde_json::{Value, json};

use super::*;
use crate::types::{Namespace, ReleaseName};

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("apps", name)
}

fn release(name: &str) -> ReleaseKey {
    ReleaseKey { namespace: Namespace::parse("apps").unwrap(), name: ReleaseName::parse(name).unwrap() }
}

fn object(name: &str, version: u64, spec: &Value) -> Guarded {
    serde_json::from_value(json!({"apiVersion": "helmrelease.dev/v1alpha1", "kind": "HelmRelease", "spec": spec,
        "metadata": {"name": name, "namespace": "apps", "uid": name, "resourceVersion": version.to_string(),
            "generation": version, "creationTimestamp": format!("2026-01-01T00:00:0{}Z", version % 10),
            "managedFields": [{"manager": "x"}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "1"}}}))
    .unwrap()
}

fn good(name: &str, version: u64) -> Guarded {
    object(name, version, &json!({}))
}

fn complete(version: u64) -> Change<Guarded> {
    Change::Complete { at: Timestamp::UNIX_EPOCH, version }
}

fn index() -> (MainIndex, MainWakes) {
    let wakes = MainWakes::default();
    (MainIndex::new(Scope::Cluster, wakes.clone()), wakes)
}

fn listed(index: &MainIndex, objects: impl IntoIterator<Item = Guarded>, version: u64) {
    index.fold(0, Change::Begin);
    objects.into_iter().for_each(|object| index.fold(0, Change::Listed(object)));
    index.fold(0, complete(version));
}

fn version_of(index: &MainIndex, name: &str) -> Option<String> {
    index.get(&key(name))?.metadata.resource_version.clone()
}

#[test]
fn store_is_ready_after_the_first_list_and_holds_slim_objects() {
    let (index, wakes) = index();
    let store = index.store();
    index.fold(0, Change::Begin);
    index.fold(0, Change::Listed(good("a", 1)));
    assert!(store.wait_until_ready().now_or_never().is_none());
    index.fold(0, complete(5));
    assert!(store.wait_until_ready().now_or_never().is_some());
    assert_eq!((store.len(), wakes.changed.taken()), (1, vec![key("a")]));
    let object = index.get(&key("a")).unwrap();
    assert_eq!(object.metadata.managed_fields, None);
    assert_eq!(object.metadata.annotations.as_ref().unwrap().keys().collect::<Vec<_>>(), ["mine"]);
}

#[test]
fn malformed_object_is_told_and_stops_no_other() {
    let (index, wakes) = index();
    let poison = || object("poison", 2, &json!({"values": [], "suspend": "perhaps"}));
    listed(&index, [poison(), good("a", 1)], 5);
    assert_eq!(wakes.malformed.taken(), [key("poison")]);
    assert_eq!(wakes.changed.taken(), [key("a")]);
    let malformed = index.malformed(&key("poison")).unwrap();
    assert_eq!((malformed.generation, malformed.deleting, &*malformed.target.uid), (2, false, "poison"));
    assert!(malformed.error.contains("boolean"), "{}", malformed.error);
    assert!(index.get(&key("poison")).is_none());
    listed(&index, [poison(), good("a", 1)], 6);
    assert_eq!(wakes.malformed.taken(), [], "the same is not told again");
    index.fold(0, Change::Applied(good("poison", 7)));
    assert_eq!((wakes.changed.taken(), index.malformed(&key("poison"))), (vec![key("poison")], None));
}

#[test]
fn object_that_becomes_malformed_keeps_its_claim_and_leaves_the_store() {
    let (index, wakes) = index();
    listed(&index, [good("a", 1), object("b", 2, &json!({"releaseName": "a"}))], 5);
    wakes.changed.taken();
    index.fold(0, Change::Applied(object("a", 6, &json!({"suspend": 1}))));
    assert!(index.get(&key("a")).is_none());
    assert_eq!(index.claimants(&release("a")).len(), 2);
    assert_eq!((wakes.changed.taken(), wakes.gone.taken()), (vec![], vec![]));
    index.fold(0, Change::Deleted(object("a", 7, &json!({"suspend": 1}))));
    assert_eq!((wakes.changed.taken(), wakes.gone.taken()), (vec![key("b")], vec![key("a")]));
}

#[test]
fn claimants_are_sorted_by_age_and_woken_by_each_other() {
    let (index, wakes) = index();
    let young = object("young", 3, &json!({"releaseName": "shared"}));
    let old = object("old", 2, &json!({"releaseName": "shared"}));
    listed(&index, [young, old], 5);
    let names: Vec<_> = index.claimants(&release("shared")).into_iter().map(|one| one.object).collect();
    assert_eq!(names, [key("old"), key("young")]);
    wakes.changed.taken();
    index.fold(0, Change::Applied(object("old", 6, &json!({"releaseName": "own"}))));
    assert_eq!(wakes.changed.taken(), [key("old"), key("young")]);
    assert_eq!(index.claimants(&release("shared")).len(), 1);
    assert_eq!(index.claimants(&release("own")).len(), 1);
}

#[test]
fn own_write_is_seen_at_once_and_wakes_nobody() {
    let (index, wakes) = index();
    listed(&index, [good("a", 1)], 5);
    wakes.changed.taken();
    index.observe(good("a", 8).read().unwrap());
    assert_eq!(version_of(&index, "a").as_deref(), Some("8"));
    index.fold(0, Change::Applied(good("a", 7)));
    assert_eq!(version_of(&index, "a").as_deref(), Some("8"), "the watch is behind");
    index.fold(0, Change::Applied(good("a", 8)));
    assert_eq!(wakes.changed.taken(), []);
    listed(&index, [], 6);
    assert_eq!(version_of(&index, "a").as_deref(), Some("8"), "the list is behind");
}

#[test]
fn answer_to_a_write_does_not_bring_back_what_was_deleted() {
    let (index, wakes) = index();
    listed(&index, [good("a", 1)], 5);
    index.fold(0, Change::Deleted(good("a", 9)));
    index.observe(good("a", 8).read().unwrap());
    assert_eq!((version_of(&index, "a"), wakes.gone.taken()), (None, vec![key("a")]));
    assert_eq!(index.claimants(&release("a")), []);
}

#[test]
fn relist_takes_out_what_is_gone() {
    let (index, wakes) = index();
    listed(&index, [good("a", 1), good("b", 2)], 5);
    listed(&index, [good("b", 2)], 9);
    assert_eq!((version_of(&index, "a"), wakes.gone.taken()), (None, vec![key("a")]));
    assert_eq!(version_of(&index, "b").as_deref(), Some("2"));
}

#[test]
fn refused_namespace_keeps_nobody_waiting() {
    let index = MainIndex::new(Scope::Namespaces(vec!["other".into(), "apps".into()]), MainWakes::default());
    index.fold(1, Change::Begin);
    index.fold(1, Change::Listed(good("a", 1)));
    index.fold(1, complete(5));
    assert_eq!(index.standing(), View::Pending);
    assert!(index.store().wait_until_ready().now_or_never().is_none());
    index.fold(0, Change::Refused("no".into()));
    assert!(index.store().wait_until_ready().now_or_never().is_some());
    assert_eq!((index.standing(), index.store().len()), (View::Refused("no".into()), 1));
}

#[test]
fn dependents_are_woken_by_every_change_of_what_they_wait_for() {
    let (index, wakes) = index();
    let waits = |version| object("a", version, &json!({"dependsOn": [{"name": "b"}]}));
    listed(&index, [waits(1)], 5);
    wakes.changed.taken();
    assert!(matches!(index.dependency(&key("b")), Seen::Missing));
    index.fold(0, Change::Applied(good("b", 6)));
    assert_eq!(wakes.changed.taken(), [key("a"), key("b")], "it was created");
    index.observe(good("b", 7).read().unwrap());
    assert_eq!(wakes.changed.taken(), [key("a")], "our own write wakes those who wait, and not its object");
    index.fold(0, Change::Applied(good("b", 7)));
    assert_eq!(wakes.changed.taken(), [], "that was told already");
    index.fold(0, Change::Applied(object("b", 8, &json!({"suspend": 1}))));
    assert_eq!(wakes.changed.taken(), [key("a")], "it is malformed now");
    assert!(matches!(index.dependency(&key("b")), Seen::Hidden(_)));
    index.fold(0, Change::Deleted(good("b", 9)));
    assert_eq!((wakes.changed.taken(), wakes.gone.taken()), (vec![key("a")], vec![key("b")]));
    index.fold(0, Change::Applied(good("a", 10)));
    index.fold(0, Change::Applied(good("b", 11)));
    assert_eq!(wakes.changed.taken(), [key("a"), key("b")], "each for itself");
    index.fold(0, Change::Applied(good("b", 12)));
    assert_eq!(wakes.changed.taken(), [key("b")], "nobody waits any more");
}

#[test]
fn cycle_is_seen_until_an_edit_breaks_it() {
    let (index, wakes) = index();
    let needs = |name, version, other: &str| object(name, version, &json!({"dependsOn": [{"name": other}]}));
    listed(&index, [needs("a", 1, "b"), needs("b", 2, "a")], 5);
    assert_eq!(index.cycle(&key("a")), Some(vec![key("a"), key("b"), key("a")]));
    wakes.changed.taken();
    index.fold(0, Change::Applied(good("b", 6)));
    assert_eq!((index.cycle(&key("a")), wakes.changed.taken()), (None, vec![key("a"), key("b")]));
    index.fold(0, Change::Applied(needs("b", 7, "b")));
    assert_eq!(index.cycle(&key("b")), Some(vec![key("b"), key("b")]));
    index.fold(0, Change::Deleted(needs("b", 8, "b")));
    assert_eq!(index.cycle(&key("b")), None);
}
