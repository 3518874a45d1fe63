//! Folds of the index of live objects.

use futures::StreamExt as _;
use serde_json::json;

use super::super::clock::Clock;
use super::super::mock::{Asked, client, failure, log_of};
use super::super::standing::Standing;
use super::super::watch::Change;
use super::kind::Told;
use super::*;
use crate::health::PodFacts;
use crate::release::{Health, Verdict, Why};
use crate::types::{Namespace, ReleaseName};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn release(name: &str) -> ReleaseKey {
    ReleaseKey { namespace: Namespace::parse("apps").unwrap(), name: ReleaseName::parse(name).unwrap() }
}

fn member(kind: &str, namespace: &str, name: &str) -> Member {
    let api_version = match kind {
        "Job" => "batch/v1",
        "ClusterRole" => "rbac.authorization.k8s.io/v1",
        _ => "apps/v1",
    };
    Member { api_version: api_version.into(), kind: kind.into(), namespace: namespace.into(), name: name.into() }
}

fn deployment(name: &str) -> Member {
    member("Deployment", "apps", name)
}

fn judged(verdict: Verdict, finished: bool) -> Judgement {
    Judgement { verdict, finished, selector: None }
}

fn told(member: &Member, version: u64, judgement: Judgement) -> Told {
    let print = Print { version, mark: version };
    Told { namespace: member.namespace.clone(), name: member.name.clone(), print, judgement }
}

fn good(member: &Member, version: u64) -> Told {
    told(member, version, judged(Verdict::Healthy, false))
}

fn bad(member: &Member, version: u64) -> Told {
    told(member, version, judged(Verdict::Progressing(Why::own("is not ready")), false))
}

fn index(scope: Scope) -> (LiveIndex, Wakes<ReleaseKey>) {
    let wakes = Wakes::default();
    (LiveIndex::new(scope, at(1000), wakes.clone()), wakes)
}

fn fold(index: &LiveIndex, member: &Member, place: usize, change: Change<Told>) {
    index.fold(&member.api_version, &member.kind, place, change);
}

fn resolve(index: &LiveIndex, member: &Member, namespaced: bool) {
    let mut state = locked(&index.state);
    let kind = state.kinds.get_mut(&member.api_version, &member.kind).unwrap();
    kind.resolved(namespaced, &index.scope);
}

fn listed(index: &LiveIndex, of: &Member, objects: impl IntoIterator<Item = Told>, version: u64) {
    fold(index, of, 0, Change::Begin);
    objects.into_iter().for_each(|object| fold(index, of, 0, Change::Listed(object)));
    fold(index, of, 0, Change::Complete { at: at(1010), version });
}

fn is(verdict: Verdict) -> MemberLook {
    MemberLook::Is(judged(verdict, false))
}

#[test]
fn members_are_pending_until_the_first_list_and_then_there_or_missing() {
    let (index, wakes) = index(Scope::Cluster);
    let (a, b) = (deployment("a"), deployment("b"));
    assert_eq!(index.look(&a), MemberLook::Pending);
    index.want(&release("r"), &[a.clone(), b.clone()], at(1001));
    assert_eq!(index.look(&a), MemberLook::Pending);
    assert_eq!(index.live_since(std::slice::from_ref(&a)), None);
    listed(&index, &a, [good(&a, 5), good(&deployment("stranger"), 6)], 9);
    assert_eq!(wakes.taken(), [release("r")]);
    assert_eq!((index.look(&a), index.look(&b)), (is(Verdict::Healthy), MemberLook::Missing));
    assert_eq!(index.live_since(&[a, b]), Some(at(1010)));
}

#[test]
fn first_watch_of_a_kind_by_a_running_operator_delays_nothing() {
    let (index, _) = index(Scope::Cluster);
    let a = deployment("a");
    index.want(&release("r"), std::slice::from_ref(&a), at(1100));
    listed(&index, &a, [], 9);
    assert_eq!(index.live_since(std::slice::from_ref(&a)), Some(at(1000)));
    fold(&index, &a, 0, Change::Lost);
    assert_eq!(index.live_since(std::slice::from_ref(&a)), None);
    assert_eq!(index.look(&a), MemberLook::Missing, "what was known still counts");
    fold(&index, &a, 0, Change::Opened { at: at(1200) });
    assert_eq!(index.live_since(std::slice::from_ref(&a)), Some(at(1200)));
}

