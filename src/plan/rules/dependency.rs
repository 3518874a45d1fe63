//! What an install or upgrade waits for: releases that have to be ready first.
//!
//! Asked only when a deployment is all that is left to do, so what is deployed is never disturbed by a dependency that
//! fails later, a rollback never waits for one, and neither does a removal. An uninstall that only makes room for the
//! next install is part of that install and waits too: nothing is taken away before its successor may come.

use crate::{
    plan::{
        Because,
        draft::{Decision, Draft},
    },
    release::DependencyState,
};

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    if let Some(way) = &draft.snapshot.cycle {
        return Decision::idle(Because::DependencyCycle(way.clone()));
    }
    let missing = draft.snapshot.dependencies.iter().find(|dependency| dependency.state != DependencyState::Ready)?;
    Decision::idle(Because::DependencyNotReady(missing.clone()))
}
