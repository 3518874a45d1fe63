//! The only parse of a spec: from what a user wrote to values that nobody doubts any more.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::IgnoreRule;
use crate::{
    api::{
        Adopt, CrdsPolicy, DeletionPolicy, DriftMode, HelmRelease, Hooks, InstallFailure, UpgradeFailure, ValuesKind,
    },
    types::{
        ChartName, Duration, DurationError, Expression, ExpressionError, NameError, Namespace, ObjectKey, ReleaseKey,
        ReleaseName, VersionError, VersionRequest,
    },
};

/// One attempt, helm and health together.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How often a moving version is looked up again.
const INTERVAL: Duration = Duration::from_secs(10 * 60);
/// The shortest interval: a repository is not asked more often for one release.
const INTERVAL_MIN: Duration = Duration::from_secs(10);
/// Revisions that helm keeps: enough for a way back and a look at what failed.
const MAX_HISTORY: u32 = 5;
/// Attempts beyond the first.
const RETRIES: u32 = 1;
/// Key of a ConfigMap or Secret that holds values.
const VALUES_KEY: &str = "values.yaml";

/// Why a spec cannot be acted on. Nothing is tried again until the object changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    #[error("{0}; set spec.releaseName")]
    Name(NameError),
    #[error("spec.{field}: {source}")]
    Field { field: &'static str, source: NameError },
    #[error("{0}")]
    Version(#[from] VersionError),
    #[error("spec.{field}: {source}")]
    Duration { field: &'static str, source: DurationError },
    #[error("spec.interval is {0}, at least {INTERVAL_MIN} is needed")]
    Interval(Duration),
    #[error("spec.chart.repository is missing, and the operator has no default repository; name one")]
    NoRepository,
    #[error("spec.values is not a map of values")]
    Values,
    #[error("spec.maxHistory is {0}, at least 2 revisions are needed for a way back")]
    History(u32),
    #[error("spec.targetNamespace {0} is not the object's own; a foreign namespace needs spec.serviceAccountName")]
    ForeignNamespace(Namespace),
    #[error("spec.dependsOn[{index}].readyWhen, {source}")]
    ReadyWhen { index: usize, source: ExpressionError },
    #[error("the object has no namespace")]
    NoNamespace,
}

/// What the operator adds to a spec that leaves things out.
#[derive(Debug, Clone, Default)]
pub struct SpecDefaults {
    pub repository: Option<Box<str>>,
    pub service_account: Option<Box<str>>,
    pub drift: DriftMode,
}

impl SpecDefaults {
    /// The service account that an object's release is made as, if there is one.
    pub fn account_of<'a>(&'a self, object: &'a HelmRelease) -> Option<&'a str> {
        object.spec.service_account_name.as_deref().or(self.service_account.as_deref())
    }
}

/// A spec, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    pub chart: ChartName,
    pub repository: Box<str>,
    /// Name of a Secret with credentials for the repository.
    pub repository_secret: Option<Box<str>>,
    pub version: VersionRequest,
    pub values: Map<String, Value>,
    pub values_from: Vec<ValuesSource>,
    pub service_account: Option<Box<str>>,
    pub create_namespace: bool,
    pub depends_on: Vec<Dependency>,
    /// Differences that are no drift.
    pub drift_ignore: Vec<IgnoreRule>,
    pub policy: Policy,
}

/// The part of a spec that decisions are made from. Holds no values, so that it can be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    pub namespace: Namespace,
    pub release: ReleaseName,
    #[serde(default)]
    pub suspend: bool,
    #[serde(default = "interval")]
    pub interval: Duration,
    #[serde(default = "timeout")]
    pub timeout: Duration,
    #[serde(default = "max_history")]
    pub max_history: u32,
    #[serde(default = "crds")]
    pub crds: CrdsPolicy,
    #[serde(default = "install_failure")]
    pub install_failure: InstallFailure,
    #[serde(default = "upgrade_failure")]
    pub upgrade_failure: UpgradeFailure,
    #[serde(default = "retries")]
    pub retries: u32,
    #[serde(default)]
    pub force_conflicts: bool,
    #[serde(default)]
    pub hooks: HooksPolicy,
    #[serde(default)]
    pub test: TestPolicy,
    #[serde(default = "deletion")]
    pub deletion: DeletionPolicy,
    #[serde(default)]
    pub adopt: Adopt,
    #[serde(default)]
    pub drift: DriftMode,
}

/// Whether hooks run, by what runs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HooksPolicy {
    pub install: Hooks,
    pub upgrade: Hooks,
    pub rollback: Hooks,
}

/// The tests that a revision has to pass.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TestPolicy {
    pub enabled: bool,
    pub ignore_failures: bool,
    /// Only these run; empty means all.
    pub only: Vec<Box<str>>,
    /// These do not run.
    pub except: Vec<Box<str>>,
}