#[test]
fn only_members_wake_whatever_an_object_says_of_itself() {
    let (index, wakes) = index(Scope::Cluster);
    let (mine, theirs) = (deployment("mine"), deployment("theirs"));
    index.want(&release("r"), std::slice::from_ref(&mine), at(1001));
    index.want(&release("s"), std::slice::from_ref(&theirs), at(1001));
    listed(&index, &mine, [good(&mine, 5)], 9);
    wakes.taken();
    // A stranger's object carries annotations that name release r: they are not even looked at.
    fold(&index, &mine, 0, Change::Applied(bad(&deployment("forged"), 10)));
    assert_eq!(wakes.taken(), []);
    fold(&index, &mine, 0, Change::Applied(bad(&mine, 11)));
    assert_eq!(wakes.taken(), [release("r")]);
    fold(&index, &mine, 0, Change::Applied(bad(&mine, 12)));
    assert_eq!(wakes.taken(), [], "nothing that counts has changed");
    fold(&index, &mine, 0, Change::Deleted(bad(&mine, 13)));
    assert_eq!(wakes.taken(), [release("r")]);
    assert_eq!(index.look(&mine), MemberLook::Missing);
}

#[test]
fn own_read_is_never_moved_back_and_brings_nothing_back() {
    let (index, wakes) = index(Scope::Cluster);
    let a = deployment("a");
    index.want(&release("r"), std::slice::from_ref(&a), at(1001));
    listed(&index, &a, [bad(&a, 5)], 9);
    wakes.taken();
    let object = |version: &str, ready: u64| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"namespace": "apps", "name": "a", "resourceVersion": version, "generation": 1},
            "spec": {"replicas": 1}, "status": {"observedGeneration": 1, "replicas": ready, "updatedReplicas": ready,
            "readyReplicas": ready, "availableReplicas": ready}})
    };
    index.observe(&object("20", 1));
    assert_eq!(wakes.taken(), [release("r")]);
    let is_good = |index: &LiveIndex| matches!(index.look(&a), MemberLook::Is(one) if one.verdict == Verdict::Healthy);
    assert!(is_good(&index));
    fold(&index, &a, 0, Change::Applied(bad(&a, 15)));
    assert!(is_good(&index), "the watch is behind");
    listed(&index, &a, [bad(&a, 15)], 18);
    assert!(is_good(&index), "the list is behind");
    fold(&index, &a, 0, Change::Deleted(good(&a, 30)));
    index.observe(&object("25", 1));
    assert_eq!(index.look(&a), MemberLook::Missing, "the read was before the deletion");
}

#[test]
fn relist_drops_what_is_gone_and_swaps_only_when_complete() {
    let (index, wakes) = index(Scope::Cluster);
    let (a, b) = (deployment("a"), deployment("b"));
    index.want(&release("r"), std::slice::from_ref(&a), at(1001));
    index.want(&release("s"), std::slice::from_ref(&b), at(1001));
    listed(&index, &a, [good(&a, 5), good(&b, 6)], 9);
    wakes.taken();
    fold(&index, &a, 0, Change::Begin);
    fold(&index, &a, 0, Change::Listed(good(&b, 6)));
    assert_eq!(index.look(&a), is(Verdict::Healthy));
    fold(&index, &a, 0, Change::Complete { at: at(1020), version: 20 });
    assert_eq!(index.look(&a), MemberLook::Missing);
    assert_eq!(wakes.taken(), [release("r")]);
}

#[test]
fn job_that_was_seen_finished_may_go() {
    let (index, _) = index(Scope::Cluster);
    let (done, undone) = (member("Job", "apps", "done"), member("Job", "apps", "undone"));
    let members = [done.clone(), undone.clone()];
    index.want(&release("r"), &members, at(1001));
    let finished = told(&done, 5, judged(Verdict::Healthy, true));
    listed(&index, &done, [finished.clone(), good(&undone, 5)], 9);
    fold(&index, &done, 0, Change::Deleted(told(&done, 10, finished.judgement)));
    listed(&index, &done, [], 20);
    assert_eq!(index.look(&done), MemberLook::Is(judged(Verdict::Healthy, true)));
    assert_eq!(index.look(&undone), MemberLook::Missing);
    assert_eq!(index.prints(&members), Some(vec![LivePrint::Finished, LivePrint::Absent]));
    assert_eq!(index.health_of(&members, |_| false).present, []);
    assert_eq!(index.health_of(std::slice::from_ref(&done), |_| false).health, Health::Healthy);
}

