//! Why a plan is what it is, and what it waits for. Every sentence of status and every event is made from these.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::release::{DependencyView, Difference, Finding, InputsProblem, LeftAlone, Member, OperationKind, Why};

/// The reason behind a plan: exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Because {
    /// The desired digest is deployed and good.
    Good {
        revision: u32,
        label: Box<str>,
    },
    /// Suspended; says whether the desired digest is deployed and good.
    Suspended {
        deployed: bool,
    },
    /// The inputs are being looked up.
    Looking,
    /// All helm slots are in use.
    Queued,
    Running {
        kind: OperationKind,
        label: Box<str>,
        target: Option<u32>,
    },
    /// helm is done; the objects are not there yet.
    Judging {
        label: Box<str>,
        until: Timestamp,
        member: Option<Member>,
        why: Option<Why>,
    },
    /// A helm process died over the release.
    Recovering {
        revision: u32,
    },
    /// A helm process that is not ours is at work.
    StrangerAtWork {
        revision: u32,
    },
    /// A view is not complete.
    ViewPending(View),
    /// The API server refuses a view.
    ViewRefused {
        view: View,
        why: Box<str>,
    },
    /// The record of the newest revision, or objects, could not be read, or a record not be written. Says what, and what
    /// to do; it is tried again by itself.
    Unread {
        why: Box<str>,
        /// It may pass with nobody doing anything.
        transient: bool,
    },
    /// The record of the newest revision cannot be read; the name of its Secret.
    RecordUnreadable {
        secret: Box<str>,
    },
    /// A record that a run needs cannot be read, or a Secret that is no record has the name of the next one.
    RecordSpoilt {
        why: Box<str>,
        until: Timestamp,
    },
    InvalidSpec(Box<str>),
    /// A policy of the operator has nothing done for the object.
    Refused(Box<str>),
    /// Another object is the owner; namespace and name.
    ClaimedByAnother(Box<str>),
    /// The release exists and was not made by this object.
    NotOurs {
        revision: u32,
    },
    /// Somebody else's release is compared with what is declared, and taken over.
    Adopting {
        revision: u32,
    },
    /// What was taken over is good, and will be upgraded.
    Received {
        revision: u32,
        label: Box<str>,
    },
    Inputs(InputsProblem),
    /// A release that this one depends on is not ready.
    DependencyNotReady(DependencyView),
    /// The dependencies lead back to the object; the way there.
    DependencyCycle(Vec<Box<str>>),
    /// An install or upgrade failed and nothing was rolled back.
    AttemptFailed {
        kind: OperationKind,
        label: Box<str>,
        why: Box<str>,
        next: Next,
    },
    /// An upgrade failed; the way back is taken now.
    RollingBack {
        label: Box<str>,
        why: Box<str>,
        to: u32,
    },
    /// An upgrade failed and the release is back where it was good.
    RolledBack {
        label: Box<str>,
        to: Box<str>,
        revision: u32,
        why: Box<str>,
        next: Next,
    },
    /// Somebody rolled back by hand; it is respected.
    RolledBackByUser {
        label: Box<str>,
        revision: u32,
    },
    /// helm could not complete a rollback.
    RollbackFailed {
        to: u32,
        why: Box<str>,
        next: Next,
    },
    /// Rolled back, and still not good.
    RolledBackUnhealthy {
        revision: u32,
        why: Box<str>,
    },
    /// It was good once and is not now.
    Unhealthy {
        label: Box<str>,
        member: Member,
        why: Why,
    },
    /// Something that passes by itself keeps helm from working.
    Hindered {
        why: Box<str>,
        until: Timestamp,
    },
    Uninstalling,
    /// helm is done; this object is still there.
    Terminating {
        member: Member,
    },
    UninstallFailed {
        why: Box<str>,
        until: Timestamp,
    },
    /// The object lets go of its release.
    LettingGo,
    /// The object lets go of a release that it has no way to remove.
    LeftBehind {
        why: Box<str>,
    },
}

/// What holds the correction of drift back, where the release itself is as desired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// What an upgrade would wait for: a dependency.
    Waits(Because),
    /// What is deployed is not tried again.
    Quarantined,
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Next {
    /// Another attempt, not before then.
    RetryAt(Timestamp),
    /// Nothing until the inputs change or somebody asks for a retry.
    Quarantined,
    /// No new attempt; good when it recovers.
    Watching,
    /// The release is removed and installed again.
    Reinstall,
}

/// Which view is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum View {
    Records,
    Members,
}

/// Something that happened and is told once, as an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// Somebody upgraded by hand; the declared state is put back.
    ManualUpgrade { revision: u32 },
    /// Somebody rolled back by hand.
    ManualRollback { revision: u32, to: u32 },
    /// Somebody uninstalled by hand; the release is installed again.
    ManualUninstall,
    /// A release of somebody else was taken over. Says whether it is what is declared and stays as it is, and in which
    /// parts it was found to differ.
    Adopted { revision: u32, label: Box<str>, stays: bool, differs: Vec<Difference> },
    /// An attempt ended well.
    Done { kind: OperationKind, revision: u32, label: Box<str> },
    /// An attempt did not come to a result and is made again.
    Interrupted { kind: OperationKind, revision: u32 },
    /// Tests of the chart failed.
    TestsFailed { revision: u32, why: Box<str> },
    /// Objects in the cluster are not as the chart states them.
    Drifted { finding: Finding },
    /// A digest is not tried again.
    Quarantined { label: Box<str>, why: Box<str> },
    /// Definitions of the chart are not those of the cluster.
    DefinitionsDiffer(LeftAlone),
    /// Quarantine and counts were cleared on request.
    RetryRequested,
    /// The object was let go of although its release may be there.
    ForcedDeletion,
}
