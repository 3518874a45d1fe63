//! Views that are behind the world: what is decided on them must not harm.

use std::time::Duration;

use sandbox::proxy::{Action, Gate, RequestInfo, Rule, Verb};
use serde_json::{Value, json};

use crate::faults::answers::json_type;
use crate::scenario::{Scenario, chart, web};
use crate::stage::Operator;
use crate::tests;

tests![
    status_that_somebody_else_wrote_does_not_stay,
    frozen_views_during_an_upgrade_lead_to_one_upgrade,
    frozen_views_during_a_failed_upgrade_lead_to_one_rollback,
    rollback_by_hand_behind_a_frozen_view_is_respected,
    object_made_anew_behind_a_frozen_view_is_installed_once,
    view_of_the_past_at_the_start_leads_to_no_downgrade_and_no_removal,
    records_of_the_past_at_the_start_lead_to_no_second_rollback_and_no_removal,
    frozen_view_of_objects_passes_no_bad_version,
    frozen_view_of_many_objects_passes_no_bad_version,
];

/// Objects with health next to the one that is bad, and before it in the manifest.
const MANY: usize = 59;
const SMALL: &str = r"
{{- range until 59 }}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ $.Release.Name }}-{{ . }}}
spec:
  replicas: 0
  selector: {matchLabels: {small: 's{{ . }}'}}
  template:
    metadata: {labels: {small: 's{{ . }}'}}
    spec: {containers: [{name: small, image: small}]}
{{- end }}
";

/// Starts an operator whose watches of these resources can be frozen.
#[track_caller]
fn operate_behind(s: &Scenario<'_>, is_frozen: fn(&str) -> bool) -> (Operator, Gate) {
    let gate = Gate::default();
    let is_it = move |info: &RequestInfo| {
        let own = info.verb == Verb::Watch && !info.user_agent.starts_with("Helm/");
        own && info.resource != "leases" && is_frozen(&info.resource)
    };
    s.proxy.rule(Rule::new(is_it, Action::GateWatch(gate.clone())));
    (s.operate(), gate)
}

fn spec(version: &str, outcome: &str) -> Value {
    let timeout = if outcome == "ready" { "60s" } else { "8s" };
    web(version, json!({ "timeout": timeout, "upgrade": { "retries": 0 }, "values": { "outcome": outcome } }))
}

fn frozen_views_during_an_upgrade_lead_to_one_upgrade(s: &Scenario<'_>) {
    let (operator, gate) = operate_behind(s, |resource| resource == "secrets");
    s.declare("a", &spec("1.0.0", "ready"));
    s.deployed("a", 1);
    s.marked("a", 1);
    // The records stand still in view while helm writes them.
    gate.close();
    s.declare("a", &spec("1.1.0", "ready"));
    s.deployed("a", 2);
    s.marked("a", 2);
    for _ in 0..3 {
        s.touch(&operator, "a");
    }
    assert_eq!(s.story("a"), "1 superseded, 2 deployed");
    gate.open();
    s.touch(&operator, "a");
    s.deployed("a", 2);
    assert_eq!(s.story("a"), "1 superseded, 2 deployed");
}

fn frozen_views_during_a_failed_upgrade_lead_to_one_rollback(s: &Scenario<'_>) {
    let (operator, gate) = operate_behind(s, |resource| resource == "secrets");
    s.declare("a", &spec("1.0.0", "ready"));
    s.deployed("a", 1);
    s.marked("a", 1);
    gate.close();
    s.declare("a", &spec("1.1.0", "never-ready"));
    s.refused("a", "RolledBack");
    for _ in 0..3 {
        s.touch(&operator, "a");
    }
    gate.open();
    s.touch(&operator, "a");
    s.refused("a", "RolledBack");
    assert_eq!(s.story("a"), "1 superseded, 2 superseded, 3 deployed");
    assert_eq!(s.config("a", "version"), "1.0.0");
}

