//! What people do by hand with helm.

use helm_release_operator::api::{HistoryResult, OperationKind};
use sandbox::Repository;
use serde_json::json;

use crate::scenario::{Scenario, chart, web};
use crate::tests;

tests![
    upgrade_by_hand_is_put_back,
    rollback_by_hand_is_respected_until_the_spec_changes,
    rollback_by_hand_is_left_when_a_retry_is_asked_for,
    uninstall_by_hand_is_installed_again,
    rollback_by_hand_while_the_operator_is_down_is_respected,
    each_attempt_is_told_with_its_cause,
];

fn upgrade_by_hand_is_put_back(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &web("1.0.0", json!({ "values": { "message": "declared" } })));
    s.deployed("a", 1);
    s.marked("a", 1);
    let chart = s.archive(&chart("1.1.0"));
    s.helm(&["upgrade", "a", &chart, "--set", "message=by hand"]);
    s.deployed("a", 3);
    assert_eq!((&*s.config("a", "message"), &*s.config("a", "version")), ("declared", "1.0.0"));
    s.event("a", "ManualUpgrade");
}

fn rollback_by_hand_is_respected_until_the_spec_changes(s: &Scenario<'_>) {
    let operator = s.operate();
    two_versions(s);
    s.helm(&["rollback", "a", "1"]);
    let message = s.refused("a", "RolledBackByUser");
    assert!(message.contains("1.1.0"), "{message}");
    s.event("a", "ManualRollback");
    s.touch(&operator, "a");
    assert_eq!(s.story("a"), "1 superseded, 2 superseded, 3 deployed");
    assert_eq!(s.config("a", "version"), "1.0.0");
    s.declare("a", &web("2.0.0", json!({})));
    s.deployed("a", 4);
    assert_eq!(s.config("a", "version"), "2.0.0");
}

fn rollback_by_hand_is_left_when_a_retry_is_asked_for(s: &Scenario<'_>) {
    let _operator = s.operate();
    two_versions(s);
    s.helm(&["rollback", "a", "1"]);
    s.refused("a", "RolledBackByUser");
    s.annotate("a", "helmrelease.dev/retry");
    s.deployed("a", 4);
    assert_eq!(s.config("a", "version"), "1.1.0");
}

fn uninstall_by_hand_is_installed_again(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    let before = s.object("/api/v1", "configmaps", "a").expect("the chart's ConfigMap");
    s.helm(&["uninstall", "a"]);
    s.eventually("the release is there again", || {
        let now = s.object("/api/v1", "configmaps", "a")?;
        (now["metadata"]["uid"] != before["metadata"]["uid"]).then_some(())
    });
    s.deployed("a", 1);
    s.event("a", "ManualUninstall");
}

fn rollback_by_hand_while_the_operator_is_down_is_respected(s: &Scenario<'_>) {
    let operator = s.operate();
    two_versions(s);
    operator.kill();
    s.helm(&["rollback", "a", "1"]);
    let operator = s.operate();
    s.refused("a", "RolledBackByUser");
    s.touch(&operator, "a");
    assert_eq!(s.story("a"), "1 superseded, 2 superseded, 3 deployed");
}

fn each_attempt_is_told_with_its_cause(s: &Scenario<'_>) {
    let repository = Repository::start().unwrap();
    repository.publish(&chart("1.0.0"));
    let _operator = s.operate();
    let message = |text: &str| s.supply("ConfigMap", "values", "values.yaml", &format!("message: {text}\n"));
    message("first");
    let from = json!([{ "kind": "ConfigMap", "name": "values" }]);
    let source = json!({ "name": "web", "repository": repository.url() });
    s.declare("a", &web("1.x", json!({ "chart": source, "valuesFrom": from })));
    s.deployed("a", 1);
    s.marked("a", 1);
    message("second");
    s.marked("a", 2);
    repository.publish(&chart("1.5.0"));
    s.annotate("a", "helmrelease.dev/reconcile");
    s.marked("a", 3);
    let other = s.archive(&chart("1.1.0"));
    s.helm(&["upgrade", "a", &other]);
    s.marked("a", 5);
    s.helm(&["uninstall", "a"]);
    let object = s.until("a", "installed again", |object| {
        let last = object.status.as_ref().and_then(|status| status.history.last());
        last.is_some_and(|last| last.action == OperationKind::Install && last.result == HistoryResult::Succeeded)
            && s.revisions("a").first().is_some_and(|first| first.number == 1 && first.verified)
    });
    let told = object.status.unwrap().history;
    let told: Vec<_> = told.iter().map(|one| (one.revision, one.action, &*one.version, &*one.cause)).collect();
    let expected = [
        (1, OperationKind::Install, "1.0.0", "spec"),
        (2, OperationKind::Upgrade, "1.0.0", "values"),
        (3, OperationKind::Upgrade, "1.5.0", "chart"),
        (4, OperationKind::Upgrade, "1.1.0", "external"),
        (5, OperationKind::Upgrade, "1.5.0", "external"),
        (5, OperationKind::Uninstall, "1.5.0", "external"),
        (1, OperationKind::Install, "1.5.0", "external"),
    ];
    assert_eq!(told, expected);
}

/// A release whose second version is deployed and good.
#[track_caller]
fn two_versions(s: &Scenario<'_>) {
    for (revision, version) in (1..).zip(["1.0.0", "1.1.0"]) {
        s.declare("a", &web(version, json!({})));
        s.deployed("a", revision);
        s.marked("a", revision);
    }
}
