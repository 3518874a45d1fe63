//! An attempt whose helm is done, or gone: judged by the health of its revision, or recovered.

use jiff::{SignedDuration, Timestamp};

use super::{drift, testing};
use crate::{
    plan::{
        Because, Wake,
        draft::{Decision, Draft},
        ending::Rejection,
    },
    release::{Fault, Health, HistoryResult, Operation, OperationKind, RecordStatus},
};

/// After a start of the operator or a lost watch, objects are watched for this long, or for the release's timeout if
/// that is shorter, before "not ready by the deadline" counts: the time in which nobody looked proves nothing.
const FRESH_OBSERVATION: SignedDuration = SignedDuration::from_secs(60);

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    let Some(open) = draft.memory.operation.clone() else { return resume(draft) };
    let operation = open.attempt();
    let records = draft.records()?;
    if operation.kind == OperationKind::Uninstall {
        draft.abandon(&operation);
        return None;
    }
    let Some(record) = records.get(operation.revision).filter(|record| draft.wrote(&operation, record)) else {
        // helm wrote nothing, somebody removed it, or somebody else was first: either way nothing is to be recovered.
        draft.abandon(&operation);
        if drift::is_correction_of_good(draft, &operation) {
            // Why, is not known: where it brings the operator down, it must not do so at each start.
            drift::hindered(draft);
        }
        return None;
    };
    match record.status {
        RecordStatus::PendingInstall | RecordStatus::PendingUpgrade | RecordStatus::PendingRollback => {
            draft.abandon(&operation);
            // Where a rollback by hand stands over it, nothing waits for this record any more.
            let newest = records.newest().is_some_and(|newest| newest.revision == record.revision);
            if newest { unlock(draft, record.revision) } else { None }
        }
        RecordStatus::Deployed if records.newest().is_some_and(|newest| newest.revision == record.revision) => {
            judge(draft, &operation, open.kind == OperationKind::Test)
        }
        // The process that saw why is gone with its words. It was most likely told to end together with its holder.
        RecordStatus::Failed if operation.holder != draft.snapshot.holder => {
            draft.abandon(&operation);
            None
        }
        // The records could not be read when helm had ended, so that its words say little: the API server was in
        // trouble, and that is no fault of the release.
        RecordStatus::Failed => {
            let why = format!("helm marked revision {} as failed", record.revision).into();
            let reason = super::outcome::reason(operation.kind);
            draft.reject(Rejection { operation: &operation, fault: Fault::Outside, reason, why });
            None
        }
        RecordStatus::Deployed
        | RecordStatus::Unknown
        | RecordStatus::Uninstalled
        | RecordStatus::Superseded
        | RecordStatus::Uninstalling => {
            draft.abandon(&operation);
            None
        }
    }
}

/// A deployed revision whose attempt came to no verdict: status was lost, or newer inputs overtook it and turned out to
/// be unusable. It gets a new deadline, so that it ends as good or is rolled back.
fn resume(draft: &mut Draft<'_>) -> Option<Decision> {
    let newest = draft.newest().filter(|newest| newest.status == RecordStatus::Deployed && !newest.is_verified())?;
    let digest = draft.digest_of(newest)?.clone();
    let known = draft.entry_of(newest);
    // What was taken over is no attempt, and is judged by itself.
    if newest.is_adopted() {
        return None;
    }
    let judged = known.is_some_and(|entry| entry.result != HistoryResult::Abandoned);
    if judged || draft.at_good().is_some() || draft.fresh(Some(&digest)) {
        return None;
    }
    let operation = draft.reopened(newest, digest);
    let because =
        Because::Judging { label: draft.label_of(&operation), until: operation.deadline, member: None, why: None };
    draft.memory.operation = Some(operation);
    Decision::until(because, draft.now())
}

/// A pending record of ours without an attempt: its unlocking was interrupted.
pub(super) fn interrupted(draft: &mut Draft<'_>) -> Option<Decision> {
    let newest = draft.newest()?;
    if newest.status.is_pending() { unlock(draft, newest.revision) } else { None }
}

fn unlock(draft: &Draft<'_>, revision: u32) -> Option<Decision> {
    Decision::act(draft.unlock(revision), Because::Recovering { revision })
}

/// `begun` says that a run of its tests was begun.
fn judge(draft: &mut Draft<'_>, operation: &Operation, begun: bool) -> Option<Decision> {
    let revision = operation.revision;
    let label = draft.label_of(operation);
    let judging = |member, why| Because::Judging { label: label.clone(), until: operation.deadline, member, why };
    if let Some(first) = draft.take_inventory(revision, judging(None, None)) {
        return Some(first);
    }
    let tests = operation.kind != OperationKind::Rollback && testing::are_due(draft, revision);
    if (tests || !matches!(draft.health(), Health::Healthy)) && is_overtaken(draft, operation) {
        draft.abandon(operation);
        return None;
    }
    match draft.health() {
        Health::Healthy if tests => testing::decide(draft, operation, begun),
        Health::Healthy => Some(draft.accept(revision, Some(operation))),
        Health::Failed { member, why } => {
            reject(draft, operation, why.fault, format!("{member}: {}", why.text));
            None
        }
        Health::Progressing { member, why } => {
            let Some(end) = verdict_due(draft, operation.started, operation.deadline) else {
                let because = draft.unseen();
                return Some(super::inputs::meanwhile(draft, because, Wake::Never));
            };
            if draft.now() < end {
                let because = judging(Some(member.clone()), Some(why.clone()));
                return Some(super::inputs::meanwhile(draft, because, Wake::At(end)));
            }
            let text = format!("{member}: {} after {}", why.text, draft.policy.timeout);
            reject(draft, operation, why.fault, text);
            None
        }
        // A view that is missing is no verdict, however late it is.
        Health::Unknown { .. } => Some(super::inputs::meanwhile(draft, draft.unseen(), Wake::Never)),
    }
}

/// Newer inputs are there to try: whether this revision would have become good is of no use to anybody any more.
fn is_overtaken(draft: &Draft<'_>, operation: &Operation) -> bool {
    let bad = super::remediation::bad_upgrade(draft).and_then(|bad| bad.digest.as_ref());
    let back = operation.kind == OperationKind::Rollback;
    !draft.policy.suspend && draft.fresh(operation.digest.as_ref()) && (!back || draft.fresh(bad))
}

/// When "not ready" becomes "failed"; `None` while a view that the judgement needs is not live.
pub(super) fn verdict_due(draft: &Draft<'_>, started: Timestamp, deadline: Timestamp) -> Option<Timestamp> {
    let timeout = SignedDuration::try_from(draft.policy.timeout.as_std()).ok()?;
    let since = draft.snapshot.health.live_since?;
    let observed = since.checked_add(FRESH_OBSERVATION.min(timeout)).ok()?;
    Some(if since <= started { deadline } else { deadline.max(observed) })
}

fn reject(draft: &mut Draft<'_>, operation: &Operation, fault: Fault, why: String) {
    let reason = match operation.kind {
        OperationKind::Install => "InstallFailed",
        OperationKind::Upgrade | OperationKind::Test | OperationKind::Uninstall => "UpgradeFailed",
        OperationKind::Rollback => "Unhealthy",
    };
    draft.reject(Rejection { operation, fault, reason, why: why.into() });
}