#[test]
fn job_that_may_be_gone_counts_as_done_unless_it_was_seen_to_fail() {
    let (index, _) = index(Scope::Cluster);
    let (unseen, failed) = (member("Job", "apps", "unseen"), member("Job", "apps", "failed"));
    let members = [unseen.clone(), failed.clone()];
    index.want(&release("r"), &members, at(1001));
    let bad = told(&failed, 5, judged(Verdict::Failed(Why::own("broke")), true));
    listed(&index, &failed, [bad.clone()], 9);
    let alone = std::slice::from_ref(&unseen);
    let view = index.health_of(alone, |_| true);
    assert_eq!((view.health, view.present, view.missing), (Health::Healthy, vec![], None));
    assert_eq!(index.health_of(alone, |_| false).missing.as_ref(), Some(&unseen));
    fold(&index, &failed, 0, Change::Deleted(told(&failed, 10, bad.judgement)));
    assert!(matches!(index.health_of(&members, |_| true).health, Health::Failed { member, .. } if member == failed));
}

#[test]
fn job_that_went_is_remembered_when_the_members_change() {
    let (index, _) = index(Scope::Cluster);
    let done = member("Job", "apps", "done");
    index.want(&release("r"), std::slice::from_ref(&done), at(1001));
    let finished = told(&done, 5, judged(Verdict::Healthy, true));
    listed(&index, &done, [finished.clone()], 9);
    fold(&index, &done, 0, Change::Deleted(told(&done, 10, finished.judgement)));
    index.want(&release("r"), &[done.clone(), deployment("new")], at(1002));
    assert_eq!(index.look(&done), MemberLook::Is(judged(Verdict::Healthy, true)));
    index.forget(&release("r"));
    index.want(&release("r"), std::slice::from_ref(&done), at(1003));
    assert_eq!(index.look(&done), MemberLook::Missing);
}

#[test]
fn refused_kind_is_said_and_leaves_the_others_alone() {
    let (index, wakes) = index(Scope::Cluster);
    let (a, job) = (deployment("a"), member("Job", "apps", "j"));
    let members = [a.clone(), job.clone()];
    index.want(&release("r"), &members, at(1001));
    fold(&index, &job, 0, Change::Refused("may not list jobs".into()));
    assert_eq!(wakes.taken(), [release("r")]);
    listed(&index, &a, [good(&a, 5)], 9);
    assert_eq!(index.look(&job), MemberLook::Refused("may not list jobs".into()));
    assert_eq!(index.look(&a), is(Verdict::Healthy));
    let view = index.health_of(&members, |_| false);
    assert!(matches!(view.health, Health::Unknown { why, refused: true } if why.contains("may not list jobs")));
    assert!(view.live_since.is_some(), "those that can be seen are judged");
    assert_eq!(view.present, [a]);
}

#[test]
fn object_of_the_cluster_has_no_namespace_whatever_its_manifest_says() {
    let (index, _) = index(Scope::Namespaces(vec!["apps".into()]));
    let named = member("ClusterRole", "apps", "x");
    index.want(&release("r"), std::slice::from_ref(&named), at(1001));
    resolve(&index, &named, false);
    listed(&index, &named, [good(&member("ClusterRole", "", "x"), 5)], 9);
    assert_eq!(index.look(&named), is(Verdict::Healthy));
    index.forget(&release("r"));
    assert_eq!(
        locked(&index.state).kinds.get(&named.api_version, "ClusterRole").map(|kind| kind.unused.is_some()),
        Some(true)
    );
}

