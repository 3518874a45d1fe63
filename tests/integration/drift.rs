//! Objects that somebody else changes or deletes.

mod several;

use std::time::{Duration, Instant};

use helm_release_operator::api::{HelmRelease, HistoryResult, OperationKind};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use sandbox::proxy::{Action, RequestInfo, Rule};
use sandbox::wait;
use serde_json::{Value, json};

use crate::helm3::helm_3;
use crate::scenario::{Scenario, chart, web};
use crate::stage::Operator;
use crate::stage::status::{condition, is_ready};
use crate::tests;
use several::several;

tests![
    release_as_it_was_made_shows_no_drift_and_costs_nothing,
    release_of_helm_3_as_it_was_made_shows_no_drift,
    drift_is_named_and_left_where_only_that_is_asked_for,
    drift_is_put_back_and_told_in_history,
    drift_is_put_back_by_helm_3,
    what_an_ignored_manager_scales_is_left_alone,
    two_that_write_the_same_field_make_few_revisions,
    account_that_may_not_look_is_said_and_no_value_is_told,
    correction_that_fails_is_rolled_back_and_nothing_is_quarantined,
    finished_job_that_somebody_tidied_away_is_no_drift_and_does_not_run_again,
    finished_job_without_the_label_of_helm_has_drifted,
    object_that_cannot_be_compared_is_named_and_hides_no_other,
];

/// A window that is long against the pause between two comparisons, and short for a test.
const IDLE: Duration = Duration::from_secs(15);
/// Without a request for so long, a release has come to rest.
const CALM: Duration = Duration::from_secs(4);

fn of_several(detection: &Value) -> Value {
    json!({ "chart": { "name": "several" }, "releaseVersion": "1.0.0", "timeout": "60s", "driftDetection": detection })
}

fn in_mode(mode: &str) -> Value {
    web("1.0.0", json!({ "driftDetection": { "mode": mode } }))
}

fn comparisons(operator: &Operator) -> f64 {
    operator.metric("drift_comparisons_total", "")
}

/// No comparison found anything, and none could not be made.
fn all_were_the_same(operator: &Operator) -> bool {
    (comparisons(operator) - operator.metric("drift_comparisons_total", "same")).abs() < 0.5
}

/// Waits until so many comparisons were made.
#[track_caller]
fn compared(s: &Scenario<'_>, operator: &Operator, times: f64) {
    s.eventually(&format!("{times} comparisons"), || (comparisons(operator) >= times).then_some(()));
}

/// Waits until the release says that its objects have drifted; the sentence.
#[track_caller]
fn drifted(s: &Scenario<'_>, name: &str, words: &str) -> String {
    let said = |object: &HelmRelease| {
        let drifted = condition(object, "Drifted").filter(|drifted| drifted.status == "True");
        drifted.map(|drifted| drifted.message.clone())
    };
    let is_so = |object: &HelmRelease| said(object).is_some_and(|message| message.contains(words));
    said(&s.until(name, &format!("Drifted=True: {words}"), is_so)).unwrap_or_default()
}

/// Waits until the release is Ready at a revision, and nothing is drifted any more.
#[track_caller]
fn put_back(s: &Scenario<'_>, name: &str, revision: u32) -> HelmRelease {
    s.until(name, &format!("put back by revision {revision}"), |object| {
        let deployed = object.status.as_ref().and_then(|status| status.deployed.as_ref());
        is_ready(object)
            && deployed.is_some_and(|deployed| deployed.revision == revision)
            && condition(object, "Drifted").is_none()
    })
}

fn config_map(s: &Scenario<'_>, message: &str) {
    s.patch("v1", "ConfigMap", "a", &json!({ "data": { "message": message } }));
}

