//! Everything that one decision is made from, as plain data. A support case is one of these in a file.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Difference, DriftView, ForeignAction, Health, HistoryResult, Inputs, Member, Memory, OperationKind, Outcome,
    OwnerId, Policy, Record, RecordStatus, Records, View,
};
use crate::types::{Duration, ObjectKey, ReleaseDigest};

fn no_time() -> Duration {
    Duration::ZERO
}

/// One look at a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Snapshot {
    pub now: Timestamp,
    /// Name and start of this process, as it stands in an intent.
    pub holder: Box<str>,
    pub object: Object,
    pub spec: Spec,
    #[serde(default)]
    pub claim: Claim,
    #[serde(default)]
    pub inputs: InputsView,
    /// The releases that an install or upgrade waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<DependencyView>,
    /// Where the dependencies lead back to this object: the way there, from this object to this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Vec<Box<str>>>,
    pub records: View<Records>,
    /// Of the Secret of the newest record, as it was seen together with [`Self::records`]; 0 where there is none. What
    /// is decided of that record holds for no other state of it.
    #[serde(default)]
    pub version: u64,
    /// What the payload of the newest record told, if it was read. Of revision 0, where the release is gone: what a look
    /// at its objects told.
    #[serde(default)]
    pub payload: Option<Payload>,
    /// Why it, or what it tells, could not be worked with so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<Unread>,
    /// Revisions that are there and whose payload is known not to be readable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spoilt: Vec<u32>,
    /// How long this process has seen the newest record as it is, by its own monotonic clock, where helm is at work on it
    /// or died over it.
    #[serde(default = "no_time")]
    pub untouched: Duration,
    /// The health of `memory.inventory`.
    #[serde(default)]
    pub health: HealthView,
    /// Whether the objects of the newest revision are as it states them.
    #[serde(default)]
    pub drift: DriftView,
    #[serde(default)]
    pub flight: Flight,
    #[serde(default)]
    pub memory: Memory,
}

impl Snapshot {
    /// The way back from the revision that `below` is, or is going to be; see [`Memory::way_back`].
    pub fn way_back(&self, below: u32) -> Option<&Record> {
        self.memory.way_back(self.records.is()?, below, &self.spoilt)
    }

    /// Whether the release was deployed as declared by this object before, as far as records and history go back: by a
    /// run of helm for it, or as it was found. What was taken over and differed has no digest.
    pub fn was_deployed(&self) -> bool {
        let owner = self.object.owner();
        let deployed = self.records.is().is_some_and(|records| {
            let mut declared = records.iter().filter(|record| record.is_stamped_by(&owner) && record.digest.is_some());
            declared.any(|record| matches!(record.status, RecordStatus::Deployed | RecordStatus::Superseded))
        });
        let deploying = |kind| matches!(kind, OperationKind::Install | OperationKind::Upgrade);
        deployed
            || self.memory.attempts().any(|entry| deploying(entry.action) && entry.result == HistoryResult::Succeeded)
    }
}

/// The object itself, without its spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Object {
    pub namespace: Box<str>,
    pub name: Box<str>,
    pub uid: Box<str>,
    pub generation: i64,
    #[serde(default)]
    pub deleting: bool,
    #[serde(default)]
    pub finalizer: bool,
    /// Values of the annotations that ask for something.
    #[serde(default)]
    pub reconcile: Option<Box<str>>,
    #[serde(default)]
    pub retry: Option<Box<str>>,
    #[serde(default)]
    pub force_delete: Option<Box<str>>,
}

impl Object {
    pub fn key(&self) -> ObjectKey {
        ObjectKey { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    pub fn owner(&self) -> OwnerId {
        OwnerId::of(&self.key())
    }
}

/// The spec, parsed or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Spec {
    Valid(Policy),
    /// Says what is wrong and what to change. The names may be good all the same: enough to remove a release.
    Invalid {
        message: Box<str>,
        policy: Option<Policy>,
    },
    /// Whatever it says, a policy of the operator has nothing done for it. Says which, and the way out.
    Refused {
        why: Box<str>,
        policy: Policy,
    },
}

impl Spec {
    /// What decisions are made from, as far as it is known.
    pub fn policy(&self) -> Option<&Policy> {
        match self {
            Self::Valid(policy) | Self::Invalid { policy: Some(policy), .. } | Self::Refused { policy, .. } => {
                Some(policy)
            }
            Self::Invalid { policy: None, .. } => None,
        }
    }
}

/// Who may act on the release when several objects name it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Claim {
    #[default]
    Ours,
    /// Another object is the owner; namespace and name.
    Theirs(Box<str>),
}

