//! The release is as desired, and its objects may not be as it states them.
//!
//! Asked last of all, where nothing else is left to do: newer inputs, attempts and repairs go first, and what is said of
//! the release stays what it is without drift. What is found is remembered, so that it is told once and outlives the
//! operator.
//!
//! A correction is an upgrade to the digest that is deployed. It is never counted against that digest, which was good:
//! whatever it ends with, nothing is quarantined, and only its own delays hold the next one back. They are doubled with
//! each correction, because two that write the same field would make revisions for ever, and are forgotten once drift
//! has stayed away. A correction that leaves a failed record is rolled back like any upgrade. One that helm completed
//! and whose objects do not become healthy is not: the way back states the same objects.

use jiff::SignedDuration;

use super::{dependency, settled};
use crate::{
    plan::{
        Action, Because, Held, Note, Priority, backoff,
        draft::{Decision, Draft},
    },
    release::{
        Cause, Deviation, Drift, DriftMode, DriftView, Drifted, Finding, Health, HistoryResult, Operation,
        OperationKind, Record, Spec,
    },
};

/// How long drift has to stay away until the next one is corrected at once again. Shorter, a job that runs every half
/// hour would make a revision each time.
const STAYED_AWAY: SignedDuration = SignedDuration::from_hours(1);

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    if draft.policy.drift == DriftMode::Off {
        return None;
    }
    let (newest, _) = settled::reached(draft)?;
    let revision = newest.revision;
    let inventory = draft.memory.inventory.as_ref().is_some_and(|inventory| inventory.revision == revision);
    if !newest.is_verified() || draft.at_good().is_none() || !inventory {
        return None;
    }
    let because = settled::here(draft);
    let decision = match draft.snapshot.drift.clone() {
        DriftView::Unseen => None,
        DriftView::Due { at } if at <= draft.now() => Decision::act(Action::Detect { revision }, because),
        DriftView::Due { at } => Decision::until(because, at),
        DriftView::Underway => Decision::idle(because),
        DriftView::Is { finding, certain, again } => {
            let again = again.map(crate::plan::Wake::At);
            let mut decision = found(draft, revision, (finding, certain), because);
            if let Some(again) = again.filter(|_| decision.action == Action::Idle) {
                decision.wake = decision.wake.or_sooner(again);
            }
            Some(decision)
        }
    };
    // Also while it is compared anew, or what is said would change with each comparison.
    draft.held = held(draft);
    decision
}

/// Drift is not looked for any more, or what is desired is another thing: nothing of it is remembered.
pub(super) fn forget(draft: &mut Draft<'_>) {
    if matches!(draft.snapshot.spec, Spec::Valid(_)) && draft.policy.drift == DriftMode::Off {
        draft.memory.drift = None;
    }
}

fn found(draft: &mut Draft<'_>, revision: u32, (finding, certain): (Finding, bool), because: Because) -> Decision {
    // What cannot be compared any more may be well by now, and what keeps it from being compared would meet helm too.
    let drifted = finding.count > 0 && certain;
    remember(draft, revision, finding);
    let idle = |because| Decision { action: Action::Idle, because, wake: crate::plan::Wake::Never, placed: false };
    if !drifted || draft.policy.drift != DriftMode::Correct {
        return idle(because);
    }
    if held(draft).is_some() {
        return idle(because);
    }
    let due = draft.memory.drift.as_ref().and_then(|drift| drift.not_before);
    if let Some(until) = due.filter(|moment| *moment > draft.now()) {
        return Decision { wake: crate::plan::Wake::At(until), ..idle(because) };
    }
    let mut decision = draft.launch(OperationKind::Upgrade, Cause::Drift, Priority::Drift, None);
    if matches!(decision.action, Action::Start(_)) {
        begun(draft);
    } else {
        // A place in the queue changes nothing about the release.
        decision.because = because;
    }
    decision
}

/// What keeps that which was found from being corrected. Whoever holds an upgrade back is waited for by a correction
/// too, what is not tried again is not deployed again, and what could not be judged is not begun.
fn held(draft: &mut Draft<'_>) -> Option<Held> {
    let drifted = draft.memory.drift.as_ref().is_some_and(|drift| drift.finding.count > 0);
    if !drifted || draft.policy.drift != DriftMode::Correct {
        return None;
    }
    if matches!(draft.health(), Health::Unknown { refused: true, .. }) {
        return Some(Held::Waits(draft.unseen()));
    }
    if draft.inputs().is_some_and(|inputs| draft.memory.quarantine_of(&inputs.digest).is_some()) {
        return Some(Held::Quarantined);
    }
    dependency::decide(draft).map(|decision| Held::Waits(decision.because))
}

