//! The way back after a bad upgrade, and what keeps a bad version from being tried again.

use crate::{
    api::{HistoryResult, UpgradeFailure},
    plan::{
        Because, Next, Priority, backoff as delays,
        draft::{Decision, Draft},
    },
    release::{Cause, Health, HistoryEntry, InputsView, OperationKind, RecordStatus},
};

/// Rolls back where the newest upgrade is bad and a verified revision is there to go back to.
pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    if draft.policy.upgrade_failure == UpgradeFailure::Keep {
        return None;
    }
    let bad = bad_upgrade(draft)?;
    let (bad_digest, bad_revision) = (bad.digest.clone(), bad.revision);
    let newest = draft.newest()?;
    let good = draft.memory.deployed.as_ref().map(|deployed| deployed.revision);
    if good == Some(newest.revision) {
        return None;
    }
    let rolled_back = newest.revision > bad_revision;
    // Rolled back and deployed, but not good: going back once more would change nothing.
    if rolled_back && newest.status == RecordStatus::Deployed {
        return None;
    }
    // Newer inputs are the better repair, if they are there to try.
    let fresh = draft.inputs().is_some_and(|inputs| {
        Some(&inputs.digest) != bad_digest.as_ref() && draft.memory.quarantine_of(&inputs.digest).is_none()
    });
    if fresh {
        return None;
    }
    let target = draft.records()?.newest_verified_below(newest.revision)?.revision;
    let (label, why) = (draft.desired_label(), draft.last_failure());
    if rolled_back && draft.memory.failures.rollbacks > 0 {
        let end = draft.memory.entry(newest.revision).map_or(draft.now(), |entry| entry.end);
        let until = delays::next(end, draft.memory.failures.rollbacks, delays::LIMIT, &draft.snapshot.object.uid);
        if draft.now() < until {
            return Decision::until(Because::RollbackFailed { to: target, why, next: Next::RetryAt(until) }, until);
        }
    }
    let mut decision = draft.launch(OperationKind::Rollback, Cause::Retry, Priority::Repair, Some(target));
    if decision.because == Because::Queued {
        decision.because = Because::RollingBack { label, why, to: target };
    }
    Some(decision)
}

/// The last attempt to deploy something, if it was an upgrade that was judged bad.
fn bad_upgrade<'d>(draft: &'d Draft<'_>) -> Option<&'d HistoryEntry> {
    let deploying = |entry: &&HistoryEntry| {
        entry.result != HistoryResult::Abandoned
            && matches!(entry.action, OperationKind::Install | OperationKind::Upgrade)
    };
    let last = draft.memory.history.iter().rev().find(deploying)?;
    (last.action == OperationKind::Upgrade && last.result == HistoryResult::Failed).then_some(last)
}

/// The desired digest is not tried again.
pub(super) fn quarantined(draft: &mut Draft<'_>) -> Option<Decision> {
    let inputs = draft.inputs()?;
    let entry = draft.memory.quarantine_of(&inputs.digest)?.clone();
    let (label, why) = (Box::from(inputs.label()), entry.message);
    if &*entry.reason == "RolledBackByUser" {
        let revision = draft.newest().map_or(0, |newest| newest.revision);
        return Decision::idle(Because::RolledBackByUser { label, revision });
    }
    Decision::idle(after_failure(draft, label, why, Next::Quarantined))
}

/// The next attempt is not due.
pub(super) fn backoff(draft: &mut Draft<'_>) -> Option<Decision> {
    let until = draft.memory.failures.not_before.filter(|moment| *moment > draft.now())?;
    let (label, why) = (draft.desired_label(), draft.last_failure());
    let because = if draft.memory.failures.count == 0 {
        Because::Hindered { why, until }
    } else {
        after_failure(draft, label, why, Next::RetryAt(until))
    };
    Decision::until(because, until)
}

/// Where a release stands after a failure: back at something good, or not.
fn after_failure(draft: &Draft<'_>, label: Box<str>, why: Box<str>, next: Next) -> Because {
    let newest = draft.newest();
    let deployed = draft.memory.deployed.as_ref();
    let back = newest.and_then(|newest| deployed.filter(|deployed| deployed.revision == newest.revision));
    let last = draft.memory.history.last();
    let rolled_back = last.is_some_and(|entry| entry.action == OperationKind::Rollback);
    match (back, newest) {
        (Some(deployed), _) => match draft.health() {
            Health::Failed { member, why } | Health::Progressing { member, why } => Because::RolledBackUnhealthy {
                revision: deployed.revision,
                why: format!("{member}: {}", why.text).into(),
            },
            Health::Healthy | Health::Unknown { .. } => {
                Because::RolledBack { label, to: deployed.label().into(), revision: deployed.revision, why, next }
            }
        },
        (None, Some(newest)) if rolled_back && newest.status == RecordStatus::Deployed => {
            Because::RolledBackUnhealthy { revision: newest.revision, why }
        }
        (None, newest) => {
            let kind = if newest.is_some_and(|newest| newest.revision > 1) && draft.memory.deployed.is_some() {
                OperationKind::Upgrade
            } else {
                last.map_or(OperationKind::Install, |entry| entry.action)
            };
            Because::AttemptFailed { kind, label, why, next }
        }
    }
}

/// Whether a range that is due can wait: an attempt is owed its verdict first.
pub(super) fn is_due(inputs: &InputsView, now: jiff::Timestamp) -> bool {
    match inputs {
        InputsView::Known { look_again: Some(moment), .. } => *moment <= now,
        InputsView::Known { look_again: None, .. }
        | InputsView::Stale
        | InputsView::Underway
        | InputsView::Failed { .. } => false,
    }
}
