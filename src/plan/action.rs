//! What a pass can do: one of these, with no choice left to whoever does it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{release::Operation, types::ReleaseDigest};

/// The one effect of a plan.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    Idle,
    AddFinalizer,
    RemoveFinalizer,
    /// Find out what helm is to be given: read values, resolve and fetch the chart. A task, not awaited.
    Prepare,
    /// Read the payload of the newest record; with 0, look which objects of a release that is gone are on their way out.
    /// A task, not awaited.
    Inspect {
        revision: u32,
    },
    /// The same for somebody else's revision, and compare it with what is declared. A task, not awaited.
    Compare {
        revision: u32,
    },
    /// Compare the objects of the newest revision with what it states, as far as they changed. A task, not awaited.
    Detect {
        revision: u32,
    },
    /// Label the record of somebody else's revision as ours, if it still is what it was when it was compared.
    Adopt {
        revision: u32,
        /// Of the record, when it was compared.
        resource_version: Box<str>,
        /// What the revision deploys, where it is what is declared.
        digest: Option<ReleaseDigest>,
    },
    /// Queue for a helm slot.
    Ask(Priority),
    /// Leave the queue, or give the slot back.
    Withdraw,
    /// Run helm. The intent is in the memory of the same plan, and so in status before helm starts.
    Start(Operation),
    /// End the run under way.
    Cancel,
    /// The outcome is in the memory of the same plan: the board may forget it.
    Acknowledge {
        operation: Box<str>,
    },
    /// Label the record of the newest revision as ours and good, if it still is what it was when the revision was
    /// judged: what another helm superseded meanwhile may have been judged by the objects of the revision after it.
    Mark {
        revision: u32,
        /// [`crate::release::Snapshot::version`].
        version: u64,
    },
    /// Delete the objects of these revisions, none of which became good, that the newest does not have. A task, not
    /// awaited.
    Clear {
        revisions: Vec<u32>,
    },
    /// A helm process died over this record, or a removal was stopped: set it to failed, so that helm works on the
    /// release again. Only if the record still is what it was when its process was found to be dead.
    Unlock {
        revision: u32,
        /// [`crate::release::Snapshot::version`].
        version: u64,
    },
}

impl Action {
    /// The next pass follows at once, so that a status written for this one would be a request for nothing. If it does
    /// not follow soon, [`super::SAY_AFTER`] or [`super::SAY_QUEUED_AFTER`] brings a pass that says what is waited for.
    /// [`super::Plan::defers_status`] has the exceptions.
    pub fn defers_status(&self) -> bool {
        match self {
            Self::AddFinalizer
            | Self::RemoveFinalizer
            | Self::Prepare
            | Self::Inspect { .. }
            | Self::Compare { .. }
            | Self::Ask(_) => true,
            Self::Idle
            | Self::Withdraw
            | Self::Start(_)
            | Self::Cancel
            | Self::Detect { .. }
            | Self::Acknowledge { .. }
            | Self::Adopt { .. }
            | Self::Mark { .. }
            | Self::Clear { .. }
            | Self::Unlock { .. } => false,
        }
    }
}

/// Order in the queue for helm slots, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Priority {
    /// A rollback: something that worked is not working.
    Repair,
    /// A revision is deployed and waits for its tests.
    Test,
    /// A person changed something and waits.
    Changed,
    Retry,
    FirstInstall,
    Removal,
    /// Objects of a good release are put back: nobody waits for it.
    Drift,
}

/// What a plan wants besides its action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Wake {
    /// Only a change brings the next pass.
    Never,
    At(Timestamp),
}

impl Wake {
    pub(super) fn or_sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::At(one), Self::At(another)) => Self::At(one.min(another)),
            (Self::Never, wake) | (wake, Self::Never) => wake,
        }
    }
}
