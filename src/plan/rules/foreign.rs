//! The newest revision was not made by this object's runs, or the release is gone without our doing.

use jiff::{SignedDuration, Timestamp};

use crate::{
    plan::{
        Action, Because, Note,
        draft::{Decision, Draft},
    },
    release::{
        Adopt, Deployed, Failures, ForeignAction, HistoryResult, OperationKind, Quarantined, Record, RecordStatus,
    },
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

/// Until when the process of a stranger has to be waited for, if one seems to be at work on the newest revision.
pub(super) fn at_work(draft: &Draft<'_>, newest: &Record) -> Option<Timestamp> {
    let last = draft.memory.attempts().next_back().map(|entry| (entry.action, entry.result));
    let ours = match newest.status {
        // A removal leaves the record's labels as they were, so history alone tells whose it is.
        RecordStatus::Uninstalling => {
            draft.memory.operation.as_ref().is_some_and(|operation| operation.kind == OperationKind::Uninstall)
                || last.is_some_and(|(kind, result)| {
                    kind == OperationKind::Uninstall && result != HistoryResult::Succeeded
                })
        }
        RecordStatus::PendingInstall | RecordStatus::PendingUpgrade | RecordStatus::PendingRollback => {
            draft.is_ours(newest)
        }
        RecordStatus::Unknown
        | RecordStatus::Deployed
        | RecordStatus::Uninstalled
        | RecordStatus::Superseded
        | RecordStatus::Failed => true,
    };
    let stale = goes_stale(newest.written);
    (!ours && draft.now() < stale).then_some(stale)
}

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    let Some(newest) = draft.newest() else {
        removed(draft);
        return None;
    };
    let revision = newest.revision;
    if !draft.ever_ours() && draft.policy.adopt == Adopt::Never {
        return Decision::idle(Because::NotOurs { revision });
    }
    if let Some(stale) = at_work(draft, newest) {
        return Decision::until(Because::StrangerAtWork { revision }, stale);
    }
    if matches!(newest.status, RecordStatus::Uninstalled | RecordStatus::Uninstalling) {
        removed(draft);
        return None;
    }
    if draft.is_ours(newest) {
        return None;
    }
    if newest.status.is_pending() {
        return Decision::act(Action::Unlock { revision }, Because::Recovering { revision });
    }
    if draft.memory.handled.foreign == Some(revision) {
        return None;
    }
    let payload = draft.snapshot.payload.as_ref().filter(|payload| payload.revision == revision);
    let Some(payload) = payload else { return Decision::act(Action::Inspect { revision }, Because::Looking) };
    draft.memory.handled.foreign = Some(revision);
    // The labels are those of the target. They tell what it deploys only if the target was ours in turn.
    let digest = match payload.action {
        ForeignAction::Rollback { to } => newest.digest.clone().filter(|_| newest.stamp == Some(to)),
        ForeignAction::Upgrade | ForeignAction::Unreadable => None,
    };
    let there = Deployed {
        revision,
        chart: payload.chart.clone(),
        version: payload.version.clone(),
        app_version: payload.app_version.clone(),
        digest,
        since: draft.now(),
    };
    let written = Timestamp::from_second(newest.written).unwrap_or(draft.now());
    match payload.action {
        ForeignAction::Rollback { to } => {
            draft.tell(OperationKind::Rollback, there.clone(), written);
            respect(draft, newest, there, to);
        }
        ForeignAction::Upgrade | ForeignAction::Unreadable => {
            draft.tell(OperationKind::Upgrade, there, written);
            draft.notes.push(Note::ManualUpgrade { revision });
        }
    }
    None
}

/// The release was there, and was removed without our doing.
fn removed(draft: &mut Draft<'_>) {
    draft.memory.tested = None;
    if let Some(deployed) = draft.memory.deployed.take() {
        let now = draft.now();
        draft.tell(OperationKind::Uninstall, deployed, now);
        draft.memory.inventory = None;
        // Revisions may begin anew, so a number that was told of means nothing any more.
        draft.memory.handled.foreign = None;
        draft.notes.push(Note::ManualUninstall);
    }
}

/// An emergency rollback by a person is not undone: what was rolled away from is quarantined.
fn respect(draft: &mut Draft<'_>, newest: &Record, there: Deployed, to: u32) {
    let (now, revision) = (draft.now(), newest.revision);
    draft.notes.push(Note::ManualRollback { revision, to });
    if let Some(desired) = draft.memory.desired.clone().filter(|d| Some(&d.digest) != there.digest.as_ref()) {
        draft.memory.quarantine(Quarantined {
            version: desired.version,
            digest: desired.digest,
            reason: Quarantined::BY_USER.into(),
            message: format!("somebody rolled back to revision {to}").into(),
            since: now,
        });
    }
    draft.memory.failures = Failures::default();
    if newest.status == RecordStatus::Deployed {
        draft.memory.deployed = Some(there);
    }
}
