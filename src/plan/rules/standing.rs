//! Whether anything may be done at all: spec, ownership, finalizer, views, suspension.

use jiff::SignedDuration;

use crate::{
    plan::{
        Action, Because, View as Which,
        draft::{Decision, Draft},
    },
    release::{Claim, ForeignAction, Health, InputsView, Spec, View, record_name},
};

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    // Also an attempt that is not over stays as it is: nobody's rights are there to judge it or to take it back with.
    if let Spec::Refused { why, .. } = &draft.snapshot.spec {
        return Decision::idle(Because::Refused(why.clone()));
    }
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
        Spec::Valid(_) | Spec::Refused { .. } => None,
        Spec::Invalid { message, .. } => Decision::idle(Because::InvalidSpec(message.clone())),
    }
}

/// An attempt of ours is open, or came to no verdict, or failed and left its place to nobody. What it did was asked for when the spec was
/// valid, so a mistake that is made later does not leave a broken version in place of one that worked.
fn is_unfinished(draft: &Draft<'_>) -> bool {
    let open = draft.memory.operation.is_some()
        || super::remediation::bad_upgrade(draft).is_some()
        || super::remediation::is_unjudged(draft);
    open && draft.snapshot.object.finalizer && !draft.policy.suspend
}

pub(super) fn view(draft: &mut Draft<'_>) -> Option<Decision> {
    match &draft.snapshot.records {
        View::Is(_) => None,
        View::Pending => Decision::idle(Because::ViewPending(Which::Records)),
        View::Refused(why) => Decision::idle(Because::ViewRefused { view: Which::Records, why: why.clone() }),
    }
}

/// How soon a record that was restored is found: a payload is no part of what is watched.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// helm passes by a record that it cannot read (4.3 and 3.22) and then fails to write the same revision again, and a
/// removal leaves it. Its objects are not known, so nothing can be judged, rolled back or unlocked either.
pub(super) fn unreadable(draft: &mut Draft<'_>) -> Option<Decision> {
    let revision = draft.newest()?.revision;
    let payload = draft.snapshot.payload.as_ref()?;
    if payload.revision != revision || payload.action != ForeignAction::Unreadable {
        return None;
    }
    let secret = record_name(&draft.policy.release, revision).into();
    let again = draft.now().checked_add(LOOK_AGAIN).unwrap_or(draft.now());
    Decision::until(Because::RecordUnreadable { secret }, again)
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
