//! The short forms of cases. A record is `REVISION STATUS COLOUR [verified] [verified=N] [adopted] [of=NAME] [stamp=N] [age=5m]
//! [stranger]`, where the colour `-` stands for no digest, a comparison `COLOUR Equal | Differs`, an operation `KIND REVISION COLOUR [target=N] [late] [holder=NAME]
//! [cause=drift]`, an entry of history `KIND REVISION COLOUR RESULT [cause=drift]`, drift `found | none | unseen`, drift
//! that is remembered `REVISION found | none [corrections=N] [due=+10s] [gone=-5m]`,
//! a quarantine `COLOUR REASON`, what is deployed `REVISION COLOUR`; a moment is told from now: `+10s`, `-5m`.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::sim::{COLOURS, digest, inputs, member};
use crate::{
    release::{Deviation, Drifted, Finding, Member, OwnerId},
    types::{ObjectKey, ReleaseDigest},
};

const NOW: &str = "2026-01-01T00:00:00Z";

/// A good object with its inputs known, and nothing done so far.
pub(super) fn base() -> Value {
    json!({
        "now": NOW,
        "holder": "here",
        "object": {"namespace": "apps", "name": "unicorn", "uid": "uid", "generation": 1, "finalizer": true},
        "spec": {"Valid": {"namespace": "apps", "release": "unicorn"}},
        "inputs": "blue",
        "records": [],
        "version": 7,
        "health": "healthy",
        "memory": {"observedGeneration": 1, "desired": "blue"},
    })
}

pub(super) fn spell_out(mut case: Value) -> Value {
    if let Some(changes) = case.as_object_mut().unwrap().remove("policy") {
        super::merge(&mut case["spec"]["Valid"], &changes);
    }
    case["records"] = records(case["records"].take());
    if let Some(written) = case["records"]["Is"].as_array().and_then(|records| records.last()?["written"].as_i64()) {
        let age = NOW.parse::<Timestamp>().unwrap().as_second() - written;
        case["untouched"] = json!(format!("{age}s"));
    }
    if let Value::String(colour) = &case["inputs"]
        && let Some(known) = named(colour)
    {
        case["inputs"] = json!({"Known": {"inputs": known, "look_again": null}});
    }
    health(&mut case["health"]);
    if let Value::Object(memory) = &mut case["memory"] {
        for (key, value) in memory.iter_mut() {
            remembered(key, value);
        }
    }
    if let Some(told) = case["drift"].as_str().and_then(drift) {
        case["drift"] = told;
    }
    if let Some(ended) = case.pointer_mut("/flight/Ended") {
        outcome(ended);
    }
    if let Value::Object(spec) = &mut case["spec"] {
        spec.retain(|_, value| !value.is_null());
    }
    if let Some(payload) = case.get_mut("payload").filter(|payload| payload.is_object()) {
        payload["members"] = json!([member()]);
        if let Some((colour, result)) = payload["comparison"].as_str().and_then(|told| told.split_once(' ')) {
            let result = match result {
                "Differs" => json!({"Differs": ["Values"]}),
                other => json!(other),
            };
            payload["comparison"] = json!({"digest": known(colour).digest, "resourceVersion": "7", "result": result});
        }
    }
    moments(&mut case);
    case
}

fn named(colour: &str) -> Option<Value> {
    let (name, _, _) = COLOURS.iter().find(|(name, _, _)| *name == colour)?;
    serde_json::to_value(inputs(name)).ok()
}

fn known(colour: &str) -> crate::release::Inputs {
    inputs(COLOURS.iter().find(|(name, _, _)| *name == colour).unwrap_or_else(|| panic!("no colour: {colour}")).0)
}

fn flag<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn records(value: Value) -> Value {
    match value {
        Value::Array(lines) if lines.iter().all(Value::is_string) => {
            json!({"Is": lines.iter().filter_map(Value::as_str).map(record).collect::<Vec<_>>()})
        }
        other => other,
    }
}

