//! Releases that wait for others.

use sandbox::proxy::Verb;
use serde_json::{Value, json};

use crate::scenario::{Scenario, web};
use crate::stage::status::condition;
use crate::tests;

tests![
    release_is_installed_when_its_dependency_becomes_ready_and_asks_nothing_until_then,
    dependency_that_fails_is_named_until_it_is_repaired,
    missing_dependency_is_named_until_it_is_created,
    dependency_in_an_unwatched_namespace_is_said,
    deployed_release_is_not_disturbed_by_its_dependency,
    expression_over_the_dependency_decides,
    expression_that_is_none_is_refused_with_its_place,
    cycle_is_said_with_its_way_and_broken_by_an_edit,
];

/// A release of the web chart that waits for `name`.
fn after(name: &str) -> Value {
    web("1.0.0", json!({ "dependsOn": [{ "name": name }] }))
}

/// Waits until the release says that it waits, in these words.
#[track_caller]
fn waits(s: &Scenario<'_>, name: &str, words: &str) {
    s.until(name, &format!("waits: {words}"), |object| {
        condition(object, "Ready").is_some_and(|ready| {
            ready.status == "False" && ready.reason == "DependencyNotReady" && ready.message.contains(words)
        })
    });
    assert_eq!(s.story(name), "", "nothing is installed");
}

fn release_is_installed_when_its_dependency_becomes_ready_and_asks_nothing_until_then(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("base", &web("1.0.0", json!({ "suspend": true })));
    s.until("base", "looked at", |object| condition(object, "Ready").is_some());
    s.declare("a", &after("base"));
    waits(s, "a", "/base: it is not ready (Suspended)");
    s.event("a", "DependencyNotReady");
    s.touch(&operator, "a");
    let before = s.proxy.snapshot();
    s.touch(&operator, "a");
    let (requests, table) = s.requests_since(&before);
    assert_eq!(requests, 0, "a pass over a release that waits asks nothing:\n{table}");
    s.declare("base", &web("1.0.0", json!({})));
    let base = s.deployed("base", 1);
    let a = s.deployed("a", 1);
    let began = |object: &helm_release_operator::api::HelmRelease| {
        object.status.as_ref().and_then(|status| status.history.first()).map(|entry| (entry.start, entry.end))
    };
    let ((_, base_ended), (a_began, _)) = (began(&base).unwrap(), began(&a).unwrap());
    let idle = a_began.duration_since(base_ended);
    println!("installed {idle:#} after its dependency was good");
    assert!(!idle.is_negative(), "in this order");
    let polled = s.proxy.counts(|key| key.resource.starts_with("helmreleases") && key.verb == Verb::Get);
    assert_eq!(polled, 0, "no HelmRelease was ever asked for");
}

fn dependency_that_fails_is_named_until_it_is_repaired(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("base", &web("1.0.0", json!({ "timeout": "3s", "values": { "outcome": "never-ready" } })));
    s.declare("a", &after("base"));
    waits(s, "a", "/base: it is not ready (InstallFailed)");
    s.declare("base", &web("1.0.0", json!({})));
    s.ready("base");
    s.deployed("a", 1);
}

fn missing_dependency_is_named_until_it_is_created(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &after("base"));
    waits(s, "a", "/base: it does not exist");
    s.event("a", "DependencyNotReady");
    s.declare("base", &web("1.0.0", json!({})));
    s.deployed("base", 1);
    s.deployed("a", 1);
}

fn dependency_in_an_unwatched_namespace_is_said(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("a", &web("1.0.0", json!({ "dependsOn": [{ "name": "base", "namespace": "default" }] })));
    waits(s, "a", "default/base: its namespace is not watched");
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
}

fn deployed_release_is_not_disturbed_by_its_dependency(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("base", &web("1.0.0", json!({})));
    s.declare("a", &after("base"));
    s.deployed("a", 1);
    s.marked("a", 1);
    s.delete("base");
    s.gone("base");
    s.touch(&operator, "a");
    s.deployed("a", 1);
    s.declare("a", &web("1.1.0", json!({ "dependsOn": [{ "name": "base" }] })));
    let message = s.refused("a", "DependencyNotReady");
    assert!(message.contains("/base: it does not exist"), "{message}");
    assert_eq!(s.story("a"), "1 deployed", "an upgrade waits, and what is deployed stays");
    s.declare("base", &web("1.0.0", json!({})));
    s.deployed("a", 2);
}

fn expression_over_the_dependency_decides(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("base", &web("1.0.0", json!({})));
    s.deployed("base", 1);
    let expression = "has(dep.status.deployed) && dep.status.deployed.version == self.spec.releaseVersion";
    s.declare("a", &web("1.1.0", json!({ "dependsOn": [{ "name": "base", "readyWhen": expression }] })));
    waits(s, "a", "/base: readyWhen is false");
    s.declare("base", &web("1.1.0", json!({})));
    s.deployed("a", 1);
    let secret = "dep.spec.values.message == 'x'";
    s.declare("b", &web("1.0.0", json!({ "dependsOn": [{ "name": "base", "readyWhen": secret }] })));
    waits(s, "b", "readyWhen has no answer: there is no field \"values\"");
}

fn expression_that_is_none_is_refused_with_its_place(s: &Scenario<'_>) {
    let _operator = s.operate();
    let depends = |expression: &str| json!({ "dependsOn": [{ "name": "base", "readyWhen": expression }] });
    s.declare("a", &web("1.0.0", depends("dep.status.deployed.version = '1.0.0'")));
    let message = s.refused("a", "InvalidSpec");
    assert!(message.contains("spec.dependsOn[0].readyWhen, at character 29"), "{message}");
    let deep = format!("{}true{}", "(".repeat(500), ")".repeat(500));
    s.declare("deep", &web("1.0.0", depends(&deep)));
    let message = s.refused("deep", "InvalidSpec");
    assert!(message.contains("nested more than"), "{message}");
    let longer = s.try_declare("long", &web("1.0.0", depends(&"x".repeat(1025))));
    assert!(longer.is_err(), "the schema refuses what is too long");
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
}

fn cycle_is_said_with_its_way_and_broken_by_an_edit(s: &Scenario<'_>) {
    let _operator = s.operate();
    let way =
        |names: &[&str]| names.iter().map(|name| format!("{}/{name}", s.namespace)).collect::<Vec<_>>().join(" → ");
    s.declare("self", &after("self"));
    waits(s, "self", &way(&["self", "self"]));
    s.declare("a", &after("b"));
    s.declare("b", &after("c"));
    s.declare("c", &after("a"));
    waits(s, "a", &way(&["a", "b", "c", "a"]));
    waits(s, "b", &way(&["b", "c", "a", "b"]));
    waits(s, "c", &way(&["c", "a", "b", "c"]));
    s.until("c", "Stalled", |object| condition(object, "Stalled").is_some_and(|stalled| stalled.status == "True"));
    s.declare("c", &web("1.0.0", json!({})));
    for name in ["c", "b", "a"] {
        s.deployed(name, 1);
    }
}
