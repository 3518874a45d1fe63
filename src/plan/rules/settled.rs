//! The desired digest is deployed: what is left is to judge it.

use super::testing;
use crate::{
    plan::{
        Action, Because, Next, Priority, Wake,
        draft::{Decision, Draft},
    },
    release::{Cause, Health, HistoryResult, Inputs, InstallFailure, OperationKind, Record, RecordStatus},
};

/// The desired digest is what helm has deployed, by a run of ours.
pub(super) fn reached<'d>(draft: &Draft<'d>) -> Option<(&'d Record, &'d Inputs)> {
    let newest = draft.newest().filter(|newest| newest.status == RecordStatus::Deployed)?;
    let inputs = draft.inputs().filter(|inputs| draft.digest_of(newest) == Some(&inputs.digest))?;
    Some((newest, inputs))
}

/// A good revision whose mark is missing: a write that got lost, or a rollback by a person that turned out well. It is
/// marked before anything else is done, because helm could prune what is not known to be the way back.
pub(super) fn unmarked(draft: &mut Draft<'_>) -> Option<Decision> {
    let newest = draft.at_good().filter(|newest| !newest.is_verified())?;
    let revision = newest.revision;
    let judged = draft.entry_of(newest).is_some_and(|entry| entry.result == HistoryResult::Succeeded);
    if !judged {
        draft.digest_of(newest)?;
        if let Some(first) = draft.take_inventory(revision, here(draft)) {
            return Some(first);
        }
        if !matches!(draft.health(), Health::Healthy) {
            return None;
        }
    }
    Decision::act(draft.mark(revision), here(draft))
}

/// How it stands with the revision that was last judged good, which is there.
pub(super) fn here(draft: &Draft<'_>) -> Because {
    match (reached(draft), draft.inputs()) {
        (Some((newest, inputs)), _) => state(draft, newest.revision, inputs.label().into()),
        (None, Some(inputs)) if !draft.fresh(None) || draft.memory.quarantine_of(&inputs.digest).is_some() => {
            super::remediation::state(draft)
        }
        (None, _) => Because::Looking,
    }
}

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    let (newest, inputs) = reached(draft)?;
    let label: Box<str> = inputs.label().into();
    let revision = newest.revision;
    if let Some(first) = draft.take_inventory(revision, Because::Looking) {
        return Some(first);
    }
    if draft.at_good().is_none() {
        if !newest.is_verified() {
            return unproven(draft, newest, label);
        }
        // Status was lost and the mark was not: it was good once, and that is remembered.
        let _ = draft.accept(revision, None);
    }
    Decision::idle(state(draft, revision, label))
}

/// Deployed, and its attempt was judged bad: watched on.
fn unproven(draft: &mut Draft<'_>, newest: &Record, label: Box<str>) -> Option<Decision> {
    let records = draft.records()?;
    let made_by_us = !records.were_adopted();
    let first = draft.memory.deployed.is_none() && made_by_us && !records.iter().any(Record::is_verified);
    let kind = deployed_by(draft, newest, first);
    match draft.health() {
        Health::Healthy if testing::have_failed(draft) && first && reinstalls(draft) => {
            let why = draft.last_failure();
            Some(reinstall(draft, kind, label, why))
        }
        Health::Healthy if testing::are_due(draft, newest.revision) => testing::again(draft, newest, label),
        Health::Healthy => Some(draft.accept(newest.revision, None)),
        Health::Unknown { .. } => Decision::idle(draft.unseen()),
        Health::Failed { member, why } | Health::Progressing { member, why } if newest.is_adopted() => {
            Decision::idle(Because::Unhealthy { label, member: member.clone(), why: why.clone() })
        }
        Health::Failed { member, why } | Health::Progressing { member, why } => {
            let why = match &draft.memory.failures.last {
                Some(last) => last.message.as_str().into(),
                None => format!("{member}: {}", why.text).into(),
            };
            if first && reinstalls(draft) {
                return Some(reinstall(draft, kind, label, why));
            }
            if let Some(again) = complete(draft, newest, kind, (&label, &why)) {
                return Some(again);
            }
            let next = if draft.memory.quarantine_of(newest.digest.as_ref()?).is_some() {
                Next::Quarantined
            } else {
                Next::Watching
            };
            Decision::idle(Because::AttemptFailed { kind, label, why, next })
        }
    }
}

