//! A run of helm has ended: what it means for the attempt. The record is believed before the exit code.

use jiff::Timestamp;

use super::{deletion, drift};
use crate::{
    plan::{
        Action, Because, Next, Note, backoff,
        draft::{Decision, Draft},
        ending::Rejection,
    },
    release::{
        Ended, Failure, FailureClass, Fault, Flight, ForeignAction, HistoryResult, Inventory, LastFailure, Operation,
        OperationKind, Outcome, RecordStatus, Records,
    },
};

/// What an attempt is put off by that no time mends: a record that cannot be read, or a Secret in the place of one.
const RECORD_UNREADABLE: &str = "RecordUnreadable";

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    let Flight::Ended(outcome) = &draft.snapshot.flight else { return None };
    let operation = draft.memory.operation.clone().filter(|operation| operation.id == outcome.operation);
    let operation = operation.map(|operation| draft.delayed(operation, outcome.waited));
    let because = match operation {
        // The attempt was closed by a pass before: only the board still remembers it.
        None => Because::Looking,
        Some(operation) if operation.kind == OperationKind::Uninstall => removed(draft, &operation, outcome),
        Some(operation) if operation.kind == OperationKind::Test => super::testing::ended(draft, &operation, outcome),
        Some(operation) => written(draft, &operation, outcome),
    };
    Decision::act(Action::Acknowledge { operation: outcome.operation.clone() }, because)
}

fn removed(draft: &mut Draft<'_>, operation: &Operation, outcome: &Outcome) -> Because {
    let gone = outcome.records.as_ref().is_some_and(Records::is_empty);
    if gone {
        draft.end(operation, HistoryResult::Succeeded);
        draft.memory.deployed = None;
        draft.memory.tested = None;
        draft.memory.failures.not_before = None;
        // Where nobody could look, the inventory tells what is to be looked at.
        if let Some(left) = &outcome.left_over {
            draft.memory.inventory = Some(Inventory::new(0, left.clone()));
        }
        draft.notes.push(Note::Done { kind: operation.kind, revision: operation.revision, label: "".into() });
        return match outcome.left_over.as_deref() {
            _ if !draft.snapshot.object.deleting => Because::Looking,
            Some([member, ..]) => Because::Terminating { member: member.clone() },
            Some([]) => Because::LettingGo,
            None => Because::Uninstalling,
        };
    }
    // An end without an error, and nobody could look: the view will tell.
    if outcome.ended == Ended::Cancelled || (outcome.ended == Ended::Succeeded && outcome.records.is_none()) {
        draft.abandon(operation);
        return Because::Uninstalling;
    }
    let why = match &outcome.ended {
        Ended::Succeeded => "helm ended without an error, but its records are still there".into(),
        Ended::Failed(_) | Ended::TimedOut | Ended::Cancelled | Ended::Killed { .. } | Ended::NotStarted(_) => {
            words(outcome, draft)
        }
    };
    let account_missing = draft.snapshot.object.deleting
        && matches!(&outcome.ended, Ended::Failed(failure) if failure.class == FailureClass::AccountMissing);
    let reason = if account_missing { deletion::ACCOUNT_MISSING } else { reason(operation.kind) };
    draft.reject(Rejection { operation, fault: Fault::Outside, reason, why: why.clone() });
    match draft.memory.failures.not_before {
        _ if account_missing => Because::LeftBehind { why },
        Some(until) => Because::UninstallFailed { why, until },
        None => Because::Uninstalling,
    }
}

