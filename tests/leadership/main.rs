//! Two operators and one lease: who acts, how fast the other takes over, and what a stale leader leaves alone.
//!
//! One sandbox for all stories; each has its own namespace, lease, proxy and operators.

#[path = "../integration/ground.rs"]
mod ground;
mod replica;
#[allow(dead_code, unused_imports, reason = "the stories use a part of the words of the scenarios")]
#[path = "../integration/scenario/mod.rs"]
mod scenario;
#[path = "../stage/mod.rs"]
mod stage;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use rustix::process::Signal;
use sandbox::proxy::{Action, Gate, RequestInfo, Rule, RuleHandle, Verb};
use serde_json::json;

use ground::Ground;
use replica::{Replica, delete_lease, holder};
use scenario::{Scenario, Test, play, remember_panics, web};
use stage::process::parent_of;
use stage::status::is_ready;

/// The longest that a crash of the leader may stay without consequence.
const TAKEOVER_AFTER_CRASH: Duration = Duration::from_secs(20);
/// The same for a leader that was told to end.
const TAKEOVER_IN_ORDER: Duration = Duration::from_secs(10);
/// The kernel ends helm with its operator; a machine under load may take a moment.
const ENDS_WITH_ITS_OPERATOR: Duration = Duration::from_secs(10);
/// An end with a drain time of two seconds: those, the moments that helm and the last writes are given, and room for a
/// machine under load. A helm that hangs would otherwise go on for minutes.
const CUT_SHORT: Duration = Duration::from_secs(30);
/// Releases that are upgraded while the leader dies.
const RELEASES: usize = 6;
/// Requests for the lease by leader and standby together, in a minute.
const LEASE_REQUESTS_MAX: f64 = 10.0;

const STORIES: &[(&str, Test)] = &[
    ("leader_killed_in_the_middle_of_upgrades_is_followed_by_the_standby", killed),
    ("leader_told_to_end_is_followed_at_once_and_a_deleted_lease_comes_back", told_to_end),
    ("leader_that_was_stopped_for_long_ends_without_writing", stopped),
    ("helm_of_a_leader_that_cannot_renew_has_ended_before_the_standby_leads", cut_off),
    ("upgrade_is_finished_within_the_drain_time", drained),
    ("upgrade_that_outlasts_the_drain_time_is_recovered_by_the_next_start", cut_short),
    ("helm_that_outlasts_the_drain_time_of_a_leader_has_ended_before_the_standby_leads", cut_short_as_leader),
];

fn main() -> ExitCode {
    sandbox::guard();
    stage::play_role();
    let mut arguments = Arguments::from_args();
    // They measure times.
    arguments.test_threads.get_or_insert(1);
    remember_panics();
    let ground = Arc::new(Ground::default());
    let trial = |&(name, story): &(&'static str, Test)| {
        let ground = Arc::clone(&ground);
        Trial::ignorable_test(name, move || play(&ground, "leadership", story))
    };
    let conclusion = libtest_mimic::run(&arguments, STORIES.iter().map(trial).collect());
    drop(ground);
    conclusion.exit_code()
}

/// A leader and a standby, in that order.
fn pair(s: &Scenario<'_>) -> (Replica, Replica) {
    let first = Replica::start(s, "first", &["--leader-elect"]);
    s.eventually("the first leads", || first.leads(s).then_some(()));
    let second = Replica::start(s, "second", &["--leader-elect"]);
    assert!(first.leads(s) && second.stands_by());
    (first, second)
}

/// Waits until that operator holds the lease; how long it took.
fn takeover(s: &Scenario<'_>, to: &Replica, since: Instant) -> Duration {
    s.eventually("the standby leads", || to.leads(s).then_some(()));
    since.elapsed()
}

/// Declares a release of the web chart without pods, whose health is judged at once.
fn declare(s: &Scenario<'_>, name: &str, version: &str) {
    s.declare(name, &web(version, json!({ "values": { "replicas": 0 } })));
}

