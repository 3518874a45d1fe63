//! What helm is to be given: known, being looked up, or missing.

use crate::{
    plan::{
        Action, Because, Wake, backoff,
        draft::{Decision, Draft},
    },
    release::{InputsProblemKind, InputsView, Spec},
};

/// While something else is waited for, inputs are looked up all the same: newer ones may end the waiting.
pub(super) fn meanwhile(draft: &mut Draft<'_>, because: Because, wake: Wake) -> Decision {
    let (action, sooner) = match decide(draft) {
        Some(Decision { action: Action::Prepare, .. }) => (Action::Prepare, Wake::Never),
        Some(Decision { wake, .. }) => (Action::Idle, wake),
        None => (Action::Idle, Wake::Never),
    };
    Decision { action, because, wake: wake.or_sooner(sooner), placed: false }
}

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    // There is nothing to look up.
    if !matches!(draft.snapshot.spec, Spec::Valid(_)) {
        return None;
    }
    let asked = &draft.snapshot.object.reconcile;
    let ask_again = asked.is_some() && asked.as_deref() != draft.memory.handled.reconcile.as_deref();
    let look = || Decision::act(Action::Prepare, Because::Looking);
    if ask_again {
        draft.memory.handled.reconcile = asked.as_deref().map(ToOwned::to_owned);
        // A task that is looking answers the request too.
        if draft.snapshot.inputs != InputsView::Underway {
            return look();
        }
    }
    match &draft.snapshot.inputs {
        InputsView::Stale => look(),
        InputsView::Underway => Decision::idle(Because::Looking),
        InputsView::Failed { problem, tries, at } => {
            let limit = match problem.kind {
                InputsProblemKind::Forbidden => backoff::LIMIT_RIGHTS,
                InputsProblemKind::Chart
                | InputsProblemKind::Older
                | InputsProblemKind::Values
                | InputsProblemKind::Refused => {
                    if problem.transient {
                        backoff::LIMIT
                    } else {
                        backoff::LIMIT_OUTSIDE
                    }
                }
            };
            let until = backoff::next(*at, *tries, limit, &draft.snapshot.object.uid);
            if draft.now() < until {
                Decision::until(Because::Inputs(problem.clone()), until)
            } else {
                Decision::act(Action::Prepare, Because::Inputs(problem.clone()))
            }
        }
        InputsView::Known { look_again: Some(moment), .. } if *moment <= draft.now() => look(),
        InputsView::Known { .. } => None,
    }
}
