//! The end of a release.

use serde_json::json;

use crate::scenario::{Scenario, web};
use crate::tests;

tests![
    deleted_release_is_uninstalled,
    release_deleted_while_the_operator_is_down_is_uninstalled_at_its_return,
    orphaned_release_stays,
    release_that_never_was_is_let_go,
    suspended_release_is_uninstalled_all_the_same,
    deletion_waits_until_the_objects_are_gone,
];

/// Fails when anything of the release is left.
#[track_caller]
fn nothing_left(s: &Scenario<'_>, name: &str) {
    assert_eq!(s.story(name), "", "no record");
    for (version, plural) in [("/api/v1", "configmaps"), ("/api/v1", "services"), ("/apis/apps/v1", "deployments")] {
        assert!(s.object(version, plural, name).is_none(), "{plural} {name} is left");
    }
}

fn deleted_release_is_uninstalled(s: &Scenario<'_>) {
    let _operator = s.operate();
    let bystander = s.bystander();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.delete("a");
    s.gone("a");
    nothing_left(s, "a");
    bystander.is_untouched(s);
}

fn release_deleted_while_the_operator_is_down_is_uninstalled_at_its_return(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    operator.kill();
    s.delete("a");
    s.until("a", "still there, being deleted", |object| object.metadata.deletion_timestamp.is_some());
    assert_eq!(s.story("a"), "1 deployed");
    let _operator = s.operate();
    s.gone("a");
    nothing_left(s, "a");
}

fn orphaned_release_stays(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &web("1.0.0", json!({ "deletionPolicy": "Orphan" })));
    s.deployed("a", 1);
    s.delete("a");
    s.gone("a");
    assert_eq!(s.story("a"), "1 deployed");
    assert!(s.object("/apis/apps/v1", "deployments", "a").is_some(), "the objects stay");
    // What was let go of is somebody else's until it is taken over.
    s.declare("a", &web("1.0.0", json!({ "deletionPolicy": "Orphan" })));
    s.until("a", "judged", |object| {
        crate::stage::status::condition(object, "Ready").is_some_and(|ready| ready.status != "Unknown")
    });
    assert_eq!(s.story("a"), "1 deployed", "no revision over a release that is good");
}

fn release_that_never_was_is_let_go(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &json!({ "chart": { "name": "nowhere" } }));
    s.refused("a", "ChartUnavailable");
    s.delete("a");
    s.gone("a");
    nothing_left(s, "a");
}

fn suspended_release_is_uninstalled_all_the_same(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.declare("a", &web("1.0.0", json!({ "suspend": true })));
    s.delete("a");
    s.gone("a");
    nothing_left(s, "a");
}

fn deletion_waits_until_the_objects_are_gone(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    let held = |finalizers: &[&str]| {
        s.patch("v1", "ConfigMap", "a", &json!({ "metadata": { "finalizers": finalizers } }));
    };
    held(&["example.org/held"]);
    s.delete("a");
    s.until("a", "the object that is stuck is named", |object| {
        crate::stage::status::condition(object, "Ready").is_some_and(|ready| ready.message.contains("ConfigMap"))
    });
    held(&[]);
    s.gone("a");
    nothing_left(s, "a");
}
