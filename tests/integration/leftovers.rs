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
    let archive = s.archive(&with_more("1.5.0"));
    s.declare("a", &kept_where_it_fails("1.1.0", &json!({})));
    s.eventually("the deletion is about to begin", || (held.hits() == 1).then_some(()));
    let uid = || s.object("/api/v1", "configmaps", "extra").map(|object| object["metadata"]["uid"].clone());
    let extra = uid();
    assert!(extra.is_some(), "still there");
    // Nobody puts the upgrade by hand back.
    s.patch("helmrelease.dev/v1alpha1", "HelmRelease", "a", &json!({ "spec": { "suspend": true } }));
    s.helm(&["upgrade", "a", &archive]);
    assert_eq!(s.story("a"), "1 superseded, 2 failed, 3 superseded, 4 deployed");
    gate.open();
    s.eventually("what is left over is looked at", || {
        let records = s.list("/api/v1", "secrets?labelSelector=helmrelease.dev%2Fcleared%3D2");
        (records.len() == 1).then_some(())
    });
    assert_eq!(uid(), extra, "the revision by hand has it");
}
