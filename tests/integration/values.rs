//! Values from other objects.

use serde_json::{Value, json};

use crate::scenario::{Scenario, chart, web};
use crate::tests;

tests![
    values_come_from_config_map_and_secret_and_later_ones_win,
    changed_source_is_deployed,
    value_is_put_at_its_target_path,
    optional_source_may_be_missing_and_come_later,
    missing_secret_is_named_and_waited_for,
    missing_key_is_named,
    deleted_source_leaves_the_release_as_it_is,
    text_that_is_no_map_is_refused,
    values_that_break_the_charts_schema_are_refused,
    secret_values_are_told_nowhere,
];

/// The spec of a web release with these sources.
fn sourced(sources: Value, further: Value) -> Value {
    let mut spec = web("1.0.0", further);
    spec["valuesFrom"] = sources;
    spec
}

fn values_come_from_config_map_and_secret_and_later_ones_win(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.supply("ConfigMap", "first", "values.yaml", "message: config map\nreplicas: 0\n");
    s.supply("Secret", "second", "more.yaml", "message: secret\n");
    let sources = json!([{ "kind": "ConfigMap", "name": "first" }, { "kind": "Secret", "name": "second", "valuesKey": "more.yaml" }]);
    s.declare("a", &sourced(sources.clone(), json!({})));
    s.deployed("a", 1);
    assert_eq!(s.config("a", "message"), "secret");
    let replicas = || s.object("/apis/apps/v1", "deployments", "a").unwrap()["spec"]["replicas"].clone();
    assert_eq!(replicas(), 0, "what only the first says counts too");
    s.declare("a", &sourced(sources, json!({ "values": { "message": "inline" } })));
    s.deployed("a", 2);
    assert_eq!(s.config("a", "message"), "inline");
}

fn changed_source_is_deployed(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.supply("ConfigMap", "open", "values.yaml", "message: one\n");
    s.supply("Secret", "closed", "values.yaml", "replicas: 1\n");
    let sources = json!([{ "kind": "ConfigMap", "name": "open" }, { "kind": "Secret", "name": "closed" }]);
    s.declare("a", &sourced(sources, json!({})));
    s.deployed("a", 1);
    s.supply("ConfigMap", "open", "values.yaml", "message: two\n");
    s.deployed("a", 2);
    assert_eq!(s.config("a", "message"), "two");
    s.supply("Secret", "closed", "values.yaml", "replicas: 2\n");
    s.deployed("a", 3);
    assert_eq!(s.object("/apis/apps/v1", "deployments", "a").unwrap()["spec"]["replicas"], 2);
    // The same values said in another way are no change.
    s.supply("ConfigMap", "open", "values.yaml", "# a remark\nmessage: \"two\"\n");
    s.supply("ConfigMap", "more", "values.yaml", "message: other\n");
    s.declare("other", &sourced(json!([{ "kind": "ConfigMap", "name": "more" }]), json!({})));
    s.deployed("other", 1);
    assert!(s.story("a").ends_with("3 deployed"), "{}", s.story("a"));
}

fn value_is_put_at_its_target_path(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.supply("Secret", "token", "text", "12345");
    s.supply("ConfigMap", "count", "text", "2");
    let sources = json!([
        { "kind": "Secret", "name": "token", "valuesKey": "text", "targetPath": "message" },
        { "kind": "ConfigMap", "name": "count", "valuesKey": "text", "targetPath": "replicas" },
    ]);
    s.declare("a", &sourced(sources, json!({})));
    s.deployed("a", 1);
    assert_eq!(s.config("a", "message"), "12345");
    assert_eq!(s.object("/apis/apps/v1", "deployments", "a").unwrap()["spec"]["replicas"], 2);
}

fn optional_source_may_be_missing_and_come_later(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &sourced(json!([{ "kind": "Secret", "name": "later", "optional": true }]), json!({})));
    s.deployed("a", 1);
    assert_eq!(s.config("a", "message"), "hello");
    s.supply("Secret", "later", "values.yaml", "message: came\n");
    s.deployed("a", 2);
    assert_eq!(s.config("a", "message"), "came");
    s.delete_object("v1", "Secret", "later");
    s.deployed("a", 3);
    assert_eq!(s.config("a", "message"), "hello");
}

fn missing_secret_is_named_and_waited_for(s: &Scenario<'_>) {
    let operator = s.operate();
    let bystander = s.bystander();
    s.declare("a", &sourced(json!([{ "kind": "Secret", "name": "absent" }]), json!({})));
    let message = s.refused("a", "ValuesUnavailable");
    assert!(message.contains("Secret") && message.contains("absent"), "{message}");
    s.event("a", "ValuesUnavailable");
    s.touch(&operator, "a");
    assert_eq!(s.story("a"), "");
    s.supply("Secret", "absent", "values.yaml", "message: there\n");
    s.deployed("a", 1);
    assert_eq!(s.config("a", "message"), "there");
    bystander.is_untouched(s);
}

