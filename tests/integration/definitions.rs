//! Charts that bring CustomResourceDefinitions, and objects of their own kinds.

use sandbox::charts::Chart;
use serde_json::{Value, json};

use crate::scenario::{Scenario, chart, web};
use crate::stage::status::condition;
use crate::tests;

tests![
    chart_with_objects_of_its_own_kind_installs_in_one_go,
    definition_that_differs_is_left_alone_and_told,
    definition_that_differs_is_replaced_on_request,
    skipped_definitions_are_not_created,
    other_kinds_among_the_definitions_are_refused_by_name,
    service_account_needs_the_right_to_create_definitions,
    removal_leaves_the_definitions,
    two_releases_may_bring_the_same_definition_at_once,
];

/// Definitions belong to the cluster, which the scenarios share: each has a group of its own.
fn group(s: &Scenario<'_>) -> String {
    format!("{}.example.org", s.namespace)
}

fn name(s: &Scenario<'_>) -> String {
    format!("rainbows.{}", group(s))
}

fn definition(s: &Scenario<'_>, colours: &[&str]) -> String {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "colour": {"type": "string", "enum": colours}}}}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": name(s), "creationTimestamp": null},
        "spec": {
            "group": group(s), "scope": "Namespaced", "preserveUnknownFields": false,
            "names": {"kind": "Rainbow", "plural": "rainbows"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
    .to_string()
}

/// The web chart with the definition of rainbows, and a rainbow of the last of their colours.
fn rainbow(s: &Scenario<'_>, version: &str, colours: &[&str]) -> Chart {
    let colour = colours.last().copied().unwrap_or_default();
    let object = json!({"apiVersion": format!("{}/v1", group(s)), "kind": "Rainbow", "spec": {"colour": colour}});
    let named = object.to_string().replacen('{', r#"{"metadata":{"name":"{{ .Release.Name }}"},"#, 1);
    chart(version).file("crds/rainbows.yaml", definition(s, colours)).file("templates/rainbow.yaml", named)
}

#[track_caller]
fn live(s: &Scenario<'_>) -> Option<Value> {
    let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}", name(s));
    s.land.sandbox.get(&path).unwrap()
}

#[track_caller]
fn colours(s: &Scenario<'_>) -> Value {
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/colour/enum";
    live(s).and_then(|mut object| object.pointer_mut(path).map(Value::take)).unwrap_or_default()
}

#[track_caller]
fn colour(s: &Scenario<'_>, release: &str) -> Value {
    let object = s.object(&format!("/apis/{}/v1", group(s)), "rainbows", release);
    object.unwrap_or_default()["spec"]["colour"].take()
}

fn chart_with_objects_of_its_own_kind_installs_in_one_go(s: &Scenario<'_>) {
    s.repository.publish(&rainbow(s, "4.0.0", &["red"]));
    let operator = s.operate();
    s.declare("a", &web("4.0.0", json!({})));
    let object = s.deployed("a", 1);
    assert_eq!(colour(s, "a"), "red");
    assert_eq!(object.status.unwrap().history.len(), 1, "the first attempt was good");
    s.marked("a", 1);
    s.touch(&operator, "a");
    assert_eq!(s.story("a"), "1 deployed");
}

fn definition_that_differs_is_left_alone_and_told(s: &Scenario<'_>) {
    s.repository.publish(&rainbow(s, "4.0.0", &["red", "blue"]));
    s.repository.publish(&rainbow(s, "4.1.0", &["green", "red", "blue"]));
    let operator = s.operate();
    s.declare("a", &web("4.0.0", json!({})));
    s.deployed("a", 1);
    s.declare("a", &web("4.1.0", json!({})));
    let object = s.deployed("a", 2);
    assert_eq!(colours(s), json!(["red", "blue"]));
    let said = &condition(&object, "Released").unwrap().message;
    assert!(said.contains(&name(s)) && said.contains("left alone"), "{said}");
    assert!(s.event("a", "CustomResourceDefinitionDiffers").contains(&name(s)));
    s.marked("a", 2);
    let before = s.object("/apis/helmrelease.dev/v1alpha1", "helmreleases", "a").unwrap();
    s.touch(&operator, "a");
    let after = s.object("/apis/helmrelease.dev/v1alpha1", "helmreleases", "a").unwrap();
    assert_eq!(before["status"], after["status"]);
}

fn definition_that_differs_is_replaced_on_request(s: &Scenario<'_>) {
    s.repository.publish(&rainbow(s, "4.0.0", &["red", "blue"]));
    s.repository.publish(&rainbow(s, "4.1.0", &["green", "red", "blue"]));
    let _operator = s.operate();
    s.declare("a", &web("4.0.0", json!({})));
    s.deployed("a", 1);
    s.declare("a", &web("4.1.0", json!({})));
    s.deployed("a", 2);
    // The same chart and values: what is asked for is the definition.
    s.declare("a", &web("4.1.0", json!({ "crds": "CreateReplace" })));
    let object = s.deployed("a", 3);
    assert_eq!(colours(s), json!(["green", "red", "blue"]));
    let said = &condition(&object, "Released").unwrap().message;
    assert!(!said.contains("left alone"), "{said}");
}

fn skipped_definitions_are_not_created(s: &Scenario<'_>) {
    s.repository.publish(&rainbow(s, "4.0.0", &["red"]));
    let _operator = s.operate();
    s.declare("a", &web("4.0.0", json!({ "crds": "Skip" })));
    let message = s.refused("a", "InstallFailed");
    assert!(message.contains("Rainbow"), "{message}");
    assert_eq!((live(s), &*s.story("a")), (None, ""));
    s.declare("a", &web("4.0.0", json!({ "crds": "Create" })));
    s.deployed("a", 1);
}

fn other_kinds_among_the_definitions_are_refused_by_name(s: &Scenario<'_>) {
    let settings = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: stowaway\n";
    s.repository.publish(&rainbow(s, "4.0.0", &["red"]).file("crds/settings.yaml", settings));
    let _operator = s.operate();
    let bystander = s.bystander();
    s.declare("a", &web("4.0.0", json!({})));
    let message = s.refused("a", "Refused");
    assert!(message.contains("crds/settings.yaml") && message.contains("ConfigMap stowaway"), "{message}");
    assert_eq!((live(s), &*s.story("a")), (None, ""));
    bystander.is_untouched(s);
}

fn service_account_needs_the_right_to_create_definitions(s: &Scenario<'_>) {
    s.repository.publish(&rainbow(s, "4.0.0", &["red"]));
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "tenant" } });
    s.land.cluster.apply_value(Some(&s.namespace), &account).unwrap();
    s.grant("admin", "tenant");
    let _operator = s.operate();
    s.declare("a", &web("4.0.0", json!({ "serviceAccountName": "tenant" })));
    let message = s.refused("a", "InstallFailed");
    for words in ["forbidden", "tenant", &name(s)] {
        assert!(message.contains(words), "{words}: {message}");
    }
    assert_eq!((live(s), &*s.story("a")), (None, ""));
    // A role cannot be bound to another in place, so the right comes with a second account.
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "chief" } });
    s.land.cluster.apply_value(Some(&s.namespace), &account).unwrap();
    s.grant("cluster-admin", "chief");
    s.declare("a", &web("4.0.0", json!({ "serviceAccountName": "chief" })));
    s.annotate("a", "helmrelease.dev/retry");
    s.deployed("a", 1);
}

fn removal_leaves_the_definitions(s: &Scenario<'_>) {
    s.repository.publish(&rainbow(s, "4.0.0", &["red"]));
    let _operator = s.operate();
    s.declare("a", &web("4.0.0", json!({})));
    s.deployed("a", 1);
    s.delete("a");
    s.gone("a");
    assert_eq!((s.story("a"), colour(s, "a")), (String::new(), Value::Null));
    assert_eq!(colours(s), json!(["red"]));
}

fn two_releases_may_bring_the_same_definition_at_once(s: &Scenario<'_>) {
    s.repository.publish(&rainbow(s, "4.0.0", &["red"]));
    let _operator = s.operate();
    s.declare("a", &web("4.0.0", json!({})));
    s.declare("b", &web("4.0.0", json!({})));
    for release in ["a", "b"] {
        let object = s.deployed(release, 1);
        assert_eq!(object.status.unwrap().history.len(), 1, "the first attempt was good");
        assert_eq!(colour(s, release), "red");
    }
}
