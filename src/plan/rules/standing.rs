//! Whether anything may be done at all: spec, ownership, finalizer, views, suspension.

use crate::{
    plan::{
        Action, Because, View as Which,
        draft::{Decision, Draft},
    },
    release::{Claim, Health, InputsView, Spec, View},
};

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    if !is_unfinished(draft)
        && let Some(stop) = invalid(draft)
    {
        return Some(stop);
    }
    if let Claim::Theirs(winner) = &draft.snapshot.claim {
        return Decision::idle(Because::ClaimedByAnother(winner.clone()));
    }
    if !draft.snapshot.object.finalizer {
        return Decision::act(Action::AddFinalizer, Because::Looking);
    }
    None
}

pub(super) fn invalid(draft: &mut Draft<'_>) -> Option<Decision> {
    match &draft.snapshot.spec {
        Spec::Valid(_) => None,
        Spec::Invalid { message, .. } => Decision::idle(Because::InvalidSpec(message.clone())),
    }
}

/// An attempt of ours is open, or failed and left its place to nobody. What it did was asked for when the spec was
/// valid, so a mistake that is made later does not leave a broken version in place of one that worked.
fn is_unfinished(draft: &Draft<'_>) -> bool {
    let open = draft.memory.operation.is_some() || super::remediation::bad_upgrade(draft).is_some();
    open && draft.snapshot.object.finalizer && !draft.policy.suspend
}

pub(super) fn view(draft: &mut Draft<'_>) -> Option<Decision> {
    match &draft.snapshot.records {
        View::Is(_) => None,
        View::Pending => Decision::idle(Because::ViewPending(Which::Records)),
        View::Refused(why) => Decision::idle(Because::ViewRefused { view: Which::Records, why: why.clone() }),
    }
}

/// helm does not run; what is deployed is still judged, so that a dashboard goes on telling the truth.
pub(super) fn suspended(draft: &mut Draft<'_>) -> Option<Decision> {
    if !draft.policy.suspend {
        return None;
    }
    if draft.snapshot.inputs == InputsView::Stale {
        return Decision::act(Action::Prepare, Because::Suspended { deployed: false });
    }
    let deployed = match (draft.at_good(), draft.inputs()) {
        (Some(newest), Some(inputs)) => draft.digest_of(newest) == Some(&inputs.digest),
        (Some(_) | None, _) => false,
    };
    let good = matches!(draft.health(), Health::Healthy);
    Decision::idle(Because::Suspended { deployed: deployed && good })
}
