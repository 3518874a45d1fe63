//! What a run found out about the CustomResourceDefinitions of its chart.

use crate::{
    plan::{Note, draft::Draft},
    release::{Ended, LeftAlone, Operation, OperationKind, Outcome},
};

/// Remembers which of them differ; it is told when it is new.
pub(super) fn learn(draft: &mut Draft<'_>, operation: &Operation, outcome: &Outcome) {
    let deploys = matches!(operation.kind, OperationKind::Install | OperationKind::Upgrade);
    // A run that did not start may not have looked.
    if !deploys || matches!(outcome.ended, Ended::NotStarted(_) | Ended::Cancelled) {
        return;
    }
    let found = operation.digest.clone().and_then(|digest| LeftAlone::new(digest, outcome.definitions.to_vec()));
    if found != draft.memory.definitions
        && let Some(left) = &found
    {
        draft.notes.push(Note::DefinitionsDiffer(left.clone()));
    }
    draft.memory.definitions = found;
}
