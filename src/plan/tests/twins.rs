//! No two cases tell the same.
//!
//! What a case tells is the way to its decision: which rule decides, what every other rule would have said if it had
//! been asked, the words, what is told and what memory keeps; and the words that rules match one by one, so that each
//! is an arm of its own: whose the newest record is and what helm calls it, and how a run or a dependency came out. Two cases with the same way may still be two corners of
//! one rule, which differ in several facts that only together lead there. They tell the same where one becomes the
//! other fact by fact, in whatever order, and every snapshot in between goes the same way: then none of the facts in
//! which they differ counts for anything.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::cases::{CASES, Case, name_of_action, name_of_note, name_of_wake, rule};
use crate::{
    plan::{Action, Because, Plan, RULES, Rule, draft::Draft, plan, rules},
    release::{Flight, Memory, Outcome, Records, Snapshot, Spec},
};

/// More facts than these are not taken one by one: cases that differ in so many are two situations.
const FACTS: usize = 10;

type Way = BTreeSet<String>;

/// The way to a decision, as words.
fn way(snapshot: &Snapshot) -> Way {
    let Plan { action, memory, because, held: _, notes, wake } = plan(snapshot);
    let mut way = BTreeSet::from([
        format!("rule {}", rule(snapshot).unwrap_or("none")),
        format!("says {}", words(&because)),
        format!("does {}", deed(&action)),
        format!("wakes {}", name_of_wake(&wake)),
    ]);
    way.extend(notes.iter().map(|note| format!("tells {}", name_of_note(note))));
    way.extend(arms(snapshot));
    way.extend(answers(snapshot));
    let of = |memory: &Memory| serde_json::to_value(memory).unwrap();
    learned("", &of(&snapshot.memory), &of(&memory), &mut way);
    way
}

/// The words that rules match without a wildcard.
fn arms(snapshot: &Snapshot) -> Vec<String> {
    let newest = snapshot.records.is().and_then(Records::newest).map(|newest| {
        let whose = match &newest.owner {
            None => "nobody's",
            Some(owner) if *owner == snapshot.object.owner() => "ours",
            Some(_) => "another's",
        };
        format!("newest is {whose} and {}", newest.status)
    });
    let ended = match &snapshot.flight {
        Flight::Ended(Outcome { ended, records, .. }) => {
            let newest = records.as_ref().and_then(Records::newest).map(|newest| newest.status);
            Some(format!("ended {} over {newest:?}", serde_json::to_string(ended).unwrap()))
        }
        Flight::Idle | Flight::Queued | Flight::Granted | Flight::Running { .. } => None,
    };
    let states = snapshot.dependencies.iter().map(|dependency| format!("dependency {:?}", dependency.state));
    newest.into_iter().chain(ended).chain(states).collect()
}

/// What each rule would say if it were asked alone.
fn answers(snapshot: &Snapshot) -> Vec<String> {
    let (Spec::Valid(policy) | Spec::Invalid { policy: Some(policy), .. }) = &snapshot.spec else { return Vec::new() };
    let answer = |rule: &Rule| {
        let mut draft = Draft::new(snapshot, policy);
        rules::notice(&mut draft);
        let decision = (rule.decide)(&mut draft)?;
        Some(format!("{} would say {} and do {}", rule.name, words(&decision.because), deed(&decision.action)))
    };
    RULES.iter().filter_map(answer).collect()
}

fn deed(action: &Action) -> String {
    match action {
        Action::Ask(priority) => format!("Ask {priority:?}"),
        Action::Start(operation) => format!("Start {:?} {:?}", operation.kind, operation.cause),
        Action::Adopt { digest, .. } => format!("Adopt {}", digest.is_some()),
        other => name_of_action(other).to_owned(),
    }
}

/// The variants in a reason, without what is only named.
fn words(because: &Because) -> String {
    let value = serde_json::to_value(because).unwrap();
    let mut words = vec![variant(&value)];
    match value.as_object().and_then(|fields| fields.values().next()) {
        Some(Value::Object(fields)) => {
            words.extend(["kind", "next", "view", "deployed"].iter().filter_map(|key| fields.get(*key)).map(variant));
        }
        Some(inner) if words[0] == "ViewPending" => words.push(variant(inner)),
        Some(_) | None => {}
    }
    words.join(" ")
}

