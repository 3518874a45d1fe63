//! `HelmRelease.spec`: what a user declares, with the limits and rules that the API server enforces.

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{drift::DriftDetection, status::HelmReleaseStatus};

/// Keeps a Helm release as declared: installs, upgrades, and rolls back what fails.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[kube(
    group = "helmrelease.dev",
    version = "v1alpha1",
    kind = "HelmRelease",
    plural = "helmreleases",
    singular = "helmrelease",
    shortname = "hrel",
    namespaced,
    status = "HelmReleaseStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Release","type":"string","jsonPath":".status.release"}"#,
    printcolumn = r#"{"name":"Desired","type":"string","jsonPath":".status.desired.version"}"#,
    printcolumn = r#"{"name":"Deployed","type":"string","jsonPath":".status.deployed.version"}"#,
    printcolumn = r#"{"name":"Revision","type":"integer","jsonPath":".status.deployed.revision"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    validation = Rule::new("(has(self.spec.releaseName) ? self.spec.releaseName : self.metadata.name).size() <= 53")
        .message("the release name, by default the name of the object, has at most 53 characters; set a shorter spec.releaseName"),
    validation = Rule::new("(has(self.spec.releaseName) ? self.spec.releaseName : self.metadata.name) == (has(oldSelf.spec.releaseName) ? oldSelf.spec.releaseName : oldSelf.metadata.name)")
        .message("releaseName cannot change; delete the object and create another"),
    validation = Rule::new("(has(self.spec.targetNamespace) ? self.spec.targetNamespace : '') == (has(oldSelf.spec.targetNamespace) ? oldSelf.spec.targetNamespace : '')")
        .message("targetNamespace cannot change; delete the object and create another")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HelmReleaseSpec {
    /// Name of the Helm release. Default: the name of the object. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 53),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub release_name: Option<String>,

    /// Version of the chart: `1.2.3` is exact, `1.x` or `>=1 <2` is a range, anything else (or `app:TEXT`) is the
    /// appVersion of a chart. Default: the newest stable version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub release_version: Option<String>,

    /// Where the chart comes from. Default: the chart named like the release, from the operator's default repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<Chart>,

    /// Values for the chart. They win over everything in `valuesFrom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub values: Option<serde_json::Value>,

    /// Values from ConfigMaps and Secrets of the same namespace; later entries win. Where the operator runs with
    /// --tenancy strict, the service account needs the right to get them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub values_from: Vec<ValuesFrom>,

    /// Namespace of the release. Default: the namespace of the object. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub target_namespace: Option<String>,

    /// Create the namespace of the release when it is not there. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_namespace: Option<bool>,

    /// Service account, in the namespace of the object, whose rights helm uses. Default: that of the operator's
    /// --default-service-account, else the operator's own rights. Where the operator runs with --tenancy strict, an
    /// object without one is refused, and what the object names is read with these rights too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub service_account_name: Option<String>,

    /// Other releases that an install or upgrade of this one waits for, also of other namespaces that the operator
    /// watches: whoever may write releases is trusted with the state of all of them. Where the operator runs with
    /// --tenancy strict, one of another namespace is refused and nothing is told of it. What is deployed is not
    /// disturbed when one of them fails later, and deleting follows no order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub depends_on: Vec<Dependency>,

    /// Do nothing until this is false again; conditions go on being judged. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,

    /// How often a range or an appVersion is looked up again; at least 10s. Default: 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('10s')").message("interval must be at least 10s"))]
    pub interval: Option<String>,

    /// How long one attempt may take, helm, health and tests together. helm applies it to each of its steps; a run of
    /// helm, other than one of tests, is ended when it has taken a minute longer. Default: 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')").message("timeout must be between 1s and 24h"))]
    pub timeout: Option<String>,

    /// How many revisions helm keeps. More are kept where the way back needs them. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 100))]
    pub max_history: Option<u32>,

    /// What becomes of the CustomResourceDefinitions under `crds/` of the chart: Create those that are missing,
    /// CreateReplace to write those that differ too, or Skip all. None is ever deleted. Default: Create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crds: Option<CrdsPolicy>,

    /// What follows when the first install fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<Install>,

    /// What follows when an upgrade fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,

    /// How the release is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,

    /// The tests of the chart, as `helm test` runs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,

    /// Whether objects of the release that somebody else changed or deleted are named, or put back. They are compared
    /// once when the operator finds the release good, and after each change of one; at most 500 of a release, those that
    /// `status.inventory` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_detection: Option<DriftDetection>,

    /// What becomes of the release when the object is deleted. Default: Uninstall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// What is done about a release of that name that somebody else made. Never: it is left alone and the object says
    /// NotOurs. Release: the object becomes its owner. Where chart and values are those that are declared, only labels
    /// are put on its record and there is no new revision; else it is upgraded, after its objects were looked at, so
    /// that it is the way back if it was good. ReleaseAndObjects: as Release, and objects in the cluster that no release
    /// or another release owns are taken over too, until the release is deployed as declared for the first time, and
    /// never later; from then on they are a part of the release, and go with it. A release that another living
    /// HelmRelease owns is never taken. Default: Never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<Adopt>,
}