impl TestPolicy {
    /// Whether a test of that name runs.
    pub fn selects(&self, name: &str) -> bool {
        let named = |names: &[Box<str>]| names.iter().any(|one| **one == *name);
        (self.only.is_empty() || named(&self.only)) && !named(&self.except)
    }
}

fn interval() -> Duration {
    INTERVAL
}

fn timeout() -> Duration {
    TIMEOUT
}

fn max_history() -> u32 {
    MAX_HISTORY
}

fn crds() -> CrdsPolicy {
    CrdsPolicy::Create
}

fn install_failure() -> InstallFailure {
    InstallFailure::Keep
}

fn upgrade_failure() -> UpgradeFailure {
    UpgradeFailure::RollBack
}

fn retries() -> u32 {
    RETRIES
}

fn deletion() -> DeletionPolicy {
    DeletionPolicy::Uninstall
}

/// Another release that has to be ready first.
#[derive(Debug, Clone, PartialEq)]
pub struct Dependency {
    pub object: ObjectKey,
    /// Over [`Dependency::NAMES`]; absent means that its condition Ready tells.
    pub ready_when: Option<Expression>,
}

impl Dependency {
    /// What an expression may name: the object itself, and the one that it depends on.
    pub const NAMES: [&'static str; 2] = ["self", "dep"];
}

/// One entry of `valuesFrom`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuesSource {
    pub kind: ValuesKind,
    pub name: Box<str>,
    pub key: Box<str>,
    /// A path as in `helm --set`; absent means that the text is a map of values.
    pub target_path: Option<Box<str>>,
    pub optional: bool,
}

impl Policy {
    pub fn key(&self) -> ReleaseKey {
        ReleaseKey { namespace: self.namespace.clone(), name: self.release.clone() }
    }
}

/// The release that an object means, if the names in it are names at all. It does not depend on the rest of the spec,
/// so that an object with a mistake elsewhere still finds the release that it owns.
pub fn release_key(object: &HelmRelease) -> Result<ReleaseKey, SpecError> {
    let own = object.metadata.namespace.as_deref().ok_or(SpecError::NoNamespace)?;
    let namespace = object.spec.target_namespace.as_deref().unwrap_or(own);
    let name = object.spec.release_name.as_deref().or(object.metadata.name.as_deref()).unwrap_or_default();
    Ok(ReleaseKey {
        namespace: Namespace::parse(namespace)
            .map_err(|source| SpecError::Field { field: "targetNamespace", source })?,
        name: ReleaseName::parse(name).map_err(SpecError::Name)?,
    })
}

impl Desired {
    pub fn parse(object: &HelmRelease, defaults: &SpecDefaults) -> Result<Self, SpecError> {
        let spec = &object.spec;
        let key = release_key(object)?;
        let service_account: Option<Box<str>> = defaults.account_of(object).map(Into::into);
        if object.metadata.namespace.as_deref() != Some(key.namespace.as_str()) && service_account.is_none() {
            return Err(SpecError::ForeignNamespace(key.namespace));
        }
        let chart = spec.chart.clone().unwrap_or_default();
        let name = chart.name.as_deref().unwrap_or(key.name.as_str());
        let repository = chart.repository.map(Into::into).or_else(|| defaults.repository.clone());
        let values = match &spec.values {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(map)) => map.clone(),
            Some(_) => return Err(SpecError::Values),
        };
        Ok(Self {
            chart: ChartName::parse(name).map_err(|source| SpecError::Field { field: "chart.name", source })?,
            repository: repository.ok_or(SpecError::NoRepository)?,
            repository_secret: chart.secret_ref.map(|secret| secret.name.into()),
            version: spec.release_version.as_deref().map_or(Ok(VersionRequest::newest()), VersionRequest::parse)?,
            values,
            values_from: spec.values_from.iter().map(source).collect(),
            service_account,
            create_namespace: spec.create_namespace.unwrap_or(false),
            depends_on: depends_on(object)?,
            drift_ignore: spec.drift_detection.iter().flat_map(|drift| &drift.ignore).map(IgnoreRule::from).collect(),
            policy: Policy { drift: drift(object).unwrap_or(defaults.drift), ..policy(object, key)? },
        })
    }
}