fn rollback_by_hand_behind_a_frozen_view_is_respected(s: &Scenario<'_>) {
    let (operator, gate) = operate_behind(s, |resource| resource != "helmreleases");
    s.declare("a", &spec("1.0.0", "ready"));
    s.deployed("a", 1);
    s.marked("a", 1);
    s.declare("a", &spec("1.1.0", "ready"));
    s.deployed("a", 2);
    s.marked("a", 2);
    s.touch(&operator, "a");
    gate.close();
    let runs = operator.metric("helm_processes_started_total", "");
    s.helm(&["rollback", "a", "1"]);
    // Passes over what is behind: for a newer spec that is equal in effect, and for a look that is asked for.
    s.declare("a", &spec("1.1.x", "ready"));
    s.until("a", "the newer spec is looked at", |object| {
        object.status.as_ref().map(|status| status.observed_generation) == object.metadata.generation
    });
    s.annotate("a", "helmrelease.dev/reconcile");
    s.touch(&operator, "a");
    s.eventually("nothing is at work", || {
        let waiting = operator.metric("board_queued", "") + operator.metric("board_running", "");
        (waiting < 1.0).then_some(())
    });
    assert!(operator.metric("helm_processes_started_total", "") <= runs, "helm was run behind the frozen view");
    assert_eq!(s.story("a"), "1 superseded, 2 superseded, 3 deployed");
    gate.open();
    s.refused("a", "RolledBackByUser");
    s.touch(&operator, "a");
    assert_eq!(s.story("a"), "1 superseded, 2 superseded, 3 deployed");
    assert_eq!(s.config("a", "version"), "1.0.0");
}

fn object_made_anew_behind_a_frozen_view_is_installed_once(s: &Scenario<'_>) {
    let (operator, gate) = operate_behind(s, |resource| resource == "helmreleases");
    s.declare("a", &web("1.0.0", json!({ "deletionPolicy": "Orphan" })));
    s.deployed("a", 1);
    s.marked("a", 1);
    let old = s.ready("a").metadata.uid;
    s.touch(&operator, "a");
    gate.close();
    // Somebody takes the finalizer off by hand, and makes the object anew before the operator hears of either.
    s.delete("a");
    s.patch("helmrelease.dev/v1alpha1", "HelmRelease", "a", &json!({ "metadata": { "finalizers": null } }));
    s.gone("a");
    s.declare("a", &web("1.0.0", json!({ "deletionPolicy": "Orphan" })));
    // The records wake it meanwhile, and what is planned is planned for an object that is gone.
    let label = json!({ "metadata": { "labels": { "example.org/touched": "yes" } } });
    s.patch("v1", "Secret", "sh.helm.release.v1.a.v1", &label);
    gate.open();
    let new = s.ready("a");
    assert_ne!(new.metadata.uid, old);
    s.touch(&operator, "a");
    assert_eq!(s.story("a"), "1 deployed", "the release was there all the time");
    s.delete("a");
    s.gone("a");
    assert_eq!(s.story("a"), "1 deployed");
}

fn frozen_view_of_objects_passes_no_bad_version(s: &Scenario<'_>) {
    let (_operator, gate) = operate_behind(s, |resource| resource == "deployments");
    s.declare("a", &spec("1.0.0", "ready"));
    s.deployed("a", 1);
    s.marked("a", 1);
    // What was good before the upgrade still looks good.
    gate.close();
    s.declare("a", &spec("1.1.0", "never-ready"));
    s.eventually("the rollback, behind the frozen view", || (s.revisions("a").len() == 3).then_some(()));
    gate.open();
    s.refused("a", "RolledBack");
    assert_eq!(s.story("a"), "1 superseded, 2 superseded, 3 deployed");
    assert!(!s.revisions("a")[1].verified, "the bad revision was never called good");
}

fn frozen_view_of_many_objects_passes_no_bad_version(s: &Scenario<'_>) {
    for version in ["4.0.0", "4.1.0"] {
        s.repository.publish(&chart(version).file("templates/all.yaml", SMALL));
    }
    let (_operator, gate) = operate_behind(s, |resource| resource == "deployments");
    s.declare("a", &spec("4.0.0", "ready"));
    let status = s.deployed("a", 1).status.unwrap();
    s.marked("a", 1);
    let objects = status.inventory.unwrap().objects;
    let deployments: Vec<_> = objects.iter().filter(|object| object.kind == "Deployment").collect();
    assert_eq!(deployments.iter().position(|object| object.name == "a"), Some(MANY), "the one that is bad is the last");
    gate.close();
    s.declare("a", &spec("4.1.0", "never-ready"));
    s.eventually("the rollback, behind the frozen view", || (s.revisions("a").len() == 3).then_some(()));
    gate.open();
    s.refused("a", "RolledBack");
    assert!(!s.revisions("a")[1].verified, "the bad revision was never called good");
}

