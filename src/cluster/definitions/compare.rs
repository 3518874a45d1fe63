//! Whether a definition in the cluster is as a chart states it.
//!
//! Only what the chart states counts: the API server adds defaults, and others may add what is theirs. It also leaves
//! out what is empty, so a chart that states an empty value states nothing.

use serde_json::{Number, Value};

/// What a field of a definition holds, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Fields of Kubernetes' own types.
    Fields,
    /// Names that the author of the schema chose; each is a schema.
    Names,
    /// A value of the author's, such as a default, where every piece counts.
    Verbatim,
}

/// Whether everything that the chart states is so in the cluster.
pub(super) fn is_as_stated(stated: &Value, live: Option<&Value>) -> bool {
    covers(stated, live, Within::Fields)
}

fn covers(stated: &Value, live: Option<&Value>, within: Within) -> bool {
    match (stated, live) {
        (_, None) => within != Within::Verbatim && is_nothing(stated),
        (Value::Null, Some(_)) if within == Within::Fields => true,
        (Value::Object(stated), Some(Value::Object(live))) => {
            (within != Within::Verbatim || stated.len() == live.len())
                && stated.iter().all(|(name, value)| field(name, value, live.get(name), within))
        }
        (Value::Array(stated), Some(Value::Array(live))) => {
            stated.len() == live.len()
                && stated.iter().zip(live).all(|(stated, live)| covers(stated, Some(live), within))
        }
        (Value::Number(stated), Some(Value::Number(live))) => is_same_number(stated, live),
        (stated, Some(live)) => stated == live,
    }
}

fn field(name: &str, stated: &Value, live: Option<&Value>, within: Within) -> bool {
    match (within, name) {
        // Put in by whoever manages certificates.
        (Within::Fields, "caBundle") => true,
        (Within::Fields, "properties" | "patternProperties" | "definitions" | "dependencies") => {
            let empty = stated.as_object().is_some_and(serde_json::Map::is_empty);
            (empty && live.is_none()) || covers(stated, live, Within::Names)
        }
        (Within::Fields, "default" | "example" | "enum") | (Within::Verbatim, _) => {
            covers(stated, live, Within::Verbatim)
        }
        (Within::Fields | Within::Names, _) => covers(stated, live, Within::Fields),
    }
}

/// What the API server does not keep. An empty object is something: it turns a subresource on.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Object(_) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
    }
}

/// The API server writes `1.0` as `1`.
fn is_same_number(stated: &Number, live: &Number) -> bool {
    stated == live || stated.as_f64().zip(live.as_f64()).is_some_and(|(stated, live)| stated.total_cmp(&live).is_eq())
}
