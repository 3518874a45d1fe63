//! Ends without a word, of helm and of the operator: a sample of the crash sweep, and what it does not play.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Completion, Failed, Trial};
use rustix::process::Signal;
use sandbox::proxy::{Action, Rule, RuleHandle, Verb};
use serde_json::json;

use crate::ground::Ground;
use crate::scenario::{Scenario, chart, web};
use crate::stage::Operator;
use crate::stage::process::{parent_of, signal};
use crate::sweep::point::{End, Phase, Point, Run, Side};
use crate::sweep::{Hooks, Journey, Sweep};
use crate::tests;

tests![
    helm_killed_in_an_upgrade_is_recovered_from,
    operator_that_is_asked_to_end_ends_in_order,
    broken_connections_are_taken_up_again,
    late_watches_lead_to_the_same_end,
    finished_job_that_went_is_not_missed_by_the_next_operator,
];

/// Makes helm's next write of a Deployment wait for ever, with its pending record written before.
fn hold_helm(s: &Scenario<'_>) -> RuleHandle {
    let is_it = |info: &sandbox::proxy::RequestInfo| {
        info.user_agent.starts_with("Helm/") && info.is_write() && info.resource == "deployments"
    };
    s.proxy.rule(Rule::new(is_it, Action::Hang).times(1))
}

/// Waits until helm is held; its process.
#[track_caller]
fn held(s: &Scenario<'_>, rule: &RuleHandle, operator: &Operator) -> u32 {
    s.eventually("helm is in the middle of its work", || (rule.hits() == 1).then_some(()));
    s.eventually("helm is a child of the operator", || operator.children().first().copied())
}

/// Fails when a record is left in a state that only a living helm may leave.
#[track_caller]
fn none_pending(s: &Scenario<'_>, name: &str) {
    let story = s.story(name);
    assert!(!story.contains("pending") && !story.contains("uninstalling"), "{story}");
    assert_eq!(story.matches("deployed").count(), 1, "{story}");
}

/// The points of the sweep that are played here: writes from the first to about the last, on either side.
fn points(journey: Journey) -> Vec<Point> {
    let (before, after): ([u64; 2], [u64; 2]) = match journey {
        Journey::Install => ([1, 5], [3, 6]),
        Journey::Upgrade => ([2, 4], [1, 3]),
        Journey::FailingUpgrade => ([4, 9], [2, 7]),
        Journey::Values => ([1, 4], [2, 5]),
        Journey::Uninstall => ([2, 7], [4, 8]),
    };
    let before = before.map(|number| Point::Write { number, side: Side::Before });
    let after = after.map(|number| Point::Write { number, side: Side::After });
    let helm = match journey {
        Journey::Upgrade => Some(Point::Helm { run: Run::Change, phase: Phase::Pending, end: End::Killed }),
        Journey::FailingUpgrade => {
            Some(Point::Helm { run: Run::WayBack, phase: Phase::Superseded, end: End::KilledWithOperator })
        }
        Journey::Install | Journey::Values | Journey::Uninstall => None,
    };
    before.into_iter().chain(after).chain(helm).collect()
}

/// Points of each journey that every course of it comes to; what is behind them may be over before. The whole sweep
/// comes to more.
const CERTAIN_MIN: usize = 1;

/// Plays a point of the sample.
fn cross(sweep: &Sweep, journey: Journey, point: Point) -> Result<Completion, Failed> {
    let passed = sweep.cross(journey, point)?;
    let certain = sweep.reference(journey, Hooks::Absent)?.certain_writes();
    let counts = |point: &Point| matches!(point, Point::Write { number, .. } if *number <= certain);
    let count = points(journey).iter().filter(|point| counts(point)).count();
    if count < CERTAIN_MIN {
        return Err(format!("only {count} points are among the first {certain} writes").into());
    }
    Ok(if passed.caught.is_some() {
        Completion::Completed
    } else {
        Completion::ignored_with("the journey was over before that write")
    })
}

/// The sample as scenarios of their own; those of one journey share its undisturbed one.
pub(crate) fn sample(ground: &Arc<Ground>) -> Vec<Trial> {
    let sweep = Arc::new(Sweep::new(Arc::clone(ground)));
    let trial = |journey: Journey, point: Point| {
        let sweep = Arc::clone(&sweep);
        let name = format!("crash::{} {point}", journey.name()).replace([' ', '-'], "_");
        Trial::ignorable_test(name, move || cross(&sweep, journey, point))
    };
    let of =
        |journey: Journey| points(journey).into_iter().enumerate().map(move |(turn, point)| (turn, journey, point));
    let mut all: Vec<_> = Journey::ALL.into_iter().flat_map(of).collect();
    // In turns, so that those that come first do not wait for the same undisturbed journey.
    all.sort_by_key(|(turn, _, _)| *turn);
    all.into_iter().map(|(_, journey, point)| trial(journey, point)).collect()
}

