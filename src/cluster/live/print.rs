//! Whether somebody has changed an object: what can be told from its metadata alone.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use super::super::watch::number;
use crate::health::has_health;

/// The state of an object that somebody declared, in sixteen bytes; there is one for every object that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Print {
    /// Its resource version.
    pub version: u64,
    /// Over its identity, what was declared of it, labels and annotations, so that a write of status alone leaves it as
    /// it is. What is declared is counted by the generation. Where a kind has none it is taken whole, and where only its
    /// metadata is watched, such a kind has no status, and the version counts.
    pub mark: u64,
}

/// What the watches tell of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LivePrint {
    There(Print),
    /// Not in view. It may be there all the same, without helm's label.
    Absent,
    /// Not in view either, since it had done its work: it may be gone.
    Finished,
    /// Its kind cannot be watched: changes are not told of.
    Unwatched,
}

impl Print {
    pub fn of(object: &Value) -> Self {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let version = number(Some(text("/metadata/resourceVersion")));
        let mut mark = DefaultHasher::new();
        text("/metadata/uid").hash(&mut mark);
        text("/metadata/deletionTimestamp").hash(&mut mark);
        match object.pointer("/metadata/generation").and_then(Value::as_i64).filter(|generation| *generation > 0) {
            Some(generation) => generation.hash(&mut mark),
            None if is_watched_whole(text("/apiVersion"), text("/kind")) => declared(object, &mut mark),
            None => version.hash(&mut mark),
        }
        for field in ["labels", "annotations"] {
            let pairs = object.pointer(&format!("/metadata/{field}")).and_then(Value::as_object);
            let sorted: BTreeMap<&str, &str> = pairs
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
                .collect();
            sorted.hash(&mut mark);
        }
        Self { version, mark: mark.finish() }
    }
}

/// Whether metadata alone is too little: for a judgement, or to tell what somebody declares from status. Those without
/// health are the built-in kinds with a status and without a generation; an autoscaler's status is written all the time.
pub(super) fn is_watched_whole(api_version: &str, kind: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    has_health(api_version, kind)
        || matches!(
            (group, kind),
            ("autoscaling", "HorizontalPodAutoscaler") | ("", "ResourceQuota" | "PersistentVolume")
        )
}

/// Everything but status and metadata.
fn declared(object: &Value, mark: &mut DefaultHasher) {
    let fields = object.as_object().into_iter().flatten();
    let declared = fields.filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status"));
    let sorted: BTreeMap<&str, &Value> = declared.map(|(name, value)| (name.as_str(), value)).collect();
    for (name, value) in sorted {
        name.hash(mark);
        write(value, mark);
    }
}

fn write(value: &Value, mark: &mut DefaultHasher) {
    match value {
        Value::Null => 0_u8.hash(mark),
        Value::Bool(yes) => yes.hash(mark),
        Value::Number(number) => number.hash(mark),
        Value::String(text) => text.hash(mark),
        Value::Array(items) => {
            items.len().hash(mark);
            for item in items {
                write(item, mark);
            }
        }
        Value::Object(fields) => {
            fields.len().hash(mark);
            let sorted: BTreeMap<&str, &Value> = fields.iter().map(|(name, value)| (name.as_str(), value)).collect();
            for (name, value) in sorted {
                name.hash(mark);
                write(value, mark);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(version: &str, changes: &Value) -> Print {
        let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"uid": "a", "generation": 1, "labels": {"a": "b"}, "annotations": {"c": "d"}}});
        for (field, value) in changes.as_object().unwrap() {
            object["metadata"][field] = value.clone();
        }
        object["metadata"]["resourceVersion"] = json!(version);
        Print::of(&object)
    }

    #[test]
    fn what_changes_only_the_version_is_a_write_of_status() {
        let plain = with("1", &json!({}));
        assert_eq!((plain.mark, with("2", &json!({})).mark), (plain.mark, plain.mark));
        for change in [
            json!({"generation": 2}),
            json!({"uid": "b"}),
            json!({"labels": {}}),
            json!({"labels": {"a": "c"}}),
            json!({"annotations": null}),
            json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}),
        ] {
            assert_ne!(with("2", &change).mark, plain.mark, "{change}");
        }
    }

    #[test]
    fn where_a_kind_has_no_generation_and_is_watched_whole_what_is_declared_counts() {
        let of = |version: &str, spec: &Value, status: &Value| {
            let metadata = json!({"uid": "a", "resourceVersion": version});
            let object =
                json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": status});
            Print::of(&object).mark
        };
        let (spec, status) = (json!({"a": [1, {"b": true}]}), json!({"ip": "1"}));
        assert_eq!(of("1", &spec, &json!(null)), of("2", &spec, &status));
        assert_ne!(of("1", &spec, &status), of("2", &json!({"a": [1, {"b": false}]}), &status));
    }

    #[test]
    fn where_a_kind_has_no_generation_and_only_metadata_is_watched_every_version_counts() {
        let none = json!({"generation": null});
        assert_ne!(with("1", &none).mark, with("2", &none).mark);
        assert_eq!(with("1", &none).mark, with("1", &none).mark);
    }
}