fn written<'o>(draft: &mut Draft<'_>, operation: &Operation, outcome: &'o Outcome) -> Because {
    super::definitions::learn(draft, operation, outcome);
    let label = draft.label_of(operation);
    let judging = Because::Judging { label: label.clone(), until: operation.deadline, member: None, why: None };
    // Somebody else may have written the revision that this run was going to write.
    let ours = |records: &'o Records| records.get(operation.revision).filter(|record| draft.wrote(operation, record));
    let record = match (&outcome.records, &outcome.ended) {
        (Some(records), _) => ours(records),
        // Nothing was written, so that nothing has to be read to know it.
        (None, Ended::NotStarted(_)) => None,
        // What the records say is not known: the attempt stays open, and the view decides.
        (None, Ended::Succeeded | Ended::Failed(_) | Ended::TimedOut | Ended::Cancelled | Ended::Killed { .. }) => {
            return judging;
        }
    };
    if let Some(payload) = outcome.payload.as_ref().filter(|payload| {
        payload.revision == operation.revision && payload.action != ForeignAction::Unreadable && record.is_some()
    }) {
        draft.memory.inventory = Some(Inventory::of(payload));
    }
    let why = words(outcome, draft);
    match (&outcome.ended, record.map(|record| record.status)) {
        // Also where helm failed after its last write: the revision is there, and its objects are what counts.
        (_, Some(RecordStatus::Deployed)) => {
            draft.memory.failures.hindered = 0;
            judging
        }
        // By our own wish; or somebody's revision is on top by now, and what became of this one says nothing.
        (Ended::Cancelled, _)
        | (_, Some(RecordStatus::Superseded | RecordStatus::Uninstalled | RecordStatus::Uninstalling)) => {
            draft.abandon(operation);
            if record.is_none() {
                drift::unmade(draft, operation);
            }
            Because::Looking
        }
        (Ended::NotStarted(failure) | Ended::Failed(failure), None) if failure.class.is_transient() => {
            hindered(draft, operation, failure)
        }
        // Before its first write helm waits for nothing but the API server.
        (Ended::TimedOut, None) => {
            hindered(draft, operation, &Failure { class: FailureClass::Unreachable, message: why })
        }
        (_, None) => refused(draft, operation, why),
        (
            _,
            Some(
                RecordStatus::Failed
                | RecordStatus::Unknown
                | RecordStatus::PendingInstall
                | RecordStatus::PendingUpgrade
                | RecordStatus::PendingRollback,
            ),
        ) => {
            let past = draft.is_past(operation);
            let rejection =
                Rejection { operation, fault: fault(outcome), reason: reason(operation.kind), why: why.clone() };
            draft.reject(rejection);
            if past { Because::Looking } else { failed(draft, operation, label, why) }
        }
    }
}

/// Nothing was written, and it passes by itself: tried again, not counted.
fn hindered(draft: &mut Draft<'_>, operation: &Operation, failure: &Failure) -> Because {
    if draft.is_past(operation) || is_first_surprise(draft, operation, failure) {
        draft.memory.operation = None;
        drift::unmade(draft, operation);
        return Because::Looking;
    }
    if drift::is_correction_of_good(draft, operation) {
        draft.memory.operation = None;
        drift::hindered(draft);
        draft.uncorrected(failure.message.clone());
        return super::settled::here(draft);
    }
    if operation.kind == OperationKind::Rollback {
        return refused(draft, operation, failure.message.clone());
    }
    draft.memory.operation = None;
    let spoilt = failure.class == FailureClass::RecordSpoilt;
    let reason = if spoilt { RECORD_UNREADABLE } else { reason(operation.kind) };
    let until = draft.put_off(reason, &failure.message);
    waits(draft, until)
}

/// What an attempt that was put off waits for.
pub(super) fn waits(draft: &Draft<'_>, until: Timestamp) -> Because {
    let why = draft.last_failure();
    match &draft.memory.failures.last {
        Some(last) if last.reason == RECORD_UNREADABLE => Because::RecordSpoilt { why, until },
        Some(_) | None => Because::Hindered { why, until },
    }
}

/// Whether a run met with another release, or other inputs, than it was planned for, and none before it did since helm
/// last wrote something: what changed is seen by now, and what is planned anew at once is planned on that. Where it is
/// the same again, it was no race, and it is waited for like all that hinders.
pub(super) fn is_first_surprise(draft: &mut Draft<'_>, operation: &Operation, failure: &Failure) -> bool {
    let failures = &mut draft.memory.failures;
    let repeated = failures.hindered > 0 || (operation.kind == OperationKind::Rollback && failures.rollbacks > 0);
    if repeated || !matches!(failure.class, FailureClass::LostRace | FailureClass::InputsChanged) {
        return false;
    }
    failures.hindered = 1;
    true
}