fn helm_killed_in_an_upgrade_is_recovered_from(s: &Scenario<'_>) {
    let operator = s.operate();
    let bystander = s.bystander();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    let rule = hold_helm(s);
    s.declare("a", &web("1.1.0", json!({})));
    let helm = held(s, &rule, &operator);
    assert_eq!(s.story("a"), "1 deployed, 2 pending-upgrade");
    signal(helm, Signal::KILL).unwrap();
    s.ready("a");
    assert_eq!(s.config("a", "version"), "1.1.0");
    none_pending(s, "a");
    bystander.is_untouched(s);
}

fn operator_that_is_asked_to_end_ends_in_order(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    let rule = hold_helm(s);
    s.declare("a", &web("1.1.0", json!({})));
    let helm = held(s, &rule, &operator);
    let status = operator.terminate().unwrap();
    assert!(status.success(), "{status}");
    s.eventually("helm ended with the operator", || parent_of(helm).is_none().then_some(()));
    let _operator = s.operate();
    s.ready("a");
    assert_eq!(s.config("a", "version"), "1.1.0");
    none_pending(s, "a");
}

fn broken_connections_are_taken_up_again(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    s.proxy.cut();
    s.declare("a", &web("1.1.0", json!({})));
    s.deployed("a", 2);
    s.marked("a", 2);
    s.touch(&operator, "a");
    assert_eq!(s.story("a"), "1 superseded, 2 deployed");
}

fn late_watches_lead_to_the_same_end(s: &Scenario<'_>) {
    let late = |info: &sandbox::proxy::RequestInfo| info.verb == Verb::Watch && !info.user_agent.starts_with("Helm/");
    s.proxy.rule(Rule::new(late, Action::HoldWatch(Duration::from_secs(2))));
    let operator = s.operate();
    // A rollout is told in several events, and each of them comes so much later than the one before.
    let spec = |version, outcome: &str| {
        let timeout = if outcome == "ready" { "60s" } else { "25s" };
        web(version, json!({ "timeout": timeout, "upgrade": { "retries": 0 }, "values": { "outcome": outcome } }))
    };
    s.declare("a", &spec("1.0.0", "ready"));
    s.deployed("a", 1);
    s.declare("a", &spec("1.1.0", "ready"));
    s.deployed("a", 2);
    s.declare("a", &spec("2.0.0", "never-ready"));
    s.refused("a", "RolledBack");
    s.marked("a", 4);
    s.touch(&operator, "a");
    assert_eq!(s.story("a"), "1 superseded, 2 superseded, 3 superseded, 4 deployed");
    assert_eq!(s.config("a", "version"), "1.1.0");
    s.declare("a", &spec("2.0.0", "ready"));
    s.deployed("a", 5);
}

fn finished_job_that_went_is_not_missed_by_the_next_operator(s: &Scenario<'_>) {
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "passing" },
        "spec": { "ttlSecondsAfterFinished": 0, "backoffLimit": 0, "template": {
            "metadata": { "annotations": { "sandbox.test/outcome": "succeed" } },
            "spec": { "restartPolicy": "Never", "containers": [{ "name": "work", "image": "work" }] },
        } },
    });
    s.repository.publish(&chart("1.7.0").file("templates/job.yaml", job.to_string()));
    let operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    let again = json!({ "upgrade": { "retries": 0 }, "values": { "outcome": "never-ready" } });
    s.declare("a", &web("1.7.0", again));
    s.eventually("helm has deployed", || (s.story("a") == "1 superseded, 2 deployed").then_some(()));
    s.eventually("the Job is done and gone", || s.object("/apis/batch/v1", "jobs", "passing").is_none().then_some(()));
    operator.kill();
    let operator = s.operate();
    // Whatever the pods waited for is there now.
    let ready =
        json!({ "spec": { "template": { "metadata": { "annotations": { "sandbox.test/outcome": "ready" } } } } });
    s.patch("apps/v1", "Deployment", "a", &ready);
    s.deployed("a", 2);
    s.marked("a", 2);
    operator.kill();
    let operator = s.operate();
    s.touch(&operator, "a");
    s.deployed("a", 2);
    assert_eq!(s.story("a"), "1 superseded, 2 deployed");
}
