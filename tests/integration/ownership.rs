//! Releases that two want, and releases of others.

use serde_json::json;

use crate::scenario::{Scenario, chart, web};
use crate::tests;

tests![
    second_object_for_a_release_is_refused_with_the_owners_name,
    claim_passes_on_when_the_owner_is_deleted,
    release_of_somebody_else_is_left_alone,
];

fn second_object_for_a_release_is_refused_with_the_owners_name(s: &Scenario<'_>) {
    let operator = s.operate();
    let named = |message: &str| web("1.0.0", json!({ "releaseName": "shared", "values": { "message": message } }));
    s.declare("first", &named("first"));
    s.deployed("first", 1);
    s.declare("second", &named("second"));
    let message = s.refused("second", "ClaimedByAnother");
    assert!(message.contains("first"), "{message}");
    s.event("second", "ClaimedByAnother");
    s.touch(&operator, "first");
    s.touch(&operator, "second");
    assert_eq!((&*s.story("shared"), &*s.config("shared", "message")), ("1 deployed", "first"));
    s.delete("second");
    s.gone("second");
    s.ready("first");
    assert_eq!(s.story("shared"), "1 deployed", "the one that owns nothing takes nothing along");
}

fn claim_passes_on_when_the_owner_is_deleted(s: &Scenario<'_>) {
    let _operator = s.operate();
    let named = |message: &str| web("1.0.0", json!({ "releaseName": "shared", "values": { "message": message } }));
    s.declare("first", &named("first"));
    s.deployed("first", 1);
    s.declare("second", &named("second"));
    s.refused("second", "ClaimedByAnother");
    s.delete("first");
    s.gone("first");
    s.ready("second");
    assert_eq!(s.config("shared", "message"), "second");
}

fn release_of_somebody_else_is_left_alone(s: &Scenario<'_>) {
    let chart = s.archive(&chart("1.0.0"));
    s.helm(&["install", "theirs", &chart, "--set", "message=theirs"]);
    let operator = s.operate();
    let bystander = s.bystander();
    s.declare("theirs", &web("2.0.0", json!({})));
    s.refused("theirs", "NotOurs");
    s.event("theirs", "NotOurs");
    s.touch(&operator, "theirs");
    s.delete("theirs");
    s.gone("theirs");
    assert_eq!((&*s.story("theirs"), &*s.config("theirs", "message")), ("1 deployed", "theirs"));
    bystander.is_untouched(s);
}
