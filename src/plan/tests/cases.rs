//! Cases from files: one snapshot each, as short as it can be told, and what is to come of it.
//!
//! A case that is `given` is merged over [`base`](short::base). Records, what is remembered of them, and moments have a
//! short form, which is spelled out before the snapshot is read. A file with a `snapshot`, as `explain --save` writes
//! it, is read as it is.

mod short;
mod smallest;

use std::{collections::BTreeSet, fs, path::PathBuf, sync::LazyLock};

use serde_json::{Value, json};

use crate::{
    plan::{Action, Because, Note, Plan, RULES, Wake, check, draft::Draft, plan, rules},
    release::Snapshot,
};

pub(super) use smallest::smallest;

macro_rules! variants {
    ($list:ident $name:ident of $type:ident: $($variant:ident)*) => {
        const $list: &[&str] = &[$(stringify!($variant)),*];
        /// The name of the variant. One that is added and not listed does not compile.
        pub(super) fn $name(value: &$type) -> &'static str {
            match value { $($type::$variant { .. } => stringify!($variant),)* }
        }
    };
}

variants!(ACTIONS name_of_action of Action: Idle AddFinalizer RemoveFinalizer Prepare Inspect Compare Detect Adopt Ask Withdraw Start Cancel Acknowledge
    Mark Clear Unlock);
variants!(REASONS name_of_reason of Because: Good Suspended Looking Queued Running Judging Recovering StrangerAtWork ViewPending
    ViewRefused Unread RecordUnreadable RecordSpoilt InvalidSpec Refused ClaimedByAnother NotOurs Adopting Received Inputs DependencyNotReady
    DependencyCycle AttemptFailed RollingBack RolledBack RolledBackByUser
    RollbackFailed RolledBackUnhealthy Unhealthy Hindered Uninstalling Terminating UninstallFailed LettingGo
    LeftBehind);
variants!(NOTES name_of_note of Note: ManualUpgrade ManualRollback ManualUninstall Adopted Done Interrupted TestsFailed Drifted Quarantined RetryRequested
    ForcedDeletion DefinitionsDiffer);
variants!(WAKES name_of_wake of Wake: Never At);

pub(super) struct Case {
    pub(super) name: String,
    pub(super) snapshot: Snapshot,
    expect: Value,
}

pub(super) static CASES: LazyLock<Vec<Case>> = LazyLock::new(cases);

fn cases() -> Vec<Case> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/planner/cases");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            read(name, &fs::read_to_string(&path).unwrap())
        })
        .collect()
}

fn read(name: String, text: &str) -> Case {
    let case: Value = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let whole = if let Some(saved) = case.get("snapshot") {
        saved.clone()
    } else {
        assert!(text.lines().count() <= 40, "{name}: too long to be read at a glance");
        whole(&case["given"])
    };
    let snapshot = serde_json::from_value(whole).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut expect = case["expect"].clone();
    short::moments(&mut expect);
    Case { name, snapshot, expect }
}

/// All that a case gives, over the base.
fn whole(given: &Value) -> Value {
    let mut whole = short::base();
    merge(&mut whole, given);
    short::spell_out(whole)
}

/// Objects of both are merged; anything else of the case replaces what the base has.
fn merge(base: &mut Value, case: &Value) {
    match (base, case) {
        (Value::Object(base), Value::Object(case)) => {
            for (key, value) in case {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, case) => *base = case.clone(),
    }
}

/// Whether all that is expected is there; null stands for what is not.
fn holds(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            expected.iter().all(|(key, value)| holds(value, found.get(key).unwrap_or(&Value::Null)))
        }
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(one, other)| holds(one, other))
        }
        // A variant with fields may be named alone.
        (Value::String(name), Value::Object(found)) if found.len() == 1 => found.contains_key(name),
        (expected, found) => expected == found,
    }
}

/// The rule that decides.
pub(super) fn rule(snapshot: &Snapshot) -> Option<&'static str> {
    let policy = snapshot.spec.policy()?;
    let mut draft = Draft::new(snapshot, policy);
    rules::notice(&mut draft);
    RULES.iter().find(|rule| (rule.decide)(&mut draft).is_some()).map(|rule| rule.name)
}

#[test]
fn every_case_is_decided_as_it_says() {
    let mut failed = Vec::new();
    for Case { name, snapshot, expect } in CASES.iter() {
        let decided: Plan = plan(snapshot);
        assert_eq!(decided, plan(snapshot), "{name}: two plans of one snapshot");
        let mut found = serde_json::to_value(&decided).unwrap();
        found["rule"] = json!(rule(snapshot));
        let wrong = check(snapshot, &decided);
        if !holds(expect, &found) || !wrong.is_empty() {
            failed.push(format!("{name}: {wrong:?}\n  expected {expect}\n  found    {found}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn what_explain_saves_is_a_case_as_it_is() {
    for Case { name, snapshot, .. } in CASES.iter() {
        let text = serde_saphyr::to_string(&crate::plan::Case::of(snapshot)).unwrap();
        let saved = read(name.clone(), &text);
        assert_eq!(saved.snapshot, *snapshot, "{}: {text}", saved.name);
        let found = serde_json::to_value(plan(snapshot)).unwrap();
        assert!(holds(&saved.expect, &found), "{}: {text}", saved.name);
    }
}

#[test]
fn no_rule_and_no_word_is_without_a_case() {
    let mut seen = BTreeSet::new();
    for Case { snapshot, .. } in CASES.iter() {
        let Plan { action, because, notes, wake, .. } = plan(snapshot);
        seen.extend([name_of_action(&action), name_of_reason(&because), name_of_wake(&wake)]);
        seen.extend(notes.iter().map(name_of_note));
        seen.extend(rule(snapshot));
    }
    let rules = RULES.iter().map(|rule| &rule.name);
    let all = ACTIONS.iter().chain(REASONS).chain(NOTES).chain(WAKES).chain(rules);
    let missing: Vec<_> = all.filter(|name| !seen.contains(**name)).collect();
    assert!(missing.is_empty(), "without a case: {missing:?}");
}
