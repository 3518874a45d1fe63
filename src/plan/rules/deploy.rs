//! The desired digest is not deployed: install or upgrade.

use crate::{
    api::InstallFailure,
    plan::{
        Priority,
        draft::{Decision, Draft},
    },
    release::{Cause, OperationKind, RecordStatus},
};

#[expect(clippy::unnecessary_wraps, reason = "the last rule always has an answer, but is a rule like the others")]
pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    let desired = draft.memory.desired.as_ref().map_or(Cause::Spec, |desired| desired.cause);
    let failed_before = draft.memory.failures.count > 0;
    let cause = if failed_before { Cause::Retry } else { desired };
    let Some(newest) = draft.newest() else {
        let cause = if draft.memory.history.is_empty() { cause } else { Cause::External };
        let priority = if failed_before { Priority::Retry } else { Priority::FirstInstall };
        return Some(draft.launch(OperationKind::Install, cause, priority, None));
    };
    let never_good = draft.memory.deployed.is_none()
        && draft.records().is_some_and(|records| !records.iter().any(crate::release::Record::is_verified));
    let over = matches!(newest.status, RecordStatus::Failed | RecordStatus::Uninstalled);
    if over && never_good {
        // helm would take an upgrade too, but skip the hooks of an install and call it a success.
        let kind = match draft.policy.install_failure {
            InstallFailure::Uninstall if newest.status == RecordStatus::Failed => OperationKind::Uninstall,
            InstallFailure::Uninstall | InstallFailure::Keep => OperationKind::Install,
        };
        return Some(draft.launch(kind, cause, Priority::Retry, None));
    }
    if newest.status == RecordStatus::Uninstalling {
        return Some(draft.launch(OperationKind::Uninstall, Cause::External, Priority::Retry, None));
    }
    let cause = if draft.is_ours(newest) { cause } else { Cause::External };
    let priority = if failed_before { Priority::Retry } else { Priority::Changed };
    let kind = if newest.status == RecordStatus::Uninstalled { OperationKind::Install } else { OperationKind::Upgrade };
    Some(draft.launch(kind, cause, priority, None))
}
