//! The newest revision was not made by this object's runs, or the release is gone without our doing.

use jiff::{SignedDuration, Timestamp};

use crate::{
    plan::{
        Action, Because, Note,
        draft::{Decision, Draft},
    },
    release::{Deployed, Failures, ForeignAction, Quarantined, Record},
};

/// How long the record of a stranger's process may stand still before the process counts as dead. helm's own default
/// for one step is five minutes, and a step is what lies between two writes of a record.
pub(super) const STRANGER_STALE: SignedDuration = SignedDuration::from_mins(15);

/// When a record last written at `written`, in seconds since 1970, counts as left by a dead process.
pub(super) fn goes_stale(written: i64) -> Timestamp {
    Timestamp::from_second(written)
        .ok()
        .and_then(|written| written.checked_add(STRANGER_STALE).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    let Some(newest) = draft.newest() else {
        if draft.memory.deployed.take().is_some() {
            draft.memory.inventory = None;
            draft.notes.push(Note::ManualUninstall);
        }
        return None;
    };
    if draft.is_ours(newest) {
        return None;
    }
    let revision = newest.revision;
    if !draft.ever_ours() {
        return Decision::idle(Because::NotOurs { revision });
    }
    if newest.status.is_pending() {
        let stale = goes_stale(newest.written);
        return if draft.now() < stale {
            Decision::until(Because::StrangerAtWork { revision }, stale)
        } else {
            Decision::act(Action::Unlock { revision }, Because::Recovering { revision })
        };
    }
    let payload = draft.snapshot.payload.as_ref().filter(|payload| payload.revision == revision);
    let Some(payload) = payload else { return Decision::act(Action::Inspect { revision }, Because::Looking) };
    match payload.action {
        ForeignAction::Rollback { to } => respect(draft, newest, to),
        ForeignAction::Upgrade | ForeignAction::Unreadable => {
            if draft.memory.handled.foreign != Some(revision) {
                draft.memory.handled.foreign = Some(revision);
                draft.notes.push(Note::ManualUpgrade { revision });
            }
            None
        }
    }
}

/// An emergency rollback by a person is not undone: what was rolled away from is quarantined.
fn respect(draft: &mut Draft<'_>, newest: &Record, to: u32) -> Option<Decision> {
    let (now, revision) = (draft.now(), newest.revision);
    let payload = draft.snapshot.payload.as_ref()?;
    draft.memory.deployed = Some(Deployed {
        revision,
        chart: payload.chart.clone(),
        version: payload.version.clone(),
        app_version: payload.app_version.clone(),
        digest: newest.digest.clone(),
        since: now,
    });
    draft.memory.failures = Failures::default();
    draft.notes.push(Note::ManualRollback { revision, to });
    if let Some(desired) = draft.memory.desired.clone().filter(|d| Some(&d.digest) != newest.digest.as_ref()) {
        draft.memory.quarantine(Quarantined {
            version: desired.label().into(),
            digest: desired.digest,
            reason: "RolledBackByUser".into(),
            message: format!("somebody rolled back to revision {to}").into(),
            since: now,
        });
    }
    None
}
