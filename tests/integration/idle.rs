//! A release in its desired state costs nothing.

use std::time::Duration;

use sandbox::proxy::Verb;
use sandbox::wait;
use serde_json::json;

use crate::scenario::{Scenario, web};
use crate::stage::Operator;
use crate::tests;

tests![
    touched_release_costs_no_request_and_no_process,
    restarted_operator_starts_no_process_and_writes_nothing,
    repeated_apply_changes_nothing,
    idle_releases_ask_nothing,
];

/// A window that is long against every wake that a pass could have ordered by mistake, and short for a test.
const IDLE: Duration = Duration::from_secs(20);

fn touched_release_costs_no_request_and_no_process(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("quiet", &web("1.0.0", json!({})));
    s.deployed("quiet", 1);
    s.marked("quiet", 1);
    s.touch(&operator, "quiet");
    let (records, started) = (s.revisions("quiet"), operator.metric("helm_processes_started_total", ""));
    let before = s.proxy.snapshot();
    s.touch(&operator, "quiet");
    let (requests, table) = s.requests_since(&before);
    assert_eq!(requests, 0, "a pass over a settled release asks nothing:\n{table}");
    stands_still(&operator, started);
    assert_eq!(s.revisions("quiet"), records, "the records are as they were");
}

fn restarted_operator_starts_no_process_and_writes_nothing(s: &Scenario<'_>) {
    let operator = s.operate();
    s.supply("ConfigMap", "given", "values.yaml", "message: given\n");
    let spec = json!({ "valuesFrom": [{ "kind": "ConfigMap", "name": "given" }] });
    s.declare("quiet", &web("1.x", spec));
    s.deployed("quiet", 1);
    s.marked("quiet", 1);
    s.touch(&operator, "quiet");
    let records = s.revisions("quiet");
    assert!(operator.terminate().unwrap().success());
    let before = s.proxy.snapshot();
    let operator = s.operate();
    s.eventually("the release is judged after the restart", || {
        (operator.metric("releases", "ready=\"True\"") >= 1.0).then_some(())
    });
    s.touch(&operator, "quiet");
    let counts = s.proxy.snapshot().since(&before);
    let writes = counts
        .total(|key| !matches!(key.verb, Verb::Get | Verb::List | Verb::Watch) && !key.resource.starts_with("leases"));
    assert_eq!(writes, 0, "a restart writes nothing:\n{counts}");
    // Asking for its version when the operator starts needs no request, and is the one process that may have run.
    assert_eq!(counts.total(|key| key.user_agent.starts_with("Helm/")), 0, "helm asks nothing:\n{counts}");
    assert!(operator.metric("operations_total", "") < 1.0, "no operation of helm");
    assert_eq!(s.revisions("quiet"), records, "the records are as they were");
    println!("requests of a restart with one release:\n{counts}");
}

fn repeated_apply_changes_nothing(s: &Scenario<'_>) {
    let operator = s.operate();
    let spec = web("1.0.0", json!({ "values": { "message": "same" } }));
    s.declare("same", &spec);
    let generation = s.deployed("same", 1).metadata.generation;
    s.marked("same", 1);
    s.declare("same", &spec);
    s.touch(&operator, "same");
    assert_eq!(s.ready("same").metadata.generation, generation);
    // Another generation with the same inputs of helm is no change of the release.
    s.declare("same", &web("1.0.x", json!({ "values": { "message": "same" } })));
    s.deployed("same", 1);
    assert_eq!(s.story("same"), "1 deployed");
}

fn idle_releases_ask_nothing(s: &Scenario<'_>) {
    let operator = s.operate();
    let names: Vec<String> = (1..=10).map(|number| format!("idle-{number}")).collect();
    for name in &names {
        s.declare(name, &web("1.0.0", json!({ "values": { "replicas": 0 } })));
    }
    for name in &names {
        s.deployed(name, 1);
        s.marked(name, 1);
        s.touch(&operator, name);
    }
    let watches: usize = s.proxy.open_watches().values().sum();
    let started = operator.metric("helm_processes_started_total", "");
    let before = s.proxy.snapshot();
    // One, and each watch anew once in 290 seconds, as far as the window goes.
    let allowed = 1 + watches as u64 * IDLE.as_secs() / 290;
    let asked = || {
        let counts = s.proxy.snapshot().since(&before);
        (counts, operator.metric("helm_processes_started_total", ""))
    };
    let disturbed = wait::until(IDLE, || {
        let (counts, now) = asked();
        let requests = counts.total(|key| !key.resource.starts_with("leases"));
        (requests > allowed || now > started).then_some((counts, now))
    });
    if let Some((counts, now)) = disturbed {
        panic!("{} helm processes, and more than {allowed} requests:\n{counts}", now - started);
    }
    println!("{} releases, {watches} watches, idle for {} s:\n{}", names.len(), IDLE.as_secs(), asked().0);
}

/// Fails when the operator does or plans anything.
#[track_caller]
fn stands_still(operator: &Operator, started: f64) {
    assert!(operator.metric("helm_processes_started_total", "") <= started, "no helm process");
    let waiting = operator.metric("board_queued", "") + operator.metric("board_running", "");
    assert!(waiting < 1.0, "nothing on the board");
}
