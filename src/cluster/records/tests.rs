//! Folds of the record index.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use super::*;
use crate::release::RecordStatus;
use crate::types::{Namespace, ReleaseDigest, ReleaseName};

fn key(name: &str) -> ReleaseKey {
    ReleaseKey { namespace: Namespace::parse("apps").unwrap(), name: ReleaseName::parse(name).unwrap() }
}

fn secret(release: &str, revision: u32, status: &str, version: u64) -> Meta {
    serde_json::from_value(json!({"metadata": {
        "name": format!("sh.helm.release.v1.{release}.v{revision}"), "namespace": "apps",
        "resourceVersion": version.to_string(),
        "labels": {"owner": "helm", "name": release, "version": revision.to_string(), "status": status,
            "modifiedAt": "1700000000"},
    }}))
    .unwrap()
}

fn complete(version: u64) -> Change<Meta> {
    Change::Complete { at: Timestamp::UNIX_EPOCH, version }
}

fn index() -> (RecordIndex, Wakes<ReleaseKey>) {
    let wakes = Wakes::default();
    (RecordIndex::new(Scope::Cluster, wakes.clone()), wakes)
}

fn listed(index: &RecordIndex, secrets: impl IntoIterator<Item = Meta>, version: u64) {
    index.fold(0, Change::Begin);
    secrets.into_iter().for_each(|secret| index.fold(0, Change::Listed(secret)));
    index.fold(0, complete(version));
}

fn statuses(index: &RecordIndex, release: &str) -> Vec<(u32, RecordStatus)> {
    match index.look(&key(release)) {
        View::Is(seen) => seen.records.iter().map(|record| (record.revision, record.status)).collect(),
        other => panic!("{other:?}"),
    }
}

fn read(version: u64, secrets: &[Meta]) -> RecordsRead {
    RecordsRead { version, held: secrets.iter().filter_map(|meta| versioned_record(&meta.metadata)).collect() }
}

use RecordStatus::{Deployed, Failed, Superseded};

#[test]
fn absence_is_a_fact_only_after_the_first_complete_list_and_wakes_who_asked() {
    let (index, wakes) = index();
    assert_eq!(index.look(&key("none")), View::Pending);
    index.fold(0, Change::Begin);
    index.fold(0, Change::Listed(secret("web", 1, "deployed", 5)));
    assert_eq!(index.look(&key("web")), View::Pending);
    index.fold(0, complete(9));
    assert_eq!(wakes.taken(), [key("none"), key("web")]);
    assert_eq!(statuses(&index, "none"), []);
    assert_eq!(statuses(&index, "web"), [(1, Deployed)]);
}

#[test]
fn relist_swaps_only_when_complete_and_wakes_what_went() {
    let (index, wakes) = index();
    listed(&index, [secret("a", 1, "deployed", 5), secret("b", 1, "deployed", 6)], 9);
    wakes.taken();
    index.fold(0, Change::Lost);
    index.fold(0, Change::Begin);
    index.fold(0, Change::Listed(secret("b", 1, "deployed", 6)));
    assert_eq!(statuses(&index, "a"), [(1, Deployed)]);
    index.fold(0, complete(20));
    assert_eq!(statuses(&index, "a"), []);
    assert_eq!(wakes.taken(), [key("a")], "b is as it was");
}

#[test]
fn entry_never_moves_back_behind_a_read_of_our_own() {
    let (index, wakes) = index();
    listed(&index, [secret("a", 1, "deployed", 5)], 9);
    let after = [secret("a", 1, "superseded", 14), secret("a", 2, "deployed", 15)];
    index.observe(&key("a"), &read(16, &after));
    wakes.taken();
    for late in [secret("a", 2, "pending-upgrade", 12), secret("a", 1, "deployed", 11), secret("a", 3, "failed", 13)] {
        index.fold(0, Change::Applied(late));
    }
    assert_eq!(statuses(&index, "a"), [(1, Superseded), (2, Deployed)]);
    assert_eq!(wakes.taken(), []);
    index.fold(0, Change::Applied(secret("a", 2, "failed", 20)));
    assert_eq!(statuses(&index, "a"), [(1, Superseded), (2, Failed)]);
}

