//! Versions that turn out bad.

use helm_release_operator::api::{HelmRelease, HistoryResult, OperationKind};
use serde_json::{Value, json};

use crate::leftovers::looked_at;
use crate::scenario::{Scenario, chart, web};
use crate::stage::Operator;
use crate::stage::status::condition;
use crate::tests;

tests![
    broken_version_is_rolled_back_and_stays_rolled_back,
    fixed_spec_recovers_from_a_broken_one,
    edit_that_changes_nothing_about_an_attempt_starts_none,
    crash_loop_is_told_with_its_exit_code,
    image_that_cannot_be_pulled_is_rolled_back,
    version_that_nothing_can_run_yet_is_rolled_back_and_comes_by_itself,
    rollback_that_others_stand_in_the_way_of_is_forced_the_second_time,
    first_version_that_fails_is_removed_and_installed_anew_where_that_is_declared,
    failed_hook_is_rolled_back,
    broken_version_is_tried_as_often_as_declared,
    broken_version_is_kept_where_that_is_declared,
    first_version_that_is_broken_is_kept_and_corrected,
    first_version_that_recovers_becomes_ready_without_another_revision,
    values_of_a_source_are_rolled_back_too,
    spec_that_becomes_invalid_during_an_attempt_leaves_no_bad_version_behind,
];

/// Quarantined at its first failure, which comes after a short time where it comes.
fn impatient(version: &str, outcome: &str) -> Value {
    let timeout = if outcome == "ready" { "60s" } else { "6s" };
    web(version, json!({ "timeout": timeout, "upgrade": { "retries": 0 }, "values": { "outcome": outcome } }))
}

/// Waits until the release is rolled back and its desired version set aside.
#[track_caller]
fn quarantined(s: &Scenario<'_>, name: &str) -> HelmRelease {
    s.until(name, "rolled back and quarantined", |object| {
        let quarantined = object.status.as_ref().is_some_and(|status| !status.quarantined.is_empty());
        let holds = |kind: &str| condition(object, kind).is_some_and(|one| one.status == "True");
        quarantined && condition(object, "Ready").is_some_and(|one| one.reason == "RolledBack") && holds("Stalled")
    })
}

#[track_caller]
fn message(object: &HelmRelease) -> &str {
    condition(object, "Ready").map(|ready| &*ready.message).unwrap_or_default()
}

/// Fails when touching the object makes another record or changes one.
#[track_caller]
pub(crate) fn stays(s: &Scenario<'_>, operator: &Operator, name: &str) {
    s.touch(operator, name);
    let before = s.revisions(name);
    s.touch(operator, name);
    assert_eq!(s.revisions(name), before, "a release that is quarantined is left alone");
}

fn broken_version_is_rolled_back_and_stays_rolled_back(s: &Scenario<'_>) {
    let operator = s.operate();
    let coloured = |colour| json!({ "releaseVersion": colour, "timeout": "6s", "upgrade": { "retries": 0 } });
    s.declare("unicorn", &coloured("green"));
    s.deployed("unicorn", 1);
    s.declare("unicorn", &coloured("broken"));
    let object = quarantined(s, "unicorn");
    let said = message(&object);
    assert!(said.contains("Deployment") && said.contains("unicorn"), "the object is named: {said}");
    assert!(s.config("unicorn-page", "index.html").contains("<h1>green</h1>"));
    assert_eq!(s.story("unicorn"), "1 superseded, 2 superseded, 3 deployed");
    let status = object.status.unwrap();
    assert_eq!(
        status.deployed.map(|deployed| (deployed.revision, deployed.app_version)),
        Some((3, "green".to_owned()))
    );
    assert_eq!(status.quarantined[0].version, "1.3.0");
    let last = status.history.last().unwrap();
    assert_eq!((last.action, last.result), (OperationKind::Rollback, HistoryResult::Succeeded));
    s.event("unicorn", "RollbackSucceeded");
    s.event("unicorn", "Quarantined");
    stays(s, &operator, "unicorn");
    assert!(operator.terminate().unwrap().success());
    let operator = s.operate();
    stays(s, &operator, "unicorn");
    assert_eq!(s.story("unicorn"), "1 superseded, 2 superseded, 3 deployed");
    s.annotate("unicorn", "helmrelease.dev/retry");
    s.eventually("another attempt after the request", || (s.revisions("unicorn").len() == 5).then_some(()));
    quarantined(s, "unicorn");
    stays(s, &operator, "unicorn");
    assert!(s.config("unicorn-page", "index.html").contains("<h1>green</h1>"));
}