#[test]
fn each_watched_namespace_has_its_own_standing() {
    let (index, _) = index(Scope::Namespaces(vec!["other".into(), "apps".into()]));
    let (a, far) = (deployment("a"), member("Deployment", "far", "x"));
    index.want(&release("r"), &[a.clone(), far.clone()], at(1001));
    resolve(&index, &a, true);
    fold(&index, &a, 0, Change::Refused("no".into()));
    fold(&index, &a, 1, Change::Begin);
    fold(&index, &a, 1, Change::Listed(good(&a, 5)));
    fold(&index, &a, 1, Change::Complete { at: at(1010), version: 9 });
    assert_eq!(index.look(&a), is(Verdict::Healthy));
    assert_eq!(index.look(&member("Deployment", "other", "x")), MemberLook::Refused("no".into()));
    assert!(matches!(index.look(&far), MemberLook::Refused(why) if why.contains("not watched")));
}

#[test]
fn kind_is_unused_after_its_last_release_went() {
    let (index, _) = index(Scope::Cluster);
    let a = deployment("a");
    let unused = |index: &LiveIndex| locked(&index.state).kinds.get("apps/v1", "Deployment").unwrap().unused.is_some();
    index.want(&release("r"), std::slice::from_ref(&a), at(1001));
    index.want(&release("s"), &[a.clone(), deployment("b")], at(1001));
    index.forget(&release("r"));
    assert!(!unused(&index));
    index.want(&release("s"), &[member("Job", "apps", "j")], at(1001));
    assert!(unused(&index));
    index.want(&release("r"), std::slice::from_ref(&a), at(1001));
    assert!(!unused(&index));
}

#[test]
fn pods_are_kept_while_somebody_asks_and_name_the_cause() {
    let (index, wakes) = index(Scope::Cluster);
    let pod = |ready: bool| {
        let pod = json!({"metadata": {"name": "p", "namespace": "apps"}, "status": {"conditions": [
            {"type": "Ready", "status": if ready { "True" } else { "False" }}]}});
        PodFacts::of(&pod)
    };
    let first = index.judge_pods("apps", &release("r"));
    let second = index.judge_pods("apps", &release("r"));
    locked(&index.pods).fold("apps", Change::Begin);
    locked(&index.pods).fold("apps", Change::Listed(pod(false)));
    let woken = locked(&index.pods).fold("apps", Change::Complete { at: at(1), version: 1 });
    assert!(woken.contains(&release("r")));
    assert!(locked(&index.pods).fold("apps", Change::Applied(pod(false))).is_empty(), "nothing has changed");
    drop(first);
    assert_eq!(locked(&index.pods).facts("apps").count(), 1);
    drop(second);
    assert_eq!(locked(&index.pods).facts("apps").count(), 0);
    assert_eq!(wakes.taken(), []);
}

#[test]
fn standing_of_a_kind_that_is_not_found_is_kept_when_it_comes() {
    let (index, _) = index(Scope::Namespaces(vec!["apps".into()]));
    let a = deployment("a");
    index.want(&release("r"), std::slice::from_ref(&a), at(1001));
    fold(&index, &a, 0, Change::Refused("no such kind".into()));
    resolve(&index, &a, true);
    assert_eq!(index.look(&a), MemberLook::Refused("no such kind".into()));
    assert_eq!(Standing::default().view(()), crate::release::View::Pending);
    listed(&index, &a, [good(&a, 5)], 9);
    assert_eq!(index.look(&a), is(Verdict::Healthy));
}

/// Answers for a cluster with one Deployment, one Secret and one pod, whose watches end at once.
fn small_cluster(asked: &Asked) -> (u16, String) {
    let entry = |name: &str, kind: &str| json!({"name": name, "kind": kind, "namespaced": true, "singularName": "", "verbs": []});
    let resources = |version: &str, entries: &[Value]| {
        json!({"kind": "APIResourceList", "groupVersion": version, "resources": entries}).to_string()
    };
    let meta = |name: &str| json!({"namespace": "apps", "name": name, "resourceVersion": "5", "generation": 1});
    let list = |items: &[Value]| {
        json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}, "items": items}).to_string()
    };
    let body = match (&*asked.path, asked.query.contains("watch=true")) {
        (_, true) => String::new(),
        ("/api/v1", _) => resources("v1", &[entry("secrets", "Secret")]),
        ("/apis/apps/v1", _) => resources("apps/v1", &[entry("deployments", "Deployment")]),
        ("/apis/apps/v1/deployments", _) => {
            let status = json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
                "availableReplicas": 1});
            list(&[json!({"metadata": meta("web"), "spec": {"replicas": 1}, "status": status})])
        }
        ("/api/v1/secrets", _) => list(&[json!({"metadata": meta("web")})]),
        ("/api/v1/namespaces/apps/pods", _) => list(&[json!({"metadata": meta("pod")})]),
        _ => return failure(404, "NotFound", "no such kind"),
    };
    (200, body)
}

