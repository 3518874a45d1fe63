//! The desired digest is deployed: what is left is to judge it.

use crate::{
    api::{HistoryResult, InstallFailure},
    plan::{
        Because, Next, Priority, View as Which, Wake,
        draft::{Decision, Draft},
    },
    release::{Cause, Health, InputsView, OperationKind, Record, RecordStatus},
};

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    let newest = draft.newest()?;
    let inputs = draft.inputs()?;
    let reached = newest.status == RecordStatus::Deployed
        && newest.digest.as_ref() == Some(&inputs.digest)
        && draft.is_ours(newest);
    if !reached {
        return None;
    }
    let label: Box<str> = inputs.label().into();
    let revision = newest.revision;
    if let Some(first) = draft.take_inventory(revision, Because::Looking) {
        return Some(first);
    }
    let verified = draft.memory.deployed.as_ref().is_some_and(|deployed| deployed.revision == revision);
    if !verified && !newest.is_verified() {
        return unproven(draft, newest, label);
    }
    if !verified {
        // Status was lost and the mark was not: it was good once, and that is remembered.
        return Some(draft.accept(revision, None));
    }
    if !newest.is_verified() || newest.stamp != Some(revision) {
        let because = state(draft, revision, label);
        return Decision::act(crate::plan::Action::Mark { revision }, because);
    }
    let because = state(draft, revision, label);
    let mut decision = Decision::idle(because)?;
    if let InputsView::Known { look_again: Some(moment), .. } = &draft.snapshot.inputs {
        decision.wake = Wake::At(*moment);
    }
    Some(decision)
}

/// Deployed, but not good so far, and the attempt is over: watched on; good when it recovers.
fn unproven(draft: &mut Draft<'_>, newest: &Record, label: Box<str>) -> Option<Decision> {
    let failed = draft.memory.entry(newest.revision).is_some_and(|entry| entry.result == HistoryResult::Failed);
    match draft.health() {
        Health::Healthy => Some(draft.accept(newest.revision, None)),
        Health::Unknown { .. } => Decision::idle(Because::ViewPending(Which::Members)),
        Health::Failed { member, why } | Health::Progressing { member, why } => {
            if !failed {
                let until = draft.now();
                let (member, why) = (Some(member.clone()), Some(why.clone()));
                return Decision::idle(Because::Judging { label, until, member, why });
            }
            let first = draft.memory.deployed.is_none();
            let why = draft.last_failure();
            if first && draft.policy.install_failure == InstallFailure::Uninstall {
                return Some(reinstall(draft, label, why));
            }
            let kind = if first { OperationKind::Install } else { OperationKind::Upgrade };
            let next = if draft.memory.quarantine_of(newest.digest.as_ref()?).is_some() {
                Next::Quarantined
            } else {
                Next::Watching
            };
            Decision::idle(Because::AttemptFailed { kind, label, why, next })
        }
    }
}

fn reinstall(draft: &mut Draft<'_>, label: Box<str>, why: Box<str>) -> Decision {
    let kind = OperationKind::Install;
    if let Some(until) = draft.memory.failures.not_before.filter(|moment| *moment > draft.now()) {
        let because = Because::AttemptFailed { kind, label, why, next: Next::RetryAt(until) };
        return Decision { action: crate::plan::Action::Idle, because, wake: Wake::At(until) };
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
        Health::Unknown { .. } => Because::ViewPending(Which::Members),
        Health::Failed { member, why } | Health::Progressing { member, why } => {
            Because::Unhealthy { label, member: member.clone(), why: why.clone() }
        }
    }
}
