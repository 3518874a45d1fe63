//! What revisions that never became good have left behind.

use std::sync::atomic::{AtomicBool, Ordering};

use sandbox::charts::Chart;
use sandbox::proxy::{Action, Gate, RequestInfo, Rule, Verb};
use serde_json::{Value, json};

use crate::remediation::stays;
use crate::scenario::{Scenario, chart, web};
use crate::tests;

tests![
    what_a_failed_version_left_behind_is_deleted_once_the_release_is_good,
    what_was_left_behind_stays_where_somebody_deploys_it_again_meanwhile,
    what_was_left_behind_stays_where_the_next_version_has_it,
    what_was_left_behind_stays_where_a_later_version_has_it_by_another_version_of_its_kind,
    what_was_left_behind_before_a_rollback_is_deleted_once_another_version_is_good,
    what_was_deleted_is_named_where_the_rest_could_not_be_at_first,
];

/// The web chart with two more objects, of which one is to be kept whatever happens.
fn with_more(version: &str) -> Chart {
    let config_map = |name: &str, policy: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  annotations: {{{policy}}}\n")
    };
    let more = format!("{}---\n{}", config_map("extra", ""), config_map("kept", "helm.sh/resource-policy: keep"));
    chart(version).file("templates/more.yaml", more)
}