/// Scales as an autoscaler does.
fn scale(s: &Scenario<'_>, name: &str, replicas: u32) {
    let api: Api<Deployment> = Api::namespaced(s.land.cluster.client(), &s.namespace);
    let as_scaler = PatchParams { field_manager: Some("scaler".into()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
    s.land.cluster.wait(api.patch_scale(name, &as_scaler, &patch)).unwrap();
}

/// Waits until nobody has asked for anything for a while.
#[track_caller]
fn comes_to_rest(s: &Scenario<'_>) {
    let mut last = (Instant::now(), s.proxy.snapshot());
    s.eventually("rest", || {
        if s.requests_since(&last.1).0 > 0 {
            last = (Instant::now(), s.proxy.snapshot());
        }
        (last.0.elapsed() >= CALM).then_some(())
    });
}

fn release_as_it_was_made_shows_no_drift_and_costs_nothing(s: &Scenario<'_>) {
    s.repository.publish(&several());
    let operator = s.operate();
    s.declare("a", &of_several(&json!({ "mode": "Correct" })));
    s.deployed("a", 1);
    s.marked("a", 1);
    compared(s, &operator, 1.0);
    comes_to_rest(s);
    let object = s.ready("a");
    assert!(condition(&object, "Drifted").is_none(), "{object:?}");
    assert!(all_were_the_same(&operator), "{object:?}");
    let before = (s.proxy.snapshot(), comparisons(&operator));
    // A write of status is no change of an object.
    let api: Api<Deployment> = Api::namespaced(s.land.cluster.client(), &s.namespace);
    let status = Patch::Merge(json!({ "status": { "collisionCount": 1 } }));
    s.land.cluster.wait(api.patch_status("a", &PatchParams::default(), &status)).unwrap();
    let disturbed = wait::until(IDLE, || Some(s.requests_since(&before.0)).filter(|(requests, _)| *requests > 0));
    assert!(disturbed.is_none(), "{}", disturbed.map(|(_, table)| table.to_string()).unwrap_or_default());
    assert!((comparisons(&operator) - before.1).abs() < 0.5);
    assert_eq!(s.story("a"), "1 deployed");
    // Another operator compares once more, and no more than that.
    drop(operator);
    let operator = s.operate();
    compared(s, &operator, 1.0);
    comes_to_rest(s);
    assert!(all_were_the_same(&operator));
    assert_eq!(s.story("a"), "1 deployed");
}

fn release_of_helm_3_as_it_was_made_shows_no_drift(s: &Scenario<'_>) {
    let settings = helm_3(s);
    s.repository.publish(&several());
    let operator = s.operate_with(&settings);
    s.declare("a", &of_several(&json!({ "mode": "Correct" })));
    s.deployed("a", 1);
    compared(s, &operator, 1.0);
    comes_to_rest(s);
    let object = s.ready("a");
    assert!(condition(&object, "Drifted").is_none(), "{object:?}");
    assert!(all_were_the_same(&operator), "{object:?}");
    assert_eq!(s.story("a"), "1 deployed");
}

fn drift_is_named_and_left_where_only_that_is_asked_for(s: &Scenario<'_>) {
    s.repository.publish(&several());
    let operator = s.operate();
    s.declare("a", &of_several(&json!({ "mode": "Warn" })));
    s.deployed("a", 1);
    compared(s, &operator, 1.0);
    s.patch("v1", "Secret", "a", &json!({ "stringData": { "password": "hunter3" } }));
    let said = drifted(s, "a", "Secret a differs at /data/password");
    assert!(!said.contains("hunter") && !said.contains("aHVu"), "{said}");
    assert!(s.event("a", "Drifted").contains("Secret a differs at /data/password"));
    s.ready("a");
    s.patch(
        "v1",
        "Service",
        "a",
        &json!({ "metadata": { "labels": null }, "spec": { "ports": [{ "name": "a", "port": 80 }] } }),
    );
    drifted(s, "a", "Service a differs at /metadata/labels, /spec/ports");
    s.delete_object("v1", "ConfigMap", "a");
    drifted(s, "a", "ConfigMap a is missing");
    assert!(operator.metric("drifted_releases", "") > 0.5);
    assert_eq!(s.story("a"), "1 deployed");
    // Put back by whoever did it, and nobody has to say so.
    let label = json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": "Helm" } } });
    let ports = json!([{ "name": "a", "port": 80, "targetPort": "web" }, { "name": "b", "port": 81 }]);
    s.patch("v1", "Service", "a", &label);
    s.patch("v1", "Service", "a", &json!({ "spec": { "ports": ports } }));
    s.patch("v1", "Secret", "a", &json!({ "stringData": { "password": "hunter2" } }));
    s.until("a", "only the ConfigMap is told of", |object| {
        condition(object, "Drifted").is_some_and(|drifted| drifted.message == "ConfigMap a is missing")
    });
    // Not looked for any more, not told any more.
    s.declare("a", &of_several(&json!({ "mode": "Off" })));
    s.until("a", "nothing is said of drift", |object| condition(object, "Drifted").is_none());
}

fn drift_is_put_back_and_told_in_history(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &in_mode("Correct"));
    s.deployed("a", 1);
    compared(s, &operator, 1.0);
    config_map(s, "evil");
    let object = put_back(s, "a", 2);
    assert_eq!(s.config("a", "message"), "hello");
    let history = object.status.map(|status| status.history).unwrap_or_default();
    assert!(history.iter().any(|entry| entry.cause == "drift" && entry.revision == 2), "{history:?}");
    s.event("a", "Drifted");
    s.marked("a", 2);
    // The second time it is not put back at once.
    s.delete_object("v1", "ConfigMap", "a");
    put_back(s, "a", 3);
    assert_eq!((&*s.config("a", "message"), &*s.story("a")), ("hello", "1 superseded, 2 superseded, 3 deployed"));
}

fn drift_is_put_back_by_helm_3(s: &Scenario<'_>) {
    let settings = helm_3(s);
    let operator = s.operate_with(&settings);
    s.declare("a", &in_mode("Correct"));
    s.deployed("a", 1);
    compared(s, &operator, 1.0);
    config_map(s, "evil");
    put_back(s, "a", 2);
    assert_eq!(s.config("a", "message"), "hello");
    s.delete_object("v1", "ConfigMap", "a");
    let object = put_back(s, "a", 3);
    assert_eq!(s.config("a", "message"), "hello");
    let history = object.status.map(|status| status.history).unwrap_or_default();
    assert!(history.iter().filter(|entry| entry.cause == "drift").count() == 2, "{history:?}");
}

fn what_an_ignored_manager_scales_is_left_alone(s: &Scenario<'_>) {
    let operator = s.operate();
    let ignore =
        json!([{ "target": { "kind": "Deployment" }, "managers": ["scaler"] }, { "paths": ["/data/message"] }]);
    s.declare("a", &web("1.0.0", json!({ "driftDetection": { "mode": "Correct", "ignore": ignore } })));
    s.deployed("a", 1);
    compared(s, &operator, 1.0);
    comes_to_rest(s);
    let before = comparisons(&operator);
    scale(s, "a", 3);
    compared(s, &operator, before + 1.0);
    config_map(s, "meant");
    compared(s, &operator, before + 2.0);
    comes_to_rest(s);
    let replicas = || s.object("/apis/apps/v1", "deployments", "a").unwrap_or_default()["spec"]["replicas"].clone();
    assert_eq!((replicas(), s.config("a", "message")), (json!(3), "meant".to_owned()));
    assert!(condition(&s.ready("a"), "Drifted").is_none());
    assert_eq!(s.story("a"), "1 deployed");
    // By somebody else it is drift.
    s.patch("apps/v1", "Deployment", "a", &json!({ "spec": { "replicas": 2 } }));
    put_back(s, "a", 2);
    assert_eq!(replicas(), json!(1));
}

fn two_that_write_the_same_field_make_few_revisions(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &in_mode("Correct"));
    s.deployed("a", 1);
    compared(s, &operator, 1.0);
    let begun = Instant::now();
    let said = s.eventually("it is said that it comes back", || {
        if s.config("a", "message") != "evil" {
            config_map(s, "evil");
        }
        let object = s.land.cluster.wait(s.land.cluster.releases(&s.namespace).get("a")).ok()?;
        let drifted = condition(&object, "Drifted").map(|drifted| drifted.message.clone())?;
        drifted.contains("corrected 2 times in a row and came back; next correction not before").then_some(drifted)
    });
    assert!(said.contains("ConfigMap a differs at /data/message"), "{said}");
    assert!(begun.elapsed() >= Duration::from_secs(10), "the second correction waits for its delay");
    assert_eq!(s.story("a"), "1 superseded, 2 superseded, 3 deployed");
    s.ready("a");
}