fn fixed_spec_recovers_from_a_broken_one(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &impatient("1.0.0", "ready"));
    s.deployed("a", 1);
    s.declare("a", &impatient("1.1.0", "never-ready"));
    quarantined(s, "a");
    s.declare("a", &impatient("1.1.0", "ready"));
    let object = s.deployed("a", 4);
    assert_eq!(s.config("a", "version"), "1.1.0");
    assert_eq!(condition(&object, "Stalled").map_or("False", |one| &*one.status), "False");
}

fn edit_that_changes_nothing_about_an_attempt_starts_none(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &impatient("1.0.0", "ready"));
    s.deployed("a", 1);
    let broken = |more: &Value| {
        let mut spec = impatient("1.1.0", "never-ready");
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    s.declare("a", &broken(&json!({})));
    quarantined(s, "a");
    for more in [json!({ "suspend": true }), json!({ "interval": "1h" })] {
        s.declare("a", &broken(&more));
        s.until("a", "the edit is seen", |object| {
            object.status.as_ref().map(|status| status.observed_generation) == object.metadata.generation
        });
    }
    quarantined(s, "a");
    stays(s, &operator, "a");
    assert_eq!(s.story("a"), "1 superseded, 2 superseded, 3 deployed");
    s.declare("a", &broken(&json!({ "timeout": "7s" })));
    s.eventually("another attempt with more time", || (s.revisions("a").len() == 5).then_some(()));
    quarantined(s, "a");
}

fn crash_loop_is_told_with_its_exit_code(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &impatient("1.0.0", "ready"));
    s.deployed("a", 1);
    s.declare(
        "a",
        &web("1.1.0", json!({ "timeout": "30s", "upgrade": { "retries": 0 }, "values": { "outcome": "crash-loop" } })),
    );
    let object = quarantined(s, "a");
    assert!(message(&object).contains("code 3"), "{}", message(&object));
    assert_eq!(s.config("a", "version"), "1.0.0");
}

fn image_that_cannot_be_pulled_is_rolled_back(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &impatient("1.0.0", "ready"));
    s.deployed("a", 1);
    s.declare("a", &impatient("1.1.0", "image-pull-failure"));
    s.until("a", "rolled back", |object| condition(object, "Ready").is_some_and(|ready| ready.reason == "RolledBack"));
    assert_eq!(s.config("a", "version"), "1.0.0");
}

/// A further Deployment that only nodes with a label of the scenario's own can run.
const PICKY: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: picky}
spec:
  selector: {matchLabels: {app: picky}}
  template:
    metadata: {labels: {app: picky}}
    spec:
      nodeSelector: {picky.test/namespace: '{{ .Release.Namespace }}'}
      containers: [{name: web, image: web}]
";

fn version_that_nothing_can_run_yet_is_rolled_back_and_comes_by_itself(s: &Scenario<'_>) {
    s.repository.publish(&chart("7.0.0").file("templates/picky.yaml", PICKY));
    let operator = s.operate();
    s.declare("a", &impatient("1.0.0", "ready"));
    s.deployed("a", 1);
    // Time enough for all that can run.
    s.declare("a", &web("7.0.0", json!({ "timeout": "20s", "upgrade": { "retries": 0 } })));
    let object = s.until("a", "rolled back, and another attempt ahead", |object| {
        let ahead = object.status.as_ref().and_then(|status| status.failures.as_ref()?.not_before);
        ahead.is_some() && condition(object, "Ready").is_some_and(|ready| ready.reason == "RolledBack")
    });
    assert!(message(&object).contains("can not be scheduled"), "{}", message(&object));
    assert_eq!(object.status.unwrap().quarantined, [], "no version is given up for what others do");
    assert_eq!(s.config("a", "version"), "1.0.0");
    let labels = json!({ "picky.test/namespace": s.namespace });
    let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": sandbox::NODE, "labels": labels } });
    s.land.cluster.apply_value(None, &node).unwrap();
    s.until("a", "deployed without anybody asking", |object| {
        condition(object, "Ready").is_some_and(|ready| ready.status == "True")
    });
    assert_eq!(s.config("a", "version"), "7.0.0");
    looked_at(s);
    stays(s, &operator, "a");
}