fn remember(draft: &mut Draft<'_>, revision: u32, finding: Finding) {
    let now = draft.now();
    let before = draft.memory.drift.take();
    if finding == Finding::default() {
        // Nothing stands in the way of anything any more.
        draft.memory.failures.hindered = 0;
        // Only what holds the next correction back is kept.
        draft.memory.drift = before.filter(|before| before.corrections > 0).map(|before| Drift {
            finding,
            gone: before.gone.or(Some(now)),
            failure: None,
            ..before
        });
        return;
    }
    let new = finding.objects.iter().any(|one| !before.as_ref().is_some_and(|before| is_known(before, revision, one)));
    if new {
        draft.notes.push(Note::Drifted { finding: finding.clone() });
    }
    let fresh = Drift {
        revision,
        since: now,
        finding: Finding::default(),
        corrections: 0,
        not_before: None,
        gone: None,
        failure: None,
    };
    let stayed_away = |drift: &Drift| drift.gone.is_some_and(|gone| now.duration_since(gone) >= STAYED_AWAY);
    let kept = before.filter(|before| !stayed_away(before)).unwrap_or_else(|| fresh.clone());
    let since = if kept.gone.is_some() || kept.revision != revision { now } else { kept.since };
    let gone = if finding.count > 0 { None } else { kept.gone.filter(|_| kept.corrections > 0) };
    draft.memory.drift = Some(Drift { revision, since, finding, gone, ..kept });
}

/// Whether an object was found before, with all that is found of it now.
fn is_known(before: &Drift, revision: u32, now: &Drifted) -> bool {
    let same = |one: &&Drifted| one.member == now.member;
    let known = before.finding.objects.iter().find(same).filter(|_| before.revision == revision);
    known.is_some_and(|known| match (&known.what, &now.what) {
        (Deviation::Missing, Deviation::Missing) => true,
        (Deviation::Fields { paths: known, .. }, Deviation::Fields { paths, .. }) => {
            paths.iter().all(|path| known.contains(path))
        }
        (Deviation::Missing, Deviation::Fields { .. }) | (Deviation::Fields { .. }, Deviation::Missing) => false,
    })
}

/// A correction starts: it counts as one that did not help, until drift has stayed away or helm is known not to have
/// begun.
fn begun(draft: &mut Draft<'_>) {
    let (now, uid) = (draft.now(), &draft.snapshot.object.uid);
    if let Some(drift) = &mut draft.memory.drift {
        drift.corrections = drift.corrections.saturating_add(1);
        drift.not_before = Some(backoff::next(now, drift.corrections, backoff::LIMIT_OUTSIDE, uid));
        drift.failure = None;
    }
}

/// A correction of drift that wrote no revision: the release is what it was, and good.
pub(super) fn is_correction_of_good(draft: &Draft<'_>, operation: &Operation) -> bool {
    // Inputs may not be known: it may be another operator that finds the operation.
    let deployed = draft.at_good().and_then(|good| draft.digest_of(good));
    operation.cause == Cause::Drift && deployed.is_some() && deployed == operation.digest.as_ref()
}

/// An operation was begun of which helm made nothing, through no fault of what it was to bring: where it was a
/// correction, none was made.
pub(super) fn unmade(draft: &mut Draft<'_>, operation: &Operation) {
    if is_correction_of_good(draft, operation) {
        uncount(draft);
    }
}

fn uncount(draft: &mut Draft<'_>) {
    if let Some(drift) = &mut draft.memory.drift {
        drift.corrections = drift.corrections.saturating_sub(1);
        drift.not_before = None;
    }
}

/// The same where something kept helm from working that may pass by itself: later each time, for as long as it does.
pub(super) fn hindered(draft: &mut Draft<'_>) {
    uncount(draft);
    let (now, uid) = (draft.now(), &draft.snapshot.object.uid);
    let failures = &mut draft.memory.failures;
    failures.hindered = failures.hindered.saturating_add(1);
    if let Some(drift) = &mut draft.memory.drift {
        let tries = drift.corrections.saturating_add(failures.hindered);
        drift.not_before = Some(backoff::next(now, tries, backoff::LIMIT, uid));
    }
}

/// Whether a revision is what a correction left that came to no good end: what follows it is a part of the correction.
pub(super) fn is_of_correction(draft: &Draft<'_>, record: &Record) -> bool {
    draft.entry_of(record).is_some_and(|entry| entry.cause == Cause::Drift && entry.result != HistoryResult::Succeeded)
}