fn record(line: &str) -> Value {
    let words: Vec<_> = line.split_whitespace().collect();
    let revision: u32 = words[0].parse().unwrap();
    let age = moment(&format!("-{}", flag(&words, "age").unwrap_or("1m"))).unwrap();
    let mut record = json!({"revision": revision, "status": words[1], "written": age.as_second()});
    if !words.contains(&"stranger") {
        record["digest"] = if words[2] == "-" { Value::Null } else { json!(known(words[2]).digest) };
        record["owner"] = json!(OwnerId::of(&ObjectKey::new("apps", flag(&words, "of").unwrap_or("unicorn"))));
        record["stamp"] = json!(flag(&words, "stamp").map_or(revision, |stamp| stamp.parse().unwrap()));
        for mark in ["verified", "adopted"] {
            // A label that helm copied speaks of the revision that it was copied from.
            let of = flag(&words, mark).map(|of| json!(of.parse::<u32>().unwrap()));
            let Some(of) = of.or_else(|| words.contains(&mark).then(|| record["stamp"].clone())) else { continue };
            record[mark] = of;
        }
    }
    record
}

fn health(value: &mut Value) {
    let Value::String(text) = &*value else { return };
    let (state, fault) = text.split_once(' ').unwrap_or((text, "own"));
    let fault = if fault == "outside" { "Outside" } else { "Own" };
    let bad = json!({"member": member(), "why": {"fault": fault, "text": "not ready"}});
    let missing = if state == "missing" { json!(member()) } else { Value::Null };
    let health = match state {
        "healthy" => json!("Healthy"),
        "progressing" | "missing" => json!({"Progressing": bad}),
        "failed" => json!({"Failed": bad}),
        "refused" => json!({"Unknown": {"why": "may not list jobs", "refused": true}}),
        _ => json!({"Unknown": {"why": "no view"}}),
    };
    *value = json!({"health": health, "liveSince": "-10m", "present": [member()], "missing": missing});
}

fn remembered(key: &str, value: &mut Value) {
    match (key, &*value) {
        ("desired", Value::String(line)) => {
            let (colour, terms) = line.split_once(" terms=").map_or((&**line, None), |(c, terms)| (c, Some(terms)));
            let known = known(colour);
            let terms = terms.map_or(known.terms, |terms| Some(ReleaseDigest::v1(&[terms.as_bytes()])));
            *value = json!({"chart": known.chart, "version": known.version, "appVersion": known.app_version, "generation": 1,
                "chartDigest": known.chart_digest, "digest": known.digest, "inputs": known.fingerprint, "terms": terms});
        }
        ("deployed", Value::String(line)) => {
            let (revision, colour) = line.split_once(' ').unwrap();
            let (revision, known): (u32, _) = (revision.parse().unwrap(), known(colour));
            *value = json!({"revision": revision, "chart": known.chart, "version": known.version,
                "appVersion": known.app_version, "digest": known.digest, "since": "-1h"});
        }
        ("operation", Value::String(line)) => {
            let words: Vec<_> = line.split_whitespace().collect();
            let late = words.contains(&"late");
            let digest = (words[0] != "Uninstall").then(|| known(words[2]).digest);
            *value = json!({"id": "run", "kind": words[0], "revision": words[1].parse::<u32>().unwrap(),
                "of": flag(&words, "of"), "digest": digest, "target": flag(&words, "target").map(|t| t.parse::<u32>().unwrap()),
                "started": if late { "-6m" } else { "-2m" }, "deadline": if late { "-1m" } else { "+3m" },
                "holder": flag(&words, "holder").unwrap_or("here"), "cause": flag(&words, "cause").unwrap_or("spec")});
        }
        ("tested", Value::String(line)) => {
            let (revision, result) = line.split_once(' ').unwrap();
            let (revision, passed): (u32, _) = (revision.parse().unwrap(), result == "passed");
            *value = json!({"revision": revision, "passed": passed, "message": "it said so", "end": "-5s"});
        }
        ("drift", Value::String(line)) => {
            let words: Vec<_> = line.split_whitespace().collect();
            let number = |text: &str| text.parse::<u32>().unwrap();
            let mut drift = json!({"revision": number(words[0]), "since": "-10m", "notBefore": flag(&words, "due"),
                "gone": flag(&words, "gone"), "corrections": flag(&words, "corrections").map_or(0, number)});
            if words[1] == "found" {
                let Member { api_version, kind, namespace, name } = member();
                drift["count"] = json!(1);
                drift["objects"] = json!([{"apiVersion": api_version, "kind": kind, "namespace": namespace,
                    "name": name, "paths": ["/spec/replicas"]}]);
            }
            *value = drift;
        }
        ("crds", Value::Object(crds)) if crds.contains_key("digest") => {
            let digest = crds["digest"].as_str().map(|colour| known(colour).digest);
            value["digest"] = json!(digest);
        }
        ("inventory", Value::Number(revision)) => {
            *value = json!({"revision": revision, "complete": true, "objects": [member()]});
        }
        ("quarantined", Value::Array(lines)) if lines.iter().all(Value::is_string) => {
            let entry = |line: &str| {
                let (colour, reason) = line.split_once(' ').unwrap();
                json!({"digest": known(colour).digest, "version": known(colour).label(), "reason": reason,
                    "message": "it broke", "since": "-1h"})
            };
            *value = lines.iter().filter_map(Value::as_str).map(entry).collect();
        }
        ("history", Value::Array(lines)) if lines.iter().all(Value::is_string) => {
            let entry = |line: &str| {
                let words: Vec<_> = line.split_whitespace().collect();
                let digest = (words[0] != "Uninstall").then(|| digest(known_name(words[2])));
                json!({"action": words[0], "revision": words[1].parse::<u32>().unwrap(), "digest": digest.map_or_else(
                    String::new, String::from), "cause": flag(&words, "cause").unwrap_or("spec"), "result": words[3], "start": "-2m", "end": "-5s"})
            };
            *value = lines.iter().filter_map(Value::as_str).map(entry).collect();
        }
        _ => {}
    }
}