#[tokio::test(start_paused = true)]
async fn kinds_are_found_and_watched_when_they_are_wanted() {
    let (index, mut wakes) = index(Scope::Cluster);
    let index = Arc::new(index);
    let (client, log) = client(small_cluster);
    let running = tokio::spawn(Arc::clone(&index).run(client, Clock::system(), Arc::default()));
    let secret = Member { api_version: "v1".into(), kind: "Secret".into(), ..deployment("web") };
    let unknown = Member { api_version: "example.com/v1".into(), kind: "Thing".into(), ..deployment("web") };
    let members = [deployment("web"), secret, unknown.clone()];
    index.want(&release("r"), &members, at(1001));
    let pods = index.judge_pods("apps", &release("r"));
    let done = |index: &LiveIndex| {
        index.health_of(&members, |_| false).present.len() == 2
            && matches!(index.look(&unknown), MemberLook::Refused(_))
            && locked(&index.pods).facts("apps").count() == 1
    };
    while !done(&index) {
        assert_eq!(wakes.next().await, Some(release("r")));
    }
    let asked = log_of(&log);
    let list = |path: &str| asked.iter().find(|asked| asked.path == path).unwrap();
    assert!(list("/apis/apps/v1/deployments").query.contains("labelSelector=app.kubernetes.io%2Fmanaged-by%3DHelm"));
    assert!(list("/api/v1/secrets").accept.contains("PartialObjectMetadata"), "no Secret is ever read whole");
    assert!(!list("/apis/apps/v1/deployments").accept.contains("PartialObjectMetadata"));
    drop(pods);
    index.forget(&release("r"));
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    assert_eq!(locked(&index.state).kinds.iter().count(), 0, "nobody uses them any more");
    running.abort();
}

#[test]
fn object_that_nobody_sees_may_be_there_and_one_of_a_refused_kind_is_not_waited_for() {
    let (index, _) = index(Scope::Cluster);
    let (a, job) = (deployment("a"), member("Job", "apps", "j"));
    let members = [a.clone(), job.clone()];
    index.want(&release("r"), &members, at(1001));
    let present = || index.health_of(&members, |_| false).present;
    assert_eq!(present(), members);
    listed(&index, &a, [], 9);
    assert_eq!(present(), std::slice::from_ref(&job));
    fold(&index, &job, 0, Change::Refused("the API server has no kind Job".into()));
    assert_eq!(present(), []);
    fold(&index, &a, 0, Change::Lost);
    assert_eq!(present(), std::slice::from_ref(&a), "it may have been made again since");
}

#[test]
fn a_release_hears_of_every_change_of_a_member_only_where_it_attends_closely() {
    let (index, wakes) = index(Scope::Cluster);
    let (web, other) = (deployment("web"), release("other"));
    index.want(&release("a"), std::slice::from_ref(&web), at(1000));
    resolve(&index, &web, true);
    listed(&index, &web, [good(&web, 5)], 5);
    drop(wakes.taken());
    let changed = |version, mark| Change::Applied(Told { print: Print { version, mark }, ..good(&web, version) });
    fold(&index, &web, 0, changed(6, 6));
    assert_eq!(wakes.taken(), []);
    index.attend(&release("a"), true);
    index.attend(&other, true);
    fold(&index, &web, 0, changed(7, 7));
    assert_eq!(wakes.taken(), [release("a")]);
    let there = LivePrint::There(Print { version: 7, mark: 7 });
    assert_eq!(index.prints(std::slice::from_ref(&web)), Some(vec![there]));
    // A write of status.
    fold(&index, &web, 0, changed(8, 7));
    assert_eq!(wakes.taken(), []);
    index.attend(&release("a"), false);
    fold(&index, &web, 0, changed(9, 9));
    assert_eq!(wakes.taken(), []);
    assert_eq!(index.prints(&[deployment("nobody")]), Some(vec![LivePrint::Absent]));
    assert_eq!(index.prints(&[member("Job", "apps", "unseen")]), None, "its kind is not in view");
}
