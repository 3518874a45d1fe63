//! A release in its desired state costs nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use helm_release_operator::api::HelmRelease;
use helm_release_operator::release::OwnerId;
use helm_release_operator::types::ObjectKey;
use sandbox::proxy::{Counts, Verb};
use sandbox::wait;
use serde_json::{Value, json};

use crate::scenario::{Scenario, web};
use crate::stage::Operator;
use crate::tests;

tests![
    hundred_idle_releases_ask_nothing_for_a_minute,
    touched_release_costs_no_request_and_no_process,
    restarted_operator_starts_no_process_and_writes_nothing,
    repeated_apply_changes_nothing,
];

/// A window that is long against every wake that a pass could have ordered by mistake, and short for a test.
const IDLE: Duration = Duration::from_secs(60);
/// Without a request for so long, the releases have come to rest.
const CALM: Duration = Duration::from_secs(3);
const RELEASES: usize = 100;
/// Those of them that helm has installed.
const INSTALLED: usize = 10;

fn touched_release_costs_no_request_and_no_process(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("quiet", &web("1.0.0", json!({})));
    s.deployed("quiet", 1);
    s.marked("quiet", 1);
    s.event("quiet", "Installed");
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
    assert_eq!(writes(&counts), 0, "a restart writes nothing:\n{counts}");
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

fn hundred_idle_releases_ask_nothing_for_a_minute(s: &Scenario<'_>) {
    let operator = s.operate();
    let names: Vec<String> = (1..=RELEASES).map(|number| format!("idle-{number}")).collect();
    let spec = web("1.0.0", json!({ "values": { "replicas": 0 } }));
    let (installed, copied) = names.split_at(INSTALLED);
    for name in installed {
        s.declare(name, &spec);
    }
    for name in installed {
        s.deployed(name, 1);
        s.marked(name, 1);
    }
    // What waits for another release says what it is going to install, and installs nothing.
    for name in copied {
        s.declare(name, &web("1.0.0", json!({ "values": { "replicas": 0 }, "dependsOn": [{ "name": "nobody" }] })));
    }
    for name in copied {
        copy_record(s, &installed[0], name);
    }
    for name in &names {
        s.deployed(name, 1);
    }
    let mut last = (Instant::now(), s.proxy.snapshot());
    s.eventually("what the beginning brought is over", || {
        let now = s.proxy.snapshot();
        if now.since(&last.1).total(|key| !key.resource.starts_with("leases")) > 0 {
            last = (Instant::now(), now);
        }
        (last.0.elapsed() >= CALM).then_some(())
    });
    let standing = standing(s);
    let watches: usize = s.proxy.open_watches().values().sum();
    let started = operator.metric("helm_processes_started_total", "");
    let before = s.proxy.snapshot();
    let asked = || {
        let counts = s.proxy.snapshot().since(&before);
        (counts, operator.metric("helm_processes_started_total", ""))
    };
    let disturbed = wait::until(IDLE, || {
        let (counts, now) = asked();
        let others = counts.total(|key| key.verb != Verb::Watch && !key.resource.starts_with("leases"));
        // Each once in 290 seconds: they were opened together, and may end together in the window.
        let opened = counts.total(|key| key.verb == Verb::Watch && !key.resource.starts_with("leases"));
        (others > 1 || opened > watches as u64 || now > started).then_some((counts, now))
    });
    if let Some((counts, now)) = disturbed {
        panic!("{} helm processes, or a request, or more watches than there are:\n{counts}", now - started);
    }
    let (counts, _) = asked();
    let of_watches = counts.total(|key| !key.resource.starts_with("leases"));
    let all = counts.total(|_| true);
    println!("{RELEASES} releases, {watches} watches, {IDLE:?}: {of_watches} requests, {all} with those of the lease");
    assert_eq!(standing.len(), 2 * RELEASES, "an object and a record of each release");
    let now = self::standing(s);
    let changed: Vec<_> = now.iter().filter(|(name, version)| standing.get(*name) != Some(version)).collect();
    assert!(
        changed.is_empty() && now.len() == standing.len(),
        "{} are left of {}, and changed are {changed:?}",
        now.len(),
        standing.len()
    );
}

/// Requests that can change something, but for those of the lease.
fn writes(counts: &Counts) -> u64 {
    counts.total(|key| {
        let reads = matches!(key.verb, Verb::Get | Verb::List | Verb::Watch);
        !reads && !key.resource.starts_with("leases")
    })
}

/// Names of the objects and of helm's records, each with the version that every write changes.
fn standing(s: &Scenario<'_>) -> BTreeMap<String, String> {
    let objects = s.list("/apis/helmrelease.dev/v1alpha1", "helmreleases");
    let records = s.list("/api/v1", "secrets?labelSelector=owner%3Dhelm");
    let text = |object: &Value, field| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    objects.iter().chain(&records).map(|object| (text(object, "name"), text(object, "resourceVersion"))).collect()
}

/// Gives a release that is not installed the record of another one, with the labels that helm would have been given
/// for it: a hundred installs would keep two cores busy for most of a minute, and who is idle does not tell who was
/// installed how. The objects are those of the other one.
#[track_caller]
fn copy_record(s: &Scenario<'_>, from: &str, to: &str) {
    let name = |release: &str| format!("sh.helm.release.v1.{release}.v1");
    let record = s.object("/api/v1", "secrets", &name(from)).unwrap();
    let mut labels = record["metadata"]["labels"].clone();
    let desired = |object: &HelmRelease| object.status.as_ref()?.desired.clone();
    let object = s.until(to, "known inputs", |object| desired(object).is_some());
    labels["name"] = json!(to);
    labels["helmrelease.dev/digest"] = json!(desired(&object).unwrap().digest);
    labels["helmrelease.dev/owner"] = json!(OwnerId::of(&ObjectKey::new(&s.namespace, to)));
    let copy = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name(to), "labels": labels },
        "type": record["type"],
        "data": record["data"],
    });
    s.land.cluster.apply_value(Some(&s.namespace), &copy).unwrap();
}

/// Fails when the operator does or plans anything.
#[track_caller]
fn stands_still(operator: &Operator, started: f64) {
    assert!(operator.metric("helm_processes_started_total", "") <= started, "no helm process");
    let waiting = operator.metric("board_queued", "") + operator.metric("board_running", "");
    assert!(waiting < 1.0, "nothing on the board");
}
