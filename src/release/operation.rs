//! One attempt at a release: what is to be done, and what came of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cause, Fault, Member, Payload, Records, TestRun, Why};
use crate::{
    api::{self, OperationKind},
    types::{Duration, ReleaseDigest},
};

/// The intent, written to status before helm starts and kept until the attempt is judged.
///
/// It is what a successor finds after a crash: the revision tells which record the dead process was going to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Operation {
    /// Unique among the attempts of one object.
    pub id: Box<str>,
    pub kind: OperationKind,
    /// What is to be deployed; absent for an uninstall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<ReleaseDigest>,
    /// The revision that the run creates; for an uninstall the newest that it removes, for tests the one under test.
    pub revision: u32,
    /// For tests: the attempt that they belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<OperationKind>,
    /// The revision that a rollback goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<u32>,
    /// Why it is done, as history will say it.
    #[serde(default)]
    pub cause: Cause,
    pub started: Timestamp,
    /// helm, health and tests together have until then.
    pub deadline: Timestamp,
    /// The process of the operator that holds the attempt: its name and the moment it started.
    pub holder: Box<str>,
}

impl Operation {
    /// The attempt that is judged: tests are a part of one.
    #[must_use]
    pub fn attempt(&self) -> Self {
        let kind = match self.kind {
            OperationKind::Test => self.of.unwrap_or(OperationKind::Upgrade),
            kind @ (OperationKind::Install
            | OperationKind::Upgrade
            | OperationKind::Rollback
            | OperationKind::Uninstall) => kind,
        };
        Self { kind, of: None, ..self.clone() }
    }
}

impl From<api::Operation> for Operation {
    fn from(wire: api::Operation) -> Self {
        Self {
            id: wire.id.into(),
            kind: wire.kind,
            digest: wire.digest.and_then(|digest| ReleaseDigest::parse(&digest).ok()),
            revision: wire.revision,
            of: wire.of,
            target: wire.target,
            cause: Cause::parse(&wire.cause),
            started: wire.started,
            deadline: wire.deadline,
            holder: wire.holder.into(),
        }
    }
}

impl From<Operation> for api::Operation {
    fn from(operation: Operation) -> Self {
        Self {
            id: operation.id.into(),
            kind: operation.kind,
            digest: operation.digest.map(String::from),
            revision: operation.revision,
            of: operation.of,
            target: operation.target,
            cause: operation.cause.as_str().to_owned(),
            started: operation.started,
            deadline: operation.deadline,
            holder: operation.holder.into(),
        }
    }
}

/// How a run of helm ended. Data, not an error: the planner decides what follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    Succeeded,
    Failed(Failure),
    /// The wall clock of the run ran out and it was ended.
    TimedOut,
    /// Ended on our own wish: newer input, shutdown or lost leadership.
    Cancelled,
    /// Ended by a signal that was not ours, such as the kernel's for want of memory.
    Killed {
        signal: i32,
    },
    /// It did not start: nothing was changed.
    NotStarted(Failure),
}

/// Why a run failed, in helm's words and in ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub class: FailureClass,
    /// helm's own message, bounded, printable, without secrets.
    pub message: Box<str>,
}

/// What kind of failure it was: the closed vocabulary that policy is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureClass {
    /// The API server did not answer, was overloaded or broke off.
    Unreachable,
    /// The release's identity lacks a right.
    Forbidden,
    /// Another helm process is at work on the release.
    Locked,
    /// Another process created the same revision, or the records differ from what was planned on.
    LostRace,
    /// A template of the chart does not render.
    Template,
    /// The values do not satisfy the chart's schema.
    Schema,
    /// The chart does not want this version of Kubernetes, or is no application chart.
    Incompatible,
    /// The API server does not know a kind in the chart.
    MissingKind,
    /// An object exists and belongs to something else.
    Ownership,
    /// Another field manager holds a field.
    Conflict,
    /// The API server refuses an object: invalid, or a field that cannot change.
    Invalid,
    /// An admission webhook refused or did not answer, or a quota is used up.
    Admission,
    /// A hook of the chart failed or did not end in time.
    Hook,
    /// helm gave up waiting for objects to become ready, or to go.
    NotReady,
    /// The namespace does not exist.
    NamespaceMissing,
    /// A removal is forbidden, and the service account that it is made as does not exist any more.
    AccountMissing,
    /// The record is larger than a Secret may be.
    TooLarge,
    /// helm says that there is no such release, or none deployed.
    NotFound,
    /// The inputs changed between plan and start.
    InputsChanged,
    /// helm is missing, too old or cannot be started.
    HelmUnavailable,
    /// A record that the run needs cannot be read, or what is no record has the name of the next one.
    RecordSpoilt,
    /// The operator itself failed in the middle of the run.
    Internal,
    /// helm said something that none of the above covers.
    Other,
}

