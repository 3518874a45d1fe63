//! The tests of a chart: the last part of an attempt, between healthy objects and the word good.
//!
//! A revision is tested once, before it is marked. One that is good already is not tested when somebody enables tests:
//! the answer could only take away what works. A rollback is not tested either: its target passed when it was new, and
//! no answer would lead anywhere else.
//!
//! Tests that fail are the version's own fault. An upgrade is rolled back for them like for objects that do not become
//! ready. Where a revision is kept (a first install, `onFailure: Keep`, no way back), a new revision of the same would
//! change nothing, so the tests alone run again after the delays of failed attempts, until they pass or, for an
//! upgrade, its attempts are used up. One that was kept although its objects were not ready, and whose objects recover,
//! was never tested: it is now, whatever is left of its attempts.

use jiff::SignedDuration;

use crate::{
    plan::{
        Because, Next, Note, Priority,
        draft::{Decision, Draft},
        ending::Rejection,
    },
    release::{
        Ended, Failure, FailureClass, Fault, Operation, OperationKind, Outcome, Record, RecordStatus, Spec, TestRun,
        Tested,
    },
    types::Duration,
};

pub(super) const REASON: &str = "TestFailed";

/// What tests get of an attempt at least: a revision that became healthy at the last moment is not failed for that.
const AT_LEAST: SignedDuration = SignedDuration::from_secs(30);

/// Whether a revision has to be tested before it is good.
pub(super) fn are_due(draft: &Draft<'_>, revision: u32) -> bool {
    let test = &draft.policy.test;
    let done = draft.memory.tested.as_ref().filter(|tested| tested.revision == revision);
    test.enabled && !done.is_some_and(|tested| tested.passed || test.ignore_failures)
}

/// Tests a revision whose attempt is under way. `interrupted` says that a run of its tests came to no end.
pub(super) fn decide(draft: &mut Draft<'_>, attempt: &Operation, interrupted: bool) -> Option<Decision> {
    // Held back, not given up.
    if draft.policy.suspend || !matches!(draft.snapshot.spec, Spec::Valid(_)) {
        return None;
    }
    let hindered = draft.memory.failures.not_before.filter(|_| draft.memory.failures.hindered > 0);
    if let Some(until) = hindered.filter(|moment| *moment > draft.now()) {
        return Decision::until(Because::Hindered { why: draft.last_failure(), until }, until);
    }
    let now = draft.now();
    let timeout = long(draft.policy.timeout);
    let after = |duration| now.checked_add(duration).unwrap_or(attempt.deadline);
    // The time of an attempt that nobody looked after is no time in which the tests could have passed.
    let deadline = if interrupted || attempt.deadline <= now {
        after(timeout)
    } else {
        attempt.deadline.max(after(AT_LEAST.min(timeout)))
    };
    let operation = Operation {
        id: format!("{}-test-{}", attempt.revision, now.as_millisecond()).into(),
        kind: OperationKind::Test,
        of: Some(attempt.kind),
        deadline,
        holder: draft.snapshot.holder.clone(),
        ..attempt.clone()
    };
    let label = draft.label_of(attempt);
    Some(draft.place(operation, label, Priority::Test))
}

fn long(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration.as_std()).unwrap_or(AT_LEAST)
}

/// Tests a revision that was kept although its attempt was judged bad.
pub(super) fn again(draft: &mut Draft<'_>, newest: &Record, label: Box<str>) -> Option<Decision> {
    let digest = newest.digest.clone()?;
    let held = draft.memory.quarantine_of(&digest).map(|_| Next::Quarantined);
    let waits = draft.memory.failures.not_before.filter(|moment| *moment > draft.now()).map(Next::RetryAt);
    if let Some(next) = held.or(waits).filter(|_| have_failed(draft)) {
        let because = Because::AttemptFailed { kind: OperationKind::Test, label, why: draft.last_failure(), next };
        return match next {
            Next::RetryAt(until) => Decision::until(because, until),
            Next::Quarantined | Next::Watching | Next::Reinstall => Decision::idle(because),
        };
    }
    let attempt = draft.reopened(newest, digest);
    decide(draft, &attempt, true)
}

