//! The end of a release.

use serde_json::{Value, json};

use crate::scenario::{Scenario, chart, web};
use crate::tests;

tests![
    deleted_release_is_uninstalled,
    release_deleted_while_the_operator_is_down_is_uninstalled_at_its_return,
    orphaned_release_stays,
    release_that_never_was_is_let_go,
    suspended_release_is_uninstalled_all_the_same,
    deletion_waits_until_the_objects_are_gone,
    release_removed_by_hand_is_installed_again_once_its_objects_are_gone,
    deletion_waits_for_nothing_that_belongs_to_another_release,
    deletion_waits_for_no_object_of_a_kind_that_is_gone,
];

/// Fails when anything of the release is left.
#[track_caller]
fn nothing_left(s: &Scenario<'_>, name: &str) {
    assert_eq!(s.story(name), "", "no record");
    for (version, plural) in [("/api/v1", "configmaps"), ("/api/v1", "services"), ("/apis/apps/v1", "deployments")] {
        assert!(s.object(version, plural, name).is_none(), "{plural} {name} is left");
    }
}

fn deleted_release_is_uninstalled(s: &Scenario<'_>) {
    let _operator = s.operate();
    let bystander = s.bystander();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.delete("a");
    s.gone("a");
    nothing_left(s, "a");
    bystander.is_untouched(s);
}

fn release_deleted_while_the_operator_is_down_is_uninstalled_at_its_return(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    operator.kill();
    s.delete("a");
    s.until("a", "still there, being deleted", |object| object.metadata.deletion_timestamp.is_some());
    assert_eq!(s.story("a"), "1 deployed");
    let _operator = s.operate();
    s.gone("a");
    nothing_left(s, "a");
}

fn orphaned_release_stays(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &web("1.0.0", json!({ "deletionPolicy": "Orphan" })));
    s.deployed("a", 1);
    s.delete("a");
    s.gone("a");
    assert_eq!(s.story("a"), "1 deployed");
    assert!(s.object("/apis/apps/v1", "deployments", "a").is_some(), "the objects stay");
    // What was let go of is somebody else's until it is taken over.
    s.declare("a", &web("1.0.0", json!({ "deletionPolicy": "Orphan" })));
    s.until("a", "judged", |object| {
        crate::stage::status::condition(object, "Ready").is_some_and(|ready| ready.status != "Unknown")
    });
    assert_eq!(s.story("a"), "1 deployed", "no revision over a release that is good");
}

fn release_that_never_was_is_let_go(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &json!({ "chart": { "name": "nowhere" } }));
    s.refused("a", "ChartUnavailable");
    s.delete("a");
    s.gone("a");
    nothing_left(s, "a");
}

fn suspended_release_is_uninstalled_all_the_same(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.declare("a", &web("1.0.0", json!({ "suspend": true })));
    s.delete("a");
    s.gone("a");
    nothing_left(s, "a");
}

fn deletion_waits_until_the_objects_are_gone(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    let held = |finalizers: &[&str]| {
        s.patch("v1", "ConfigMap", "a", &json!({ "metadata": { "finalizers": finalizers } }));
    };
    held(&["example.org/held"]);
    s.delete("a");
    s.until("a", "the object that is stuck is named", |object| {
        crate::stage::status::condition(object, "Ready").is_some_and(|ready| ready.message.contains("ConfigMap"))
    });
    held(&[]);
    s.gone("a");
    nothing_left(s, "a");
}

fn release_removed_by_hand_is_installed_again_once_its_objects_are_gone(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    let held = |finalizers: &[&str]| {
        s.patch("v1", "ConfigMap", "a", &json!({ "metadata": { "finalizers": finalizers } }));
    };
    held(&["example.org/held"]);
    s.helm(&["uninstall", "a"]);
    s.until("a", "the object on its way out is named", |object| {
        crate::stage::status::condition(object, "Ready").is_some_and(|ready| ready.message.contains("ConfigMap"))
    });
    assert_eq!(s.story("a"), "", "nothing is installed over it");
    held(&[]);
    s.deployed("a", 1);
    let object = s.object("/api/v1", "configmaps", "a").expect("it was made anew");
    assert!(object["metadata"]["deletionTimestamp"].is_null());
}

fn deletion_waits_for_nothing_that_belongs_to_another_release(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    let annotations = json!({ "meta.helm.sh/release-name": "another" });
    s.patch("v1", "ConfigMap", "a", &json!({ "metadata": { "annotations": annotations } }));
    s.delete("a");
    s.gone("a");
    assert_eq!(s.story("a"), "", "no record");
    assert!(s.object("/api/v1", "configmaps", "a").is_some(), "helm left it to the other release");
    assert!(s.object("/api/v1", "services", "a").is_none());
}

fn deletion_waits_for_no_object_of_a_kind_that_is_gone(s: &Scenario<'_>) {
    let group = format!("{}.example.org", s.namespace);
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("things.{group}") },
        "spec": { "group": group, "scope": "Namespaced", "names": { "plural": "things", "kind": "Thing" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema":
                { "type": "object", "x-kubernetes-preserve-unknown-fields": true } } }] },
    });
    s.land.cluster.apply_value(None, &definition).unwrap();
    let thing = format!("apiVersion: {group}/v1\nkind: Thing\nmetadata:\n  name: held\n");
    s.repository.publish(&chart("1.6.0").file("templates/thing.yaml", thing));
    let operator = s.operate();
    s.declare("a", &web("1.6.0", json!({})));
    s.deployed("a", 1);
    let api_version = format!("{group}/v1");
    let held = |api_version: &str, kind: &str, name: &str, finalizers: Value| {
        s.patch(api_version, kind, name, &json!({ "metadata": { "finalizers": finalizers } }));
    };
    held(&api_version, "Thing", "held", json!(["example.org/held"]));
    held("v1", "ConfigMap", "a", json!(["example.org/held"]));
    s.delete("a");
    s.until("a", "helm is done, and an object that is stuck is named", |object| {
        let ready = crate::stage::status::condition(object, "Ready");
        ready.is_some_and(|ready| ready.message.contains("ConfigMap") || ready.message.contains("Thing"))
    });
    let name = format!("things.{group}");
    let before = s.proxy.snapshot();
    s.land.cluster.delete_from_cluster("apiextensions.k8s.io/v1", "CustomResourceDefinition", &name).unwrap();
    held(&api_version, "Thing", "held", Value::Null);
    let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
    s.eventually("the kind is gone", || s.land.sandbox.get(&path).unwrap().is_none().then_some(()));
    s.eventually("the operator looks for the kind in vain", || {
        let asked = s.proxy.snapshot().since(&before);
        (asked.total(|key| key.resource == "things") > 0).then_some(())
    });
    s.touch(&operator, "a");
    held("v1", "ConfigMap", "a", Value::Null);
    s.gone("a");
    nothing_left(s, "a");
}
