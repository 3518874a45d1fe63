//! A release that somebody else made becomes the object's, where its spec says so.
//!
//! Nothing is written before it is known what helm would be given, and only labels are: the owner, and the digest where
//! the record was found to hold just that. Then the release is the object's and goes by the other rules, but for two
//! things. What was found is looked at first, for as long as an attempt has, because if it is good it is the way back
//! from the upgrade that may follow. And it was no attempt of the object's: it is told and never counted as failed, it
//! is not rolled back, and a release that began with somebody else is not removed to repair it.

use jiff::{SignedDuration, Timestamp};

use super::settled::reached;
use crate::{
    plan::{
        Action, Because, Note, Wake,
        draft::{Decision, Draft},
    },
    release::{Adopt, Cause, Compared, Deployed, Health, HistoryResult, OperationKind, Record, RecordStatus},
};

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    let newest = draft.newest()?;
    if draft.ever_ours() {
        if newest.is_adopted() && draft.is_ours(newest) { receive(draft, newest) } else { None }
    } else {
        match draft.policy.adopt {
            Adopt::Never => None,
            Adopt::Release | Adopt::ReleaseAndObjects => take_over(draft, newest),
        }
    }
}

fn take_over(draft: &mut Draft<'_>, newest: &Record) -> Option<Decision> {
    let revision = newest.revision;
    if let Some(stale) = super::foreign::at_work(draft, newest) {
        return Decision::until(Because::StrangerAtWork { revision }, stale);
    }
    if matches!(newest.status, RecordStatus::Uninstalled | RecordStatus::Uninstalling) {
        // There is nothing to take over: the name is free, or will be when the removal is complete.
        return None;
    }
    if let Some(first) = super::inputs::decide(draft) {
        return Some(first);
    }
    let digest = draft.inputs()?.digest.clone();
    if newest.status.is_pending() {
        return draft.unlock_of_others(revision, Because::Recovering { revision });
    }
    // What is remembered is of another release, whose revisions had the same numbers.
    draft.memory.deployed = None;
    draft.memory.tested = None;
    draft.memory.inventory = None;
    draft.memory.handled.foreign = None;
    let compared = draft.payload(revision).and_then(|payload| payload.comparison.as_ref());
    let Some(compared) = compared.filter(|made| made.digest == digest) else {
        return draft.compare(revision, Because::Adopting { revision });
    };
    let resource_version = compared.resource_version.clone();
    let digest = match &compared.result {
        Compared::Equal => Some(digest),
        Compared::Differs(_) => None,
    };
    Decision::act(Action::Adopt { revision, resource_version, digest }, Because::Adopting { revision })
}

/// The newest revision was taken over: tells so, and looks whether it is good.
fn receive(draft: &mut Draft<'_>, newest: &Record) -> Option<Decision> {
    let revision = newest.revision;
    let told = draft.memory.handled.foreign == Some(revision);
    let deployed = newest.status == RecordStatus::Deployed;
    if told && !deployed {
        return None;
    }
    if draft.at_good().is_none() && draft.payload(revision).is_none() {
        return draft.inspect(revision, Because::Adopting { revision });
    }
    if !told {
        tell(draft, newest);
    }
    if !deployed {
        return None;
    }
    let there = draft.describe(revision, newest.digest.as_ref());
    let label: Box<str> = there.label().into();
    if draft.at_good().is_some() {
        // Where the digest is known, the mark is seen to by the rule for all revisions.
        let lost = newest.digest.is_none() && !newest.is_verified();
        return lost.then(|| mark(draft, revision, label)).flatten();
    }
    let (since, until) = times(draft, newest);
    let judging = |member, why| Because::Judging { label: label.clone(), until, member, why };
    if let Some(first) = draft.take_inventory(revision, judging(None, None)) {
        return Some(first);
    }
    match draft.health() {
        // What is declared is there, or was when it was compared, and is judged as such: its tests may have to run.
        Health::Healthy if newest.digest.is_some() && (draft.inputs().is_none() || reached(draft).is_some()) => None,
        Health::Healthy => {
            draft.memory.deployed = Some(there);
            if newest.is_verified() { None } else { mark(draft, revision, label) }
        }
        Health::Failed { .. } => None,
        Health::Progressing { member, why } => match super::attempt::verdict_due(draft, since, until) {
            None => Some(unseen(draft)),
            Some(end) if draft.now() < end => {
                let because = judging(Some(member.clone()), Some(why.clone()));
                Some(super::inputs::meanwhile(draft, because, Wake::At(end)))
            }
            Some(_) => None,
        },
        Health::Unknown { .. } => Some(unseen(draft)),
    }
}

fn unseen(draft: &mut Draft<'_>) -> Decision {
    super::inputs::meanwhile(draft, draft.unseen(), Wake::Never)
}

fn mark(draft: &Draft<'_>, revision: u32, label: Box<str>) -> Option<Decision> {
    Decision::act(draft.mark(revision), Because::Received { revision, label })
}

/// From when to when the revision may become good. The labels were put on by the last write of the record, should
/// history not reach back.
fn times(draft: &Draft<'_>, newest: &Record) -> (Timestamp, Timestamp) {
    let adopted = draft.memory.history.iter().rev().find(|entry| {
        entry.revision == newest.revision && entry.cause == Cause::Adoption && entry.result == HistoryResult::External
    });
    let written = || Timestamp::from_second(newest.written).unwrap_or(draft.now());
    let since = adopted.map_or_else(written, |entry| entry.start);
    let timeout = SignedDuration::try_from(draft.policy.timeout.as_std()).unwrap_or(SignedDuration::ZERO);
    (since, since.checked_add(timeout).unwrap_or(Timestamp::MAX))
}

fn tell(draft: &mut Draft<'_>, newest: &Record) {
    let Record { revision, digest, .. } = newest;
    let there = Deployed { since: draft.now(), ..draft.describe(*revision, digest.as_ref()) };
    let made = draft.payload(*revision).and_then(|payload| payload.comparison.as_ref()).map(|made| &made.result);
    let differs = match made {
        Some(Compared::Differs(parts)) => parts.clone(),
        Some(Compared::Equal) | None => Vec::new(),
    };
    let stays = reached(draft).is_some();
    draft.notes.push(Note::Adopted { revision: *revision, label: there.label().into(), stays, differs });
    let kind = if *revision == 1 { OperationKind::Install } else { OperationKind::Upgrade };
    let now = draft.now();
    draft.tell_of(kind, there, now, Cause::Adoption);
    draft.memory.handled.foreign = Some(*revision);
}
