//! helm is at work: wait, or end a run whose inputs are out of date.

use crate::{
    plan::{
        Action, Because,
        draft::{Decision, Draft},
    },
    release::{Flight, InputsView, OperationKind, Spec},
};

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    let Flight::Running { operation: running, cancelled } = &draft.snapshot.flight else { return None };
    let operation = draft.memory.operation.clone().filter(|operation| operation.id == *running);
    let Some(operation) = operation else { return Decision::idle(Because::Looking) };
    let label = match operation.kind {
        OperationKind::Rollback => draft.target_label(operation.target),
        OperationKind::Install | OperationKind::Upgrade | OperationKind::Test => draft.label_of(&operation),
        OperationKind::Uninstall => draft.desired_label(),
    };
    let because = match operation.kind {
        OperationKind::Uninstall if draft.snapshot.object.deleting => Because::Uninstalling,
        kind => Because::Running { kind, label, target: operation.target },
    };
    let newer = draft.inputs().is_some_and(|inputs| operation.digest.as_ref() != Some(&inputs.digest));
    // A rollback and an uninstall have no signal handling in helm: an end in the middle leaves a lock behind. Tests hold
    // no lock; they are ended only for what is going to be tried, because otherwise they would begin anew at once.
    let replaceable = match operation.kind {
        OperationKind::Install | OperationKind::Upgrade | OperationKind::Test => true,
        OperationKind::Rollback | OperationKind::Uninstall => false,
    };
    let may_end = replaceable && (operation.kind != OperationKind::Test || draft.fresh(operation.digest.as_ref()));
    let suspended_or_deleted = draft.policy.suspend
        || draft.snapshot.object.deleting
        // What would run instead is refused: the run is let to its end like that of a suspended release.
        || !matches!(draft.snapshot.spec, Spec::Valid(_));
    if newer && may_end && !cancelled && !suspended_or_deleted {
        return Decision::act(Action::Cancel, because);
    }
    // While helm runs, newer inputs are looked up, so that they can end it.
    if draft.snapshot.inputs == InputsView::Stale && replaceable && !suspended_or_deleted {
        return Decision::act(Action::Prepare, because);
    }
    Decision::idle(because)
}