/// A release whose second revision failed and left behind what [`with_more`] has more.
#[track_caller]
fn leave_behind(s: &Scenario<'_>) {
    s.repository.publish(&with_more("1.5.0"));
    s.declare("a", &kept_where_it_fails("1.0.0", &json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    s.declare("a", &kept_where_it_fails("1.5.0", &json!({ "replicas": -1 })));
    s.refused("a", "UpgradeFailed");
    assert!(s.object("/api/v1", "configmaps", "extra").is_some(), "helm made it before it failed");
}

/// Waits until the record of the second revision says that what it left over was looked at.
#[track_caller]
pub(crate) fn looked_at(s: &Scenario<'_>) {
    s.eventually("what is left over is looked at", || {
        let records = s.list("/api/v1", "secrets?labelSelector=helmrelease.dev%2Fcleared%3D2");
        (records.len() == 1).then_some(())
    });
}

fn kept_where_it_fails(version: &str, values: &Value) -> Value {
    web(version, json!({ "upgrade": { "onFailure": "Keep", "retries": 0 }, "values": values }))
}

fn what_a_failed_version_left_behind_is_deleted_once_the_release_is_good(s: &Scenario<'_>) {
    let operator = s.operate();
    leave_behind(s);
    s.declare("a", &kept_where_it_fails("1.1.0", &json!({})));
    s.deployed("a", 3);
    let note = s.event("a", "LeftOversDeleted");
    assert!(note.contains("ConfigMap") && note.contains("extra") && !note.contains("kept"), "{note}");
    assert!(s.object("/api/v1", "configmaps", "extra").is_none());
    assert!(s.object("/api/v1", "configmaps", "kept").is_some());
    stays(s, &operator, "a");
}

fn what_was_left_behind_stays_where_somebody_deploys_it_again_meanwhile(s: &Scenario<'_>) {
    let _operator = s.operate();
    leave_behind(s);
    // Once the third revision is called good, what is in use is read anew before anything is deleted.
    let good = AtomicBool::new(false);
    let is_it = move |info: &RequestInfo| {
        let own = !info.user_agent.starts_with("Helm/") && info.resource == "secrets";
        if own && info.verb == Verb::Patch && info.name.as_deref() == Some("sh.helm.release.v1.a.v3") {
            good.store(true, Ordering::SeqCst);
        }
        good.load(Ordering::SeqCst) && own && info.verb == Verb::List && info.query.contains("name%3Da")
    };
    let gate = Gate::default();
    gate.close();
    let held = s.proxy.rule(Rule::new(is_it, Action::HoldBack(gate.clone())).times(1));
    let uid = || s.object("/api/v1", "configmaps", "extra").map(|object| object["metadata"]["uid"].clone());
    let extra = uid();
    assert!(extra.is_some(), "still there");
    // helm would take longer for it than a request may take: what is held back would be given up, and nothing would be
    // left to be overtaken.
    let failed = s.object("/api/v1", "secrets", "sh.helm.release.v1.a.v2").expect("the record of what left it behind");
    let labels = json!({ "owner": "helm", "name": "a", "version": "4", "status": "deployed" });
    let fourth = json!({ "apiVersion": "v1", "kind": "Secret", "type": failed["type"], "data": failed["data"],
        "metadata": { "name": "sh.helm.release.v1.a.v4", "labels": labels } });
    s.declare("a", &kept_where_it_fails("1.1.0", &json!({})));
    s.eventually("the deletion is about to begin", || (held.hits() == 1).then_some(()));
    // Nobody puts the upgrade by hand back.
    s.patch("helmrelease.dev/v1alpha1", "HelmRelease", "a", &json!({ "spec": { "suspend": true } }));
    s.land.cluster.apply_value(Some(&s.namespace), &fourth).unwrap();
    gate.open();
    looked_at(s);
    assert_eq!(s.story("a"), "1 superseded, 2 failed, 3 deployed, 4 deployed");
    assert_eq!(uid(), extra, "the revision by hand has it");
}

fn what_was_left_behind_stays_where_the_next_version_has_it(s: &Scenario<'_>) {
    let operator = s.operate();
    leave_behind(s);
    let is_it = |info: &RequestInfo| {
        let own = !info.user_agent.starts_with("Helm/");
        own && info.verb == Verb::Get && info.resource == "configmaps" && info.name.as_deref() == Some("extra")
    };
    let gate = Gate::default();
    gate.close();
    // Every try: a look that is not answered is given up, and another follows.
    let held = s.proxy.rule(Rule::new(is_it, Action::HoldBack(gate.clone())));
    s.declare("a", &kept_where_it_fails("1.1.0", &json!({})));
    s.eventually("what is left over is looked at", || (held.hits() >= 1).then_some(()));
    let uid = || s.object("/api/v1", "configmaps", "extra").map(|object| object["metadata"]["uid"].clone());
    let extra = uid();
    assert!(extra.is_some(), "still there");
    s.declare("a", &kept_where_it_fails("1.5.0", &json!({})));
    // Only helm ends the look: what is deleted before it runs is made anew.
    s.eventually("helm is at the next version", || s.story("a").contains("4 ").then_some(()));
    gate.open();
    s.deployed("a", 4);
    looked_at(s);
    stays(s, &operator, "a");
    assert_eq!(uid(), extra);
}

/// The web chart with an autoscaler by this version of its kind.
fn with_autoscaler(version: &str, api_version: &str) -> Chart {
    let autoscaler = format!(
        "apiVersion: {api_version}\nkind: HorizontalPodAutoscaler\nmetadata:\n  name: scaler\nspec:\n  \
         scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: other}}\n  maxReplicas: 3\n"
    );
    chart(version).file("templates/scaler.yaml", autoscaler)
}

fn what_was_left_behind_stays_where_a_later_version_has_it_by_another_version_of_its_kind(s: &Scenario<'_>) {
    let operator = s.operate();
    s.repository.publish(&with_autoscaler("1.5.0", "autoscaling/v1"));
    s.repository.publish(&with_autoscaler("1.6.0", "autoscaling/v2"));
    s.declare("a", &kept_where_it_fails("1.0.0", &json!({})));
    s.deployed("a", 1);
    s.declare("a", &kept_where_it_fails("1.5.0", &json!({ "replicas": -1 })));
    s.refused("a", "UpgradeFailed");
    s.declare("a", &kept_where_it_fails("1.6.0", &json!({})));
    s.deployed("a", 3);
    looked_at(s);
    assert!(s.object("/apis/autoscaling/v2", "horizontalpodautoscalers", "scaler").is_some());
    stays(s, &operator, "a");
}

fn what_was_left_behind_before_a_rollback_is_deleted_once_another_version_is_good(s: &Scenario<'_>) {
    let operator = s.operate();
    s.repository.publish(&with_more("1.5.0"));
    let spec = |version: &str, values: Value| web(version, json!({ "upgrade": { "retries": 0 }, "values": values }));
    s.declare("a", &spec("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    // Overtaken before it is judged, by a version that fails before helm removes what that one does not have.
    s.declare("a", &spec("1.5.0", json!({ "outcome": "never-ready" })));
    s.eventually("helm is done with it", || s.story("a").ends_with("2 deployed").then_some(()));
    s.declare("a", &spec("1.1.0", json!({ "replicas": -1 })));
    s.eventually("it is rolled back", || s.story("a").ends_with("3 failed, 4 deployed").then_some(()));
    s.marked("a", 4);
    assert!(s.object("/api/v1", "configmaps", "extra").is_some(), "helm's rollback does not know it");
    s.declare("a", &spec("1.1.0", json!({})));
    s.deployed("a", 5);
    let note = s.event("a", "LeftOversDeleted");
    assert!(note.contains("extra"), "{note}");
    assert!(s.object("/api/v1", "configmaps", "extra").is_none());
    stays(s, &operator, "a");
}

fn what_was_deleted_is_named_where_the_rest_could_not_be_at_first(s: &Scenario<'_>) {
    let _operator = s.operate();
    let more = ["one", "two"]
        .map(|name| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: extra-{name}}}\n"))
        .join("---\n");
    s.repository.publish(&chart("1.5.0").file("templates/more.yaml", more));
    s.declare("a", &kept_where_it_fails("1.0.0", &json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    s.declare("a", &kept_where_it_fails("1.5.0", &json!({ "replicas": -1 })));
    s.refused("a", "UpgradeFailed");
    let is_it = |info: &RequestInfo| {
        let own = !info.user_agent.starts_with("Helm/");
        own && info.verb == Verb::Delete && info.name.as_deref() == Some("extra-two")
    };
    let refused = s.proxy.rule(Rule::new(is_it, Action::status(503)).times(1));
    s.declare("a", &kept_where_it_fails("1.1.0", &json!({})));
    s.deployed("a", 3);
    looked_at(s);
    assert_eq!(refused.hits(), 1);
    for name in ["extra-one", "extra-two"] {
        s.eventually(&format!("an event names {name}"), || {
            let events = s.list("/apis/events.k8s.io/v1", "events");
            let named = |event: &&Value| {
                event["reason"] == "LeftOversDeleted" && event["note"].as_str().is_some_and(|note| note.contains(name))
            };
            events.iter().find(named).map(|_| ())
        });
        assert!(s.object("/api/v1", "configmaps", name).is_none());
    }
}