fn status_that_somebody_else_wrote_does_not_stay(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    let failures = json!({ "count": 3, "notBefore": "2199-01-01T00:00:00Z" });
    let operation = json!({ "id": "9-9", "kind": "Upgrade", "revision": 9, "started": "2020-01-01T00:00:00Z",
        "deadline": "2020-01-01T00:05:00Z", "holder": "nobody", "cause": "spec" });
    let condition = json!([{ "type": "Odd", "status": "True", "reason": "Odd", "message": "",
        "lastTransitionTime": "2020-01-01T00:00:00Z" }]);
    let odd = json!({ "operation": operation, "failures": failures, "conditions": condition });
    s.land.cluster.patch_status(&s.namespace, "a", &odd).unwrap();
    s.until("a", "its own again", |object| {
        object.status.as_ref().is_some_and(|status| {
            let odd = status.conditions.iter().any(|condition| condition.type_ == "Odd");
            status.operation.is_none() && !odd && status.conditions.iter().any(|one| one.type_ == "Ready")
        })
    });
    s.declare("a", &web("1.1.0", json!({})));
    s.deployed("a", 2);
    s.marked("a", 2);
    s.touch(&operator, "a");
    let written = || operator.metric("reconciles_total", "result=\"written\"");
    let before = written();
    s.touch(&operator, "a");
    assert!(written() <= before, "nothing is written again and again");
}

/// The list of all objects as it is now, for an API server that tells of it later.
#[track_caller]
fn list_of_now(s: &Scenario<'_>) -> Action {
    let (api_version, plural) = ("helmrelease.dev/v1alpha1", "helmreleases");
    let list = s.land.sandbox.get(&format!("/apis/{api_version}/namespaces/{}/{plural}", s.namespace));
    Action::Reply { status: 200, headers: json_type(), body: list.unwrap().unwrap().to_string().into() }
}

fn view_of_the_past_at_the_start_leads_to_no_downgrade_and_no_removal(s: &Scenario<'_>) {
    let operator = s.operate();
    for name in ["older", "leaving"] {
        s.declare(name, &spec("1.0.0", "ready"));
        s.deployed(name, 1);
        s.marked(name, 1);
    }
    assert!(operator.terminate().unwrap().success());
    // The past: one has yet to be upgraded, and the other is being deleted.
    s.delete("leaving");
    let past = list_of_now(s);
    let gone = s.land.cluster.wait(s.land.cluster.releases(&s.namespace).get_opt("leaving")).unwrap().unwrap();
    assert!(gone.metadata.deletion_timestamp.is_some(), "its finalizer holds it");
    s.patch("helmrelease.dev/v1alpha1", "HelmRelease", "leaving", &json!({ "metadata": { "finalizers": null } }));
    s.gone("leaving");
    let operator = s.operate();
    s.declare("leaving", &spec("1.0.0", "ready"));
    s.deployed("leaving", 1);
    s.declare("older", &spec("1.1.0", "ready"));
    s.deployed("older", 2);
    s.marked("older", 2);
    assert!(operator.terminate().unwrap().success());
    let helm = s.proxy.counts(|key| key.user_agent.starts_with("Helm/"));

    let own = |info: &RequestInfo| !info.user_agent.starts_with("Helm/") && info.resource == "helmreleases";
    let listed = s.proxy.rule(Rule::new(move |info| own(info) && info.verb == Verb::List, past).times(1));
    let gate = Gate::default();
    gate.close();
    s.proxy.rule(Rule::new(move |info| own(info) && info.verb == Verb::Watch, Action::GateWatch(gate.clone())));
    let tried = |name: &'static str| {
        // The intent, which has to be written before helm may run: it is forwarded.
        let is_it = move |info: &RequestInfo| own(info) && info.is_write() && info.name.as_deref() == Some(name);
        s.proxy.rule(Rule::new(is_it, Action::Delay(Duration::ZERO)))
    };
    let writes = [tried("older"), tried("leaving")];
    let mut operator = s.spawn(&s.settings());
    for writes in &writes {
        s.eventually("it is acted upon the past more than once", || (writes.hits() >= 2).then_some(()));
    }
    assert_eq!(listed.hits(), 1);
    let untouched = || {
        assert_eq!(s.proxy.counts(|key| key.user_agent.starts_with("Helm/")), helm, "helm is run");
        assert_eq!(s.story("older"), "1 superseded, 2 deployed");
        assert_eq!(s.story("leaving"), "1 deployed");
    };
    untouched();
    gate.open();
    operator.wait_until_ready().unwrap();
    for name in ["older", "leaving"] {
        s.ready(name);
        s.touch(&operator, name);
    }
    untouched();
}

