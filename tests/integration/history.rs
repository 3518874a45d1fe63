//! What people do by hand with helm.

use std::time::{Duration, Instant};

use helm_release_operator::api::{HistoryResult, OperationKind};
use helm_release_operator::release::Cause;
use sandbox::Repository;
use sandbox::proxy::{Action, RequestInfo, Rule, Verb};
use serde_json::{Value, json};

use crate::scenario::{Scenario, chart, web};
use crate::stage::status::condition;
use crate::tests;

tests![
    upgrade_by_hand_is_put_back,
    rollback_by_hand_is_respected_until_the_spec_changes,
    rollback_by_hand_is_left_when_a_retry_is_asked_for,
    uninstall_by_hand_is_installed_again,
    rollback_by_hand_while_the_operator_is_down_is_respected,
    each_attempt_is_told_with_its_cause,
    damaged_record_of_a_good_release_is_named_and_helm_is_not_run_again_and_again,
    record_that_may_not_be_read_is_said_and_asked_for_ever_more_rarely,
    damaged_record_of_a_release_that_is_deleted_is_named_until_it_is_gone,
    damaged_record_that_is_the_only_one_is_named,
    damaged_way_back_is_passed_by_for_the_one_before_it,
    secret_in_the_place_of_the_next_record_is_named_and_helm_is_not_run_over_it,
    damaged_lock_of_a_dead_helm_is_named_until_it_is_restored,
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
        last.is_some_and(|last| {
            (last.action, last.result, &*last.cause)
                == (OperationKind::Install, HistoryResult::Succeeded, Cause::External.as_str())
        })
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

/// Gives the record another payload, and returns the one that it had.
#[track_caller]
fn replace_payload(s: &Scenario<'_>, record: &str, payload: &Value) -> Value {
    let secret = s.object("/api/v1", "secrets", record).expect("the record");
    s.patch("v1", "Secret", record, &json!({ "data": { "release": payload } }));
    secret["data"]["release"].clone()
}

fn rubbish() -> Value {
    // Base64 of base64 of what is no release.
    json!("Y25WaVltbHphQT09")
}

fn damaged_record_of_a_good_release_is_named_and_helm_is_not_run_again_and_again(s: &Scenario<'_>) {
    let operator = s.operate();
    two_versions(s);
    replace_payload(s, "sh.helm.release.v1.a.v2", &rubbish());
    let archive = s.archive(&chart("2.0.0"));
    let error = s.try_helm(&["upgrade", "a", &archive]).unwrap_err().to_string();
    assert!(error.contains("already exists"), "helm passes by the record, and wants its number: {error}");
    s.declare("a", &web("2.0.0", json!({})));
    let message = s.refused("a", "RecordUnreadable");
    assert!(message.contains("sh.helm.release.v1.a.v2"), "{message}");
    let started = operator.metric("helm_processes_started_total", "");
    s.touch(&operator, "a");
    s.touch(&operator, "a");
    assert!(operator.metric("helm_processes_started_total", "") <= started);
    assert!(started > 0.0, "helm was counted");
    let stalled = s.until("a", "Stalled", |object| condition(object, "Stalled").is_some());
    assert_eq!(condition(&stalled, "Stalled").map(|one| &*one.reason), Some("RecordUnreadable"));
    s.delete_object("v1", "Secret", "sh.helm.release.v1.a.v2");
    s.ready("a");
    assert_eq!(s.config("a", "version"), "2.0.0");
}

fn damaged_record_of_a_release_that_is_deleted_is_named_until_it_is_gone(s: &Scenario<'_>) {
    let operator = s.operate();
    two_versions(s);
    replace_payload(s, "sh.helm.release.v1.a.v2", &rubbish());
    s.delete("a");
    let message = s.refused("a", "RecordUnreadable");
    assert!(message.contains("sh.helm.release.v1.a.v2"), "{message}");
    assert_eq!(s.story("a"), "1 superseded, 2 deployed", "helm would have removed the revision before");
    let started = operator.metric("helm_processes_started_total", "");
    s.touch(&operator, "a");
    assert!(operator.metric("helm_processes_started_total", "") <= started);
    s.delete_object("v1", "Secret", "sh.helm.release.v1.a.v2");
    s.gone("a");
    assert!(s.revisions("a").is_empty(), "{}", s.story("a"));
}

fn damaged_record_that_is_the_only_one_is_named(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    let payload = replace_payload(s, "sh.helm.release.v1.a.v1", &rubbish());
    s.declare("a", &web("1.1.0", json!({})));
    let message = s.refused("a", "RecordUnreadable");
    assert!(message.contains("sh.helm.release.v1.a.v1"), "{message}");
    replace_payload(s, "sh.helm.release.v1.a.v1", &payload);
    s.deployed("a", 2);
}

fn damaged_way_back_is_passed_by_for_the_one_before_it(s: &Scenario<'_>) {
    let _operator = s.operate();
    two_versions(s);
    let bad = json!({ "timeout": "25s", "upgrade": { "retries": 0 }, "values": { "outcome": "never-ready" } });
    s.declare("a", &web("2.0.0", bad));
    s.eventually("helm has made its revision", || {
        (s.story("a") == "1 superseded, 2 superseded, 3 deployed").then_some(())
    });
    replace_payload(s, "sh.helm.release.v1.a.v2", &rubbish());
    let message = s.refused("a", "RollbackFailed");
    assert!(message.contains("sh.helm.release.v1.a.v2"), "{message}");
    s.refused("a", "RolledBack");
    assert_eq!(s.config("a", "version"), "1.0.0");
}

fn secret_in_the_place_of_the_next_record_is_named_and_helm_is_not_run_over_it(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    let other = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "sh.helm.release.v1.a.v2" } });
    s.land.cluster.apply_value(Some(&s.namespace), &other).unwrap();
    s.declare("a", &web("1.1.0", json!({})));
    let message = s.refused("a", "RecordUnreadable");
    assert!(message.contains("sh.helm.release.v1.a.v2") && message.contains("delete"), "{message}");
    let started = operator.metric("helm_processes_started_total", "");
    // The next two looks, ten and twenty seconds later, are at the Secret.
    s.eventually("it was looked at again", || {
        let looks = operator.metric("operation_failures_total", "\"RecordSpoilt\"");
        (looks >= 2.0).then_some(())
    });
    assert!(operator.metric("helm_processes_started_total", "") <= started);
    s.delete_object("v1", "Secret", "sh.helm.release.v1.a.v2");
    s.annotate("a", "helmrelease.dev/retry");
    s.deployed("a", 2);
}