#[test]
fn deletion_seen_by_our_own_read_is_not_taken_back_by_a_late_watch() {
    let (index, _) = index();
    listed(&index, [secret("a", 1, "deployed", 5)], 9);
    index.observe(&key("a"), &read(30, &[]));
    index.fold(0, Change::Applied(secret("a", 1, "uninstalling", 20)));
    assert_eq!(statuses(&index, "a"), []);
    index.fold(0, Change::Deleted(secret("a", 1, "uninstalling", 25)));
    index.fold(0, Change::Applied(secret("a", 1, "deployed", 40)));
    assert_eq!(statuses(&index, "a"), [(1, Deployed)], "installed again since");
}

#[test]
fn list_older_than_our_own_read_does_not_win() {
    let (index, _) = index();
    index.fold(0, Change::Begin);
    index.observe(&key("a"), &read(30, &[secret("a", 2, "deployed", 29)]));
    index.fold(0, Change::Listed(secret("a", 1, "deployed", 5)));
    index.fold(0, complete(20));
    assert_eq!(statuses(&index, "a"), [(2, Deployed)]);
}

#[test]
fn list_newer_than_our_own_read_wins() {
    let (index, _) = index();
    listed(&index, [], 1);
    index.observe(&key("a"), &read(10, &[secret("a", 1, "deployed", 9)]));
    listed(&index, [], 20);
    assert_eq!(statuses(&index, "a"), []);
}

#[test]
fn own_read_that_is_behind_the_watch_takes_nothing_back() {
    let (index, _) = index();
    listed(&index, [], 1);
    index.fold(0, Change::Applied(secret("a", 2, "deployed", 50)));
    index.observe(&key("a"), &read(40, &[secret("a", 1, "deployed", 30)]));
    assert_eq!(statuses(&index, "a"), [(2, Deployed)], "the watch has told of the deletion of 1 before");
}

#[test]
fn mark_of_our_own_is_seen_at_once_and_survives_an_older_list() {
    let (index, wakes) = index();
    listed(&index, [secret("a", 1, "deployed", 5)], 9);
    wakes.taken();
    let mut marked = versioned_record(&secret("a", 1, "deployed", 12).metadata).unwrap();
    marked.record.verified = Some(1);
    index.observe_record(&key("a"), marked);
    assert_eq!(wakes.taken(), [key("a")]);
    listed(&index, [secret("a", 1, "deployed", 5)], 11);
    assert!(index.look(&key("a")).is().unwrap().records.get(1).unwrap().is_verified());
}

#[test]
fn records_are_seen_together_with_the_version_of_the_newest() {
    let (index, _) = index();
    let version = || index.look(&key("a")).is().unwrap().version;
    listed(&index, [secret("a", 2, "deployed", 8), secret("a", 1, "superseded", 9)], 10);
    assert_eq!(version(), 8);
    index.fold(0, Change::Applied(secret("a", 2, "superseded", 11)));
    assert_eq!(version(), 11);
    index.fold(0, Change::Deleted(secret("a", 2, "superseded", 12)));
    assert_eq!(version(), 9);
}

#[test]
fn malformed_secrets_are_counted_and_passed_by() {
    let (index, _) = index();
    let mut forged = secret("a", 7, "deployed", 8);
    forged.metadata.name = Some("sh.helm.release.v1.other.v7".into());
    let mut unlabelled = secret("a", 8, "deployed", 8);
    unlabelled.metadata.labels = None;
    let mut huge = secret("a", 9, "deployed", 8);
    huge.metadata.labels.as_mut().unwrap().insert("version".into(), "99999999999".into());
    let mut stranger = secret("a", 1, "deployed", 8);
    stranger.metadata.name = Some("mine".into());
    listed(&index, [forged, unlabelled, huge, stranger, secret("a", 1, "deployed", 8)], 9);
    assert_eq!(statuses(&index, "a"), [(1, Deployed)]);
    assert_eq!(index.malformed(), 4);
}

#[test]
fn record_that_is_spoiled_is_no_record_any_more() {
    let (index, wakes) = index();
    listed(&index, [secret("a", 1, "deployed", 5)], 9);
    wakes.taken();
    let mut spoiled = secret("a", 1, "deployed", 12);
    spoiled.metadata.labels.as_mut().unwrap().insert("version".into(), "2".into());
    index.fold(0, Change::Applied(spoiled));
    assert_eq!(statuses(&index, "a"), []);
    assert_eq!(wakes.taken(), [key("a")]);
}