fn account_that_may_not_look_is_said_and_no_value_is_told(s: &Scenario<'_>) {
    s.repository.publish(&several());
    s.account("deployer");
    s.grant("cluster-admin", "deployer");
    let operator = s.operate();
    let mut spec = of_several(&json!({ "mode": "Warn" }));
    spec["serviceAccountName"] = json!("deployer");
    s.declare("a", &spec);
    s.deployed("a", 1);
    compared(s, &operator, 1.0);
    s.revoke("deployer");
    s.grant("view", "deployer");
    s.patch("v1", "ConfigMap", "a", &json!({ "data": { "message": "hunter3" } }));
    let object = s.until("a", "not known", |object| {
        condition(object, "Drifted").is_some_and(|drifted| drifted.status == "Unknown")
    });
    let said = condition(&object, "Drifted").map(|drifted| drifted.message.clone()).unwrap_or_default();
    assert!(said.contains("needs the right to get Secrets in namespace") && !said.contains("hunter"), "{said}");
    assert!(is_ready(&object));
    // It is tried again by itself.
    s.revoke("deployer");
    s.grant("cluster-admin", "deployer");
    drifted(s, "a", "ConfigMap a differs at /data/message");
}

fn correction_that_fails_is_rolled_back_and_nothing_is_quarantined(s: &Scenario<'_>) {
    let operator = s.operate();
    let mut spec = in_mode("Correct");
    spec["upgrade"] = json!({ "retries": 0 });
    s.declare("a", &spec);
    s.deployed("a", 1);
    compared(s, &operator, 1.0);
    let deny =
        |info: &RequestInfo| info.user_agent.starts_with("Helm/") && info.resource == "configmaps" && info.is_write();
    s.proxy.rule(Rule::new(deny, Action::status(403)).times(1));
    config_map(s, "evil");
    let status = put_back(s, "a", 3).status.unwrap_or_default();
    assert!(status.quarantined.is_empty(), "{status:?}");
    let told: Vec<_> = status.history.iter().map(|one| (one.revision, one.action, &*one.cause, one.result)).collect();
    let (failed, good) = (HistoryResult::Failed, HistoryResult::Succeeded);
    let expected = [
        (1, OperationKind::Install, "spec", good),
        (2, OperationKind::Upgrade, "drift", failed),
        (3, OperationKind::Rollback, "drift", good),
    ];
    assert_eq!(told, expected);
    assert_eq!(s.config("a", "message"), "hello", "the way back states the same");
}

