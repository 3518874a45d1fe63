//! Values: maps merge, everything else replaces, later wins; and single values put at a path as `helm --set` does.

use serde_json::{Map, Number, Value};

/// Deepest path and deepest merge. helm's own values are rarely deeper than ten.
const DEPTH_MAX: usize = 64;
/// Highest list index of a path; the gap below it is filled with nulls, as helm does.
const INDEX_MAX: usize = 65_536;

/// Why values cannot be used. Never holds a value, only where it stood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    #[error("targetPath {0:?} is not a path such as image.tag or hosts[0].name")]
    Path(String),
    #[error("targetPath {0:?} is deeper than {DEPTH_MAX} steps")]
    TooDeep(String),
    #[error("targetPath {path:?} has list index {index}, at most {INDEX_MAX} is allowed")]
    Index { path: String, index: usize },
}

/// Lays `over` on `base`. A null overrides too: helm reads it as "remove the chart's default".
pub fn merge(base: &mut Map<String, Value>, over: Map<String, Value>) {
    merge_to(base, over, DEPTH_MAX);
}

fn merge_to(base: &mut Map<String, Value>, over: Map<String, Value>, depth: usize) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            // Beyond the depth that anybody writes, the later map replaces the earlier: the stack stays bounded.
            (Some(Value::Object(base)), Value::Object(over)) if depth > 0 => merge_to(base, over, depth - 1),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Puts a text at a path, typed as `helm --set` types it: `true`, `false`, `null` and whole numbers are what they look
/// like; in quotes, and everything else, it is a string.
pub fn set_path(values: &mut Map<String, Value>, path: &str, text: &str) -> Result<(), ValuesError> {
    let steps = parse_path(path)?;
    let mut root = Value::Object(std::mem::take(values));
    put(&mut root, &steps, typed(text));
    if let Value::Object(map) = root {
        *values = map;
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

fn parse_path(path: &str) -> Result<Vec<Step>, ValuesError> {
    let wrong = || ValuesError::Path(path.to_owned());
    let mut steps = Vec::new();
    let mut key = String::new();
    // After `]` a key has ended already: `a[0].b` has no empty key before its dot.
    let mut ended = false;
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => key.push(chars.next().ok_or_else(wrong)?),
            '.' | '[' => {
                if !key.is_empty() {
                    steps.push(Step::Key(std::mem::take(&mut key)));
                } else if !ended {
                    return Err(wrong());
                }
                ended = false;
                if c == '[' {
                    let digits: String = chars.by_ref().take_while(|c| *c != ']').collect();
                    let index = digits.parse().map_err(|_| wrong())?;
                    if index > INDEX_MAX {
                        return Err(ValuesError::Index { path: path.to_owned(), index });
                    }
                    steps.push(Step::Index(index));
                    ended = true;
                }
            }
            _ if ended => return Err(wrong()),
            c => key.push(c),
        }
    }
    if !key.is_empty() {
        steps.push(Step::Key(key));
    } else if !ended {
        return Err(wrong());
    }
    if !matches!(steps.first(), Some(Step::Key(_))) {
        return Err(wrong());
    }
    if steps.len() > DEPTH_MAX { Err(ValuesError::TooDeep(path.to_owned())) } else { Ok(steps) }
}

fn put(place: &mut Value, steps: &[Step], value: Value) {
    let Some((step, rest)) = steps.split_first() else {
        *place = value;
        return;
    };
    match step {
        Step::Key(key) => {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            if let Value::Object(map) = place {
                put(map.entry(key.as_str()).or_insert(Value::Null), rest, value);
            }
        }
        Step::Index(index) => {
            if !place.is_array() {
                *place = Value::Array(Vec::new());
            }
            if let Value::Array(list) = place {
                if list.len() <= *index {
                    list.resize(index + 1, Value::Null);
                }
                if let Some(place) = list.get_mut(*index) {
                    put(place, rest, value);
                }
            }
        }
    }
}

fn typed(text: &str) -> Value {
    let quoted = |quote: char| text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote));
    if let Some(inner) = quoted('"').or_else(|| quoted('\'')) {
        return Value::String(inner.to_owned());
    }
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        // A leading zero is a string to helm: it is more often an identifier than a number.
        "0" => Value::Number(Number::from(0)),
        _ if text.starts_with('0') || text.starts_with("-0") => Value::String(text.to_owned()),
        _ => text.parse::<i64>().map_or_else(|_| Value::String(text.to_owned()), |n| Value::Number(n.into())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    #[test]
    fn maps_merge_everything_else_replaces_and_null_stays() {
        let mut base = map(json!({"a": {"x": 1, "y": [1, 2]}, "b": 1}));
        merge(&mut base, map(json!({"a": {"y": [3], "z": null}, "b": {"c": 2}})));
        assert_eq!(Value::Object(base), json!({"a": {"x": 1, "y": [3], "z": null}, "b": {"c": 2}}));
    }

    #[test]
    fn a_value_is_put_where_the_path_says_and_typed_as_helm_does() {
        let mut values = map(json!({"image": {"name": "web"}, "hosts": "x"}));
        for (path, text) in [
            ("image.tag", "1.2"),
            ("replicas", "3"),
            ("hosts[1].name", "\"5\""),
            ("a\\.b/c", "true"),
            ("zero", "007"),
            ("m[0][1]", "null"),
        ] {
            set_path(&mut values, path, text).unwrap();
        }
        assert_eq!(
            Value::Object(values),
            json!({"image": {"name": "web", "tag": "1.2"}, "replicas": 3, "hosts": [null, {"name": "5"}],
                   "a.b/c": true, "zero": "007", "m": [[null, null]]})
        );
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for bad in ["", ".", "a..b", "a.", "[0]", "a[x]", "a[0]b", "a\\", "a[99999999]"] {
            assert!(set_path(&mut Map::new(), bad, "x").is_err(), "{bad:?} was accepted");
        }
    }
}
