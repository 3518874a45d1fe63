//! In which fields an object would be another one. Pure; of values only whether they are equal is told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::owners::is_held;
use crate::release::IgnoreRule;

/// What the API server itself keeps about an object.
const KEPT_BY_SERVER: [&str; 6] =
    ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"];
/// Longest pointer that is told, in bytes. Keys of a ConfigMap have at most 253; deeper ones are cut.
const POINTER_MAX_BYTES: usize = 256;
/// Levels that are looked into. Objects of people have some dozen; what lies deeper is compared as one.
const DEPTH_MAX: usize = 64;

/// Pointers to the fields of `live` that an apply would change, less those that a rule ignores.
pub(super) fn differences(live: &Value, foretold: &Value, rules: &[&IgnoreRule]) -> Vec<Box<str>> {
    let (mut one, mut other) = (declared(live), declared(foretold));
    for path in rules.iter().filter(|rule| rule.managers.is_empty()).flat_map(|rule| &rule.paths) {
        blank(&mut one, path);
        blank(&mut other, path);
    }
    let mut found = Vec::new();
    walk(&one, &other, &mut Vec::new(), &mut found);
    found.retain(|path| {
        let by_holder = rules.iter().filter(|rule| !rule.managers.is_empty());
        !by_holder.filter(|rule| is_below_any(path, &rule.paths)).any(|rule| is_held(live, path, &rule.managers))
    });
    found.iter().map(|path| super::super::error::cut(&pointer(path), POINTER_MAX_BYTES).into()).collect()
}

/// The object without what nobody declares.
fn declared(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in KEPT_BY_SERVER {
            metadata.remove(field);
        }
    }
    object
}

/// Takes away what is at a pointer. An item of a list is blanked, so that the others stay where they are.
fn blank(object: &mut Value, path: &str) {
    let Some((above, last)) = path.rsplit_once('/') else { return };
    match object.pointer_mut(above) {
        Some(Value::Object(fields)) => drop(fields.remove(&unescaped(last))),
        Some(Value::Array(items)) => {
            if let Some(item) = last.parse().ok().and_then(|at: usize| items.get_mut(at)) {
                *item = Value::Null;
            }
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {}
    }
}

fn walk(one: &Value, other: &Value, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    if is_same(one, other) {
        return;
    }
    let deep = at.len() >= DEPTH_MAX;
    match (one, other) {
        (Value::Object(one), Value::Object(other)) if !deep => fields(one, other, at, found),
        (Value::Array(one), Value::Array(other)) if !deep => items(one, other, at, found),
        _ => found.push(at.clone()),
    }
}

fn fields(one: &Map<String, Value>, other: &Map<String, Value>, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for name in names {
        at.push(name.clone());
        walk(one.get(name).unwrap_or(&Value::Null), other.get(name).unwrap_or(&Value::Null), at, found);
        at.pop();
    }
}

/// Items with names are compared by name, wherever they stand. Their places are those in the cluster; one that is not
/// there has none, and the list is told.
fn items(one: &[Value], other: &[Value], at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let mut pair = |place: usize, one: &Value, other: &Value, found: &mut Vec<Vec<String>>| {
        at.push(place.to_string());
        walk(one, other, at, found);
        at.pop();
    };
    if let (Some(ours), Some(theirs)) = (by_name(one), by_name(other)) {
        let lacks = theirs.keys().any(|name| !ours.contains_key(name));
        for (name, (place, item)) in &ours {
            let wanted = theirs.get(name).map_or(&Value::Null, |(_, item)| item);
            pair(*place, item, wanted, found);
        }
        if lacks {
            found.push(at.clone());
        }
    } else if one.len() == other.len() {
        for (place, (one, other)) in one.iter().zip(other).enumerate() {
            pair(place, one, other, found);
        }
    } else {
        found.push(at.clone());
    }
}

/// The items by their names, where each has one of its own.
fn by_name(items: &[Value]) -> Option<BTreeMap<&str, (usize, &Value)>> {
    let named: BTreeMap<&str, (usize, &Value)> = items
        .iter()
        .enumerate()
        .filter_map(|(place, item)| Some((item.get("name")?.as_str()?, (place, item))))
        .collect();
    (named.len() == items.len() && !items.is_empty()).then_some(named)
}

/// An absent field and null are the same to the API server, and so are numbers however they are written.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64().zip(other.as_f64()).is_some_and(|(one, other)| one.total_cmp(&other).is_eq())
        }
        (one, other) => one == other,
    }
}

fn is_below_any(path: &[String], paths: &[Box<str>]) -> bool {
    let is_below = |above: &str| {
        let mut steps = path.iter();
        above.split('/').skip(1).all(|step| steps.next().is_some_and(|taken| *taken == unescaped(step)))
    };
    paths.is_empty() || paths.iter().any(|above| is_below(above))
}

fn pointer(path: &[String]) -> String {
    let steps = path.iter().map(|step| step.replace('~', "~0").replace('/', "~1"));
    steps.fold(String::new(), |pointer, step| pointer + "/" + &step)
}

fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}
