//! Changes of what is declared.

use helm_release_operator::api::HelmRelease;
use serde_json::{Value, json};

use crate::scenario::{Scenario, chart, web};
use crate::stage::Operator;
use crate::stage::status::{condition, is_ready};
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
    newer_spec_ends_a_run_only_after_the_hook_that_runs,
    suspension_and_deletion_let_a_hook_come_to_its_end,
    history_is_bounded,
    correction_whose_version_left_the_repository_leaves_a_good_range_ready,
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
        let ready = condition(object, "Ready");
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
    s.eventually("helm is done with the second revision", || {
        (s.story("a") == "1 superseded, 2 deployed").then_some(())
    });
    s.declare("a", &patient("2.0.0", "ready"));
    s.ready("a");
    assert_eq!(s.config("a", "version"), "2.0.0");
}

/// An upgrade that is in its hook, which goes on until it is told to end; then the objects never become ready. The
/// uid of the hook's Job.
#[track_caller]
fn in_a_hook(s: &Scenario<'_>) -> String {
    for version in ["5.0.0", "5.1.0", "5.2.0"] {
        s.repository.publish(&sandbox::charts::web(version));
    }
    s.declare("a", &hooked("5.0.0", "succeed", "ready"));
    s.deployed("a", 1);
    s.marked("a", 1);
    s.declare("a", &hooked("5.1.0", "never-ready", "never-ready"));
    s.eventually("the hook of the second revision runs", || {
        let job = s.object("/apis/batch/v1", "jobs", "a-hook")?;
        let pods = s.list("/api/v1", "pods");
        let of_hook = |pod: &&Value| pod["metadata"]["labels"]["job-name"] == "a-hook";
        let runs = pods.iter().filter(of_hook).any(|pod| pod["status"]["phase"] == "Running");
        (runs && job["status"]["active"] == 1 && s.story("a") == "1 deployed, 2 pending-upgrade")
            .then(|| job["metadata"]["uid"].to_string())
    })
}

fn hooked(version: &str, hook: &str, outcome: &str) -> Value {
    web(version, json!({ "timeout": "10m", "values": { "hook": hook, "outcome": outcome } }))
}

/// Fails unless the second revision is still at its hook.
#[track_caller]
fn still_in_the_hook(s: &Scenario<'_>, operator: &Operator, uid: &str) {
    for _ in 0..3 {
        s.touch(operator, "a");
    }
    let job = s.object("/apis/batch/v1", "jobs", "a-hook").unwrap_or_default();
    assert_eq!((job["metadata"]["uid"].to_string(), &job["status"]["active"]), (uid.to_owned(), &json!(1)));
    assert_eq!((operator.children().len(), &*s.story("a")), (1, "1 deployed, 2 pending-upgrade"));
}

#[track_caller]
fn tell_the_hook_to_end(s: &Scenario<'_>) {
    let pods = s.list("/api/v1", "pods");
    let pod = pods.iter().find(|pod| pod["metadata"]["labels"]["job-name"] == "a-hook").expect("the hook's pod");
    let patch = json!({ "metadata": { "annotations": { "sandbox.test/outcome": "succeed" } } });
    s.patch("v1", "Pod", pod["metadata"]["name"].as_str().unwrap(), &patch);
}

fn newer_spec_ends_a_run_only_after_the_hook_that_runs(s: &Scenario<'_>) {
    let operator = s.operate();
    let uid = in_a_hook(s);
    s.declare("a", &hooked("5.2.0", "succeed", "ready"));
    s.until("a", "the newer version is known", |object| {
        let desired = object.status.as_ref().and_then(|status| status.desired.as_ref());
        desired.is_some_and(|desired| desired.version == "5.2.0")
    });
    still_in_the_hook(s, &operator, &uid);
    tell_the_hook_to_end(s);
    s.eventually("helm is ended after the hook", || s.story("a").contains("2 failed").then_some(()));
    s.deployed("a", 3);
    assert_eq!((&*s.config("a", "version"), &*s.story("a")), ("5.2.0", "1 superseded, 2 failed, 3 deployed"));
}

fn suspension_and_deletion_let_a_hook_come_to_its_end(s: &Scenario<'_>) {
    let operator = s.operate();
    let uid = in_a_hook(s);
    let mut suspended = hooked("5.2.0", "succeed", "ready");
    suspended["suspend"] = json!(true);
    s.declare("a", &suspended);
    still_in_the_hook(s, &operator, &uid);
    s.delete("a");
    still_in_the_hook(s, &operator, &uid);
    tell_the_hook_to_end(s);
    s.eventually("helm goes on after the hook", || (s.config("a", "version") == "5.1.0").then_some(()));
    let said = "/spec/template/metadata/annotations/sandbox.test~1outcome";
    s.eventually("the Deployment is that of the second revision", || {
        let deployment = s.object("/apis/apps/v1", "deployments", "a")?;
        (deployment.pointer(said)? == "never-ready").then_some(())
    });
    let outcome =
        json!({ "spec": { "template": { "metadata": { "annotations": { "sandbox.test/outcome": "ready" } } } } });
    s.patch("apps/v1", "Deployment", "a", &outcome);
    s.gone("a");
    assert_eq!(s.story("a"), "");
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

fn correction_whose_version_left_the_repository_leaves_a_good_range_ready(s: &Scenario<'_>) {
    let operator = s.operate();
    s.repository.publish(&chart("1.2.0"));
    s.declare("a", &web("1.x", json!({ "driftDetection": { "mode": "Correct" } })));
    s.deployed("a", 1);
    s.marked("a", 1);
    s.eventually("compared", || (operator.metric("drift_comparisons_total", "") >= 1.0).then_some(()));
    s.repository.remove("web", "1.2.0");
    // The operator hears of it, and is content with what it has.
    s.annotate("a", "helmrelease.dev/reconcile");
    let passed_over = |object: &HelmRelease| {
        let chart = condition(object, "ChartReady").filter(|chart| chart.status == "True");
        chart.is_some_and(|chart| chart.message.contains("does not go down by itself"))
    };
    s.until("a", "what the repository has is said", passed_over);
    s.patch("v1", "ConfigMap", "a", &json!({ "data": { "message": "evil" } }));
    let not_made = || operator.metric("operations_total", "result=\"not_started\"");
    s.eventually("the correction finds another chart, and does so again", || (not_made() >= 2.0).then_some(()));
    s.touch(&operator, "a");
    s.until("a", "it is good, and said why it is not corrected", |object| {
        let why = "the last correction failed: releaseVersion 1.x has no match newer than 1.1.0";
        let said = condition(object, "Drifted").is_some_and(|drifted| drifted.message.contains(why));
        passed_over(object) && is_ready(object) && said
    });
    assert!(!operator.log().contains("ChartUnavailable"), "a chart that is not needed is not missing");
    assert_eq!(s.story("a"), "1 deployed");
    // With the version it is put back.
    s.repository.publish(&chart("1.2.0"));
    s.annotate("a", "helmrelease.dev/reconcile");
    s.deployed("a", 2);
    assert_eq!(s.config("a", "message"), "hello");
}
