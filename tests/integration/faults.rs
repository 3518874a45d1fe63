//! Answers of the API server that are no good, to the operator and to helm.

use std::time::Duration;

use helm_release_operator::api::HelmRelease;
use sandbox::proxy::{Action, RequestInfo, Rule, RuleHandle, Verb};
use serde_json::json;

use crate::scenario::{Scenario, web};
use crate::stage::Operator;
use crate::stage::process::parent_of;
use crate::stage::status::is_ready;
use crate::tests;

tests![
    bad_answers_and_a_hang_delay_only_their_own_release,
    bad_answers_to_watches_are_recovered_from,
    bad_answers_to_helm_lead_to_the_same_end,
    passing_overload_is_waited_out_by_helm_itself,
];

/// What some proxies in front of an API server answer.
const PAGE: &str = "<html><body><h1>We will be back soon</h1></body></html>";
/// helm's own limit for a step here, and what the operator adds before it ends the run from outside, with room.
const WALL_CLOCK: Duration = Duration::from_secs(100);

/// An answer as the API server words it.
fn status(code: u16, reason: &str, message: &str) -> Action {
    Action::Reply { status: code, headers: json_type(), body: failure(code, reason, message).into() }
}

fn json_type() -> Vec<(String, String)> {
    vec![("content-type".to_owned(), "application/json".to_owned())]
}

fn failure(code: u16, reason: &str, message: &str) -> String {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": message });
    status.to_string()
}

fn overload(retry_after: Option<&str>) -> Action {
    let mut headers = json_type();
    headers.extend(retry_after.map(|seconds| ("retry-after".to_owned(), seconds.to_owned())));
    Action::Reply { status: 429, headers, body: failure(429, "TooManyRequests", "Too many requests").into() }
}

fn page(code: u16) -> Action {
    Action::Reply { status: code, headers: vec![("content-type".into(), "text/html".into())], body: PAGE.into() }
}

/// The write is done and the answer says that it may not be.
fn too_late() -> Action {
    Action::ForwardThenReply {
        status: 504,
        body: failure(
            504,
            "Timeout",
            "Timeout: request did not complete within requested timeout - context deadline exceeded",
        )
        .into(),
    }
}

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
    // Somebody could not be helped by anything but the clock meanwhile.
    let over = sandbox::wait::until(WALL_CLOCK, || parent_of(helm).is_none().then_some(()));
    assert!(over.is_some(), "helm still hangs after {WALL_CLOCK:?}");
    good(s, "hanging-helm", "1.1.0");
    let story = s.story("hanging-helm");
    println!("after a hang: {story}");
    assert!(s.revisions("hanging-helm").len() <= 4 && story.ends_with("deployed"), "{story}");
    assert_eq!(operator.ask("/healthz").unwrap().0, 200);
}

/// A release whose upgrade hangs in a request of helm's that is never answered; the process.
#[track_caller]
fn hang(s: &Scenario<'_>, operator: &Operator) -> u32 {
    let spec = |version| web(version, json!({ "timeout": "2s", "values": { "replicas": 0 } }));
    s.declare("hanging-helm", &spec("1.0.0"));
    s.deployed("hanging-helm", 1);
    s.marked("hanging-helm", 1);
    let rule = disturb_helm(s, "hanging-helm", Action::Hang, 1);
    s.declare("hanging-helm", &spec("1.1.0"));
    s.eventually("helm hangs", || (rule.hits() == 1).then_some(()));
    assert_eq!(s.story("hanging-helm"), "1 deployed, 2 pending-upgrade");
    operator.children()[0]
}

/// Waits until the release is good at that version, by whatever way.
#[track_caller]
fn good(s: &Scenario<'_>, name: &str, version: &str) -> HelmRelease {
    let object = s.until(name, &format!("Ready=True with {version}"), |object| {
        let deployed = object.status.as_ref().and_then(|status| status.deployed.as_ref());
        is_ready(object) && deployed.is_some_and(|deployed| deployed.version == version)
    });
    assert_eq!(s.config(name, "version"), version, "{name}");
    object
}