fn damaged_lock_of_a_dead_helm_is_named_until_it_is_restored(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    let is_it =
        |info: &RequestInfo| info.user_agent.starts_with("Helm/") && info.is_write() && info.resource == "deployments";
    let rule = s.proxy.rule(Rule::new(is_it, Action::Hang).times(1));
    s.declare("a", &web("1.1.0", json!({})));
    s.eventually("helm is in the middle of its work", || (rule.hits() == 1).then_some(()));
    operator.kill();
    assert_eq!(s.story("a"), "1 deployed, 2 pending-upgrade");
    let payload = replace_payload(s, "sh.helm.release.v1.a.v2", &rubbish());
    let operator = s.operate();
    let message = s.refused("a", "RecordUnreadable");
    assert!(message.contains("sh.helm.release.v1.a.v2"), "{message}");
    let before = s.revisions("a");
    s.touch(&operator, "a");
    assert_eq!(s.revisions("a"), before, "nothing is done about it");
    replace_payload(s, "sh.helm.release.v1.a.v2", &payload);
    s.ready("a");
    assert_eq!((&*s.config("a", "version"), &*s.story("a")), ("1.1.0", "1 superseded, 2 failed, 3 deployed"));
}

fn record_that_may_not_be_read_is_said_and_asked_for_ever_more_rarely(s: &Scenario<'_>) {
    let operator = s.operate();
    two_versions(s);
    let is_it = |info: &RequestInfo| {
        info.verb == Verb::Get
            && info.name.as_deref() == Some("sh.helm.release.v1.a.v3")
            && !info.user_agent.starts_with("Helm/")
    };
    let refusal = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403,
        "reason": "Forbidden", "message": "secrets is forbidden" });
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let refused = Action::Reply { status: 403, headers, body: refusal.to_string().into() };
    let rule = s.proxy.rule(Rule::new(is_it, refused).times(5));
    let begin = Instant::now();
    s.helm(&["rollback", "a", "1"]);
    let message = s.refused("a", "Refused");
    assert!(message.contains("secrets is forbidden"), "{message}");
    s.touch(&operator, "a");
    s.refused("a", "RolledBackByUser");
    // Half a second after the first, then twice as long each time.
    let least = Duration::from_millis(500 + 1000 + 2000 + 4000 + 8000);
    assert!(rule.hits() == 5 && begin.elapsed() >= least, "{} in {:?}", rule.hits(), begin.elapsed());
}