#[test]
fn refused_namespace_says_why_and_leaves_the_others_alone() {
    let wakes = Wakes::default();
    let index = RecordIndex::new(Scope::Namespaces(vec!["other".into(), "apps".into()]), wakes.clone());
    let other = ReleaseKey { namespace: Namespace::parse("other").unwrap(), ..key("a") };
    assert_eq!(index.look(&other), View::Pending);
    index.fold(0, Change::Refused("no".into()));
    assert_eq!(wakes.taken(), std::slice::from_ref(&other));
    assert_eq!(index.look(&other), View::Refused("no".into()));
    index.fold(1, Change::Begin);
    index.fold(1, complete(3));
    assert_eq!(index.look(&key("a")), View::Is(RecordsSeen::default()));
    let far = ReleaseKey { namespace: Namespace::parse("far").unwrap(), ..key("a") };
    assert!(matches!(index.look(&far), View::Refused(why) if why.contains("not watched")));
}

#[test]
fn name_with_a_revision_in_it_is_read_from_the_end() {
    let (index, _) = index();
    listed(&index, [secret("a.v1", 3, "deployed", 5)], 9);
    assert_eq!(statuses(&index, "a.v1"), [(3, Deployed)]);
}

#[test]
fn record_is_as_old_as_the_api_server_says_and_not_as_a_copied_label_says() {
    let mut meta = secret("web", 2, "pending-upgrade", 7).metadata;
    let written = |meta: &ObjectMeta| versioned_record(meta).unwrap().record.written;
    assert_eq!(written(&meta), 0);
    let time = |second| serde_json::from_value(json!(Timestamp::from_second(second).unwrap())).unwrap();
    meta.creation_timestamp = Some(time(1_800_000_000));
    assert_eq!(written(&meta), 1_800_000_000);
    meta.managed_fields = Some(vec![serde_json::from_value(json!({"time": "2027-01-15T08:00:07Z"})).unwrap()]);
    assert_eq!(written(&meta), 1_800_000_007);
}

#[test]
fn later_version_of_a_record_is_waited_for_whatever_it_says() {
    let (index, _) = index();
    let release = key("web");
    let mut waiting = Box::pin(index.newer(&release, 2, 7));
    let mut woken = || futures::FutureExt::now_or_never(waiting.as_mut()).is_some();
    assert!(!woken());
    listed(&index, [secret("web", 1, "deployed", 8), secret("web", 2, "pending-upgrade", 7)], 9);
    assert!(!woken(), "the other record is not the one that is waited for");
    // helm rewrites the payload within the same second: not one label differs.
    index.fold(0, Change::Applied(secret("web", 2, "pending-upgrade", 10)));
    assert!(woken());
    assert_eq!((index.version(&release, 2), index.version(&release, 3)), (Some(10), None));
}

#[test]
fn labels_that_say_nothing_are_counted_and_leave_the_record_as_it_is() {
    let (index, _) = index();
    let digest = ReleaseDigest::v1(&[b"web"]).to_string();
    let labelled = |revision: u32, labels: &[(&str, &str)]| {
        let mut meta = secret("web", revision, "superseded", 5);
        let own = labels.iter().map(|(name, text)| (format!("helmrelease.dev/{name}"), (*text).to_owned()));
        meta.metadata.labels.as_mut().unwrap().extend(own);
        meta
    };
    let good = [("digest", &*digest), ("owner", &*digest), ("revision", "1"), ("verified", "1"), ("cleared", "1")];
    listed(&index, [labelled(1, &good)], 9);
    assert!(index.spoilt_labels().all(|(_, count)| count == 0));
    let later = format!("v9-{}", &digest[3..]);
    let spoilt = [
        labelled(2, &[("digest", "colour"), ("owner", "somebody.else"), ("revision", "abc"), ("verified", "zzz")]),
        labelled(3, &[("digest", &later), ("verified", "-1"), ("cleared", "18446744073709551616"), ("another", "?")]),
    ];
    for meta in spoilt {
        index.fold(0, Change::Applied(meta));
    }
    let counts: Vec<_> = index.spoilt_labels().map(|(label, count)| (label.as_str(), count)).collect();
    let expected = [("digest", 1), ("formula", 1), ("owner", 1), ("revision", 1), ("verified", 2), ("cleared", 1)];
    assert_eq!(counts, expected);
    assert_eq!(statuses(&index, "web"), [(1, Superseded), (2, Superseded), (3, Superseded)]);
    assert_eq!(index.malformed(), 0, "they are records");
}
