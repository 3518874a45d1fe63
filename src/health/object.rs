//! A live object as read from JSON: every look-up has an answer, however wrong the JSON is.

use serde_json::Value;

use super::words;
use crate::release::Why;

/// A borrowed view. A field of the wrong type counts as absent: a rule then waits, it does not guess.
#[derive(Clone, Copy)]
pub(super) struct Object<'a>(pub(super) &'a Value);

/// One entry of `conditions`.
#[derive(Clone, Copy)]
pub(super) struct Condition<'a> {
    pub(super) status: &'a str,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
    /// The generation the condition speaks of, where its writer says so.
    pub(super) observed: Option<i64>,
}

impl<'a> Object<'a> {
    /// By path, such as `/spec/replicas`. `Value::pointer` would do, but it allocates for every step because of escapes
    /// that no field of the API needs, and this is called some fifty times an object.
    pub(super) fn at(self, path: &str) -> Option<&'a Value> {
        path.split('/').skip(1).try_fold(self.0, |value, key| value.as_object()?.get(key))
    }

    /// Empty where there is no text.
    pub(super) fn text(self, path: &str) -> &'a str {
        self.at(path).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn int(self, path: &str) -> Option<i64> {
        self.at(path).and_then(Value::as_i64)
    }

    /// Never negative, and 0 where there is none: the API leaves out counts that are 0.
    pub(super) fn count(self, path: &str) -> i64 {
        self.int(path).unwrap_or_default().max(0)
    }

    pub(super) fn is_true(self, path: &str) -> bool {
        self.at(path).and_then(Value::as_bool).unwrap_or_default()
    }

    /// The elements of an array, none where there is no array.
    pub(super) fn list(self, path: &str) -> impl Iterator<Item = Object<'a>> + use<'a> {
        self.at(path).and_then(Value::as_array).into_iter().flatten().map(Object)
    }

    pub(super) fn condition(self, kind: &str) -> Option<Condition<'a>> {
        self.list("/status/conditions").find(|entry| entry.text("/type") == kind).map(|entry| Condition {
            status: entry.text("/status"),
            reason: entry.text("/reason"),
            message: entry.text("/message"),
            observed: entry.int("/observedGeneration"),
        })
    }

    /// The condition, if its status is `True`.
    pub(super) fn holds(self, kind: &str) -> Option<Condition<'a>> {
        self.condition(kind).filter(|condition| condition.status == "True")
    }

    /// Empty for the core group.
    pub(super) fn group(self) -> &'a str {
        group_of(self.text("/apiVersion"))
    }

    pub(super) fn kind(self) -> &'a str {
        self.text("/kind")
    }

    pub(super) fn generation(self) -> i64 {
        self.count("/metadata/generation")
    }

    pub(super) fn is_terminating(self) -> bool {
        !self.text("/metadata/deletionTimestamp").is_empty()
    }

    /// Why the status says nothing about the object as declared: it goes away, or its controller is behind.
    pub(super) fn unsettled(self) -> Option<Why> {
        if self.is_terminating() {
            return Some(words::own("is being deleted"));
        }
        let observed = self.int("/status/observedGeneration")?;
        (observed < self.generation()).then(|| self.unseen())
    }

    pub(super) fn unseen(self) -> Why {
        words::own(&format!("its controller has not seen generation {} yet", self.generation()))
    }
}

impl Condition<'_> {
    /// The message, else the reason: both are written for persons, the message with more care.
    pub(super) fn says(&self) -> &str {
        if self.message.trim().is_empty() { self.reason } else { self.message }
    }
}

pub(super) fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}