/// A release with a Job `migration` that has finished.
#[track_caller]
fn with_a_finished_job(s: &Scenario<'_>, mode: &str) {
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "migration" },
        "spec": { "backoffLimit": 0, "template": {
            "metadata": { "annotations": { "sandbox.test/outcome": "succeed" } },
            "spec": { "restartPolicy": "Never", "containers": [{ "name": "work", "image": "work" }] },
        } },
    });
    s.repository.publish(&chart("1.8.0").file("templates/job.yaml", job.to_string()));
    s.declare("a", &web("1.8.0", json!({ "driftDetection": { "mode": mode } })));
    s.deployed("a", 1);
}

fn finished_job_that_somebody_tidied_away_is_no_drift_and_does_not_run_again(s: &Scenario<'_>) {
    let operator = s.operate();
    with_a_finished_job(s, "Correct");
    s.marked("a", 1);
    compared(s, &operator, 1.0);
    assert!(s.object("/apis/batch/v1", "jobs", "migration").is_some());
    operator.kill();
    s.delete_object("batch/v1", "Job", "migration");
    s.eventually("the Job is gone", || s.object("/apis/batch/v1", "jobs", "migration").is_none().then_some(()));
    // Nobody who is there now has seen it finish.
    let operator = s.operate();
    compared(s, &operator, 1.0);
    comes_to_rest(s);
    assert!(condition(&s.ready("a"), "Drifted").is_none());
    assert!(all_were_the_same(&operator));
    assert!(s.object("/apis/batch/v1", "jobs", "migration").is_none());
    assert_eq!(s.story("a"), "1 deployed");
}

/// Views are of objects with that label, so it goes out of view as if it were gone.
fn finished_job_without_the_label_of_helm_has_drifted(s: &Scenario<'_>) {
    let operator = s.operate();
    with_a_finished_job(s, "Warn");
    compared(s, &operator, 1.0);
    comes_to_rest(s);
    let label = json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": null } } });
    s.patch("batch/v1", "Job", "migration", &label);
    drifted(s, "a", "Job migration differs at /metadata/labels");
    // Nobody who is there now has seen it finish.
    operator.kill();
    let operator = s.operate();
    compared(s, &operator, 1.0);
    comes_to_rest(s);
    drifted(s, "a", "Job migration differs at /metadata/labels");
    assert_eq!(s.story("a"), "1 deployed");
}

fn object_that_cannot_be_compared_is_named_and_hides_no_other(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &in_mode("Warn"));
    s.deployed("a", 1);
    compared(s, &operator, 1.0);
    // As where an admission webhook for that kind is down.
    let down = |resource: &'static str| {
        let is_it = move |info: &RequestInfo| info.resource == resource && info.is_write();
        s.proxy.rule(Rule::new(is_it, Action::status(503)));
    };
    down("configmaps");
    config_map(s, "evil");
    s.patch("v1", "Service", "a", &json!({ "spec": { "selector": { "app": "other" } } }));
    let said = drifted(s, "a", "ConfigMap a cannot be compared");
    assert!(said.contains("Service a differs at /spec/selector/app"), "{said}");
    // What is known of the other one stays known while that cannot be compared either.
    down("services");
    s.patch("v1", "Service", "a", &json!({ "spec": { "selector": { "app": "third" } } }));
    let said = drifted(s, "a", "nor can 1 more object");
    assert!(said.contains("Service a differs at /spec/selector/app"), "{said}");
    assert!(is_ready(&s.ready("a")));
}
