//! What the operator says in a status, as far as anybody here looks at it.

use serde::{Deserialize, de::IgnoredAny};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Said {
    pub observed_generation: i64,
    conditions: Vec<Condition>,
    pub operation: Option<Intent>,
    pub failures: Failures,
    inventory: Option<IgnoredAny>,
    drift: Option<Drift>,
}

/// What is remembered of drift.
#[derive(Debug, Deserialize)]
struct Drift {
    gone: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Condition {
    r#type: String,
    pub status: String,
    pub reason: String,
    pub message: String,
}

#[derive(Debug, Deserialize)]
pub struct Intent {
    pub kind: String,
    pub revision: u32,
    pub holder: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Failures {
    pub not_before: Option<String>,
}

impl Said {
    /// Whether drift was there when it was last looked for: it is looked for again, later each time.
    pub fn tells_of_drift(&self) -> bool {
        self.drift.as_ref().is_some_and(|drift| drift.gone.is_none())
    }

    /// Whether the objects of some revision are remembered.
    pub fn names_objects(&self) -> bool {
        self.inventory.is_some()
    }

    pub fn condition(&self) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.r#type == "Ready")
    }

    /// Status and reason of `Ready`.
    pub fn ready(&self) -> (&str, &str) {
        self.condition().map_or(("absent", ""), |ready| (&*ready.status, &*ready.reason))
    }
}
