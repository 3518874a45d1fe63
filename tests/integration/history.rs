//! What people do by hand with helm.

use serde_json::json;

use crate::scenario::{Scenario, chart, web};
use crate::tests;

tests![
    upgrade_by_hand_is_put_back,
    rollback_by_hand_is_respected_until_the_spec_changes,
    rollback_by_hand_is_left_when_a_retry_is_asked_for,
    uninstall_by_hand_is_installed_again,
    rollback_by_hand_while_the_operator_is_down_is_respected,
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

/// A release whose second version is deployed and good.
#[track_caller]
fn two_versions(s: &Scenario<'_>) {
    for (revision, version) in (1..).zip(["1.0.0", "1.1.0"]) {
        s.declare("a", &web(version, json!({})));
        s.deployed("a", revision);
        s.marked("a", revision);
    }
}