/// helm refused before it wrote a revision: the release is untouched, so there is nothing to roll back and nothing to
/// quarantine; tried again slowly for ever.
fn refused(draft: &mut Draft<'_>, operation: &Operation, why: Box<str>) -> Because {
    let (reason, label) = (reason(operation.kind), draft.label_of(operation));
    if operation.kind == OperationKind::Rollback {
        // The way back has its own count; that of the attempts at what is desired stays as it is.
        draft.reject(Rejection { operation, fault: Fault::Outside, reason, why: why.clone() });
        return failed(draft, operation, label, why);
    }
    let past = draft.is_past(operation);
    draft.refuse(operation);
    if past {
        return Because::Looking;
    }
    draft.memory.failures.hindered = 0;
    if drift::is_correction_of_good(draft, operation) {
        draft.uncorrected(why);
        return super::settled::here(draft);
    }
    let failures = &mut draft.memory.failures;
    failures.count = failures.count.saturating_add(1);
    let until = backoff::next(draft.snapshot.now, failures.count, backoff::LIMIT, &draft.snapshot.object.uid);
    failures.not_before = Some(until);
    failures.last = Some(LastFailure { reason: reason.to_owned(), message: why.to_string() });
    Because::AttemptFailed { kind: operation.kind, label, why, next: Next::RetryAt(until) }
}

fn failed(draft: &Draft<'_>, operation: &Operation, label: Box<str>, why: Box<str>) -> Because {
    match operation.kind {
        OperationKind::Rollback => {
            let next = Next::RetryAt(draft.rollback_due());
            Because::RollbackFailed { to: operation.target.unwrap_or_default(), why, next }
        }
        kind @ (OperationKind::Install | OperationKind::Upgrade | OperationKind::Test | OperationKind::Uninstall) => {
            Because::AttemptFailed { kind, label, why, next: draft.next() }
        }
    }
}

pub(in crate::plan) fn reason(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Install => "InstallFailed",
        OperationKind::Upgrade => "UpgradeFailed",
        OperationKind::Rollback => "RollbackFailed",
        OperationKind::Test => super::testing::REASON,
        OperationKind::Uninstall => "UninstallFailed",
    }
}

fn fault(outcome: &Outcome) -> Fault {
    let told = outcome.awaited.as_ref().map(|why| why.fault);
    match &outcome.ended {
        Ended::Failed(failure) if failure.class == FailureClass::NotReady => told.unwrap_or(Fault::Own),
        Ended::Failed(failure) | Ended::NotStarted(failure) => failure.class.fault(),
        // Nothing of the release was waited for: the API server did not answer helm.
        Ended::TimedOut => told.unwrap_or(Fault::Outside),
        // By the kernel for want of memory, or by the end of a node; or helm could not make its last write: says
        // nothing about the release.
        Ended::Killed { .. } | Ended::Cancelled | Ended::Succeeded => Fault::Outside,
    }
}

fn words(outcome: &Outcome, draft: &Draft<'_>) -> Box<str> {
    let timeout = draft.policy.timeout;
    match (&outcome.ended, &outcome.awaited) {
        (Ended::Failed(failure), Some(why)) => format!("{}: {}", failure.message, why.text).into(),
        (Ended::Failed(failure) | Ended::NotStarted(failure), _) => failure.message.clone(),
        (Ended::TimedOut, Some(why)) => format!("helm did not end within {timeout}: {}", why.text).into(),
        (Ended::TimedOut, None) => format!(
            "helm did not end within {timeout} and waited for nothing of the release: no answer from the API server"
        )
        .into(),
        (Ended::Killed { signal }, _) => format!("helm was ended by signal {signal}").into(),
        (Ended::Succeeded, _) => "helm ended without an error, but left no deployed revision".into(),
        (Ended::Cancelled, _) => "helm was told to end".into(),
    }
}
