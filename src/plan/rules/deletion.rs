//! The object is being deleted.

use crate::{
    plan::{
        Action, Because, Note, Priority, View as Which,
        draft::{Decision, Draft},
    },
    release::{Cause, Claim, DeletionPolicy, OperationKind, Spec, View},
};

/// What a removal failed by that nobody may make any more: the service account that it is made as is gone.
pub(super) const ACCOUNT_MISSING: &str = "AccountMissing";

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    let object = &draft.snapshot.object;
    if !object.deleting {
        return None;
    }
    if !object.finalizer {
        return Decision::idle(Because::LettingGo);
    }
    let let_go = || Decision::act(Action::RemoveFinalizer, Because::LettingGo);
    if object.force_delete.is_some() {
        draft.notes.push(Note::ForcedDeletion);
        return let_go();
    }
    if draft.policy.deletion == DeletionPolicy::Orphan {
        return let_go();
    }
    let records = match &draft.snapshot.records {
        View::Is(records) => records,
        View::Pending => return Decision::idle(Because::ViewPending(Which::Records)),
        View::Refused(why) => {
            return Decision::idle(Because::ViewRefused { view: Which::Records, why: why.clone() });
        }
    };
    // Only the records tell who the owner is; without them the older object passes for it.
    if matches!(draft.snapshot.claim, Claim::Theirs(_)) {
        return let_go();
    }
    let Some(newest) = records.newest() else { return gone(draft) };
    if !draft.ever_ours() {
        return let_go();
    }
    // It was installed before its object was refused. The operator's own rights are not lent for its removal either, and
    // an object that waited for an account could hold its namespace for ever.
    if let Spec::Refused { why, .. } = &draft.snapshot.spec {
        return Decision::act(Action::RemoveFinalizer, Because::LeftBehind { why: why.clone() });
    }
    // Nobody will ever be allowed to remove it, and an object that never goes would hold its namespace.
    if draft.memory.failures.last.as_ref().is_some_and(|last| last.reason == ACCOUNT_MISSING) {
        return Decision::act(Action::RemoveFinalizer, Because::LeftBehind { why: draft.last_failure() });
    }
    if let Some(stale) = super::foreign::at_work(draft, newest) {
        return Decision::until(Because::StrangerAtWork { revision: newest.revision }, stale);
    }
    if let Some(unreadable) = super::standing::unreadable(draft) {
        return Some(unreadable);
    }
    if let Some(until) = draft.memory.failures.not_before.filter(|moment| *moment > draft.now()) {
        let uninstall_failed = draft.memory.failures.last.as_ref().is_some_and(|l| l.reason == "UninstallFailed");
        if uninstall_failed {
            return Decision::until(Because::UninstallFailed { why: draft.last_failure(), until }, until);
        }
    }
    // An attempt whose process is gone has nothing to tell any more: the release goes.
    if let Some(operation) = draft.memory.operation.clone() {
        draft.abandon(&operation);
    }
    let mut decision = draft.launch(OperationKind::Uninstall, Cause::Deletion, Priority::Removal, None);
    if matches!(decision.action, Action::Start(_)) {
        decision.because = Because::Uninstalling;
    }
    Some(decision)
}

/// There is no record. Whether objects are still on their way out is not looked at with rights that nobody lends.
fn gone(draft: &mut Draft<'_>) -> Option<Decision> {
    let refused = matches!(draft.snapshot.spec, Spec::Refused { .. });
    let first = if refused { None } else { super::leaving::wait(draft, Because::Uninstalling) };
    first.or_else(|| Decision::act(Action::RemoveFinalizer, Because::LettingGo))
}