/// Whether the newest revision was kept although its tests failed.
pub(super) fn have_failed(draft: &Draft<'_>) -> bool {
    let newest = draft.newest().filter(|newest| newest.status == RecordStatus::Deployed);
    let failed = draft.memory.tested.as_ref().filter(|tested| !tested.passed);
    newest.zip(failed).is_some_and(|(newest, failed)| newest.revision == failed.revision)
        && are_due(draft, newest.map_or(0, |newest| newest.revision))
}

/// A run of tests has ended.
pub(super) fn ended(draft: &mut Draft<'_>, operation: &Operation, outcome: &Outcome) -> Because {
    let label = draft.label_of(operation);
    let judging = Because::Judging { label: label.clone(), until: operation.deadline, member: None, why: None };
    let fault = match &outcome.ended {
        Ended::Succeeded => {
            let said =
                outcome.tests.as_deref().map_or_else(|| "helm said no more than that".to_owned(), TestRun::passed);
            remember(draft, operation, true, said.into());
            return judging;
        }
        // On our own wish: whoever wished so goes on from here.
        Ended::Cancelled => return judging,
        Ended::Killed { signal } => {
            let message = format!("the tests were ended by signal {signal}").into();
            return hindered(draft, operation, &Failure { class: FailureClass::Other, message });
        }
        Ended::Failed(failure) | Ended::NotStarted(failure) if failure.class.is_transient() => {
            return hindered(draft, operation, failure);
        }
        Ended::Failed(failure) | Ended::NotStarted(failure) => failure.class.fault(),
        Ended::TimedOut if outcome.tests.as_ref().is_some_and(|run| run.failed.is_some()) => Fault::Own,
        // No test was running: helm waited for the API server.
        Ended::TimedOut => {
            let message = "helm did not end, and no test was running: no answer from the API server".into();
            return hindered(draft, operation, &Failure { class: FailureClass::Unreachable, message });
        }
    };
    let why = why(draft, outcome);
    draft.notes.push(Note::TestsFailed { revision: operation.revision, why: why.clone() });
    remember(draft, operation, false, why.clone());
    if draft.policy.test.ignore_failures {
        return judging;
    }
    let attempt = operation.attempt();
    let past = draft.is_past(&attempt);
    draft.reject(Rejection { operation: &attempt, fault, reason: REASON, why: why.clone() });
    if past {
        return Because::Looking;
    }
    Because::AttemptFailed { kind: OperationKind::Test, label, why, next: draft.next() }
}

fn remember(draft: &mut Draft<'_>, operation: &Operation, passed: bool, message: Box<str>) {
    draft.memory.failures.hindered = 0;
    draft.memory.tested = Some(Tested { revision: operation.revision, passed, message, end: draft.now() });
}

/// No verdict, and it passes by itself: the tests run again, and the attempt stays open.
fn hindered(draft: &mut Draft<'_>, operation: &Operation, failure: &Failure) -> Because {
    if super::outcome::is_first_surprise(draft, operation, failure) {
        return Because::Looking;
    }
    let until = draft.put_off(REASON, &failure.message);
    Because::Hindered { why: failure.message.clone(), until }
}

/// The test that did not pass, with its last reason; helm's words where the record names none.
fn why(draft: &Draft<'_>, outcome: &Outcome) -> Box<str> {
    let timeout = draft.policy.timeout;
    let named = outcome.tests.as_ref().and_then(|run| run.failed.clone());
    match (&outcome.ended, named) {
        (Ended::TimedOut, Some(test)) => format!("test {test}, and the attempt has no more than {timeout}").into(),
        (_, Some(test)) => format!("test {test}").into(),
        (Ended::Failed(failure) | Ended::NotStarted(failure), None) => failure.message.clone(),
        (Ended::Succeeded | Ended::Cancelled | Ended::Killed { .. } | Ended::TimedOut, None) => {
            "the tests failed".into()
        }
    }
}
