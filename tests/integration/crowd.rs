//! Many releases that wait: for hooks that never end, and for health that never comes.

use std::time::{Duration, Instant};

use helm_release_operator::api::HistoryResult;
use sandbox::proxy::{Action, RequestInfo, Rule};
use serde_json::{Value, json};

use crate::scenario::{Scenario, web};
use crate::stage::Operator;
use crate::stage::process::sockets_of;
use crate::stage::status::condition;
use crate::tests;

tests![
    hanging_hooks_and_missing_health_hold_nobody_up,
    rollbacks_and_removals_in_hanging_hooks_hold_nobody_up,
    wait_for_a_slot_takes_no_time_from_a_release,
    releases_that_wait_for_health_cost_no_task,
];

/// Releases whose hook never ends.
const HOOKED: u32 = 20;
/// Releases whose objects never become ready.
const WAITING: usize = 5;
/// Releases that wait for health, and how many more do so later.
const FEW: usize = 3;
const MANY: u32 = 12;
/// The first version of the web chart that has hooks.
const WITH_HOOKS: &str = "3.0.0";

/// A version whose way back, and whose removal, begin with a hook that never ends.
const WITHOUT_RETURN: &str = "3.1.0";
/// Of each kind: together far more than there are seats for runs that compute.
const WITHOUT_RETURN_EACH: u32 = 5;

/// Releases in `operator`'s pools and in their queue, its tasks for releases, and its processes by two counts.
fn at_work(operator: &Operator) -> ([f64; 4], usize) {
    let metrics = ["board_running", "board_queued", "tasks_running", "helm_processes_running"];
    (metrics.map(|name| operator.metric(name, "")), operator.children().len())
}

const NOTHING: ([f64; 4], usize) = ([0.0; 4], 0);

fn hanging_hooks_and_missing_health_hold_nobody_up(s: &Scenario<'_>) {
    s.repository.publish(&sandbox::charts::web(WITH_HOOKS));
    let operator = s.operate();
    let patient = |version, values: Value| web(version, json!({ "timeout": "10m", "values": values }));
    let waiting: Vec<_> = (1..=WAITING).map(|number| format!("waiting-{number}")).collect();
    for name in &waiting {
        s.declare(name, &patient("1.0.0", json!({ "outcome": "never-ready" })));
    }
    for name in &waiting {
        s.eventually("helm is done with it", || (s.story(name) == "1 deployed").then_some(()));
    }
    // What waits for health holds no slot, no task, no process and no place in the queue.
    s.eventually("nothing is at work", || (at_work(&operator) == NOTHING).then_some(()));
    for name in &waiting {
        s.until(name, "said to be waited for", |object| {
            condition(object, "Ready").is_some_and(|ready| ready.message.contains("Deployment"))
        });
    }
    let hooked: Vec<_> = (1..=HOOKED).map(|number| format!("hooked-{number}")).collect();
    for name in &hooked {
        s.declare(name, &patient(WITH_HOOKS, json!({ "hook": "never-ready", "replicas": 0 })));
    }
    s.eventually("all hooks hang", || {
        let jobs = s.list("/apis/batch/v1", "jobs");
        (jobs.iter().filter(|job| job["status"]["active"] == 1).count() == hooked.len()).then_some(())
    });
    let begin = Instant::now();
    // With a hook of its own it needs a place beside those that hang.
    s.declare("hook-that-works", &patient(WITH_HOOKS, json!({ "hook": "succeed", "replicas": 0 })));
    for name in ["plain-1", "plain-2", "plain-3"] {
        s.declare(name, &web("1.0.0", json!({ "values": { "replicas": 0 } })));
    }
    for name in ["plain-1", "plain-2", "plain-3", "hook-that-works"] {
        s.deployed(name, 1);
    }
    let took = begin.elapsed();
    let ([running, _, _, processes], _) = at_work(&operator);
    println!("beside {processes} processes that wait for hooks, four releases took {took:.1?}");
    assert!((running - f64::from(HOOKED)).abs() < 0.5, "{running} runs, which are those with hooks that hang");
    for name in &waiting {
        s.touch(&operator, name);
        assert_eq!(s.story(name), "1 deployed");
    }
}

