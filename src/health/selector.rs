//! Which pods belong to a workload: its label selector, kept small.

use serde_json::Value;

use super::object::Object;

/// Labels of a pod, in any order.
pub(super) type Labels = [(Box<str>, Box<str>)];

/// The label selector of a workload. One that selects everything, or that is not understood, does not exist:
/// blaming a workload for another one's pod is worse than naming no pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    equals: Box<Labels>,
    expressions: Box<[Expression]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Expression {
    key: Box<str>,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    In(Box<[Box<str>]>),
    NotIn(Box<[Box<str>]>),
    Exists,
    DoesNotExist,
}

impl Selector {
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = |key: &str| labels.iter().find(|(name, _)| **name == *key).map(|(_, value)| &**value);
        self.equals.iter().all(|(key, wanted)| value(key) == Some(&**wanted))
            && self.expressions.iter().all(|expression| expression.test.accepts(value(&expression.key)))
    }

    /// From `spec.selector` of a workload; a `ReplicationController` writes a plain map there.
    pub(super) fn of(workload: Object<'_>) -> Option<Self> {
        let selector = workload.at("/spec/selector").map(Object)?;
        if workload.kind() == "ReplicationController" {
            return Self { equals: labels_of(selector.0)?, expressions: Box::default() }.unless_empty();
        }
        let equals = selector.at("/matchLabels").map_or_else(|| Some(Box::default()), labels_of)?;
        let expressions = match selector.at("/matchExpressions") {
            None | Some(Value::Null) => Box::default(),
            Some(list) => list.as_array()?.iter().map(|entry| Expression::of(Object(entry))).collect::<Option<_>>()?,
        };
        Self { equals, expressions }.unless_empty()
    }

    fn unless_empty(self) -> Option<Self> {
        (!self.equals.is_empty() || !self.expressions.is_empty()).then_some(self)
    }
}

impl Expression {
    fn of(entry: Object<'_>) -> Option<Self> {
        let key = entry.at("/key")?.as_str()?.into();
        let values = || -> Option<Box<[Box<str>]>> {
            entry.at("/values")?.as_array()?.iter().map(|value| value.as_str().map(Into::into)).collect()
        };
        let test = match entry.text("/operator") {
            "In" => Test::In(values()?),
            "NotIn" => Test::NotIn(values()?),
            "Exists" => Test::Exists,
            "DoesNotExist" => Test::DoesNotExist,
            _ => return None,
        };
        Some(Self { key, test })
    }
}

impl Test {
    /// As the API server does it: `NotIn` accepts a label that is not there.
    fn accepts(&self, value: Option<&str>) -> bool {
        let among = |values: &[Box<str>]| value.is_some_and(|value| values.iter().any(|one| **one == *value));
        match self {
            Self::In(values) => among(values),
            Self::NotIn(values) => !among(values),
            Self::Exists => value.is_some(),
            Self::DoesNotExist => value.is_none(),
        }
    }
}

/// `None` if a value is not text.
pub(super) fn labels_of(map: &Value) -> Option<Box<Labels>> {
    match map {
        Value::Null => Some(Box::default()),
        Value::Object(map) => {
            map.iter().map(|(key, value)| Some((key.as_str().into(), value.as_str()?.into()))).collect()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selector(kind: &str, selector: &Value) -> Option<Selector> {
        Selector::of(Object(&json!({"kind": kind, "spec": {"selector": selector}})))
    }

    fn labels(pairs: &[(&str, &str)]) -> Box<Labels> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    #[test]
    fn selector_matches_as_the_api_server_does() {
        let all = json!({"matchLabels": {"app": "web"}, "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["front", "back"]},
            {"key": "track", "operator": "NotIn", "values": ["canary"]},
            {"key": "owner", "operator": "Exists"},
            {"key": "old", "operator": "DoesNotExist"},
        ]});
        let selector = selector("Deployment", &all).expect("a selector");
        assert!(selector.matches(&labels(&[("app", "web"), ("tier", "back"), ("owner", "me")])));
        for wrong in [
            &[("app", "api"), ("tier", "back"), ("owner", "me")][..],
            &[("app", "web"), ("tier", "side"), ("owner", "me")],
            &[("app", "web"), ("tier", "back"), ("owner", "me"), ("track", "canary")],
            &[("app", "web"), ("tier", "back")],
            &[("app", "web"), ("tier", "back"), ("owner", "me"), ("old", "")],
            &[("app", "web"), ("owner", "me")],
        ] {
            assert!(!selector.matches(&labels(wrong)), "{wrong:?}");
        }
    }

    #[test]
    fn selector_of_a_replication_controller_is_a_plain_map() {
        let selector = selector("ReplicationController", &json!({"app": "web"})).expect("a selector");
        assert!(selector.matches(&labels(&[("app", "web"), ("more", "x")])));
        assert!(!selector.matches(&labels(&[])));
    }

    #[test]
    fn selector_of_everything_or_of_rubbish_does_not_exist() {
        for none in [
            json!({}),
            json!(null),
            json!([]),
            json!({"matchLabels": {"app": 1}}),
            json!({"matchLabels": []}),
            json!({"matchExpressions": {}}),
            json!({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}),
            json!({"matchExpressions": [{"key": "a", "operator": "In"}]}),
            json!({"matchExpressions": [{"operator": "Exists"}]}),
        ] {
            assert_eq!(selector("Deployment", &none), None, "{none}");
        }
    }
}