fn drift(text: &str) -> Option<Value> {
    let what = Deviation::fields(vec!["/spec/replicas".into()]);
    let objects = (text == "found").then(|| Drifted { member: member(), what });
    let unseen = (text == "unseen").then(|| "Secret web cannot be compared".into());
    let again = (text == "unseen").then_some("+1m");
    matches!(text, "found" | "none" | "unseen")
        .then(|| json!({"Is": {"finding": Finding::new(objects, unseen), "again": again}}))
}

fn known_name(colour: &str) -> &'static str {
    COLOURS.iter().find(|(name, _, _)| *name == colour).unwrap_or_else(|| panic!("no colour: {colour}")).0
}

/// `ended` may be `Failed CLASS` or `NotStarted CLASS`.
fn outcome(ended: &mut Value) {
    if let Some((how, class)) = ended["ended"].as_str().and_then(|text| text.split_once(' ')) {
        let failure = json!({"class": class, "message": "helm said so"});
        ended["ended"] = json!({(how): failure});
    }
    let found = records(ended["records"].take());
    ended["records"] = found.get("Is").cloned().unwrap_or(Value::Null);
    for (key, value) in [("operation", json!("run")), ("payload", Value::Null), ("left_over", json!([]))] {
        if ended.get(key).is_none() {
            ended[key] = value;
        }
    }
    if ended["left_over"] == json!("web") {
        ended["left_over"] = json!([member()]);
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    let (sign, rest) = (text.chars().next()?, text.get(1..)?);
    let unit = rest.chars().last()?;
    let number: i64 = rest.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => number,
        'm' => number * 60,
        'h' => number * 3600,
        _ => return None,
    };
    let seconds = match sign {
        '+' => seconds,
        '-' => -seconds,
        _ => return None,
    };
    NOW.parse::<Timestamp>().ok()?.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// Spells out every moment that is told from now.
pub(super) fn moments(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(moment) = moment(text) {
                *value = json!(moment);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(moments),
        Value::Object(fields) => fields.values_mut().for_each(moments),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
