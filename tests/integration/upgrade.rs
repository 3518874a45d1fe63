//! Changes of what is declared.

use serde_json::json;

use crate::scenario::{Scenario, chart, web};
use crate::tests;

tests![
    colours_follow_each_other,
    changed_value_is_deployed,
    value_set_to_null_removes_the_charts_default,
    new_version_in_the_range_is_taken_when_asked_to_look,
    version_can_be_lowered,
    hooks_of_a_chart_are_run,
    hooks_are_left_out_where_that_is_declared,
    field_of_another_manager_is_named_and_taken_when_asked,
    suspended_release_is_left_alone_until_resumed,
    newer_spec_is_taken_while_the_older_is_judged,
    history_is_bounded,
];

fn colours_follow_each_other(s: &Scenario<'_>) {
    let _operator = s.operate();
    for (revision, colour) in (1..).zip(["pink", "blue", "green"]) {
        s.declare("unicorn", &json!({ "releaseVersion": colour }));
        s.deployed("unicorn", revision);
        assert!(s.config("unicorn-page", "index.html").contains(&format!("<h1>{colour}</h1>")));
    }
    assert_eq!(s.story("unicorn"), "1 superseded, 2 superseded, 3 deployed");
    s.event("unicorn", "Upgraded");
}

fn changed_value_is_deployed(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &web("1.0.0", json!({ "values": { "message": "one" } })));
    s.deployed("a", 1);
    s.declare("a", &web("1.0.0", json!({ "values": { "message": "two" } })));
    s.deployed("a", 2);
    assert_eq!(s.config("a", "message"), "two");
    // Values that are no longer declared are the chart's own again.
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 3);
    assert_eq!(s.config("a", "message"), "hello");
}

fn value_set_to_null_removes_the_charts_default(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &web("1.0.0", json!({ "values": { "message": null } })));
    s.deployed("a", 1);
    assert_eq!(s.config("a", "message"), "");
}

fn new_version_in_the_range_is_taken_when_asked_to_look(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("ranged", &web("1.x", json!({})));
    s.deployed("ranged", 1);
    s.repository.publish(&chart("1.5.0"));
    s.annotate("ranged", "helmrelease.dev/reconcile");
    s.deployed("ranged", 2);
    assert_eq!(s.config("ranged", "version"), "1.5.0");
}

fn version_can_be_lowered(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &web("2.0.0", json!({})));
    s.deployed("a", 1);
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 2);
    assert_eq!(s.config("a", "version"), "1.0.0");
}

fn hooks_of_a_chart_are_run(s: &Scenario<'_>) {
    let _operator = s.operate();
    for version in ["5.0.0", "5.1.0"] {
        s.repository.publish(&sandbox::charts::web(version));
    }
    s.declare("hooked", &web("5.0.0", json!({ "values": { "hook": "succeed" } })));
    s.deployed("hooked", 1);
    let finished = || s.object("/apis/batch/v1", "jobs", "hooked-hook").expect("the hook's Job");
    let first = finished();
    assert_eq!(first["status"]["succeeded"], 1, "the hook was waited for");
    s.declare("hooked", &web("5.1.0", json!({ "values": { "hook": "succeed" } })));
    s.deployed("hooked", 2);
    assert_ne!(finished()["metadata"]["uid"], first["metadata"]["uid"], "the hook ran again");
}

fn suspended_release_is_left_alone_until_resumed(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.declare("a", &web("1.1.0", json!({ "suspend": true })));
    let suspended = s.until("a", "Suspended is said", |object| {
        let ready = crate::stage::status::condition(object, "Ready");
        ready.is_some_and(|ready| ready.reason == "Suspended" && ready.status == "Unknown")
    });
    assert_eq!(suspended.status.unwrap().observed_generation, suspended.metadata.generation.unwrap());
    s.touch(&operator, "a");
    assert_eq!(s.story("a"), "1 deployed");
    s.declare("a", &web("1.1.0", json!({})));
    s.deployed("a", 2);
}

fn newer_spec_is_taken_while_the_older_is_judged(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    let patient = |version, outcome| web(version, json!({ "timeout": "10m", "values": { "outcome": outcome } }));
    s.declare("a", &patient("1.1.0", "never-ready"));
    s.eventually("helm is done with the second revision", || (s.revisions("a").len() == 2).then_some(()));
    s.declare("a", &patient("2.0.0", "ready"));
    s.ready("a");
    assert_eq!(s.config("a", "version"), "2.0.0");
}

fn history_is_bounded(s: &Scenario<'_>) {
    let _operator = s.operate();
    for revision in 1..=4_u32 {
        let values = json!({ "maxHistory": 2, "values": { "message": revision.to_string(), "replicas": 0 } });
        s.declare("a", &web("1.0.0", values));
        s.deployed("a", revision);
        s.marked("a", revision);
    }
    assert_eq!(s.story("a"), "3 superseded, 4 deployed");
}

fn hooks_are_left_out_where_that_is_declared(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.repository.publish(&sandbox::charts::web("5.0.0"));
    let skip = json!({ "hooks": "Skip" });
    let spec = |message: &str| {
        let values = json!({ "hook": "fail", "message": message });
        web("5.0.0", json!({ "values": values, "install": skip, "upgrade": skip, "rollback": skip }))
    };
    s.declare("a", &spec("one"));
    s.deployed("a", 1);
    s.declare("a", &spec("two"));
    s.deployed("a", 2);
    assert_eq!(s.object("/apis/batch/v1", "jobs", "a-hook"), None);
}

fn field_of_another_manager_is_named_and_taken_when_asked(s: &Scenario<'_>) {
    let _operator = s.operate();
    let spec = |message: &str, force: bool| {
        let upgrade = json!({ "retries": 0, "onFailure": "Keep", "forceConflicts": force });
        web("1.0.0", json!({ "values": { "message": message }, "upgrade": upgrade }))
    };
    s.declare("a", &spec("one", false));
    s.deployed("a", 1);
    s.supply("ConfigMap", "a", "message", "mine");
    s.declare("a", &spec("two", false));
    let said = s.refused("a", "UpgradeFailed");
    let expected = "ConfigMap a: field .data.message is held by the field manager user; let it go there, or set spec.upgrade.forceConflicts to take it over";
    assert!(said.contains(expected), "{said}");
    assert_eq!(s.config("a", "message"), "mine");
    s.declare("a", &spec("two", true));
    s.ready("a");
    assert_eq!(s.config("a", "message"), "two");
}
