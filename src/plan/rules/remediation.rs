//! The way back after a bad upgrade, and what keeps a bad version from being tried again.

use jiff::SignedDuration;

use crate::{
    plan::{
        Because, Next, Priority, Wake,
        draft::{Decision, Draft},
    },
    release::{
        Cause, Failures, Health, HistoryEntry, HistoryResult, InputsView, OperationKind, Quarantined, Record,
        RecordStatus, Records, Spec, UpgradeFailure, record_name,
    },
};

/// How long chart and values may be out of reach before what an interrupted upgrade has left is not waited over any
/// longer: the time that an attempt has by default.
const INPUTS_AWAY: SignedDuration = SignedDuration::from_mins(5);

/// Rolls back where the newest upgrade is bad and a verified revision is there to go back to.
pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    if draft.at_good().is_some() {
        return None;
    }
    let newest = draft.newest()?;
    if newest.is_adopted() {
        // Not put there by us: what was tried before it was another release.
        return None;
    }
    let stuck = out_of_reach(draft);
    let bad = bad_upgrade(draft).or_else(|| half_way(draft).filter(|_| stuck.is_some()));
    // What our own upgrade left is kept where that is asked for; what somebody else put in its place is not.
    let keeps = draft.policy.upgrade_failure == UpgradeFailure::Keep;
    let removed = newest.status == RecordStatus::Uninstalled;
    let kept = keeps && !removed && newest.is_stamped_by(&draft.snapshot.object.owner());
    let failed = bad.filter(|_| !keeps).is_some_and(|bad| {
        // Rolled back and deployed: going back once more would change nothing.
        let deployed = newest.status == RecordStatus::Deployed;
        let done = newest.revision > bad.revision && deployed;
        // So it would where helm completed a correction of drift: the way back states the same.
        let corrected = bad.cause == Cause::Drift && bad.revision == newest.revision && deployed;
        !done && !corrected && !draft.fresh(bad.digest.as_ref())
    });
    // Half of a run that was ended, or somebody's upgrade, and what is desired is not to be tried.
    let held = draft.inputs().and_then(|inputs| draft.memory.quarantine_of(&inputs.digest));
    let displaced = held.is_some() && !kept && !is_rollback(draft, newest);
    if !failed && !displaced {
        return None;
    }
    let records = draft.records()?;
    let back = || draft.memory.way_back(records, newest.revision, &draft.snapshot.spoilt);
    let target = destination(draft, records).or_else(back)?.revision;
    let label = draft.desired_label();
    let why = held.map(|held| held.message.clone()).or(stuck).unwrap_or_else(|| draft.last_failure());
    let until = draft.rollback_due();
    if draft.now() < until {
        let why = draft.last_failure();
        return Decision::until(Because::RollbackFailed { to: target, why, next: Next::RetryAt(until) }, until);
    }
    let correction = bad.is_some_and(|bad| bad.cause == Cause::Drift);
    let cause = match failed {
        // It meets whoever holds the fields, like the correction that it follows.
        true if correction => Cause::Drift,
        true => Cause::Retry,
        false => Cause::External,
    };
    let mut decision = draft.launch(OperationKind::Rollback, cause, Priority::Repair, Some(target));
    if decision.because == Because::Queued {
        decision.because = Because::RollingBack { label, why, to: target };
    }
    Some(decision)
}

/// Where a rollback by a person was going that did not get there: it is completed, although something newer was good.
fn destination<'r>(draft: &Draft<'_>, records: &'r Records) -> Option<&'r Record> {
    let ours =
        |entry: &&HistoryEntry| entry.action == OperationKind::Rollback && entry.result != HistoryResult::External;
    let last = draft.memory.history.iter().rev().find(|entry| !ours(entry))?;
    let digest = last.digest.as_ref().filter(|_| last.action == OperationKind::Rollback)?;
    let spoilt = &draft.snapshot.spoilt;
    let there = |record: &&Record| record.is_verified() && !spoilt.contains(&record.revision);
    records.iter().rev().filter(there).find(|record| draft.digest_of(record) == Some(digest))
}

/// Says in addition why a bad version is still there: the only way back has a record that helm cannot read.
fn without_way_back(draft: &Draft<'_>, why: Box<str>) -> Box<str> {
    let (Some(records), Some(newest)) = (draft.records(), draft.newest()) else { return why };
    let back = |spoilt: &[u32]| draft.memory.way_back(records, newest.revision, spoilt);
    match (back(&[]), back(&draft.snapshot.spoilt)) {
        (Some(lost), None) => {
            let secret = record_name(&draft.policy.release, lost.revision);
            if why.contains(&secret) {
                return why;
            }
            format!("{why}; there is no way back: Secret {secret} cannot be read, restore it").into()
        }
        (_, Some(_)) | (None, None) => why,
    }
}

fn is_rollback(draft: &Draft<'_>, record: &Record) -> bool {
    record.status == RecordStatus::Deployed
        && draft.entry_of(record).is_some_and(|entry| entry.action == OperationKind::Rollback)
}

/// The way back was taken and the result was bad too: going back once more would change nothing.
pub(super) fn restored(draft: &mut Draft<'_>) -> Option<Decision> {
    let newest = draft.newest().filter(|newest| is_rollback(draft, newest))?;
    let bad = bad_upgrade(draft).and_then(|bad| bad.digest.clone());
    if draft.at_good().is_some() || draft.memory.failures.rollbacks == 0 || draft.fresh(bad.as_ref()) {
        return None;
    }
    if let Some(first) = draft.take_inventory(newest.revision, Because::Looking) {
        return Some(first);
    }
    match draft.health() {
        Health::Healthy => Some(draft.accept(newest.revision, None)),
        Health::Unknown { .. } => Some(super::inputs::meanwhile(draft, draft.unseen(), Wake::Never)),
        Health::Failed { member, why } | Health::Progressing { member, why } => {
            let why = format!("{member}: {}", why.text).into();
            let because = Because::RolledBackUnhealthy { revision: newest.revision, why };
            Some(super::inputs::meanwhile(draft, because, Wake::Never))
        }
    }
}

