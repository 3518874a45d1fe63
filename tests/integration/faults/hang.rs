//! Requests that are never answered: helm has no limit for one, so its run ends by its wall clock.

use std::time::Duration;

use sandbox::proxy::{Action, RequestInfo, Rule, RuleHandle, Verb};
use serde_json::{Value, json};

use super::answers::{error, page};
use super::helm::{Place, Victim, all_are_right, disturb, good_at, is_history, is_object, is_record};
use super::is_helm;
use crate::scenario::{Scenario, web};
use crate::stage::process::parent_of;
use crate::tests;

tests![helm_that_is_never_answered_is_ended_and_no_version_blamed];

/// helm's own limit for a step here, and what the operator adds before it ends the run from outside, with room.
const WALL_CLOCK: Duration = Duration::from_secs(130);

/// As short as its own limits can be made, and quarantined at the first failure that is the version's own fault.
fn spec(version: &str) -> Value {
    web(version, json!({ "timeout": "20s", "upgrade": { "retries": 0 }, "values": { "replicas": 0 } }))
}

fn helm_that_is_never_answered_is_ended_and_no_version_blamed(s: &Scenario<'_>) {
    let mut settings = s.settings();
    // All of them hang at the same time.
    settings.further = vec!["--helm-slots=16".into()];
    let operator = s.operate_with(&settings);
    let places: [(&str, Place); 6] = [
        ("history", is_history),
        ("create", |info, release| is_record(info, Verb::Create, release, 2)),
        ("read", |info, release| is_object(info, Verb::Get, release)),
        ("write", |info, release| is_object(info, Verb::Patch, release)),
        ("superseded", |info, release| is_record(info, Verb::Update, release, 1)),
        ("deployed", |info, release| is_record(info, Verb::Update, release, 2)),
    ];
    let names = places.iter().map(|(name, _)| (*name).to_owned());
    let mut victims = good_at(s, &spec("1.0.0"), names);
    for (victim, (name, place)) in victims.iter_mut().zip(places) {
        victim.rule = Some(disturb(s, name, place, Action::Hang));
        s.declare(name, &spec("1.1.0"));
    }
    let hangs = |victim: &Victim| victim.rule.as_ref().is_some_and(|rule| rule.hits() == 1);
    s.eventually("every helm hangs", || victims.iter().all(hangs).then_some(()));
    let processes = operator.children();
    assert_eq!(processes.len(), victims.len(), "what hangs are processes of helm");
    let (unread, reads) = unread(s);
    let over = || processes.iter().all(|helm| parent_of(*helm).is_none()).then_some(());
    assert!(sandbox::wait::until(WALL_CLOCK, over).is_some(), "helm still hangs after {WALL_CLOCK:?}");
    let is_it = |line: &String| ["helm ended", "/unread", "Upgrade"].iter().all(|word| line.contains(word));
    let given_up = |line: &String| is_it(line).then_some(());
    s.eventually("the reads are given up", || operator.log().find(given_up));
    reads.remove();
    // Of these nothing was written, so that the next run made the second revision.
    let mut written = victims.split_off(2);
    all_are_right(s, &victims, "1.1.0", 2);
    written.push(unread);
    all_are_right(s, &written, "1.1.0", 4);
    assert_eq!(operator.ask("/healthz").unwrap().0, 200);
}

/// A release whose helm fails in the API server, and what it wrote cannot be read when it has ended: its words are lost,
/// and the record alone says that it failed. Also the rule that keeps the operator from reading.
#[track_caller]
fn unread(s: &Scenario<'_>) -> (Victim, RuleHandle) {
    let mut victim = good_at(s, &spec("1.0.0"), ["unread".to_owned()]).remove(0);
    let failing = disturb(s, "unread", |info, release| is_object(info, Verb::Patch, release), error());
    let failed = failing.clone();
    let is_it = move |info: &RequestInfo| {
        let listed = info.verb == Verb::List && info.resource == "secrets" && info.query.contains("name%3Dunread");
        failed.hits() > 0 && !is_helm(info) && (is_record(info, Verb::Get, "unread", 2) || listed)
    };
    let reads = s.proxy.rule(Rule::new(is_it, page(503)));
    victim.rule = Some(failing);
    s.declare("unread", &spec("1.1.0"));
    (victim, reads)
}