fn variant(value: &Value) -> String {
    match value {
        Value::Object(fields) => fields.keys().next().cloned().unwrap_or_default(),
        Value::String(name) => name.clone(),
        other => other.to_string(),
    }
}

/// What memory has after it and had not before: all but moments and texts for people.
fn learned(path: &str, before: &Value, after: &Value, all: &mut Way) {
    const TEXTS: [&str; 8] = ["message", "version", "appVersion", "chart", "chartDigest", "inputs", "id", "digest"];
    let none = Value::Null;
    match (before, after) {
        (one, other) if one == other => {}
        (_, Value::Object(fields)) => {
            let known = |key| before.get(key).unwrap_or(&none);
            fields.iter().for_each(|(key, value)| learned(&format!("{path}/{key}"), known(key), value, all));
            let gone = before.as_object().into_iter().flat_map(Map::keys).filter(|key| !fields.contains_key(*key));
            all.extend(gone.map(|key| format!("forgets {path}/{key}")));
        }
        (before, Value::Array(items)) => {
            let known = before.as_array().map_or(&[][..], |known| &known[..]);
            let new = items.iter().filter(|item| !known.contains(item));
            new.for_each(|item| learned(&format!("{path}/new"), &none, item, all));
            if known.iter().any(|item| !items.contains(item)) {
                all.insert(format!("forgets {path}/one"));
            }
        }
        (_, Value::String(text)) => {
            let field = path.rsplit('/').next().unwrap_or_default();
            let shown = !TEXTS.contains(&field) && text.parse::<jiff::Timestamp>().is_err();
            all.insert(format!("keeps {path} {}", if shown { text } else { "" }));
        }
        (_, value) => drop(all.insert(format!("keeps {path} {value}"))),
    }
}

/// A snapshot as facts, each by the way to it.
fn facts(snapshot: &Snapshot) -> BTreeMap<Vec<String>, Value> {
    fn of(path: &[String], value: &Value, all: &mut BTreeMap<Vec<String>, Value>) {
        match value {
            Value::Object(fields) if path.len() < 2 => {
                fields.iter().for_each(|(key, value)| of(&[path, std::slice::from_ref(key)].concat(), value, all));
            }
            value => drop(all.insert(path.to_vec(), value.clone())),
        }
    }
    let mut all = BTreeMap::new();
    of(&[], &serde_json::to_value(snapshot).unwrap(), &mut all);
    all
}

fn snapshot_of(facts: &BTreeMap<Vec<String>, Value>) -> Option<Snapshot> {
    let mut whole = Map::new();
    for (path, value) in facts {
        let mut at = &mut whole;
        for key in &path[..path.len() - 1] {
            let inner = at.entry(key).or_insert_with(|| Value::Object(Map::new()));
            at = inner.as_object_mut()?;
        }
        at.insert(path[path.len() - 1].clone(), value.clone());
    }
    serde_json::from_value(Value::Object(whole)).ok()
}

/// Whether every snapshot between the two goes their way.
fn tell_the_same(one: &Case, other: &Case) -> bool {
    let (same, from, to) = (way(&one.snapshot), facts(&one.snapshot), facts(&other.snapshot));
    let paths: BTreeSet<_> = from.keys().chain(to.keys()).filter(|path| from.get(*path) != to.get(*path)).collect();
    if paths.len() > FACTS {
        return false;
    }
    (0..1_usize << paths.len()).all(|taken| {
        let mut between = from.clone();
        for (_, path) in paths.iter().enumerate().filter(|(at, _)| taken >> at & 1 == 1) {
            match to.get(*path) {
                Some(value) => drop(between.insert((*path).clone(), value.clone())),
                None => drop(between.remove(*path)),
            }
        }
        snapshot_of(&between).is_some_and(|snapshot| way(&snapshot) == same)
    })
}

#[test]
fn no_two_cases_tell_the_same() {
    let mut ways: BTreeMap<Way, Vec<&Case>> = BTreeMap::new();
    for case in CASES.iter() {
        ways.entry(way(&case.snapshot)).or_default().push(case);
    }
    let mut twins = Vec::new();
    for cases in ways.values() {
        for (at, one) in cases.iter().enumerate() {
            let same = cases[at + 1..].iter().filter(|other| tell_the_same(one, other));
            twins.extend(same.map(|other| format!("{}\n{}\n", one.name, other.name)));
        }
    }
    assert!(twins.is_empty(), "one of the two is enough:\n{}", twins.join("\n"));
}