fn rollback_that_others_stand_in_the_way_of_is_forced_the_second_time(s: &Scenario<'_>) {
    let operator = s.operate();
    let spec = |version, message: &str, outcome: &str| {
        let values = json!({ "message": message, "outcome": outcome });
        web(version, json!({ "timeout": "10s", "upgrade": { "retries": 0 }, "values": values }))
    };
    s.declare("a", &spec("1.0.0", "one", "ready"));
    s.deployed("a", 1);
    s.declare("a", &spec("1.1.0", "two", "never-ready"));
    s.eventually("the second version is there", || (s.config("a", "message") == "two").then_some(()));
    let theirs = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" },
        "data": { "message": "theirs" } });
    s.land.cluster.apply_value(Some(&s.namespace), &theirs).unwrap();
    let object = s.until("a", "the first rollback failed", |object| {
        condition(object, "Ready").is_some_and(|ready| ready.reason == "RollbackFailed")
    });
    assert!(message(&object).contains(".data.message"), "{}", message(&object));
    let object = quarantined(s, "a");
    let history = object.status.unwrap().history;
    let rollbacks = history.iter().filter(|one| one.action == OperationKind::Rollback).map(|one| one.result);
    assert_eq!(rollbacks.collect::<Vec<_>>(), [HistoryResult::Failed, HistoryResult::Succeeded]);
    assert_eq!(s.config("a", "message"), "one");
    stays(s, &operator, "a");
}

fn first_version_that_fails_is_removed_and_installed_anew_where_that_is_declared(s: &Scenario<'_>) {
    let operator = s.operate();
    let spec = |outcome: &str| {
        let install = json!({ "onFailure": "Uninstall" });
        web("1.0.0", json!({ "timeout": "5s", "install": install, "values": { "outcome": outcome } }))
    };
    s.declare("a", &spec("never-ready"));
    let object = s.until("a", "removed, and installed anew", |object| {
        let history = object.status.iter().flat_map(|status| &status.history);
        let done: Vec<_> = history.map(|one| (one.action, one.result)).collect();
        done.starts_with(&[
            (OperationKind::Install, HistoryResult::Failed),
            (OperationKind::Uninstall, HistoryResult::Succeeded),
            (OperationKind::Install, HistoryResult::Failed),
        ])
    });
    assert_eq!(object.status.unwrap().quarantined, []);
    s.declare("a", &spec("ready"));
    s.until("a", "good", |object| condition(object, "Ready").is_some_and(|ready| ready.status == "True"));
    s.touch(&operator, "a");
    let good = s.story("a");
    assert!(good == "1 deployed" || good == "1 superseded, 2 deployed", "{good}");
}

fn failed_hook_is_rolled_back(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.repository.publish(&sandbox::charts::web("5.0.0"));
    let hooked =
        |hook: &str| web("5.0.0", json!({ "timeout": "40s", "upgrade": { "retries": 0 }, "values": { "hook": hook } }));
    s.declare("a", &hooked("succeed"));
    s.deployed("a", 1);
    s.declare("a", &hooked("fail"));
    let object = quarantined(s, "a");
    assert!(message(&object).contains("hook"), "{}", message(&object));
    assert_eq!(s.revisions("a").last().map(|one| &*one.status), Some("deployed"));
}

fn broken_version_is_tried_as_often_as_declared(s: &Scenario<'_>) {
    let operator = s.operate();
    let spec = |outcome| {
        web("1.0.0", json!({ "timeout": "6s", "upgrade": { "retries": 1 }, "values": { "outcome": outcome } }))
    };
    s.declare("a", &spec("ready"));
    s.deployed("a", 1);
    s.declare("a", &spec("never-ready"));
    let object = quarantined(s, "a");
    let history = object.status.unwrap().history;
    let failed = history.iter().filter(|one| one.result == HistoryResult::Failed);
    let causes: Vec<&str> = failed.map(|one| &*one.cause).collect();
    assert_eq!(causes, ["spec", "retry"], "two attempts");
    assert_eq!(s.revisions("a").len(), 5, "each rolled back: {}", s.story("a"));
    stays(s, &operator, "a");
}

