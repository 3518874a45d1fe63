//! Things that are not what they say, there before the operator starts: the others go on, and each is told or counted.

use serde_json::{Value, json};

use crate::ground::Land;
use crate::scenario::{Scenario, chart, web};
use crate::stage::Operator;
use crate::stage::status::condition;
use crate::tests;

tests![
    malformed_records_are_counted_and_hold_nobody_up,
    record_that_cannot_be_read_is_said_and_nothing_is_done_over_it,
    malformed_annotations_and_labels_change_nothing,
    many_poisons_at_once_are_each_told_or_counted_and_hold_nobody_up,
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

/// Objects that an older definition let pass and today's does not.
const WRONG: [&str; 4] = ["wrong-version", "wrong-sources", "wrong-upgrade", "wrong-order"];

/// One that fails a rule of today's definition by its type.
const UNSAYABLE: &str = "wrong-timeout";

fn many_poisons_at_once_are_each_told_or_counted_and_hold_nobody_up(_: &Scenario<'_>) {
    // A land of its own: its definition changes under what is stored.
    let land = Land::new().unwrap();
    let s = &Scenario::new(&land, "poisoned".to_owned()).unwrap();
    let operator = s.operate();
    for name in ["one", "two", "spoilt"] {
        s.declare(name, &web("1.0.0", json!({ "deletionPolicy": "Orphan" })));
    }
    for name in ["one", "two", "spoilt"] {
        s.deployed(name, 1);
        s.marked(name, 1);
    }
    assert!(operator.terminate().unwrap().success());
    // Its version changes with every write.
    let record = |name: &str| s.revisions(name).into_iter().find(|record| record.verified);
    let before = ["one", "two"].map(|name| (name, record(name)));
    poison_objects(s);
    poison_records(s);
    let operator = s.operate();
    s.declare("three", &web("1.0.0", json!({})));
    s.deployed("three", 1);
    for (name, seen) in before {
        s.touch(&operator, name);
        s.ready(name);
        assert_eq!(record(name), seen, "the record of {name} is as it was");
    }
    poisons_are_told(s, &operator);
}

/// Stores objects with fields of wrong types, and one whose annotations are not for anybody.
fn poison_objects(s: &Scenario<'_>) {
    let mut definition = helm_release_operator::api::crd();
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    *schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    s.land.cluster.apply_value(None, &definition).unwrap();
    let specs = [
        json!({ "releaseVersion": { "no": "text" } }),
        json!({ "valuesFrom": { "kind": "Secret" } }),
        json!({ "upgrade": [true], "suspend": "perhaps" }),
        json!({ "dependsOn": "everything" }),
    ];
    s.eventually("the lenient definition is served", || s.try_declare(UNSAYABLE, &json!({ "timeout": 7 })).ok());
    for (name, spec) in WRONG.into_iter().zip(specs) {
        s.declare(name, &spec);
    }
    s.land.cluster.apply_definitions().unwrap();
    s.eventually("the strict definition is served", || {
        s.try_declare("refused", &json!({ "values": "text" })).is_err().then_some(())
    });
    let annotations = json!({ "metadata": { "annotations": {
        "helmrelease.dev/reconcile": "x".repeat(60_000), "helmrelease.dev/retry": "\u{7}\n\u{202e}" } } });
    s.patch("helmrelease.dev/v1alpha1", "HelmRelease", "two", &annotations);
}

/// Spoils records in every way, one of them that of a release whose object was made anew and remembers nothing.
fn poison_records(s: &Scenario<'_>) {
    let spoilt = [
        secret("not-named-like-a-record", &labels("one", "1", "deployed"), RECORD, "x"),
        secret("sh.helm.release.v1.one.v7", &labels("one", "seven", "deployed"), RECORD, "x"),
        secret("sh.helm.release.v1.two.v8", &labels("two", "9", "deployed"), RECORD, "x"),
        secret("sh.helm.release.v1.nobody.v1", &labels("nobody", "1", "asleep"), RECORD, "no payload"),
    ];
    for object in &spoilt {
        s.land.cluster.apply_value(Some(&s.namespace), object).unwrap();
    }
    let odd = json!({ "metadata": { "labels": {
        "helmrelease.dev/digest": format!("v9-{}", "0".repeat(40)), "helmrelease.dev/owner": "somebody.else",
        "helmrelease.dev/revision": "abc", "helmrelease.dev/verified": "zzz", "helmrelease.dev/cleared": "minus.one" } } });
    s.patch("v1", "Secret", "sh.helm.release.v1.nobody.v1", &odd);
    s.patch("v1", "Secret", "sh.helm.release.v1.spoilt.v1", &json!({ "stringData": { "release": "spoilt" } }));
    s.delete("spoilt");
    s.patch("helmrelease.dev/v1alpha1", "HelmRelease", "spoilt", &json!({ "metadata": { "finalizers": null } }));
    s.gone("spoilt");
    s.declare("spoilt", &web("1.0.0", json!({})));
    s.declare("nobody", &web("1.0.0", json!({})));
}

#[track_caller]
fn poisons_are_told(s: &Scenario<'_>, operator: &Operator) {
    // A rule of the schema cannot be evaluated over this one, so that the API server takes no status for it.
    assert!(s.event(UNSAYABLE, "InvalidSpec").contains("cannot be read"));
    for name in WRONG {
        s.eventually(&format!("{name} is told what is wrong"), || {
            let object = s.object("/apis/helmrelease.dev/v1alpha1", "helmreleases", name)?;
            let conditions = object["status"]["conditions"].as_array()?;
            let ready = conditions.iter().find(|one| one["type"] == "Ready")?;
            (ready["status"] == "False" && ready["reason"] == "InvalidSpec").then_some(())
        });
    }
    // Put right, it is a release like any other, and nothing that was said of it stays.
    let right = json!({ "spec": { "releaseVersion": "1.0.0", "chart": { "name": "web" } } });
    s.patch("helmrelease.dev/v1alpha1", "HelmRelease", "wrong-version", &right);
    let object = s.deployed("wrong-version", 1);
    assert!(condition(&object, "Stalled").is_none(), "{:?}", object.status);
    s.refused("nobody", "NotOurs");
    let said = s.refused("spoilt", "RecordUnreadable");
    assert!(said.contains("sh.helm.release.v1.spoilt.v1"), "{said}");
    assert_eq!(s.story("spoilt"), "1 deployed", "nothing is done over a record that cannot be read");
    assert!(operator.metric("malformed_objects_total", "") >= 5.0);
    assert!(operator.metric("malformed_records_total", "") >= 3.0);
    assert!(operator.metric("malformed_payloads_total", "") >= 1.0);
    for label in ["formula", "owner", "revision", "verified", "cleared"] {
        let counted = operator.metric("malformed_labels_total", &format!("\"{label}\""));
        assert!(counted >= 1.0, "{label}: {counted}");
    }
}