/// A release that this one depends on; namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DependencyView {
    pub name: Box<str>,
    pub state: DependencyState,
}

/// How a dependency is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DependencyState {
    Ready,
    /// There, and not ready.
    Waiting {
        why: Box<str>,
    },
    Missing,
    /// The operator does not look into its namespace.
    Unwatched,
    /// Strict tenancy tells nothing of the releases of other namespaces.
    Foreign,
}

/// What is known of the inputs of helm.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum InputsView {
    /// Nobody has looked yet, or what was found is out of date.
    #[default]
    Stale,
    /// A task is looking.
    Underway,
    /// The last look failed; `tries` in a row by then.
    Failed { problem: InputsProblem, tries: u32, at: Timestamp },
    /// Found. `look_again` is when a range or an appVersion is to be resolved anew; `passed_over` says what the last
    /// look found and why that is not taken.
    Known {
        inputs: Inputs,
        look_again: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        passed_over: Option<Box<str>>,
    },
}

/// Why the inputs are not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputsProblem {
    pub kind: InputsProblemKind,
    pub message: Box<str>,
    /// It may pass by itself. What is not transient is looked at again when something changes, and slowly for ever.
    pub transient: bool,
}

/// Which input is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InputsProblemKind {
    Chart,
    /// The repository has nothing newer than what is deployed any more, only something older.
    Older,
    Values,
    /// Policy forbids it.
    Refused,
    /// The service account of the release lacks a right. Given to it, all goes on.
    Forbidden,
}

/// What the payload of one record told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Payload {
    pub revision: u32,
    pub action: ForeignAction,
    #[serde(default)]
    pub chart: Box<str>,
    #[serde(default)]
    pub version: Box<str>,
    #[serde(default)]
    pub app_version: Box<str>,
    #[serde(default)]
    pub members: Vec<Member>,
    /// Those of them that the cluster removes when they are done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub short_lived: Vec<Member>,
    /// Where somebody else's revision is to be adopted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Box<Comparison>>,
}

/// What somebody else has deployed, compared with what is declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Comparison {
    /// Digest of the inputs that the record was compared with.
    pub digest: ReleaseDigest,
    /// Of the record, when it was read: what is said here holds for no other state of it.
    pub resource_version: Box<str>,
    pub result: Compared,
}

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compared {
    /// helm was given what is declared.
    Equal,
    /// Not known to be equal.
    Differs(Vec<Difference>),
}

/// What could not be done with the newest record, or with the objects of a release that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unread {
    /// A sentence: what, and what to do.
    pub why: Box<str>,
    /// It may pass by itself.
    pub transient: bool,
    /// It is not tried again before then.
    pub until: Timestamp,
}

impl Payload {
    /// What is left of a release that is gone: no record tells of it.
    pub fn left(members: Vec<Member>) -> Self {
        Self { action: ForeignAction::Upgrade, members, ..Self::unreadable(0) }
    }

    /// Of a record that cannot be read.
    pub fn unreadable(revision: u32) -> Self {
        Self {
            revision,
            action: ForeignAction::Unreadable,
            chart: "".into(),
            version: "".into(),
            app_version: "".into(),
            members: Vec::new(),
            short_lived: Vec::new(),
            comparison: None,
        }
    }
}

/// The health of the members that the inventory names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthView {
    pub health: Health,
    /// Since when all views that the judgement needs are live; `None` while one is not. What may not be watched is not
    /// counted among them.
    #[serde(default)]
    pub live_since: Option<Timestamp>,
    /// Members that are there, or that may be because nobody has looked.
    #[serde(default)]
    pub present: Vec<Member>,
    /// The first member that does not exist, and has not gone as it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Member>,
}

impl Default for HealthView {
    fn default() -> Self {
        Self {
            health: Health::Unknown { why: "nothing was looked at yet".into(), refused: false },
            live_since: None,
            present: Vec::new(),
            missing: None,
        }
    }
}

/// Where the release stands with helm.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Flight {
    #[default]
    Idle,
    Queued,
    /// A slot is ours; what is planned now is what runs.
    Granted,
    /// A run is under way. `cancelled` once it was told to end.
    Running {
        operation: Box<str>,
        cancelled: bool,
    },
    Ended(Outcome),
}
