//! Folds of the values index.

use jiff::Timestamp;
use serde_json::json;

use super::*;

type Meta = PartialObjectMeta<ConfigMap>;

const KIND: ValuesKind = ValuesKind::ConfigMap;

fn object(name: &str) -> ObjectKey {
    ObjectKey::new("apps", name)
}

fn reference(name: &str) -> Ref {
    Ref { kind: KIND, namespace: "apps".into(), name: name.into() }
}

fn meta(name: &str, version: u64) -> Meta {
    serde_json::from_value(json!({"metadata": {
        "name": name, "namespace": "apps", "uid": "u", "resourceVersion": version.to_string(),
    }}))
    .unwrap()
}

fn version(version: u64) -> Version {
    Version { uid: "u".into(), resource_version: version.to_string().into() }
}

fn complete(version: u64) -> Change<Meta> {
    Change::Complete { at: Timestamp::UNIX_EPOCH, version }
}

fn index() -> (ValuesIndex, Wakes<ObjectKey>) {
    let wakes = Wakes::default();
    (ValuesIndex::new(Scope::Cluster, wakes.clone()), wakes)
}

fn listed(index: &ValuesIndex, metas: impl IntoIterator<Item = Meta>, version: u64) {
    index.fold(KIND, 0, &Change::<Meta>::Begin);
    metas.into_iter().for_each(|meta| index.fold(KIND, 0, &Change::Listed(meta)));
    index.fold(KIND, 0, &complete(version));
}

#[test]
fn references_are_answered_after_the_first_list_and_wake_their_users() {
    let (index, wakes) = index();
    index.refer(&object("x"), vec![reference("a"), reference("b")]);
    assert_eq!(index.look(&reference("a")), View::Pending);
    listed(&index, [meta("a", 5), meta("stranger", 6)], 9);
    assert_eq!(wakes.taken(), [object("x")]);
    assert_eq!(index.look(&reference("a")), View::Is(Some(version(5))));
    assert_eq!(index.look(&reference("b")), View::Is(None));
    assert_eq!(index.unlearned(&object("x")), []);
    index.fold(KIND, 0, &Change::Applied(meta("b", 12)));
    assert_eq!(wakes.taken(), [object("x")]);
    assert_eq!(index.look(&reference("b")), View::Is(Some(version(12))));
    index.fold(KIND, 0, &Change::Deleted(meta("b", 13)));
    assert_eq!(index.look(&reference("b")), View::Is(None));
}

#[test]
fn reference_that_comes_after_the_list_is_learnt_once() {
    let (index, wakes) = index();
    listed(&index, [meta("a", 5)], 9);
    index.refer(&object("x"), vec![reference("a")]);
    assert_eq!(index.look(&reference("a")), View::Pending);
    assert_eq!(index.unlearned(&object("x")), [reference("a")]);
    let woken = locked(&index.kept).learnt(&reference("a"), Some(version(5)));
    assert!(woken.contains(&object("x")));
    assert_eq!(index.look(&reference("a")), View::Is(Some(version(5))));
    assert_eq!(index.unlearned(&object("x")), []);
    assert_eq!(wakes.taken(), []);
}

#[test]
fn what_the_watch_says_meanwhile_is_not_overruled_by_what_was_learnt() {
    let (index, _) = index();
    listed(&index, [], 9);
    index.refer(&object("x"), vec![reference("a")]);
    index.fold(KIND, 0, &Change::Deleted(meta("a", 11)));
    locked(&index.kept).learnt(&reference("a"), Some(version(5)));
    assert_eq!(index.look(&reference("a")), View::Is(None));
}

#[test]
fn reference_that_comes_while_a_list_is_read_is_not_taken_for_absent() {
    let (index, _) = index();
    index.fold(KIND, 0, &Change::<Meta>::Begin);
    index.fold(KIND, 0, &Change::Listed(meta("a", 5)));
    index.refer(&object("x"), vec![reference("a")]);
    index.fold(KIND, 0, &complete(9));
    assert_eq!(index.look(&reference("a")), View::Pending);
    assert_eq!(index.unlearned(&object("x")), [reference("a")]);
}

#[test]
fn own_read_is_never_moved_back() {
    let (index, _) = index();
    index.refer(&object("x"), vec![reference("a")]);
    listed(&index, [meta("a", 5)], 9);
    index.observe(&reference("a"), &version(12));
    index.fold(KIND, 0, &Change::Applied(meta("a", 11)));
    listed(&index, [meta("a", 11)], 11);
    assert_eq!(index.look(&reference("a")), View::Is(Some(version(12))));
    listed(&index, [], 20);
    assert_eq!(index.look(&reference("a")), View::Is(None));
}

#[test]
fn reference_without_users_is_dropped() {
    let (index, wakes) = index();
    index.refer(&object("x"), vec![reference("a")]);
    index.refer(&object("y"), vec![reference("a")]);
    listed(&index, [meta("a", 5)], 9);
    index.refer(&object("x"), vec![]);
    wakes.taken();
    index.fold(KIND, 0, &Change::Applied(meta("a", 10)));
    assert_eq!(wakes.taken(), [object("y")]);
    index.refer(&object("y"), vec![reference("b")]);
    index.fold(KIND, 0, &Change::Applied(meta("a", 11)));
    assert_eq!(wakes.taken(), []);
}

#[test]
fn refused_kind_says_why_and_the_other_kind_goes_on() {
    let (index, wakes) = index();
    let secret = Ref { kind: ValuesKind::Secret, ..reference("s") };
    index.refer(&object("x"), vec![reference("a"), secret.clone()]);
    index.fold(ValuesKind::Secret, 0, &Change::<Meta>::Refused("no".into()));
    assert_eq!(wakes.taken(), [object("x")]);
    assert_eq!(index.look(&secret), View::Refused("no".into()));
    listed(&index, [meta("a", 5)], 9);
    assert_eq!(index.look(&reference("a")), View::Is(Some(version(5))));
}
