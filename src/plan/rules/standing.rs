//! Whether anything may be done at all: spec, ownership, finalizer, views, suspension.

use crate::{
    plan::{
        Action, Because, View as Which,
        draft::{Decision, Draft},
    },
    release::{Claim, Health, InputsView, Spec, View},
};

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    if let Spec::Invalid { message, .. } = &draft.snapshot.spec {
        return Decision::idle(Because::InvalidSpec(message.clone()));
    }
    if let Claim::Theirs(winner) = &draft.snapshot.claim {
        return Decision::idle(Because::ClaimedByAnother(winner.clone()));
    }
    if !draft.snapshot.object.finalizer {
        return Decision::act(Action::AddFinalizer, Because::Looking);
    }
    None
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