/// The objects that an object depends on, each once, in the order in which it names them.
pub fn dependency_keys(object: &HelmRelease) -> Vec<ObjectKey> {
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    let mut keys = Vec::new();
    for dependency in &object.spec.depends_on {
        let key = ObjectKey::new(dependency.namespace.as_deref().unwrap_or(own), &dependency.name);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

fn depends_on(object: &HelmRelease) -> Result<Vec<Dependency>, SpecError> {
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    let parse = |(index, dependency): (usize, &crate::api::Dependency)| {
        let ready_when = dependency.ready_when.as_deref().map(|source| Expression::parse(source, &Dependency::NAMES));
        Ok(Dependency {
            object: ObjectKey::new(dependency.namespace.as_deref().unwrap_or(own), &dependency.name),
            ready_when: ready_when.transpose().map_err(|source| SpecError::ReadyWhen { index, source })?,
        })
    };
    object.spec.depends_on.iter().enumerate().map(parse).collect()
}

fn source(from: &crate::api::ValuesFrom) -> ValuesSource {
    ValuesSource {
        kind: from.kind,
        name: from.name.as_str().into(),
        key: from.values_key.as_deref().unwrap_or(VALUES_KEY).into(),
        target_path: from.target_path.as_deref().map(Into::into),
        optional: from.optional.unwrap_or(false),
    }
}

fn policy(object: &HelmRelease, key: ReleaseKey) -> Result<Policy, SpecError> {
    let spec = &object.spec;
    let duration = |field, text: Option<&str>, default| {
        text.map_or(Ok(default), Duration::parse).map_err(|source| SpecError::Duration { field, source })
    };
    let interval = duration("interval", spec.interval.as_deref(), INTERVAL)?;
    if interval < INTERVAL_MIN {
        return Err(SpecError::Interval(interval));
    }
    let max_history = spec.max_history.unwrap_or(MAX_HISTORY);
    if max_history < 2 {
        return Err(SpecError::History(max_history));
    }
    let upgrade = spec.upgrade.unwrap_or_default();
    Ok(Policy {
        hooks: hooks(object),
        test: test(object),
        namespace: key.namespace,
        release: key.name,
        suspend: spec.suspend.unwrap_or(false),
        interval,
        timeout: duration("timeout", spec.timeout.as_deref(), TIMEOUT)?,
        max_history,
        crds: spec.crds.unwrap_or_else(crds),
        install_failure: spec.install.unwrap_or_default().on_failure.unwrap_or(InstallFailure::Keep),
        upgrade_failure: upgrade.on_failure.unwrap_or(UpgradeFailure::RollBack),
        retries: upgrade.retries.unwrap_or(RETRIES),
        force_conflicts: upgrade.force_conflicts.unwrap_or(false),
        deletion: spec.deletion_policy.unwrap_or(DeletionPolicy::Uninstall),
        adopt: spec.adopt.unwrap_or_default(),
        drift: drift(object).unwrap_or_default(),
    })
}

fn drift(object: &HelmRelease) -> Option<DriftMode> {
    object.spec.drift_detection.as_ref()?.mode
}

fn hooks(object: &HelmRelease) -> HooksPolicy {
    let spec = &object.spec;
    HooksPolicy {
        install: spec.install.unwrap_or_default().hooks.unwrap_or_default(),
        upgrade: spec.upgrade.unwrap_or_default().hooks.unwrap_or_default(),
        rollback: spec.rollback.unwrap_or_default().hooks.unwrap_or_default(),
    }
}

fn test(object: &HelmRelease) -> TestPolicy {
    let Some(test) = &object.spec.test else { return TestPolicy::default() };
    let named = |excluded: bool| {
        let of_kind = test.filters.iter().filter(|filter| filter.exclude.unwrap_or(false) == excluded);
        of_kind.map(|filter| filter.name.as_str().into()).collect()
    };
    TestPolicy {
        enabled: test.enabled.unwrap_or(false),
        ignore_failures: test.ignore_failures.unwrap_or(false),
        only: named(false),
        except: named(true),
    }
}

/// What can be acted on in an object whose spec is refused: its release can still be removed, and an attempt that was
/// made before is brought to its end. What can be read of the spec counts; the rest has its default.
pub fn policy_of_names(object: &HelmRelease) -> Option<Policy> {
    let key = release_key(object).ok()?;
    let spec = &object.spec;
    let upgrade = spec.upgrade.unwrap_or_default();
    Some(Policy {
        namespace: key.namespace,
        release: key.name,
        suspend: object.spec.suspend.unwrap_or(false),
        interval: INTERVAL,
        timeout: spec.timeout.as_deref().and_then(|text| Duration::parse(text).ok()).unwrap_or(TIMEOUT),
        max_history: spec.max_history.filter(|revisions| *revisions >= 2).unwrap_or(MAX_HISTORY),
        crds: spec.crds.unwrap_or_else(crds),
        install_failure: spec.install.unwrap_or_default().on_failure.unwrap_or(InstallFailure::Keep),
        upgrade_failure: upgrade.on_failure.unwrap_or(UpgradeFailure::RollBack),
        retries: upgrade.retries.unwrap_or(RETRIES),
        force_conflicts: upgrade.force_conflicts.unwrap_or(false),
        hooks: hooks(object),
        test: test(object),
        deletion: object.spec.deletion_policy.unwrap_or(DeletionPolicy::Uninstall),
        adopt: spec.adopt.unwrap_or_default(),
        drift: drift(object).unwrap_or_default(),
    })
}
