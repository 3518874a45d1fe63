//! `HelmRelease.status`: facts, never values of the release.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::drift::Drift;

/// Most objects that the inventory names, those with a health of their own first where there are more. Beyond it
/// `complete` is false, and what is not named is not judged.
pub const INVENTORY_MAX: usize = 500;
/// Most entries of the history; the oldest go first.
pub const HISTORY_MAX: usize = 10;
/// Most quarantined digests; the oldest go first.
pub const QUARANTINE_MAX: usize = 10;
/// Most differing definitions that are named; beyond it they are counted.
pub const DIFFERING_CRDS_MAX: usize = 16;

/// What the operator knows and did.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct HelmReleaseStatus {
    /// Generation of the object that the status speaks of; -1 until it was first seen.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// Name of the Helm release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// What the object asks for, resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Desired>,
    /// The revision that was last judged good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed: Option<Deployed>,
    /// The attempt under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Attempts that failed since the inputs last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<Failures>,
    /// What is not tried again until the inputs change or the retry annotation is new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub quarantined: Vec<Quarantined>,
    /// The objects of the newest revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
    /// The last run of the chart's tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tested: Option<Tested>,
    /// Drift of the objects of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// What was done, oldest first, failures too; of a failure that repeats, the last two stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub history: Vec<HistoryEntry>,
    /// Definitions of the chart that differ from those in the cluster, and were left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crds: Option<CrdsLeftAlone>,
    /// Annotation values that have acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled: Option<Handled>,
}

/// kstatus reads an absent or lower observed generation as work in progress from the first moment on.
fn never_observed() -> i64 {
    -1
}

/// The kinds of conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionType {
    Ready,
    Reconciling,
    Stalled,
    ChartReady,
    Released,
    Healthy,
    Tested,
    Drifted,
}

impl ConditionType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::ChartReady => "ChartReady",
            Self::Released => "Released",
            Self::Healthy => "Healthy",
            Self::Tested => "Tested",
            Self::Drifted => "Drifted",
        }
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The inputs of helm that the spec resolves to.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Desired {
    pub chart: String,
    pub version: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub app_version: String,
    /// SHA-256 of the chart archive.
    pub chart_digest: String,
    /// Digest of everything that helm is given.
    pub digest: String,
    /// Generation of the object that it was resolved for.
    #[serde(default)]
    pub generation: i64,
    /// Digest of what the above was resolved from: the generation and the versions of the objects that hold values.
    pub inputs: String,
    /// Digest of how it is tried and judged: timeout, retries, hooks, tests, identity. Other parts of a spec can change
    /// without a new attempt.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub terms: String,
    /// What made the digest differ from the one before: spec, values or chart.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cause: String,
}

/// A revision that was judged good.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Deployed {
    pub revision: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub chart: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub app_version: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    #[schemars(schema_with = "date_time")]
    pub since: Timestamp,
}

/// What an attempt does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OperationKind {
    Install,
    Upgrade,
    Rollback,
    /// The tests of the chart; part of an install or upgrade.
    Test,
    Uninstall,
}

impl OperationKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Install => "Install",
            Self::Upgrade => "Upgrade",
            Self::Rollback => "Rollback",
            Self::Test => "Test",
            Self::Uninstall => "Uninstall",
        }
    }
}

/// An attempt: written before helm starts, there until the attempt is judged.
///
/// It is what a successor finds after a crash: the revision tells which record the dead process was going to create.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Unique among the attempts of one object.
    pub id: String,
    pub kind: OperationKind,
    /// What is to be deployed; absent for an uninstall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The revision that the run creates; for an uninstall the newest that it removes, for tests the one under test.
    pub revision: u32,
    /// For tests: the attempt that they belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<OperationKind>,
    /// The revision that a rollback goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<u32>,
    /// Why it is done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cause: String,
    #[schemars(schema_with = "date_time")]
    pub started: Timestamp,
    /// helm, health and tests together have until then.
    #[schemars(schema_with = "date_time")]
    pub deadline: Timestamp,
    /// The process of the operator that holds the attempt.
    pub holder: String,
}

/// Failed attempts at the present inputs.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Failures {
    pub count: u32,
    /// Those of them that were the version's own fault; only they use up its attempts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub own: u32,
    /// Rollbacks in a row that helm could not complete.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rollbacks: u32,
    /// Times in a row that something which passes by itself kept helm from working.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hindered: u32,
    /// No attempt before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub not_before: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastFailure>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
pub(super) fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The newest failure.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LastFailure {
    pub reason: String,
    pub message: String,
}

/// A digest that is not tried again.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Quarantined {
    pub digest: String,
    pub version: String,
    pub reason: String,
    pub message: String,
    #[schemars(schema_with = "date_time")]
    pub since: Timestamp,
}

/// The objects of a revision.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// The revision whose objects these are; 0 where the release is gone and these are on their way out.
    pub revision: u32,
    /// False when there are more objects than are named here. Only these are judged.
    pub complete: bool,
    #[schemars(length(max = 500))]
    pub objects: Vec<InventoryObject>,
}

/// Identity of one object of a release.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct InventoryObject {
    pub api_version: String,
    pub kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
    /// The cluster removes it when it is done: a Job with ttlSecondsAfterFinished.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub short_lived: bool,
}

/// What a run of the chart's tests came to.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Tested {
    pub revision: u32,
    pub passed: bool,
    pub message: String,
    #[schemars(schema_with = "date_time")]
    pub end: Timestamp,
}

/// How an attempt ended.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HistoryResult {
    Succeeded,
    Failed,
    /// It did not come to a result: superseded by newer input, or its process died.
    Abandoned,
    /// Somebody else did it; it was told, not judged.
    External,
}

/// One thing that was done.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// 0 where helm refused before it wrote a revision.
    pub revision: u32,
    pub action: OperationKind,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub chart: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    pub cause: String,
    pub result: HistoryResult,
    #[schemars(schema_with = "date_time")]
    pub start: Timestamp,
    #[schemars(schema_with = "date_time")]
    pub end: Timestamp,
}

/// Definitions that a run of helm found to differ.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CrdsLeftAlone {
    /// Digest that the run was to deploy.
    pub digest: String,
    #[schemars(length(max = 16))]
    pub differing: Vec<String>,
    /// How many there are, the named ones included.
    pub count: u32,
}

/// Values of annotations that have acted.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Handled {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconcile: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
    /// The newest revision by somebody else that was told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<u32>,
}

pub(super) fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

/// Limits and patterns of conditions as Kubernetes' own types have them; the list is a map by type.
fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": { "type": "string", "maxLength": 316 },
                "status": { "type": "string", "enum": ["True", "False", "Unknown"] },
                "observedGeneration": { "type": "integer", "format": "int64", "minimum": 0 },
                "lastTransitionTime": { "type": "string", "format": "date-time" },
                "reason": { "type": "string", "minLength": 1, "maxLength": 1024, "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$" },
                "message": { "type": "string", "maxLength": 32768 }
            }
        }
    })
}