/// The list of helm's records as it is now, as the watch of them asks for it.
#[track_caller]
fn records_of_now(s: &Scenario<'_>) -> Action {
    let path = format!("/api/v1/namespaces/{}/secrets?labelSelector=owner%3Dhelm", s.namespace);
    let mut list = s.land.sandbox.get(&path).unwrap().unwrap();
    let of_one = |secret: &mut Value| {
        let metadata = secret["metadata"].take();
        json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata })
    };
    let items: Vec<_> = list["items"].as_array_mut().unwrap().iter_mut().map(of_one).collect();
    let list = json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
        "metadata": list["metadata"], "items": items });
    Action::Reply { status: 200, headers: json_type(), body: list.to_string().into() }
}

fn records_of_the_past_at_the_start_lead_to_no_second_rollback_and_no_removal(s: &Scenario<'_>) {
    let operator = s.operate();
    let names = ["failing", "by-hand"];
    for name in names {
        s.declare(name, &spec("1.0.0", "ready"));
        s.deployed(name, 1);
        s.marked(name, 1);
    }
    s.declare("by-hand", &spec("1.1.0", "ready"));
    s.deployed("by-hand", 2);
    s.marked("by-hand", 2);
    // Not rolled back before what there is now is noted.
    let bad = json!({ "timeout": "20s", "upgrade": { "retries": 0 }, "values": { "outcome": "never-ready" } });
    s.declare("failing", &web("1.1.0", bad));
    s.eventually("helm has upgraded", || (s.story("failing") == "1 superseded, 2 deployed").then_some(()));
    // The past: what is deployed has yet to be rolled back.
    let past = records_of_now(s);
    s.helm(&["rollback", "by-hand", "1"]);
    s.refused("by-hand", "RolledBackByUser");
    s.refused("failing", "RolledBack");
    s.marked("failing", 3);
    assert!(operator.terminate().unwrap().success());
    let helm = s.proxy.counts(|key| key.user_agent.starts_with("Helm/"));

    let own = |info: &RequestInfo| !info.user_agent.starts_with("Helm/") && info.resource == "secrets";
    let of_all = |info: &RequestInfo| info.query.contains("owner%3Dhelm") && !info.query.contains("name%3D");
    let is_list = move |info: &RequestInfo| own(info) && info.verb == Verb::List && of_all(info);
    let listed = s.proxy.rule(Rule::new(is_list, past).times(1));
    let gate = Gate::default();
    gate.close();
    let is_watch = move |info: &RequestInfo| own(info) && info.verb == Verb::Watch && of_all(info);
    s.proxy.rule(Rule::new(is_watch, Action::GateWatch(gate.clone())));
    let operator = s.operate();
    assert_eq!(listed.hits(), 1);
    for name in names {
        s.touch(&operator, name);
    }
    // Each operation begins with a look at what is there.
    s.eventually("a second rollback is begun, and given up without helm", || {
        let labels = "kind=\"Rollback\",result=\"not_started\"";
        (operator.metric("operations_total", labels) >= 1.0).then_some(())
    });
    let untouched = || {
        assert_eq!(s.proxy.counts(|key| key.user_agent.starts_with("Helm/")), helm, "helm is run");
        for name in names {
            assert_eq!(s.story(name), "1 superseded, 2 superseded, 3 deployed", "{name}");
        }
    };
    untouched();
    gate.open();
    s.refused("by-hand", "RolledBackByUser");
    s.refused("failing", "RolledBack");
    for name in names {
        s.touch(&operator, name);
    }
    untouched();
}