fn bad_answers_to_the_operator(s: &Scenario<'_>, operator: &Operator) {
    let storms = [
        ("conflict", status(409, "Conflict", "the object has been modified"), 2),
        ("overload", overload(None), 2),
        ("throttled", overload(Some("1")), 2),
        ("error", status(500, "InternalError", "etcd is not well"), 2),
        ("late", too_late(), 1),
        ("broken-off", Action::TruncateBody(20), 1),
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
    for (name, rules) in &rules {
        for (what, rule) in rules {
            assert!(rule.hits() > 0, "{name}: {what} was never disturbed");
        }
        assert_eq!(s.story(name), "1 deployed", "{name}");
        disturb(s, name, &too_late(), 1);
        s.declare(name, &spec(name, "1.1.0"));
    }
    for (name, _, _) in &storms {
        s.deployed(name, 2);
        s.marked(name, 2);
        assert_eq!(s.story(name), "1 superseded, 2 deployed", "{name}");
        assert_eq!(s.config(name, "version"), "1.1.0");
    }
    assert_eq!(s.story("calm"), "1 deployed");
    assert!(operator.children().len() <= 1, "nothing but what hangs is left");
}

fn bad_answers_to_watches_are_recovered_from(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    let expired = json!({ "type": "ERROR", "object": { "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": 410, "reason": "Expired", "message": "too old resource version" } });
    let event = Action::Reply { status: 200, headers: json_type(), body: format!("{expired}\n").into() };
    let storms = [
        ("helmreleases", vec![status(410, "Expired", "too old resource version"), event.clone()]),
        ("secrets", vec![event, page(200)]),
        ("configmaps", vec![page(503), Action::TruncateBody(40)]),
        ("deployments", vec![overload(Some("1")), status(500, "InternalError", "etcd is not well")]),
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
        is_helm(info)
            && info.is_write()
            && info.resource == "deployments"
            && info.name.as_deref().is_none_or(|name| name == release)
    };
    s.proxy.rule(Rule::new(is_it, action).times(times))
}

fn bad_answers_to_helm_lead_to_the_same_end(s: &Scenario<'_>) {
    let _operator = s.operate();
    let storms = [
        ("error", status(500, "InternalError", "Internal error occurred: etcd is not well")),
        ("late", too_late()),
        ("page", page(503)),
        ("page-of-error", page(500)),
        ("overload", overload(None)),
    ];
    // Without a second attempt at what would be the version's own fault.
    let spec = |version| web(version, json!({ "upgrade": { "retries": 0 }, "values": { "replicas": 0 } }));
    for (name, _) in &storms {
        s.declare(name, &spec("1.0.0"));
    }
    s.declare("calm", &spec("1.0.0"));
    for (name, _) in &storms {
        s.deployed(name, 1);
        s.marked(name, 1);
    }
    let rules: Vec<_> = storms.into_iter().map(|(name, action)| (name, disturb_helm(s, name, action, 1))).collect();
    for (name, _) in &rules {
        s.declare(name, &spec("1.1.0"));
    }
    s.deployed("calm", 1);
    for (name, rule) in &rules {
        let object = good(s, name, "1.1.0");
        assert_eq!(rule.hits(), 1, "{name} was disturbed");
        // The revision that helm could not complete, the way back, and the next attempt, at the most.
        let story = s.story(name);
        println!("{name}: {story}");
        assert!(s.revisions(name).len() <= 4 && story.ends_with("deployed"), "{name}: {story}");
        assert!(object.status.unwrap().quarantined.is_empty(), "{name}: the version has no fault: {story}");
    }
    assert_eq!(s.story("calm"), "1 deployed");
}

fn passing_overload_is_waited_out_by_helm_itself(s: &Scenario<'_>) {
    let _operator = s.operate();
    let rule = disturb_helm(s, "a", overload(Some("1")), 2);
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    assert_eq!((rule.hits(), &*s.story("a")), (2, "1 deployed"));
}