/// Where a chart comes from.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!has(self.secretRef) || has(self.repository)").message("secretRef needs a repository"))]
pub struct Chart {
    /// Name of the chart. Default: the name of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub name: Option<String>,

    /// URL of the chart repository. Default: the operator's default repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 1024), regex(pattern = r"^https?://[^/?#@]+(/[^?#]*)?$"))]
    pub repository: Option<String>,

    /// Secret with `username` and `password` for the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// Name of a Secret in the namespace of the object.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Values from one key of a ConfigMap or Secret.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValuesFrom {
    pub kind: ValuesKind,
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key of the data. Default: `values.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub values_key: Option<String>,
    /// Put the text at this path, as `helm --set` would, instead of reading it as a map of values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 250))]
    pub target_path: Option<String>,
    /// Count as empty when it does not exist. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// Where values may come from.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ValuesKind {
    ConfigMap,
    Secret,
}

impl ValuesKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// What becomes of the CustomResourceDefinitions that a chart brings.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrdsPolicy {
    Create,
    CreateReplace,
    Skip,
}

impl CrdsPolicy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::CreateReplace => "CreateReplace",
            Self::Skip => "Skip",
        }
    }
}

/// A release that has to be ready first.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dependency {
    /// Name of the HelmRelease object.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Its namespace. Default: the namespace of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
    /// When it counts as ready: a CEL expression over `self` (this object) and `dep` (the other one), as they are read
    /// from the API server but without `spec.values`, which may hold secrets, and without managedFields. Default: its
    /// Ready condition is True for its present generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub ready_when: Option<String>,
}

/// Policy for the first install.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Install {
    /// Default: Keep, the objects stay and helm tries again in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<InstallFailure>,
    /// Whether the hooks of the chart run. Default: Run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
}

/// What follows when the first install fails.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstallFailure {
    Keep,
    Uninstall,
}

/// Policy for upgrades.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Upgrade {
    /// Default: RollBack, to the newest revision that was good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<UpgradeFailure>,
    /// Attempts beyond the first before the version is quarantined. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10))]
    pub retries: Option<u32>,
    /// Take fields that another field manager holds. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_conflicts: Option<bool>,
    /// Whether the hooks of the chart run. Default: Run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
}

/// Policy for rollbacks.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollback {
    /// Whether the hooks of the chart run. Default: Run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
}

/// Whether hooks run.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hooks {
    #[default]
    Run,
    Skip,
}

/// Tests that a new revision has to pass before it counts as good. They run once for each revision, when its objects are
/// healthy; a revision that is good already is not tested later on.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Test {
    /// Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Say of tests that fail that they did, and go on as if they had passed. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_failures: Option<bool>,
    /// Which tests run. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub filters: Vec<TestFilter>,
}

/// One test by its name. Those that are named run, and no other; those that are excluded do not.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestFilter {
    /// Name of the hook's object.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<bool>,
}

/// What follows when an upgrade fails.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpgradeFailure {
    RollBack,
    Keep,
}

/// What becomes of the release when the object is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionPolicy {
    Uninstall,
    Orphan,
}

/// What an object may take over from others.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Adopt {
    #[default]
    Never,
    Release,
    ReleaseAndObjects,
}

/// A JSON object whose fields nobody but the chart knows.
fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "nullable": true, "x-kubernetes-preserve-unknown-fields": true })
}
