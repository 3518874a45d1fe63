//! The newest revision was not made by this object's runs, or the release is gone without our doing.

use jiff::{SignedDuration, Timestamp};

use crate::{
    plan::{
        Because, Note,
        draft::{Decision, Draft},
    },
    release::{
        Adopt, Deployed, Failures, ForeignAction, Health, HistoryResult, OperationKind, Quarantined, Record,
        RecordStatus,
    },
    types::{Duration, ReleaseDigest},
};

/// How long the record of a stranger's process may stand still at least before the process counts as dead. helm's own
/// default for one step is five minutes, and a step is what lies between two writes of a record.
const STRANGER_STALE: SignedDuration = SignedDuration::from_mins(15);

/// What a stranger's step gets on top of `spec.timeout`, for the end of the step.
const STRANGER_EXTRA: SignedDuration = SignedDuration::from_mins(5);

/// How long a record has to be seen standing still until it counts as left by a dead process. Measured by the clock of
/// this process alone: the record's own date is the API server's.
///
/// A record stands still while helm waits for objects or for a hook. So this assumes that nobody gives a step of a run
/// by hand more than 15 minutes, or more than this release gets from its own spec: a chart that needs long is known to
/// need long. Whoever gives more than that sets `spec.suspend` first. Nothing else that is at hand tells a process that
/// waits from a dead one: a hook stays `Running` in the record of either, and objects that are not ready stay so.
fn goes_stale_after(timeout: Duration) -> SignedDuration {
    let step = SignedDuration::try_from(timeout.as_std()).unwrap_or(STRANGER_STALE);
    STRANGER_STALE.max(step.saturating_add(STRANGER_EXTRA))
}

/// Until when the process of a stranger has to be waited for, if one seems to be at work on the newest revision.
pub(super) fn at_work(draft: &Draft<'_>, newest: &Record) -> Option<Timestamp> {
    let ours = match newest.status {
        RecordStatus::Uninstalling => removal_is_ours(draft),
        RecordStatus::PendingInstall | RecordStatus::PendingUpgrade | RecordStatus::PendingRollback => {
            draft.is_ours(newest)
        }
        RecordStatus::Unknown
        | RecordStatus::Deployed
        | RecordStatus::Uninstalled
        | RecordStatus::Superseded
        | RecordStatus::Failed => true,
    };
    let stood_still = SignedDuration::try_from(draft.snapshot.untouched.as_std()).unwrap_or(SignedDuration::MAX);
    let left = goes_stale_after(draft.policy.timeout).saturating_sub(stood_still);
    (!ours && left.is_positive()).then(|| draft.now().checked_add(left).unwrap_or(Timestamp::MAX))
}

/// A removal leaves the record's labels as they were, so history alone tells whose it is.
fn removal_is_ours(draft: &Draft<'_>) -> bool {
    let last = draft.memory.attempts().next_back().map(|entry| (entry.action, entry.result));
    draft.memory.operation.as_ref().is_some_and(|operation| operation.kind == OperationKind::Uninstall)
        || last.is_some_and(|(kind, result)| kind == OperationKind::Uninstall && result != HistoryResult::Succeeded)
}