/// Waits until that version is deployed and good.
fn deployed(s: &Scenario<'_>, name: &str, version: &str) {
    s.until(name, version, |object| {
        let deployed = object.status.as_ref().and_then(|status| status.deployed.as_ref());
        is_ready(object) && deployed.is_some_and(|deployed| deployed.version == version)
    });
}

/// Release, revision and status of helm's records.
fn records(s: &Scenario<'_>) -> Vec<String> {
    let told = s.list("/api/v1", "secrets?labelSelector=owner%3Dhelm").into_iter().map(|secret| {
        let label = |name: &str| secret["metadata"]["labels"][name].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", label("name"), label("version"), label("status"))
    });
    told.collect()
}

/// Whether a record says that helm is at work.
fn any_pending(s: &Scenario<'_>) -> bool {
    records(s).iter().any(|record| record.contains("pending"))
}

/// Whether helm writes the Deployment of a release.
fn on_deployment(release: &'static str) -> impl Fn(&RequestInfo) -> bool {
    move |info| {
        let named = info.resource == "deployments" && info.name.as_deref() == Some(release);
        info.user_agent.starts_with("Helm/") && info.is_write() && named
    }
}

/// Makes helm's next write of the Deployment of a release go wrong in that way.
fn on_next_deployment(s: &Scenario<'_>, release: &'static str, action: Action) -> RuleHandle {
    s.proxy.rule(Rule::new(on_deployment(release), action).times(1))
}

/// Waits until another operator holds the lease, and looks all the way that these processes of helm have ended before
/// it does, and that the two never have one each.
#[track_caller]
fn takes_over_after(s: &Scenario<'_>, helm: &[u32], from: &Replica, to: &Replica) {
    let (leader, any) = (holder(s), |helm: &[u32]| helm.iter().any(|pid| parent_of(*pid).is_some()));
    assert!(any(helm), "helm is there until then");
    s.eventually("the standby leads", || {
        // In this order: whoever has ended when the lease is looked at had ended before.
        let (changed, lives) = (holder(s) != leader, any(helm));
        assert!(!(changed && lives), "the lease has left an operator whose helm goes on");
        let both = [from.operator.children(), to.operator.children()];
        assert!(both.iter().any(Vec::is_empty), "helm runs for both: {both:?}");
        to.leads(s).then_some(())
    });
    assert!(!any(helm));
}

fn killed(s: &Scenario<'_>) {
    let (leader, standby) = pair(s);
    let names: Vec<String> = (0..RELEASES).map(|number| format!("r{number}")).collect();
    for name in &names {
        declare(s, name, "1.0.0");
    }
    for name in &names {
        deployed(s, name, "1.0.0");
    }
    assert!(standby.operator.metric("reconciles_total", "") < 0.5, "a standby makes no pass");
    let first = on_next_deployment(s, "r0", Action::Hang);
    for name in &names {
        declare(s, name, "1.1.0");
    }
    let helm = s.eventually("an upgrade is under way", || {
        let helm = leader.operator.children();
        (first.hits() == 1 && !helm.is_empty()).then_some(helm)
    });
    assert!(any_pending(s));
    let killed = Instant::now();
    drop(leader);
    s.eventually("helm has ended with its operator", || helm.iter().all(|pid| parent_of(*pid).is_none()).then_some(()));
    assert!(killed.elapsed() < ENDS_WITH_ITS_OPERATOR, "{:?}", killed.elapsed());
    let took = takeover(s, &standby, killed);
    println!("takeover after a kill: {:.1} s", took.as_secs_f32());
    assert!(took <= TAKEOVER_AFTER_CRASH, "{took:?}");
    for name in &names {
        deployed(s, name, "1.1.0");
    }
    println!("{RELEASES} upgrades done after a kill: {:.1} s", killed.elapsed().as_secs_f32());
    assert!(!any_pending(s), "{:?}", records(s));
}

