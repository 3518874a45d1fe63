//! The intent is written and the answer says that it may not be: one run follows, never two and never none.

use sandbox::proxy::{RequestInfo, Rule, RuleHandle, Verb};
use serde_json::{Value, json};

use super::answers::too_late;
use crate::scenario::{Scenario, web};
use crate::tests;

tests![intents_whose_answers_are_lost_are_followed_by_one_run_each];

/// Loses the answer to the first write of status that says that helm is about to do this to the release.
fn lose_intent(s: &Scenario<'_>, release: &'static str, kind: &'static str) -> RuleHandle {
    let is_it = move |info: &RequestInfo| {
        let of_status = info.resource == "helmreleases" && info.subresource.as_deref() == Some("status");
        let written = info.verb == Verb::Patch && of_status && info.name.as_deref() == Some(release);
        let body: Value = if written { serde_json::from_slice(&info.body).unwrap_or_default() } else { Value::Null };
        body["status"]["operation"]["kind"] == kind
    };
    s.proxy.rule(Rule::new(is_it, too_late()).times(1))
}

fn intents_whose_answers_are_lost_are_followed_by_one_run_each(s: &Scenario<'_>) {
    let operator = s.operate();
    let spec = |version, outcome: &str| {
        let timeout = if outcome == "ready" { "60s" } else { "8s" };
        web(version, json!({ "timeout": timeout, "upgrade": { "retries": 0 }, "values": { "outcome": outcome } }))
    };
    let lost = [
        ("installed", lose_intent(s, "installed", "Install")),
        ("upgraded", lose_intent(s, "upgraded", "Upgrade")),
        ("rolled-back", lose_intent(s, "rolled-back", "Rollback")),
        ("removed", lose_intent(s, "removed", "Uninstall")),
    ];
    for (name, _) in &lost {
        s.declare(name, &spec("1.0.0", "ready"));
    }
    for (name, _) in &lost {
        s.deployed(name, 1);
        s.marked(name, 1);
    }
    s.declare("upgraded", &spec("1.1.0", "ready"));
    s.declare("rolled-back", &spec("1.1.0", "never-ready"));
    s.delete("removed");
    s.deployed("upgraded", 2);
    s.marked("upgraded", 2);
    s.refused("rolled-back", "RolledBack");
    s.marked("rolled-back", 3);
    s.gone("removed");
    for (name, rule) in &lost {
        assert_eq!(rule.hits(), 1, "{name}: no answer was lost");
    }
    for name in ["installed", "upgraded", "rolled-back"] {
        s.touch(&operator, name);
    }
    assert_eq!(s.story("installed"), "1 deployed");
    assert_eq!(s.story("upgraded"), "1 superseded, 2 deployed");
    assert_eq!(s.story("rolled-back"), "1 superseded, 2 superseded, 3 deployed");
    assert_eq!(s.story("removed"), "");
    // Four installs, two upgrades, a rollback; helm tries none a second time. The removal makes none.
    let made = s.proxy.counts(|key| {
        key.user_agent.starts_with("Helm/") && key.verb == Verb::Create && key.resource.starts_with("secrets")
    });
    assert_eq!(made, 7, "records that helm made or tried to make");
    let runs = operator.metric("operations_total", "");
    assert!((runs - 8.0).abs() < 0.5, "{runs} runs");
}