impl FailureClass {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "Unreachable",
            Self::Forbidden => "Forbidden",
            Self::Locked => "Locked",
            Self::LostRace => "LostRace",
            Self::Template => "Template",
            Self::Schema => "Schema",
            Self::Incompatible => "Incompatible",
            Self::MissingKind => "MissingKind",
            Self::Ownership => "Ownership",
            Self::Conflict => "Conflict",
            Self::Invalid => "Invalid",
            Self::Admission => "Admission",
            Self::Hook => "Hook",
            Self::NotReady => "NotReady",
            Self::NamespaceMissing => "NamespaceMissing",
            Self::AccountMissing => "AccountMissing",
            Self::TooLarge => "TooLarge",
            Self::NotFound => "NotFound",
            Self::InputsChanged => "InputsChanged",
            Self::HelmUnavailable => "HelmUnavailable",
            Self::RecordSpoilt => "RecordSpoilt",
            Self::Internal => "Internal",
            Self::Other => "Other",
        }
    }

    /// Passes by itself and says nothing about the release: tried again, not counted as an attempt.
    pub fn is_transient(self) -> bool {
        match self {
            Self::Unreachable
            | Self::Locked
            | Self::LostRace
            | Self::InputsChanged
            | Self::HelmUnavailable
            | Self::RecordSpoilt
            | Self::Internal => true,
            Self::Forbidden
            | Self::Template
            | Self::Schema
            | Self::Incompatible
            | Self::MissingKind
            | Self::Ownership
            | Self::Conflict
            | Self::Invalid
            | Self::Admission
            | Self::Hook
            | Self::NotReady
            | Self::NamespaceMissing
            | Self::AccountMissing
            | Self::TooLarge
            | Self::NotFound
            | Self::Other => false,
        }
    }

    /// Whose fault a failure of this class is, after a revision was written.
    pub fn fault(self) -> Fault {
        match self {
            Self::Unreachable
            | Self::Forbidden
            | Self::Locked
            | Self::LostRace
            | Self::Admission
            | Self::NamespaceMissing
            | Self::AccountMissing
            | Self::InputsChanged
            | Self::HelmUnavailable
            | Self::RecordSpoilt
            | Self::Internal => Fault::Outside,
            Self::Template
            | Self::Schema
            | Self::Incompatible
            | Self::MissingKind
            | Self::Ownership
            | Self::Conflict
            | Self::Invalid
            | Self::Hook
            | Self::NotReady
            | Self::TooLarge
            | Self::NotFound
            | Self::Other => Fault::Own,
        }
    }
}

fn no_time() -> Duration {
    Duration::ZERO
}

/// What came of an attempt's run of helm, with the state of the release read after its end.
#[must_use = "an outcome that is not recorded is an attempt that nobody knows of"]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// [`Operation::id`].
    pub operation: Box<str>,
    pub ended: Ended,
    /// From the plan to the start of helm: for a slot, the chart, or definitions to be served. Zero where helm did not
    /// start.
    #[serde(default = "no_time")]
    pub waited: Duration,
    /// All records, read with a quorum after the end; `None` when they could not be read.
    pub records: Option<Records>,
    /// The payload of the newest revision; `None` when it was not read.
    pub payload: Option<Box<Payload>>,
    /// Where the time ran out: what of the release was not there yet, and whose fault that is. `None` where nothing of
    /// it was missing, or helm had not come so far: then it waited for the API server.
    #[serde(default)]
    pub awaited: Option<Box<Why>>,
    /// After an uninstall: objects of the release that are still there; `None` where that could not be found out.
    pub left_over: Option<Vec<Member>>,
    /// CustomResourceDefinitions of the chart that differ from those in the cluster, and were left alone.
    #[serde(default)]
    pub definitions: Box<[Box<str>]>,
    /// After tests: what the record tells of them; `None` when it could not be read.
    #[serde(default)]
    pub tests: Option<Box<TestRun>>,
}
