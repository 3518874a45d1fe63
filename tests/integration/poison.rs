//! Things that are not what they say, there before the operator starts: the others go on, and each is told or counted.

use serde_json::{Value, json};

use crate::scenario::{Scenario, chart, web};
use crate::tests;

tests![
    malformed_records_are_counted_and_hold_nobody_up,
    record_that_cannot_be_read_is_said_and_nothing_is_done_over_it,
    malformed_annotations_and_labels_change_nothing,
];

/// A Secret that helm's label calls a record.
fn secret(name: &str, labels: &Value, kind: &str, payload: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "labels": labels }, "type": kind,
        "stringData": { "release": payload } })
}

fn labels(name: &str, version: &str, status: &str) -> Value {
    json!({ "owner": "helm", "name": name, "version": version, "status": status })
}

const RECORD: &str = "helm.sh/release.v1";

fn malformed_records_are_counted_and_hold_nobody_up(s: &Scenario<'_>) {
    let spoilt = [
        secret("not-named-like-a-record", &labels("a", "1", "deployed"), RECORD, "x"),
        secret("sh.helm.release.v1.a.v7", &labels("a", "seven", "deployed"), RECORD, "x"),
        secret("sh.helm.release.v1.a.v8", &labels("a", "9", "deployed"), RECORD, "x"),
        secret("sh.helm.release.v1.a.v99999999999", &labels("a", "99999999999", "deployed"), RECORD, "x"),
        secret("sh.helm.release.v1.a.v10", &json!({ "owner": "helm" }), RECORD, "x"),
        secret("sh.helm.release.v1.other.v1", &labels("a", "1", "deployed"), RECORD, "x"),
    ];
    for object in &spoilt {
        s.land.cluster.apply_value(Some(&s.namespace), object).unwrap();
    }
    let operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.declare("b", &web("1.0.0", json!({})));
    s.deployed("b", 1);
    assert_eq!(s.story("b"), "1 deployed");
    // What only claims to be a record of its name does not stand in the way of the release itself.
    s.deployed("a", 1);
    let counted = operator.metric("malformed_records_total", "");
    assert!(counted >= f64::from(u32::try_from(spoilt.len()).unwrap()), "each is counted: {counted}");
}

fn record_that_cannot_be_read_is_said_and_nothing_is_done_over_it(s: &Scenario<'_>) {
    let garbage = [
        secret("sh.helm.release.v1.garbage.v1", &labels("garbage", "1", "deployed"), RECORD, "this is no payload"),
        secret("sh.helm.release.v1.opaque.v1", &labels("opaque", "1", "deployed"), "Opaque", "H4sIAAAAAAAA"),
        secret("sh.helm.release.v1.odd.v1", &labels("odd", "1", "asleep"), RECORD, ""),
        secret("sh.helm.release.v1.stuck.v1", &labels("stuck", "1", "pending-install"), RECORD, "no payload either"),
    ];
    for object in &garbage {
        s.land.cluster.apply_value(Some(&s.namespace), object).unwrap();
    }
    let names = ["garbage", "opaque", "odd", "stuck"];
    for name in names {
        s.declare(name, &web("1.0.0", json!({})));
    }
    let operator = s.operate();
    s.declare("good", &web("1.0.0", json!({})));
    s.deployed("good", 1);
    for name in names {
        // Nothing tells that it is ours, so nothing is done over it.
        let said = s.refused(name, "NotOurs");
        assert!(said.contains("revision 1"), "{name}: {said}");
        s.touch(&operator, name);
        assert_eq!(s.revisions(name).len(), 1, "{name}: {}", s.story(name));
    }
    // A record of the release itself, spoilt while the operator is away.
    s.marked("good", 1);
    assert!(operator.terminate().unwrap().success());
    s.patch("v1", "Secret", "sh.helm.release.v1.good.v1", &json!({ "stringData": { "release": "spoilt" } }));
    s.declare("later", &web("1.0.0", json!({})));
    let operator = s.operate();
    s.deployed("later", 1);
    s.touch(&operator, "good");
    s.ready("good");
    assert_eq!(s.story("good"), "1 deployed");
    for name in names {
        s.delete(name);
        s.gone(name);
        assert_eq!(s.revisions(name).len(), 1, "{name} was never ours, and stays");
    }
}

fn malformed_annotations_and_labels_change_nothing(s: &Scenario<'_>) {
    let archive = s.archive(&chart("1.0.0"));
    s.helm(&["install", "theirs", &archive]);
    let odd = json!({ "metadata": { "labels": {
        "helmrelease.dev/digest": "v9-nothing", "helmrelease.dev/owner": "somebody.else", "helmrelease.dev/revision": "minus-one",
        "helmrelease.dev/verified": "18446744073709551616" } } });
    s.patch("v1", "Secret", "sh.helm.release.v1.theirs.v1", &odd);
    s.declare("theirs", &web("1.0.0", json!({})));
    let long = "x".repeat(60_000);
    let annotations = json!({ "metadata": { "annotations": {
        "helmrelease.dev/reconcile": long, "helmrelease.dev/retry": "\u{7}\n\u{202e}", "helmrelease.dev/approve": "",
        "helmrelease.dev/unknown": "?" } } });
    s.declare("a", &web("1.0.0", json!({})));
    s.patch("helmrelease.dev/v1alpha1", "HelmRelease", "a", &annotations);
    // An object that claims to be of a release that it is not of, in words that are no names.
    let claims = json!({ "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "forged", "labels": { "app.kubernetes.io/managed-by": "Helm" },
            "annotations": { "meta.helm.sh/release-name": "../A b", "meta.helm.sh/release-namespace": "\n" } },
        "spec": { "replicas": 0, "selector": { "matchLabels": { "app": "forged" } }, "template": {
            "metadata": { "labels": { "app": "forged" } }, "spec": { "containers": [{ "name": "c", "image": "i" }] } } } });
    s.land.cluster.apply_value(Some(&s.namespace), &claims).unwrap();
    let operator = s.operate();
    s.deployed("a", 1);
    s.refused("theirs", "NotOurs");
    let live = |annotation: Value| {
        s.patch("apps/v1", "Deployment", "a", &json!({ "metadata": { "annotations": annotation } }));
    };
    live(json!({ "meta.helm.sh/release-name": "theirs", "meta.helm.sh/release-namespace": "\u{202e}x" }));
    live(json!({ "deployment.kubernetes.io/revision": "many" }));
    s.touch(&operator, "a");
    s.ready("a");
    assert_eq!((&*s.story("a"), &*s.story("theirs")), ("1 deployed", "1 deployed"));
}
