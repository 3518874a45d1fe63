//! The desired digest is not deployed: install or upgrade.

use crate::{
    plan::{
        Priority,
        draft::{Decision, Draft},
    },
    release::{Cause, HistoryResult, InstallFailure, OperationKind, Record, RecordStatus},
};

#[expect(clippy::unnecessary_wraps, reason = "a rule like the others, and the last: it always has an answer")]
pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    let failed_before = draft.memory.failures.count > 0;
    let newest = draft.newest();
    let by_others = match newest {
        // No removal of ours keeps its records. Good once and failed now: somebody began to remove it.
        Some(newest) => {
            !draft.is_ours(newest)
                || newest.status == RecordStatus::Uninstalled
                || (newest.is_verified() && newest.status == RecordStatus::Failed)
        }
        // Gone, although the last thing that we did was not to remove it.
        None => draft.memory.attempts().next_back().is_some_and(|entry| entry.action != OperationKind::Uninstall),
    };
    let correcting = newest.is_some_and(|newest| super::drift::is_of_correction(draft, newest));
    let cause = match &draft.memory.desired {
        // Not to be counted against what was good, however often it takes.
        Some(desired) if correcting && newest.is_some_and(|newest| newest.digest.as_ref() == Some(&desired.digest)) => {
            Cause::Drift
        }
        _ if failed_before => Cause::Retry,
        _ if by_others => Cause::External,
        Some(desired) => desired.cause,
        None => Cause::Spec,
    };
    let priority = match newest {
        _ if failed_before || cause == Cause::Drift => Priority::Retry,
        None => Priority::FirstInstall,
        Some(_) => Priority::Changed,
    };
    let kind = kind(draft);
    let clean = draft.policy.install_failure == InstallFailure::Uninstall
        && kind == OperationKind::Install
        && newest.is_some_and(|newest| newest.status == RecordStatus::Failed)
        && draft.records().is_some_and(|records| !records.were_adopted() && !records.iter().any(Record::is_verified));
    let torn = newest.is_some_and(|newest| newest.status == RecordStatus::Uninstalling);
    let kind = if clean || torn { OperationKind::Uninstall } else { kind };
    Some(draft.launch(kind, cause, priority, None))
}

/// What helm has to be told to get from the newest revision to the desired one.
pub(super) fn kind(draft: &Draft<'_>) -> OperationKind {
    let Some(newest) = draft.newest() else { return OperationKind::Install };
    let never_there = || {
        draft.records().is_some_and(|records| {
            !records.iter().any(|record| {
                record.is_verified() || matches!(record.status, RecordStatus::Deployed | RecordStatus::Superseded)
            })
        })
    };
    match (newest.status, draft.entry_of(newest)) {
        (RecordStatus::Uninstalled, _) => OperationKind::Install,
        // helm would take an upgrade too, but skip the hooks of an install and call it a success.
        (RecordStatus::Failed, Some(entry))
            if entry.action == OperationKind::Install && entry.result != HistoryResult::Succeeded =>
        {
            OperationKind::Install
        }
        (RecordStatus::Failed, None) if never_there() => OperationKind::Install,
        _ => OperationKind::Upgrade,
    }
}