fn told_to_end(s: &Scenario<'_>) {
    let (mut leader, standby) = pair(s);
    declare(s, "a", "1.0.0");
    deployed(s, "a", "1.0.0");
    let (before, window) = (s.proxy.snapshot(), Instant::now());
    let lease_requests = || s.proxy.snapshot().since(&before).total(|key| key.resource == "leases");
    // Three renewals make a window that is long against the edges of its counting.
    s.eventually("three renewals", || (lease_requests() >= 3).then_some(()));
    let seconds = window.elapsed().as_secs_f64();
    println!("lease: 3 requests in {seconds:.1} s");
    // Three requests have at least two full intervals between them.
    assert!(2.0 * 60.0 / seconds <= LEASE_REQUESTS_MAX, "3 requests in {seconds} s");

    delete_lease(s);
    s.eventually("the lease comes back with the same leader", || leader.leads(s).then_some(()));
    assert!(standby.stands_by());

    let told = Instant::now();
    leader.operator.signal(Signal::TERM).unwrap();
    let took = takeover(s, &standby, told);
    println!("takeover after a clean stop: {:.2} s", took.as_secs_f32());
    assert!(took <= TAKEOVER_IN_ORDER, "{took:?}");
    assert!(leader.operator.wait_until_ended().unwrap().success());
    declare(s, "a", "1.1.0");
    deployed(s, "a", "1.1.0");
}

fn stopped(s: &Scenario<'_>) {
    let (mut leader, standby) = pair(s);
    declare(s, "a", "1.0.0");
    deployed(s, "a", "1.0.0");
    // The last that is written of it.
    s.marked("a", 1);
    s.event("a", "Installed");
    leader.operator.signal(Signal::STOP).unwrap();
    let took = takeover(s, &standby, Instant::now());
    println!("takeover from a stopped leader: {:.1} s", took.as_secs_f32());
    let (before, gate) = (s.proxy.snapshot(), Gate::default());
    gate.close();
    let held = on_next_deployment(s, "a", Action::HoldBack(gate.clone()));
    declare(s, "a", "1.1.0");
    s.eventually("the new leader upgrades", || (held.hits() == 1).then_some(()));
    leader.operator.signal(Signal::CONT).unwrap();
    let status = leader.operator.wait_until_ended().unwrap();
    assert_eq!(status.code(), Some(1), "it ends with an error");
    s.eventually("it says why", || leader.operator.log().contains("leadership lost").then_some(()));
    let counts = s.proxy.snapshot().since(&before);
    let written = counts.total(|key| {
        key.user_agent.ends_with(&leader.agent) && !matches!(key.verb, Verb::Get | Verb::List | Verb::Watch)
    });
    assert_eq!(written, 0, "the stale leader writes nothing:\n{counts}");
    gate.open();
    deployed(s, "a", "1.1.0");
    assert!(!any_pending(s), "{:?}", records(s));
    assert_eq!(records(s).len(), 2, "one upgrade, by one operator: {:?}", records(s));
}

/// Makes a leader's helm hang in an upgrade, which ends when it is told to, and in a rollback, which only a kill ends;
/// the processes.
#[track_caller]
fn two_that_hang(s: &Scenario<'_>, leader: &Replica) -> Vec<u32> {
    let spec = |version, outcome: &str| {
        web(version, json!({ "timeout": "5s", "upgrade": { "retries": 0 }, "values": { "outcome": outcome } }))
    };
    for name in ["upgraded", "rolled-back"] {
        s.declare(name, &spec("1.0.0", "ready"));
    }
    for name in ["upgraded", "rolled-back"] {
        deployed(s, name, "1.0.0");
        s.marked(name, 1);
    }
    // The upgrade writes the Deployment once.
    let back = s.proxy.rule(Rule::new(on_deployment("rolled-back"), Action::Hang).skip(1).times(1));
    s.declare("rolled-back", &spec("1.1.0", "never-ready"));
    s.eventually("the rollback hangs", || (back.hits() == 1).then_some(()));
    let forth = on_next_deployment(s, "upgraded", Action::Hang);
    declare(s, "upgraded", "1.1.0");
    s.eventually("the upgrade hangs", || (forth.hits() == 1).then_some(()));
    let helm = leader.operator.children();
    assert_eq!(helm.len(), 2, "helm runs for both releases");
    helm
}

