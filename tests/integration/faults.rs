//! Answers of the API server that are no good, to the operator and to helm.

pub(crate) mod answers;
pub(crate) mod hang;
pub(crate) mod helm;
pub(crate) mod intents;
pub(crate) mod lists;

use answers::{broken_off, conflict, error, expired_event, overload, page, status, too_late};
use sandbox::proxy::{Action, RequestInfo, Rule, RuleHandle, Verb};
use serde_json::json;

use crate::scenario::{Scenario, web};
use crate::stage::Operator;
use crate::stage::process::parent_of;
use crate::tests;

tests![
    bad_answers_and_a_hang_delay_only_their_own_release,
    bad_answers_to_watches_are_recovered_from,
    passing_overload_is_waited_out_by_helm_itself,
];

fn is_helm(info: &RequestInfo) -> bool {
    info.user_agent.starts_with("Helm/")
}

/// Disturbs the first requests of each kind that the operator makes for one release, values and records included.
fn disturb(s: &Scenario<'_>, release: &str, action: &Action, times: u64) -> Vec<(&'static str, RuleHandle)> {
    /// These come back after seconds, and the others at once.
    const SLOW: [&str; 2] = ["values", "the records"];
    type Kind = (&'static str, Verb, &'static str, Option<&'static str>);
    const KINDS: [Kind; 6] = [
        ("values", Verb::Get, "configmaps", None),
        ("the records", Verb::List, "secrets", None),
        ("the finalizer", Verb::Patch, "helmreleases", None),
        ("status", Verb::Patch, "helmreleases", Some("status")),
        ("the payload of a record", Verb::Get, "secrets", None),
        ("the mark", Verb::Patch, "secrets", None),
    ];
    let rule = |(what, verb, resource, subresource): Kind| {
        let (values, record) = (format!("{release}-values"), format!(".{release}.v"));
        let (release, query) = (release.to_owned(), format!("name%3D{release}"));
        let is_it = move |info: &RequestInfo| {
            let name = info.name.as_deref().unwrap_or_default();
            let listed = info.query.split(['&', ','].as_slice()).any(|part| part.ends_with(&query));
            let named = name == release || name == values || name.contains(&record) || listed;
            let same = info.verb == verb && info.resource == resource && info.subresource.as_deref() == subresource;
            same && named && !is_helm(info)
        };
        let times = if SLOW.contains(&what) { 1 } else { times };
        (what, s.proxy.rule(Rule::new(is_it, action.clone()).times(times)))
    };
    KINDS.map(rule).into()
}

fn bad_answers_and_a_hang_delay_only_their_own_release(s: &Scenario<'_>) {
    let operator = s.operate();
    let helm = hang(s, &operator);
    bad_answers_to_the_operator(s, &operator);
    assert!(parent_of(helm).is_some(), "it hangs all the time");
    assert_eq!(operator.ask("/healthz").unwrap().0, 200);
}

/// A release whose upgrade hangs in a request of helm's that is never answered; the process.
#[track_caller]
fn hang(s: &Scenario<'_>, operator: &Operator) -> u32 {
    // Far more than what the others take meanwhile.
    let spec = |version| web(version, json!({ "timeout": "10m", "values": { "replicas": 0 } }));
    s.declare("hanging-helm", &spec("1.0.0"));
    s.deployed("hanging-helm", 1);
    s.marked("hanging-helm", 1);
    let rule = disturb_helm(s, "hanging-helm", Action::Hang, 1);
    s.declare("hanging-helm", &spec("1.1.0"));
    s.eventually("helm hangs", || (rule.hits() == 1).then_some(()));
    assert_eq!(s.story("hanging-helm"), "1 deployed, 2 pending-upgrade");
    operator.children()[0]
}

fn bad_answers_to_the_operator(s: &Scenario<'_>, operator: &Operator) {
    let storms = [
        ("conflict", conflict(), 3),
        ("overload", overload(None), 2),
        ("throttled", overload(Some("1")), 2),
        ("error", error(), 2),
        ("late", too_late(), 1),
        ("broken-off", broken_off(), 1),
        ("hanging", Action::Hang, 1),
        ("page", page(200), 1),
        ("unavailable", page(503), 2),
    ];
    for (name, _, _) in &storms {
        s.supply("ConfigMap", &format!("{name}-values"), "values.yaml", "message: given\n");
    }
    let spec = |name: &str, version| {
        let from = json!([{ "kind": "ConfigMap", "name": format!("{name}-values") }]);
        web(version, json!({ "valuesFrom": from, "values": { "replicas": 0 } }))
    };
    let rules: Vec<_> = storms.iter().map(|(name, action, times)| (*name, disturb(s, name, action, *times))).collect();
    for (name, _, _) in &storms {
        s.declare(name, &spec(name, "1.0.0"));
    }
    // What nobody disturbs does not wait for the others.
    s.declare("calm", &web("1.0.0", json!({ "values": { "replicas": 0 } })));
    s.deployed("calm", 1);
    for (name, _, _) in &storms {
        s.deployed(name, 1);
        s.marked(name, 1);
    }
    let mut late = Vec::new();
    for (name, rules) in &rules {
        for (what, rule) in rules {
            assert!(rule.hits() > 0, "{name}: {what} was never disturbed");
        }
        assert_eq!(s.story(name), "1 deployed", "{name}");
        late.push((*name, disturb(s, name, &too_late(), 1)));
        s.declare(name, &spec(name, "1.1.0"));
    }
    for (name, _, _) in &storms {
        s.deployed(name, 2);
        s.marked(name, 2);
        assert_eq!(s.story(name), "1 superseded, 2 deployed", "{name}");
        assert_eq!(s.config(name, "version"), "1.1.0");
    }
    for (name, rules) in &late {
        // The finalizer is there since the first version.
        for (what, rule) in rules.iter().filter(|(what, _)| *what != "the finalizer") {
            assert_eq!(rule.hits(), 1, "{name}: {what} was never answered too late");
        }
    }
    assert_eq!(s.story("calm"), "1 deployed");
    assert!(operator.children().len() <= 1, "nothing but what hangs is left");
}

fn bad_answers_to_watches_are_recovered_from(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    let storms = [
        ("helmreleases", vec![status(410, "Expired", "too old resource version"), expired_event()]),
        ("secrets", vec![expired_event(), page(200)]),
        ("configmaps", vec![page(503), Action::TruncateBody(40)]),
        ("deployments", vec![overload(Some("1")), error()]),
    ];
    let mut rules = Vec::new();
    for (resource, actions) in storms {
        for action in actions {
            let is_it =
                move |info: &RequestInfo| info.verb == Verb::Watch && info.resource == resource && !is_helm(info);
            rules.push((resource, s.proxy.rule(Rule::new(is_it, action).times(1))));
        }
    }
    s.proxy.cut();
    s.declare("a", &web("1.1.0", json!({})));
    s.deployed("a", 2);
    s.marked("a", 2);
    s.eventually("every watch was answered badly", || rules.iter().all(|(_, rule)| rule.hits() == 1).then_some(()));
    // Whatever the views missed meanwhile is known now.
    s.touch(&operator, "a");
    s.deployed("a", 2);
    assert_eq!(s.story("a"), "1 superseded, 2 deployed");
    assert_eq!(s.config("a", "version"), "1.1.0");
}

/// Disturbs one write of helm's to the Deployment of a release.
fn disturb_helm(s: &Scenario<'_>, release: &'static str, action: Action, times: u64) -> RuleHandle {
    let is_it = move |info: &RequestInfo| {
        is_helm(info) && info.is_write() && info.resource == "deployments" && info.name.as_deref() == Some(release)
    };
    s.proxy.rule(Rule::new(is_it, action).times(times))
}

fn passing_overload_is_waited_out_by_helm_itself(s: &Scenario<'_>) {
    let _operator = s.operate();
    let rule = disturb_helm(s, "a", overload(Some("1")), 2);
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    assert_eq!((rule.hits(), &*s.story("a")), (2, "1 deployed"));
}