fn missing_key_is_named(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.supply("ConfigMap", "given", "other.yaml", "message: other\n");
    s.declare("a", &sourced(json!([{ "kind": "ConfigMap", "name": "given" }]), json!({})));
    let message = s.refused("a", "ValuesUnavailable");
    assert!(message.contains("given") && message.contains("values.yaml"), "{message}");
}

fn deleted_source_leaves_the_release_as_it_is(s: &Scenario<'_>) {
    let operator = s.operate();
    s.supply("ConfigMap", "given", "values.yaml", "message: given\n");
    s.declare("a", &sourced(json!([{ "kind": "ConfigMap", "name": "given" }]), json!({})));
    s.deployed("a", 1);
    s.delete_object("v1", "ConfigMap", "given");
    s.refused("a", "ValuesUnavailable");
    s.touch(&operator, "a");
    assert_eq!((&*s.story("a"), &*s.config("a", "message")), ("1 deployed", "given"));
}

fn text_that_is_no_map_is_refused(s: &Scenario<'_>) {
    let _operator = s.operate();
    let bystander = s.bystander();
    s.supply("ConfigMap", "text", "values.yaml", "just a sentence");
    s.declare("a", &sourced(json!([{ "kind": "ConfigMap", "name": "text" }]), json!({})));
    let message = s.refused("a", "ValuesUnavailable");
    assert!(message.contains("text") && message.contains("map"), "{message}");
    s.event("a", "ValuesUnavailable");
    s.supply("ConfigMap", "text", "values.yaml", "message: [broken");
    s.supply("ConfigMap", "broken", "values.yaml", "message: [broken");
    s.declare("b", &sourced(json!([{ "kind": "ConfigMap", "name": "broken" }]), json!({})));
    s.refused("b", "ValuesUnavailable");
    s.supply("ConfigMap", "text", "values.yaml", "message: a map\n");
    s.deployed("a", 1);
    bystander.is_untouched(s);
}

fn values_that_break_the_charts_schema_are_refused(s: &Scenario<'_>) {
    let schema = json!({ "properties": { "replicas": { "type": "integer", "maximum": 3 } } }).to_string();
    s.repository.publish(&chart("4.0.0").file("values.schema.json", schema));
    let _operator = s.operate();
    let bystander = s.bystander();
    s.declare("a", &web("4.0.0", json!({ "values": { "replicas": "many" } })));
    let message = s.refused("a", "InstallFailed");
    assert!(message.contains("replicas"), "{message}");
    s.event("a", "InstallFailed");
    s.declare("a", &web("4.0.0", json!({ "values": { "replicas": 1 } })));
    s.deployed("a", 1);
    s.declare("a", &web("4.0.0", json!({ "values": { "replicas": 9 } })));
    let message = s.refused("a", "UpgradeFailed");
    assert!(message.contains("replicas"), "{message}");
    assert_eq!(s.story("a"), "1 deployed", "no revision was written, so nothing is rolled back");
    bystander.is_untouched(s);
}

fn secret_values_are_told_nowhere(s: &Scenario<'_>) {
    const SECRET: &str = "swordfish-4711";
    let operator = s.operate();
    s.supply("Secret", "closed", "values.yaml", &format!("message: {SECRET}\nreplicas: not-a-number\n"));
    let sources = json!([{ "kind": "Secret", "name": "closed" }]);
    // What the API server refuses is quoted by helm, values included.
    s.declare("a", &sourced(sources, json!({})));
    s.refused("a", "InstallFailed");
    s.supply("Secret", "closed", "values.yaml", &format!("message: {SECRET}\n"));
    s.ready("a");
    assert_eq!(s.config("a", "message"), SECRET);
    let object = s.object("/apis/helmrelease.dev/v1alpha1", "helmreleases", "a").unwrap();
    let events = s.list("/apis/events.k8s.io/v1", "events");
    let about = events.iter().filter(|event| event["regarding"]["kind"] == "HelmRelease");
    assert!(!object.to_string().contains(SECRET), "status: {object:#}");
    about.for_each(|event| assert!(!event.to_string().contains(SECRET), "event: {event:#}"));
    assert!(!operator.log().contains(SECRET), "the log tells a secret value");
    assert!(!operator.ask("/metrics").unwrap().1.contains(SECRET), "the metrics tell a secret value");
}
