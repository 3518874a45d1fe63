//! A case out of any snapshot, with as little given as makes it what it is.

use serde_json::{Map, Value, json};

use super::{short, whole};
use crate::{
    plan::{Case, Expected},
    release::Snapshot,
};

/// The text of a case for a snapshot. It gives no more than is needed for `keeps` to hold of it.
pub(in super::super) fn smallest(snapshot: &Snapshot, keeps: impl Fn(&Snapshot) -> bool) -> String {
    let base = serde_json::to_value(snapshot_of(&json!({})).expect("the base is a snapshot")).unwrap();
    let value = serde_json::to_value(snapshot).unwrap();
    let mut given = difference(&short::base(), &base, &value).unwrap_or_else(|| json!({}));
    while let Some(less) = parts(&given).into_iter().find_map(|path| {
        let mut less = given.clone();
        remove(&mut less, &path);
        snapshot_of(&less).filter(&keeps).map(|_| less)
    }) {
        given = less;
    }
    let found = snapshot_of(&given).unwrap_or_else(|| snapshot.clone());
    let Expected { action, because } = Case::of(&found).expect;
    let case = json!({"given": given, "expect": {"rule": super::rule(&found), "action": action, "because": because}});
    serde_saphyr::to_string(&case).unwrap()
}

fn snapshot_of(given: &Value) -> Option<Snapshot> {
    serde_json::from_value(whole(given)).ok()
}

/// What of a value is not in the base; only where the base has its long form is it merged.
fn difference(short: &Value, base: &Value, value: &Value) -> Option<Value> {
    if base == value {
        return None;
    }
    let (Value::Object(short), Value::Object(base), Value::Object(fields)) = (short, base, value) else {
        return Some(value.clone());
    };
    let of = |fields: &Map<String, Value>, key: &String| fields.get(key).cloned().unwrap_or(Value::Null);
    let mut keys: Vec<&String> = base.keys().chain(fields.keys()).collect();
    keys.sort();
    keys.dedup();
    let differ = |key: &&String| {
        difference(&of(short, key), &of(base, key), &of(fields, key)).map(|value| ((*key).clone(), value))
    };
    Some(Value::Object(keys.iter().filter_map(differ).collect()))
}

/// The ways to all parts, the largest first.
fn parts(value: &Value) -> Vec<Vec<String>> {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    let mut all: Vec<Vec<String>> = inner.iter().map(|(key, _)| vec![key.clone()]).collect();
    for (key, value) in inner {
        all.extend(parts(value).into_iter().map(|path| [vec![key.clone()], path].concat()));
    }
    all.sort_by_key(Vec::len);
    all
}

fn remove(value: &mut Value, path: &[String]) {
    let [first, rest @ ..] = path else { return };
    match value {
        Value::Object(fields) if rest.is_empty() => drop(fields.remove(first)),
        Value::Object(fields) => fields.get_mut(first).into_iter().for_each(|inner| remove(inner, rest)),
        Value::Array(items) => {
            let at: usize = first.parse().unwrap();
            if rest.is_empty() {
                items.remove(at);
            } else {
                remove(&mut items[at], rest);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