/// The last attempt to deploy something, if it was an upgrade that was judged bad.
pub(super) fn bad_upgrade<'d>(draft: &'d Draft<'_>) -> Option<&'d HistoryEntry> {
    let deploying = |entry: &&HistoryEntry| {
        entry.result != HistoryResult::Abandoned
            && matches!(entry.action, OperationKind::Install | OperationKind::Upgrade)
    };
    let last = draft.memory.attempts().rev().find(deploying)?;
    (last.action == OperationKind::Upgrade && last.result == HistoryResult::Failed).then_some(last)
}

/// The upgrade that was tried last, where a run of it came to no end, nobody judged it good, and its record or that of a
/// way back from it is all that is there.
pub(super) fn half_way<'d>(draft: &'d Draft<'_>) -> Option<&'d HistoryEntry> {
    let newest = draft.newest()?;
    let stopped = newest.status == RecordStatus::Failed || newest.status.is_pending();
    overtaken(draft).filter(|last| newest.revision >= last.revision && stopped && draft.is_ours(newest))
}

/// The upgrade that was tried last, where it came to no verdict.
fn overtaken<'d>(draft: &'d Draft<'_>) -> Option<&'d HistoryEntry> {
    let deploying = |entry: &&HistoryEntry| matches!(entry.action, OperationKind::Install | OperationKind::Upgrade);
    let last = draft.memory.attempts_since_removal().find(deploying)?;
    (last.action == OperationKind::Upgrade && last.result == HistoryResult::Abandoned).then_some(last)
}

/// Whether an upgrade that came to no verdict is what is there: stopped half-way, or complete.
pub(super) fn is_unjudged(draft: &Draft<'_>) -> bool {
    let complete = || {
        let newest = draft.newest().filter(|newest| newest.status == RecordStatus::Deployed && !newest.is_verified());
        let last = overtaken(draft).map(|last| last.revision);
        newest.is_some_and(|newest| Some(newest.revision) == last && draft.is_ours(newest))
    };
    draft.at_good().is_none() && (half_way(draft).is_some() || complete())
}

/// Why an upgrade that was stopped half-way is not gone on with: what helm would be given cannot be had, or has not been
/// for long.
fn out_of_reach(draft: &Draft<'_>) -> Option<Box<str>> {
    let last = half_way(draft)?;
    let why = match (&draft.snapshot.spec, &draft.snapshot.inputs) {
        (Spec::Invalid { message, .. }, _) => message,
        (Spec::Valid(_), InputsView::Failed { problem, .. })
            if !problem.transient || draft.now().duration_since(last.end) >= INPUTS_AWAY =>
        {
            &problem.message
        }
        // Nothing at all is done for what is refused.
        (Spec::Refused { .. }, _)
        | (
            Spec::Valid(_),
            InputsView::Failed { .. } | InputsView::Stale | InputsView::Underway | InputsView::Known { .. },
        ) => return None,
    };
    Some(format!("it was interrupted and cannot be gone on with: {why}").into())
}

/// The desired digest is not tried again.
pub(super) fn quarantined(draft: &mut Draft<'_>) -> Option<Decision> {
    let inputs = draft.inputs()?;
    draft.memory.quarantine_of(&inputs.digest)?;
    if draft.newest().is_none_or(|newest| newest.status == RecordStatus::Uninstalled) {
        // Somebody removed the release, and with it all that was good: there is nothing left to protect. What fails now
        // fails as a first install, which has its own delays and is never quarantined.
        draft.memory.quarantined.retain(|entry| entry.digest != inputs.digest);
        draft.memory.failures = Failures::default();
        return None;
    }
    Decision::idle(state(draft))
}

/// The next attempt is not due.
pub(super) fn backoff(draft: &mut Draft<'_>) -> Option<Decision> {
    let until = draft.memory.failures.not_before.filter(|moment| *moment > draft.now())?;
    let because = match draft.memory.failures.count {
        0 => super::outcome::waits(draft, until),
        _ => state(draft),
    };
    Decision::until(because, until)
}

/// Where a release stands after a failure: back at something good, or not.
pub(in crate::plan) fn state(draft: &Draft<'_>) -> Because {
    let label = draft.desired_label();
    let held = draft.memory.desired.as_ref().and_then(|desired| draft.memory.quarantine_of(&desired.digest));
    let revision = draft.newest().map_or(0, |newest| newest.revision);
    if held.is_some_and(Quarantined::is_by_user) {
        return Because::RolledBackByUser { label, revision };
    }
    let (why, next) = match held {
        Some(held) => (held.message.clone(), Next::Quarantined),
        None => (draft.last_failure(), draft.next()),
    };
    let deployed = draft.memory.deployed.as_ref();
    // Where helm refused before it wrote a revision, the release is at something good without a way back.
    let back = draft.at_good().is_some_and(|newest| held.is_some() || is_rollback(draft, newest));
    let Some(deployed) = deployed.filter(|_| back) else {
        let why = without_way_back(draft, why);
        return Because::AttemptFailed { kind: super::deploy::kind(draft), label, why, next };
    };
    match draft.health() {
        Health::Failed { member, why } | Health::Progressing { member, why } => {
            Because::RolledBackUnhealthy { revision: deployed.revision, why: format!("{member}: {}", why.text).into() }
        }
        Health::Healthy | Health::Unknown { .. } => {
            Because::RolledBack { label, to: deployed.label().into(), revision: deployed.revision, why, next }
        }
    }
}