/// An object that helm made is gone, and the revision never was good. Nobody else makes it again, so that to watch would
/// be to wait for ever, also for others that are not ready for want of it. An upgrade to the same digest makes what is
/// missing and leaves the rest as it is (helm 3.22 and 4.3 look for each object and create those that they do not find);
/// an install is refused while a revision is deployed. Each try is an attempt like any other, with its delay before the
/// next. That something vanishes is not the version's own fault, so it is tried for as long as it does; only where
/// something else fails as well do the attempts come to an end.
///
/// The index alone says that it is gone: what is there and has lost helm's label is missed too, and comes back the same
/// way. Of a revision that was good once, what somebody deletes is left to the detection of drift.
fn complete(
    draft: &mut Draft<'_>,
    newest: &Record,
    kind: OperationKind,
    (label, why): (&str, &str),
) -> Option<Decision> {
    let quarantined = newest.digest.as_ref().is_some_and(|digest| draft.memory.quarantine_of(digest).is_some());
    if draft.snapshot.health.missing.is_none() || quarantined {
        return None;
    }
    let failed = |next| Because::AttemptFailed { kind, label: label.into(), why: why.into(), next };
    if let Some(until) = draft.memory.failures.not_before.filter(|moment| *moment > draft.now()) {
        return Decision::until(failed(Next::RetryAt(until)), until);
    }
    if let Some(held) = super::dependency::decide(draft) {
        return Some(held);
    }
    let mut decision = draft.launch(OperationKind::Upgrade, Cause::Retry, Priority::Retry, None);
    if let (Because::Queued, Some(since)) = (&decision.because, draft.memory.failures.not_before) {
        decision.because = failed(Next::RetryAt(since));
    }
    Some(decision)
}

fn reinstalls(draft: &Draft<'_>) -> bool {
    draft.policy.install_failure == InstallFailure::Uninstall
}

/// What made a revision: nothing good before it does not make it an install. Where history does not tell any more, the
/// first is taken for one.
fn deployed_by(draft: &Draft<'_>, newest: &Record, first: bool) -> OperationKind {
    match draft.entry_of(newest).map(|entry| entry.action) {
        Some(kind @ (OperationKind::Install | OperationKind::Upgrade)) => kind,
        Some(OperationKind::Rollback | OperationKind::Test | OperationKind::Uninstall) | None => {
            if first {
                OperationKind::Install
            } else {
                OperationKind::Upgrade
            }
        }
    }
}

fn reinstall(draft: &mut Draft<'_>, kind: OperationKind, label: Box<str>, why: Box<str>) -> Decision {
    if let Some(until) = draft.memory.failures.not_before.filter(|moment| *moment > draft.now()) {
        let because = Because::AttemptFailed { kind, label, why, next: Next::RetryAt(until) };
        return Decision { action: Action::Idle, because, wake: Wake::At(until), placed: false };
    }
    let mut decision = draft.launch(OperationKind::Uninstall, Cause::Retry, Priority::Retry, None);
    if decision.because == Because::Queued {
        decision.because = Because::AttemptFailed { kind, label, why, next: Next::Reinstall };
    }
    decision
}

fn state(draft: &Draft<'_>, revision: u32, label: Box<str>) -> Because {
    match draft.health() {
        Health::Healthy => Because::Good { revision, label },
        Health::Unknown { .. } => draft.unseen(),
        Health::Failed { member, why } | Health::Progressing { member, why } => {
            Because::Unhealthy { label, member: member.clone(), why: why.clone() }
        }
    }
}
