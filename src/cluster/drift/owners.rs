//! Who holds a field, as `metadata.managedFields` tells.

use serde_json::Value;

/// Whether one of the managers holds the field at `path` of an object.
pub(super) fn is_held(object: &Value, path: &[String], managers: &[Box<str>]) -> bool {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    entries.into_iter().flatten().any(|entry| {
        let manager = entry["manager"].as_str().unwrap_or_default();
        managers.iter().any(|wanted| **wanted == *manager) && holds(&entry["fieldsV1"], object, path)
    })
}

/// Follows a path through a set of fields and the object side by side. A set that ends before the path does holds all
/// that is below.
fn holds(set: &Value, object: &Value, path: &[String]) -> bool {
    let Value::Object(fields) = set else { return false };
    let Some((step, rest)) = path.split_first() else { return true };
    if fields.is_empty() {
        return true;
    }
    match object {
        Value::Array(items) => {
            let Some((place, item)) = step.parse().ok().and_then(|at: usize| Some((at, items.get(at)?))) else {
                return false;
            };
            fields.iter().any(|(name, below)| names(name, place, item) && holds(below, item, rest))
        }
        _ => fields
            .get(&format!("f:{step}"))
            .is_some_and(|below| holds(below, object.get(step).unwrap_or(&Value::Null), rest)),
    }
}

/// Whether the name of an item in a set of fields (its keys, its value, or its place) is that of an item.
fn names(name: &str, place: usize, item: &Value) -> bool {
    let Some((kind, text)) = name.split_once(':') else { return false };
    match kind {
        "k" => serde_json::from_str::<Value>(text)
            .ok()
            .and_then(|keys| Some(keys.as_object()?.iter().all(|(key, value)| item.get(key) == Some(value))))
            .unwrap_or(false),
        "v" => serde_json::from_str::<Value>(text).is_ok_and(|value| value == *item),
        "i" => text.parse() == Ok(place),
        _ => false,
    }
}