/// A removal by somebody else that died. Where all that it was to remove is still there and healthy, a hook of the chart
/// may have stopped it: its record is unlocked and upgraded, and nothing that works is taken away. Where something is
/// missing, `None`: it is completed, and installed again.
fn stopped_removal(draft: &mut Draft<'_>, revision: u32) -> Option<Decision> {
    let because = Because::Recovering { revision };
    if let Some(first) = draft.take_inventory(revision, because.clone()) {
        return Some(first);
    }
    match draft.health() {
        Health::Healthy => draft.unlock_of_others(revision, because),
        // What is not in view may be there.
        Health::Unknown { .. } => Decision::idle(draft.unseen()),
        Health::Progressing { .. } | Health::Failed { .. } => None,
    }
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
    if newest.status == RecordStatus::Uninstalling
        && !removal_is_ours(draft)
        && let Some(stopped) = stopped_removal(draft, revision)
    {
        return Some(stopped);
    }
    if matches!(newest.status, RecordStatus::Uninstalled | RecordStatus::Uninstalling) {
        removed(draft);
        return None;
    }
    if draft.is_ours(newest) {
        return None;
    }
    if newest.status.is_pending() {
        return draft.unlock_of_others(revision, Because::Recovering { revision });
    }
    if draft.memory.handled.foreign == Some(revision) {
        return None;
    }
    let payload = draft.snapshot.payload.as_ref().filter(|payload| payload.revision == revision);
    let Some(payload) = payload else { return draft.inspect(revision, Because::Looking) };
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
    let (now, gone) = (draft.now(), draft.newest().is_none());
    draft.memory.tested = None;
    if let Some(ours) = draft.memory.open_removal() {
        if gone {
            ours.result = HistoryResult::Succeeded;
        }
        return;
    }
    // Also of what never became good: the next revision of its number is another one.
    let made = draft
        .memory
        .attempts_since_removal()
        .find(|entry| matches!(entry.result, HistoryResult::Succeeded | HistoryResult::Failed));
    let bad = made.map(|entry| Deployed {
        revision: entry.revision,
        chart: entry.chart.clone(),
        version: entry.version.clone(),
        app_version: "".into(),
        digest: entry.digest.clone(),
        since: now,
    });
    if let Some(there) = draft.memory.deployed.take().or(bad) {
        draft.tell(OperationKind::Uninstall, there, now);
        // Revisions may begin anew, so a number that was told of means nothing any more.
        draft.memory.handled.foreign = None;
        draft.notes.push(Note::ManualUninstall);
    }
}

/// An emergency rollback by a person is not undone: what was rolled away from is quarantined. What was asked for since
/// then is another thing, and is tried.
fn respect(draft: &mut Draft<'_>, newest: &Record, there: Deployed, to: u32) {
    let (now, revision) = (draft.now(), newest.revision);
    draft.notes.push(Note::ManualRollback { revision, to });
    for (digest, version) in rolled_away_from(draft, revision, there.digest.as_ref()) {
        draft.memory.quarantine(Quarantined {
            version,
            digest,
            reason: Quarantined::BY_USER.into(),
            message: format!("somebody rolled back to revision {to}").into(),
            since: now,
        });
    }
    // Where a person goes on to what they rolled away from before, their last word counts.
    draft.memory.quarantined.retain(|entry| !entry.is_by_user() || Some(&entry.digest) != there.digest.as_ref());
    draft.memory.failures = Failures::default();
    if newest.status == RecordStatus::Deployed {
        draft.memory.deployed = Some(there);
    }
}

/// What the last revision of ours below `revision` deployed, with its version; and what is desired, where the last
/// attempt tried it: its next one would undo the rollback as well.
fn rolled_away_from(draft: &Draft<'_>, revision: u32, there: Option<&ReleaseDigest>) -> Vec<(ReleaseDigest, Box<str>)> {
    let memory = &draft.memory;
    let ours = draft.records().and_then(|records| {
        let mut below = records.iter().rev().filter(|record| record.revision < revision);
        below.find_map(|record| Some((record.revision, draft.digest_of(record)?)))
    });
    let good = memory.deployed.as_ref().filter(|good| good.revision < revision);
    let good = good.and_then(|good| Some((good.revision, good.digest.as_ref()?)));
    let left = ours.into_iter().chain(good).max_by_key(|(revision, _)| *revision);
    let last = memory
        .attempts()
        .rev()
        .find(|entry| matches!(entry.action, OperationKind::Install | OperationKind::Upgrade))
        .and_then(|entry| Some((entry.revision, entry.digest.as_ref()?)));
    let desired = memory.desired.as_ref().map(|desired| &desired.digest);
    let tried = last.filter(|(_, digest)| desired == Some(*digest));
    let mut away: Vec<(u32, &ReleaseDigest)> =
        left.into_iter().chain(tried).filter(|(_, digest)| Some(*digest) != there).collect();
    away.dedup_by_key(|(_, digest)| *digest);
    away.into_iter().map(|(of, digest)| (digest.clone(), draft.describe(of, Some(digest)).version)).collect()
}