/// Both come to their ends with the next leader.
#[track_caller]
fn both_get_there(s: &Scenario<'_>) {
    deployed(s, "upgraded", "1.1.0");
    s.refused("rolled-back", "RolledBack");
    assert_eq!(s.config("rolled-back", "version"), "1.0.0");
    assert!(!records(s).iter().any(|record| record.starts_with("upgraded") && record.contains("pending")));
    assert!(s.story("rolled-back").ends_with("deployed"), "{}", s.story("rolled-back"));
}

fn cut_off(s: &Scenario<'_>) {
    let (mut leader, standby) = pair(s);
    let helm = two_that_hang(s, &leader);
    let agent = leader.agent.clone();
    let is_its = move |info: &RequestInfo| info.resource == "leases" && info.user_agent.ends_with(&agent);
    let unanswered = s.proxy.rule(Rule::new(is_its, Action::Hang));
    takes_over_after(s, &helm, &leader, &standby);
    assert!(unanswered.hits() > 0, "it tried to renew");
    let status = leader.operator.wait_until_ended().unwrap();
    assert_eq!(status.code(), Some(1), "it ends with an error");
    both_get_there(s);
}

fn cut_short_as_leader(s: &Scenario<'_>) {
    let mut leader = Replica::start(s, "first", &["--leader-elect", "--drain-seconds=2"]);
    s.eventually("the first leads", || leader.leads(s).then_some(()));
    let standby = Replica::start(s, "second", &["--leader-elect"]);
    let helm = two_that_hang(s, &leader);
    leader.operator.signal(Signal::TERM).unwrap();
    takes_over_after(s, &helm, &leader, &standby);
    assert!(leader.operator.wait_until_ended().unwrap().success());
    both_get_there(s);
}

fn drained(s: &Scenario<'_>) {
    let Replica { mut operator, .. } = Replica::start(s, "first", &["--drain-seconds=20"]);
    declare(s, "a", "1.0.0");
    deployed(s, "a", "1.0.0");
    let slow = on_next_deployment(s, "a", Action::Delay(Duration::from_secs(3)));
    declare(s, "a", "1.1.0");
    s.eventually("helm is in the middle of its work", || (slow.hits() == 1).then_some(()));
    operator.signal(Signal::TERM).unwrap();
    assert!(operator.wait_until_ended().unwrap().success());
    assert!(!any_pending(s), "helm was left to finish: {:?}", records(s));
    let _operator = s.operate();
    deployed(s, "a", "1.1.0");
    assert_eq!(records(s).len(), 2, "nothing is done twice: {:?}", records(s));
}

fn cut_short(s: &Scenario<'_>) {
    let Replica { mut operator, .. } = Replica::start(s, "first", &["--drain-seconds=2"]);
    declare(s, "a", "1.0.0");
    deployed(s, "a", "1.0.0");
    let held = on_next_deployment(s, "a", Action::Hang);
    declare(s, "a", "1.1.0");
    s.eventually("helm is in the middle of its work", || (held.hits() == 1).then_some(()));
    let told = Instant::now();
    operator.signal(Signal::TERM).unwrap();
    assert!(operator.wait_until_ended().unwrap().success());
    println!("end with a drain time of 2 s and a helm that hangs: {:.1} s", told.elapsed().as_secs_f32());
    assert!(told.elapsed() < CUT_SHORT, "{:?}", told.elapsed());
    let _operator = s.operate();
    deployed(s, "a", "1.1.0");
    assert!(!any_pending(s), "{:?}", records(s));
}