fn rollbacks_and_removals_in_hanging_hooks_hold_nobody_up(s: &Scenario<'_>) {
    let hook = sandbox::charts::hook("hook", "pre-rollback,pre-delete", "never-ready");
    s.repository.publish(&sandbox::charts::web(WITHOUT_RETURN).file("templates/hooks.yaml", hook));
    let operator = s.operate();
    let names =
        |what: &str| -> Vec<String> { (1..=WITHOUT_RETURN_EACH).map(|number| format!("{what}-{number}")).collect() };
    let (back, gone) = (names("back"), names("gone"));
    let spec = |replicas| web(WITHOUT_RETURN, json!({ "timeout": "10m", "values": { "replicas": replicas } }));
    for name in back.iter().chain(&gone) {
        s.declare(name, &spec(0));
    }
    for name in back.iter().chain(&gone) {
        s.deployed(name, 1);
        s.marked(name, 1);
    }
    for (back, gone) in back.iter().zip(&gone) {
        // No such number of replicas is accepted, so that helm fails at once.
        s.declare(back, &spec(-1));
        s.delete(gone);
    }
    let all = 2 * WITHOUT_RETURN_EACH;
    let hang = |operator: &Operator| {
        s.eventually("every rollback and every removal hangs in a hook", || {
            let jobs = s.list("/apis/batch/v1", "jobs");
            let hanging = jobs.iter().filter(|job| job["status"]["active"] == 1).count();
            let [.., processes] = at_work(operator).0;
            ((hanging, processes) == (all as usize, f64::from(all))).then_some(())
        });
    };
    let others = |version: &str, revision| {
        let begin = Instant::now();
        for name in ["plain-1", "plain-2", "plain-3"] {
            s.declare(name, &web(version, json!({ "values": { "replicas": 0 } })));
        }
        for name in ["plain-1", "plain-2", "plain-3"] {
            s.deployed(name, revision);
        }
        let took = begin.elapsed();
        println!("beside {all} rollbacks and removals that wait for hooks, three releases took {took:.1?}");
    };
    hang(&operator);
    others("1.0.0", 1);
    operator.kill();
    let operator = s.operate();
    hang(&operator);
    others("1.1.0", 2);
}

fn wait_for_a_slot_takes_no_time_from_a_release(s: &Scenario<'_>) {
    let mut settings = s.settings();
    settings.further = vec!["--helm-slots=1".to_owned()];
    let operator = s.operate_with(&settings);
    // It opens the watches; a deadline does not count before they are seen for a time.
    s.declare("zeroth", &web("1.0.0", json!({})));
    s.deployed("zeroth", 1);
    s.marked("zeroth", 1);
    let is_first =
        |info: &RequestInfo| info.user_agent.starts_with("Helm/") && info.is_write() && info.resource == "deployments";
    let rule = s.proxy.rule(Rule::new(is_first, Action::Delay(Duration::from_secs(20))).times(1));
    s.declare("first", &web("1.0.0", json!({ "values": { "replicas": 0 } })));
    s.eventually("the only slot is in use", || (rule.hits() == 1 && operator.children().len() == 1).then_some(()));
    // Its pods take some seconds, and have less than it waits for the slot.
    s.declare("second", &web("1.0.0", json!({ "timeout": "18s", "values": { "outcome": "slow" } })));
    s.deployed("first", 1);
    let verdict = s
        .until("second", "a verdict", |object| object.status.as_ref().is_some_and(|status| !status.history.is_empty()));
    let status = verdict.status.unwrap();
    assert_eq!(status.failures.map_or(0, |failures| failures.count), 0);
    assert_eq!(status.history[0].result, HistoryResult::Succeeded);
    s.deployed("second", 1);
}

fn releases_that_wait_for_health_cost_no_task(s: &Scenario<'_>) {
    let operator = s.operate();
    let wait = |name: &str| {
        s.declare(name, &web("1.0.0", json!({ "timeout": "10m", "values": { "outcome": "never-ready" } })));
        s.until(name, "said to be waited for", |object| {
            condition(object, "Ready").is_some_and(|ready| ready.message.contains("Deployment"))
        });
    };
    // Each connection has a task too, and how many are kept for a while depends on how much was asked at a time.
    let without_connections = || {
        s.eventually("nothing is at work", || (at_work(&operator) == NOTHING).then_some(()));
        let look = || operator.metric("tasks_alive", "") - f64::from(sockets_of(operator.pid()));
        s.eventually("a count that stands still", || {
            [look(), look(), look()].windows(2).all(|two| two[0].total_cmp(&two[1]).is_eq()).then(look)
        })
    };
    // The first ones bring the watches of their kinds, and of the pods of their namespace.
    (0..FEW).for_each(|number| wait(&format!("early-{number}")));
    let with_few = without_connections();
    for number in 1..=MANY {
        wait(&format!("waiting-{number}"));
    }
    let with_many = without_connections();
    let all = operator.metric("tasks_alive", "");
    println!("{all} tasks, {with_many} without connections; with {MANY} releases fewer that wait {with_few}");
    // A task for each would be as many more as there are releases; a watch that comes or goes is one or two.
    assert!(with_many - with_few < f64::from(MANY) / 2.0, "{with_few} became {with_many}");
}
