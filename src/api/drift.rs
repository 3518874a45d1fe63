//! Drift on the wire: what a user asks for, and what status remembers of it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::{date_time, is_zero};

/// Most objects that status names; beyond it they are counted.
pub const DRIFTED_MAX: usize = 10;
/// Most fields that are named of one object; beyond it they are counted.
pub const DRIFTED_PATHS_MAX: usize = 5;

/// Whether objects in the cluster are compared with what the chart states.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DriftDetection {
    /// Off (in YAML within quotes): nothing is compared. Warn: what differs is named in the condition `Drifted` and in
    /// an event, and left as it is. Correct: it is also put back by an upgrade to what is deployed; where it comes
    /// back, the next one waits longer each time, up to six hours. Default: that of the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<DriftMode>,
    /// Differences that are meant. At most 32 rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub ignore: Vec<DriftIgnore>,
}

/// What is done about drift.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DriftMode {
    #[default]
    Off,
    Warn,
    Correct,
}

/// A field is ignored that is of such an object, at or below such a path, and held by such a manager; what is left out
/// matches all. A rule without paths and managers ignores the whole object, also when it is missing.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DriftIgnore {
    /// Default: all objects of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<DriftTarget>,
    /// JSON pointers, such as `/spec/replicas`; at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 2, max = 512), regex(pattern = r"^/")))]
    pub paths: Vec<String>,
    /// Names of field managers, as in `metadata.managedFields`; at most 32. What an autoscaler sets is held by
    /// `kube-controller-manager`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    pub managers: Vec<String>,
}

/// Objects that a rule is for; what is left out matches all.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DriftTarget {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 317))]
    pub api_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
}

/// Objects that are not as the chart states them, and what was done about it. Names of fields, never values.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// The revision whose objects were compared.
    pub revision: u32,
    /// When it was found.
    #[schemars(schema_with = "date_time")]
    pub since: Timestamp,
    /// How many objects there are, the named ones included; none where it went away.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub count: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub objects: Vec<DriftedObject>,
    /// What could not be compared, and why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unseen: String,
    /// Corrections in a row after which it came back, or might.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub corrections: u32,
    /// No correction before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub not_before: Option<Timestamp>,
    /// Since when there is none any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub gone: Option<Timestamp>,
    /// Why the last correction failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failure: String,
}

/// One object that is not as the chart states it.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DriftedObject {
    pub api_version: String,
    pub kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
    /// It is not there at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missing: bool,
    /// Fields that differ, as JSON pointers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub paths: Vec<String>,
    /// How many there are beside the named ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
}
