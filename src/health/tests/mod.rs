//! The rules word for word, and hostile JSON against all of them.

mod combine;
mod kinds;
mod pods;

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::*;
use crate::release::{Fault, Verdict, Why};

/// `healthy`, `progressing (own): words`, `failed (outside): words`.
fn said(verdict: &Verdict) -> String {
    let of = |state: &str, why: &Why| {
        let fault = match why.fault {
            Fault::Own => "own",
            Fault::Outside => "outside",
        };
        format!("{state} ({fault}): {}", why.text)
    };
    match verdict {
        Verdict::Healthy => "healthy".to_owned(),
        Verdict::Progressing(why) => of("progressing", why),
        Verdict::Failed(why) => of("failed", why),
    }
}

fn object(api_version: &str, kind: &str, spec: &Value, status: &Value) -> Value {
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "it", "namespace": "ns", "generation": 3},
        "spec": spec,
        "status": status,
    })
}

/// Puts rubbish in the place of each value, one at a time, and hands each result on.
fn spoil(value: &mut Value, rubbish: &Value, each: &mut dyn FnMut(&Value)) {
    fn paths(value: &Value, at: &str, into: &mut Vec<String>) {
        into.push(at.to_owned());
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                paths(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), into);
            }),
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(index, value)| paths(value, &format!("{at}/{index}"), into));
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    paths(value, "", &mut all);
    for path in all {
        let place = |value: &mut Value, new| {
            std::mem::replace(value.pointer_mut(&path).expect("a path of the value itself"), new)
        };
        let was = place(value, rubbish.clone());
        each(value);
        place(value, was);
    }
}

/// One object of each kind with everything in it that a rule reads.
fn full_objects() -> Vec<Value> {
    let container = |state: Value| {
        json!({"name": "web", "image": "nginx:1", "ready": false, "started": true, "restartCount": 4, "state": state,
               "lastState": {"terminated": {"exitCode": 3, "reason": "Error", "message": "m"}}})
    };
    let status = json!({
        "observedGeneration": 3, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
        "currentRevision": "a", "updateRevision": "b", "desiredNumberScheduled": 2, "updatedNumberScheduled": 1,
        "numberAvailable": 1, "succeeded": 1, "failed": 2, "phase": "Pending", "reason": "r", "message": "m",
        "loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]},
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "R", "message": "m", "observedGeneration": 3},
            {"type": "Stalled", "status": "False"}, {"type": "Reconciling", "status": "False"},
            {"type": "Progressing", "status": "True", "reason": "R"},
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"},
            {"type": "PodScheduled", "status": "True"}, {"type": "ContainersReady", "status": "True"},
            {"type": "Complete", "status": "False"}, {"type": "Failed", "status": "False"},
            {"type": "Established", "status": "False"}, {"type": "NamesAccepted", "status": "True"},
            {"type": "Available", "status": "False"},
        ],
        "initContainerStatuses": [container(json!({"terminated": {"exitCode": 0}}))],
        "containerStatuses": [
            container(json!({"waiting": {"reason": "CrashLoopBackOff", "message": "m"}})),
            container(json!({"waiting": {"reason": "ImagePullBackOff", "message": "ErrImagePull: not found"}})),
            container(json!({"running": {"startedAt": "x"}})),
        ],
    });
    let spec = json!({
        "replicas": 2, "completions": 3, "suspend": false, "paused": false, "progressDeadlineSeconds": 600,
        "type": "LoadBalancer", "externalIPs": [], "storageClassName": "fast", "nodeName": "n",
        "readinessGates": [{"conditionType": "g"}],
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}},
        "selector": {"matchLabels": {"app": "web"},
                     "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]},
    });
    let metadata = json!({
        "name": "it", "namespace": "ns", "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app": "web", "pod-template-hash": "x"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "it-x", "controller": true}],
    });
    [
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "ReplicaSet"),
        ("v1", "ReplicationController"),
        ("batch/v1", "Job"),
        ("batch/v1", "CronJob"),
        ("v1", "Pod"),
        ("v1", "PersistentVolumeClaim"),
        ("v1", "Service"),
        ("v1", "Namespace"),
        ("v1", "ConfigMap"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("apiregistration.k8s.io/v1", "APIService"),
        ("example.com/v1", "Thing"),
    ]
    .map(|(api_version, kind)| {
        json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec, "status": status})
    })
    .into()
}

#[test]
fn rubbish_in_any_place_is_judged_and_stays_bounded() {
    let mut deep = json!(1);
    for _ in 0..50 {
        deep = json!([{"status": deep}]);
    }
    let wide: Map<String, Value> = (0..50).map(|n| (format!("k{n}"), json!(n))).collect();
    let rubbish = [
        json!(null),
        json!(true),
        json!("2"),
        json!("x\u{0}\n\u{202e}ä".repeat(500)),
        json!(-1),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1.5e300),
        json!([]),
        json!([null, 1, "a", {}, []]),
        json!({}),
        Value::Object(wide),
        deep,
    ];
    let mut judged = 0;
    for mut object in full_objects() {
        for rubbish in &rubbish {
            spoil(&mut object, rubbish, &mut |spoilt| {
                judged += 1;
                if let Verdict::Progressing(why) | Verdict::Failed(why) = judge(spoilt).verdict {
                    assert!(why.text.len() <= words::WHY_MAX_BYTES, "{} bytes", why.text.len());
                    assert!(!why.text.is_empty(), "no words: {}", spoilt["kind"]);
                    assert!(!why.text.chars().any(char::is_control), "{:?}", why.text);
                }
                if let Some(trouble) = pod_trouble(spoilt) {
                    assert!(trouble.text.len() <= words::POD_TEXT_MAX_BYTES, "{} bytes", trouble.text.len());
                    assert!(!trouble.text.chars().any(char::is_control), "{:?}", trouble.text);
                }
                if let Some(facts) = PodFacts::of(spoilt) {
                    let _ = facts.revision();
                }
            });
        }
    }
    assert!(judged > 10_000, "{judged} objects");
}

#[test]
fn judgement_of_the_same_object_is_the_same() {
    for object in full_objects() {
        assert_eq!(judge(&object), judge(&object.clone()));
    }
}

#[test]
fn judgement_is_small() {
    assert!(size_of::<Judgement>() <= 48, "{} bytes", size_of::<Judgement>());
}

/// Judges each case and compares all at once, so that one run shows every difference.
fn check(cases: &[(&str, Value, &str)]) {
    let mut wrong = String::new();
    for (name, object, expected) in cases {
        let got = said(&judge(object).verdict);
        if got != *expected {
            let _ = writeln!(wrong, "{name}\n  expected: {expected}\n  got:      {got}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
