//! Two operators and one lease: who acts, how fast the other takes over, and what a stale leader leaves alone.
//!
//! One sandbox for all stories; each has its own namespace, lease, proxy and operators.

mod stage;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use rustix::process::Signal;
use sandbox::proxy::{Action, Rule, RuleHandle, Verb};
use serde_json::json;

use stage::{Land, Operator, Stage};

/// The longest that a crash of the leader may stay without consequence.
const TAKEOVER_AFTER_CRASH: Duration = Duration::from_secs(20);
/// The same for a leader that was told to end.
const TAKEOVER_IN_ORDER: Duration = Duration::from_secs(10);
/// Releases that are upgraded while the leader dies.
const RELEASES: usize = 6;
/// Requests for the lease by leader and standby together, in a minute.
const LEASE_REQUESTS_MAX: f64 = 10.0;

type Story = fn(&Stage<'_>);

const STORIES: &[(&str, Story)] = &[
    ("leader_killed_in_the_middle_of_upgrades_is_followed_by_the_standby", killed),
    ("leader_told_to_end_is_followed_at_once_and_a_deleted_lease_comes_back", told_to_end),
    ("leader_that_was_stopped_for_long_ends_without_writing", stopped),
    ("upgrade_is_finished_within_the_drain_time", drained),
    ("upgrade_that_outlasts_the_drain_time_is_recovered_by_the_next_start", cut_short),
];

fn main() -> ExitCode {
    sandbox::guard();
    let mut arguments = Arguments::from_args();
    // They measure times.
    arguments.test_threads.get_or_insert(1);
    let ground: Arc<OnceLock<Land>> = Arc::default();
    let trial = |&(name, story): &(&str, Story)| {
        let ground = Arc::clone(&ground);
        Trial::test(name, move || {
            story(&Stage::new(ground.get_or_init(Land::new)));
            Ok(())
        })
    };
    let conclusion = libtest_mimic::run(&arguments, STORIES.iter().map(trial).collect());
    drop(ground);
    conclusion.exit_code()
}

/// A leader and a standby, in that order.
fn pair(s: &Stage<'_>) -> (Operator, Operator) {
    let first = s.operate(&["--leader-elect"]);
    s.until("the first leads", || (s.holder() == first.holder()).then_some(()));
    let second = s.operate(&["--leader-elect"]);
    assert!(first.metric("leader") > 0.5 && second.metric("leader") < 0.5);
    (first, second)
}

/// Waits until that operator holds the lease; how long it took.
fn takeover(s: &Stage<'_>, to: &Operator, since: Instant) -> Duration {
    s.until("the standby leads", || (s.holder() == to.holder() && to.metric("leader") > 0.5).then_some(()));
    since.elapsed()
}

/// Makes helm's next write of a Deployment go wrong in that way.
fn on_next_deployment(s: &Stage<'_>, action: Action) -> RuleHandle {
    let is_it = |info: &sandbox::proxy::RequestInfo| {
        info.user_agent.starts_with("Helm/") && info.is_write() && info.resource == "deployments"
    };
    s.proxy.rule(Rule::new(is_it, action).times(1))
}

fn killed(s: &Stage<'_>) {
    let (leader, standby) = pair(s);
    let names: Vec<String> = (0..RELEASES).map(|number| format!("r{number}")).collect();
    for name in &names {
        s.declare(name, "1.0.0");
    }
    for name in &names {
        s.deployed(name, "1.0.0");
    }
    assert!(standby.metric("reconciles_total") < 0.5, "a standby makes no pass");
    for name in &names {
        s.declare(name, "1.1.0");
    }
    s.until("an upgrade is under way", || s.records().contains("pending-upgrade").then_some(()));
    let killed = Instant::now();
    drop(leader);
    let took = takeover(s, &standby, killed);
    println!("takeover after a kill: {:.1} s", took.as_secs_f32());
    assert!(took <= TAKEOVER_AFTER_CRASH, "{took:?}");
    for name in &names {
        s.deployed(name, "1.1.0");
    }
    println!("{RELEASES} upgrades done after a kill: {:.1} s", killed.elapsed().as_secs_f32());
    let records = s.records();
    assert!(!records.contains("pending"), "{records}");
}

fn told_to_end(s: &Stage<'_>) {
    let (mut leader, standby) = pair(s);
    s.declare("a", "1.0.0");
    s.deployed("a", "1.0.0");
    let (before, window) = (s.proxy.snapshot(), Instant::now());
    let lease_requests = || s.proxy.snapshot().since(&before).total(|key| key.resource == "leases");
    // Three renewals make a window that is long against the edges of its counting.
    s.until("three renewals", || (lease_requests() >= 3).then_some(()));
    let seconds = window.elapsed().as_secs_f64();
    println!("lease: 3 requests in {seconds:.1} s");
    // Three requests have at least two full intervals between them.
    assert!(2.0 * 60.0 / seconds <= LEASE_REQUESTS_MAX, "3 requests in {seconds} s");

    s.delete_lease();
    s.until("the lease comes back", || (s.holder() == leader.holder()).then_some(()));
    assert!(leader.metric("leader") > 0.5 && standby.metric("leader") < 0.5, "with the same leader");

    let told = Instant::now();
    leader.signal(Signal::TERM);
    let took = takeover(s, &standby, told);
    println!("takeover after a clean stop: {:.2} s", took.as_secs_f32());
    assert!(took <= TAKEOVER_IN_ORDER, "{took:?}");
    assert!(leader.wait().success());
    s.declare("a", "1.1.0");
    s.deployed("a", "1.1.0");
}

fn stopped(s: &Stage<'_>) {
    let (mut leader, standby) = pair(s);
    s.declare("a", "1.0.0");
    s.deployed("a", "1.0.0");
    leader.signal(Signal::STOP);
    let took = takeover(s, &standby, Instant::now());
    println!("takeover from a stopped leader: {:.1} s", took.as_secs_f32());
    let before = s.proxy.snapshot();
    s.declare("a", "1.1.0");
    s.until("the new leader upgrades", || s.records().contains("pending-upgrade").then_some(()));
    leader.signal(Signal::CONT);
    let status = leader.wait();
    assert_eq!(status.code(), Some(1), "it ends with an error");
    assert!(leader.log().contains("leadership lost"), "{}", leader.log());
    let of_leader = leader.agent();
    let counts = s.proxy.snapshot().since(&before);
    let written = counts
        .total(|key| key.user_agent.ends_with(&of_leader) && !matches!(key.verb, Verb::Get | Verb::List | Verb::Watch));
    assert_eq!(written, 0, "the stale leader writes nothing:\n{counts}");
    s.deployed("a", "1.1.0");
    assert!(!s.records().contains("pending"), "{}", s.records());
    assert_eq!(s.records().matches("web").count(), 2, "one upgrade, by one operator: {}", s.records());
}

fn drained(s: &Stage<'_>) {
    let mut operator = s.operate(&["--drain-seconds=20"]);
    s.declare("a", "1.0.0");
    s.deployed("a", "1.0.0");
    let slow = on_next_deployment(s, Action::Delay(Duration::from_secs(3)));
    s.declare("a", "1.1.0");
    s.until("helm is in the middle of its work", || (slow.hits() == 1).then_some(()));
    operator.signal(Signal::TERM);
    assert!(operator.wait().success());
    assert!(!s.records().contains("pending"), "helm was left to finish: {}", s.records());
    let _operator = s.operate(&[]);
    s.deployed("a", "1.1.0");
    assert_eq!(s.records().matches("web").count(), 2, "nothing is done twice: {}", s.records());
}

fn cut_short(s: &Stage<'_>) {
    let mut operator = s.operate(&["--drain-seconds=2"]);
    s.declare("a", "1.0.0");
    s.deployed("a", "1.0.0");
    let held = on_next_deployment(s, Action::Hang);
    s.declare("a", "1.1.0");
    s.until("helm is in the middle of its work", || (held.hits() == 1).then_some(()));
    let told = Instant::now();
    operator.signal(Signal::TERM);
    assert!(operator.wait().success());
    println!("end with a drain time of 2 s and a helm that hangs: {:.1} s", told.elapsed().as_secs_f32());
    assert!(told.elapsed() < Duration::from_secs(2 + 3 + 5), "{:?}", told.elapsed());
    let _operator = s.operate(&[]);
    s.deployed("a", "1.1.0");
    assert!(!s.records().contains("pending"), "{}", s.records());
}

/// The spec of a release of the web chart without pods, whose health is judged at once.
fn web(version: &str) -> serde_json::Value {
    json!({ "chart": { "name": "web" }, "releaseVersion": version, "timeout": "60s", "values": { "replicas": 0 } })
}
