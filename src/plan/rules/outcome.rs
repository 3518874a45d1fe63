//! A run of helm has ended: what it means for the attempt. The record is believed before the exit code.

use crate::{
    plan::{
        Action, Because, Next, Note,
        draft::{Decision, Draft, Rejection},
    },
    release::{
        Ended, Failure, FailureClass, Fault, Flight, Inventory, Operation, OperationKind, Outcome, RecordStatus,
    },
};

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    let Flight::Ended(outcome) = &draft.snapshot.flight else { return None };
    let operation = draft.memory.operation.clone().filter(|operation| operation.id == outcome.operation);
    let because = match operation {
        // The attempt was closed by a pass before: only the board still remembers it.
        None => Because::Looking,
        Some(operation) if operation.kind == OperationKind::Uninstall => removed(draft, &operation, outcome),
        Some(operation) => written(draft, &operation, outcome),
    };
    Decision::act(Action::Acknowledge { operation: outcome.operation.clone() }, because)
}

fn removed(draft: &mut Draft<'_>, operation: &Operation, outcome: &Outcome) -> Because {
    let gone = outcome.records.as_ref().is_some_and(crate::release::Records::is_empty);
    if gone {
        draft.memory.operation = None;
        draft.memory.deployed = None;
        draft.memory.failures.not_before = None;
        draft.memory.inventory = Some(Inventory::new(0, outcome.left_over.clone()));
        draft.notes.push(Note::Done { kind: operation.kind, revision: operation.revision, label: "".into() });
        return outcome
            .left_over
            .first()
            .map_or(Because::LettingGo, |member| Because::Terminating { member: member.clone() });
    }
    let why = words(&outcome.ended, draft);
    if outcome.ended == Ended::Cancelled || outcome.ended == Ended::Succeeded {
        draft.abandon(operation);
        return Because::Uninstalling;
    }
    draft.reject(Rejection { operation, fault: Fault::Outside, reason: "UninstallFailed", why: why.clone() });
    match draft.memory.failures.not_before {
        Some(until) => Because::UninstallFailed { why, until },
        None => Because::Uninstalling,
    }
}

fn written(draft: &mut Draft<'_>, operation: &Operation, outcome: &Outcome) -> Because {
    super::definitions::learn(draft, operation, outcome);
    let label = draft.label_of(operation);
    let judging = Because::Judging { label: label.clone(), until: operation.deadline, member: None, why: None };
    // What the records say is not known: the attempt stays open, and the view decides.
    let Some(records) = &outcome.records else { return judging };
    let status = records.get(operation.revision).map(|record| record.status);
    if let Some(payload) = outcome.payload.as_ref().filter(|payload| payload.revision == operation.revision) {
        draft.memory.inventory = Some(Inventory::new(payload.revision, payload.members.clone()));
    }
    match (&outcome.ended, status) {
        // Also where helm failed after its last write: the revision is there, and its objects are what counts.
        (_, Some(RecordStatus::Deployed)) => judging,
        (Ended::Cancelled | Ended::Succeeded, _) => {
            draft.abandon(operation);
            Because::Looking
        }
        (Ended::NotStarted(failure) | Ended::Failed(failure), None) if failure.class.is_transient() => {
            hindered(draft, operation, failure)
        }
        (ended, None) => {
            let why = words(ended, draft);
            refused(draft, operation, why)
        }
        (ended, Some(_)) => {
            let (fault, why) = (fault(ended), words(ended, draft));
            let reason = reason(operation.kind);
            draft.reject(Rejection { operation, fault, reason, why: why.clone() });
            failed(draft, operation, label, why)
        }
    }
}

/// Nothing was written, and it passes by itself: tried again, not counted.
fn hindered(draft: &mut Draft<'_>, operation: &Operation, failure: &Failure) -> Because {
    draft.memory.operation = None;
    let immediately = matches!(failure.class, FailureClass::LostRace | FailureClass::InputsChanged);
    if immediately {
        return Because::Looking;
    }
    let until = crate::plan::backoff::next(draft.now(), 1, crate::plan::backoff::LIMIT, &draft.snapshot.object.uid);
    draft.memory.failures.not_before = Some(until);
    draft.memory.failures.last = Some(crate::api::LastFailure {
        reason: reason(operation.kind).to_owned(),
        message: failure.message.to_string(),
    });
    Because::Hindered { why: failure.message.clone(), until }
}

/// helm refused before it wrote a revision: the release is untouched, so there is nothing to roll back and nothing to
/// quarantine; tried again slowly for ever.
fn refused(draft: &mut Draft<'_>, operation: &Operation, why: Box<str>) -> Because {
    draft.memory.operation = None;
    let failures = &mut draft.memory.failures;
    failures.count = failures.count.saturating_add(1);
    let until = crate::plan::backoff::next(
        draft.snapshot.now,
        failures.count,
        crate::plan::backoff::LIMIT,
        &draft.snapshot.object.uid,
    );
    failures.not_before = Some(until);
    failures.last =
        Some(crate::api::LastFailure { reason: reason(operation.kind).to_owned(), message: why.to_string() });
    match operation.kind {
        OperationKind::Rollback => {
            failures.rollbacks = failures.rollbacks.saturating_add(1);
            Because::RollbackFailed { to: operation.target.unwrap_or_default(), why, next: Next::RetryAt(until) }
        }
        kind @ (OperationKind::Install | OperationKind::Upgrade | OperationKind::Uninstall) => {
            let label = draft.label_of(operation);
            Because::AttemptFailed { kind, label, why, next: Next::RetryAt(until) }
        }
    }
}

fn failed(draft: &Draft<'_>, operation: &Operation, label: Box<str>, why: Box<str>) -> Because {
    match operation.kind {
        OperationKind::Rollback => {
            Because::RollbackFailed { to: operation.target.unwrap_or_default(), why, next: draft.next() }
        }
        kind @ (OperationKind::Install | OperationKind::Upgrade | OperationKind::Uninstall) => {
            Because::AttemptFailed { kind, label, why, next: draft.next() }
        }
    }
}

pub(super) fn reason(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Install => "InstallFailed",
        OperationKind::Upgrade => "UpgradeFailed",
        OperationKind::Rollback => "RollbackFailed",
        OperationKind::Uninstall => "UninstallFailed",
    }
}

fn fault(ended: &Ended) -> Fault {
    match ended {
        Ended::Failed(failure) | Ended::NotStarted(failure) => failure.class.fault(),
        Ended::TimedOut | Ended::Succeeded => Fault::Own,
        // By the kernel for want of memory, or by the end of a node: says nothing about the release.
        Ended::Killed { .. } | Ended::Cancelled => Fault::Outside,
    }
}

fn words(ended: &Ended, draft: &Draft<'_>) -> Box<str> {
    match ended {
        Ended::Failed(failure) | Ended::NotStarted(failure) => failure.message.clone(),
        Ended::TimedOut => format!("helm did not end within {}", draft.policy.timeout).into(),
        Ended::Killed { signal } => format!("helm was ended by signal {signal}").into(),
        Ended::Succeeded => "helm ended without an error, but left no deployed revision".into(),
        Ended::Cancelled => "helm was told to end".into(),
    }
}