fn broken_version_is_kept_where_that_is_declared(s: &Scenario<'_>) {
    let operator = s.operate();
    let spec = |outcome| {
        let upgrade = json!({ "retries": 0, "onFailure": "Keep" });
        web("1.0.0", json!({ "timeout": "6s", "upgrade": upgrade, "values": { "outcome": outcome } }))
    };
    s.declare("a", &spec("ready"));
    s.deployed("a", 1);
    s.declare("a", &spec("never-ready"));
    s.refused("a", "UpgradeFailed");
    s.touch(&operator, "a");
    assert_eq!(s.story("a"), "1 superseded, 2 deployed");
}

fn first_version_that_is_broken_is_kept_and_corrected(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &impatient("1.0.0", "never-ready"));
    let message = s.refused("a", "InstallFailed");
    assert!(message.contains("Deployment"), "{message}");
    s.touch(&operator, "a");
    assert_eq!(s.story("a"), "1 deployed", "only unhealthy: no new revision, and nothing is taken away");
    s.declare("a", &impatient("1.0.0", "ready"));
    s.deployed("a", 2);
}

fn first_version_that_recovers_becomes_ready_without_another_revision(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &impatient("1.0.0", "never-ready"));
    s.refused("a", "InstallFailed");
    // What was missing outside of the release comes: here a person lets the pods become ready.
    let annotations = json!({ "sandbox.test/outcome": "ready" });
    let patch = json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } });
    s.patch("apps/v1", "Deployment", "a", &patch);
    s.deployed("a", 1);
    assert_eq!(s.story("a"), "1 deployed");
}

fn values_of_a_source_are_rolled_back_too(s: &Scenario<'_>) {
    let operator = s.operate();
    s.supply("ConfigMap", "given", "values.yaml", "outcome: ready\nmessage: good\n");
    let sources = json!([{ "kind": "ConfigMap", "name": "given" }]);
    let spec = json!({ "upgrade": { "retries": 0 }, "valuesFrom": sources });
    s.declare("a", &web("1.0.0", spec));
    s.deployed("a", 1);
    s.supply("ConfigMap", "given", "values.yaml", "outcome: never-ready\nmessage: bad\nprogressDeadlineSeconds: 3\n");
    quarantined(s, "a");
    assert_eq!(s.config("a", "message"), "good");
    stays(s, &operator, "a");
    s.supply("ConfigMap", "given", "values.yaml", "outcome: ready\nmessage: better\n");
    s.ready("a");
    assert_eq!(s.config("a", "message"), "better");
}

fn spec_that_becomes_invalid_during_an_attempt_leaves_no_bad_version_behind(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &impatient("1.0.0", "ready"));
    s.deployed("a", 1);
    s.marked("a", 1);
    // Long enough for the pod to have crashed, and for the edit to be seen before that counts.
    let bad = |version| {
        let values = json!({ "outcome": "crash-loop" });
        web(version, json!({ "timeout": "25s", "upgrade": { "retries": 0 }, "values": values }))
    };
    s.declare("a", &bad("1.1.0"));
    let judged = "1 superseded, 2 deployed";
    s.eventually("helm is done with it", || (s.story("a") == judged).then_some(()));
    s.declare("a", &bad(">=banana"));
    s.until("a", "the edit is seen", |object| {
        object.status.as_ref().map(|status| status.observed_generation) == object.metadata.generation
    });
    assert_eq!(s.story("a"), judged, "seen before there is a verdict");
    let said = s.refused("a", "InvalidSpec");
    assert!(said.contains("banana"), "{said}");
    let status = s.until("a", "it is there", |_| true).status.unwrap();
    let last = status.history.last().map(|last| (last.action, last.result));
    assert_eq!(last, Some((OperationKind::Rollback, HistoryResult::Succeeded)));
    let blamed = &status.quarantined[0].message;
    assert!(blamed.contains("code 3"), "its pods are looked at all the same: {blamed}");
    assert_eq!(s.story("a"), "1 superseded, 2 superseded, 3 deployed");
    assert_eq!(s.config("a", "version"), "1.0.0");
    stays(s, &operator, "a");
    s.refused("a", "InvalidSpec");
    s.declare("a", &impatient("1.1.0", "ready"));
    s.deployed("a", 4);
    assert_eq!(s.config("a", "version"), "1.1.0");
}
