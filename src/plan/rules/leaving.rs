//! The release is gone and its objects may not be: what has a finalizer, or is foreground-deleted, outlives helm's end.
//!
//! helm takes what is still there for its own, also what is on its way out: a run over it ends well, and then the object
//! vanishes for good, because nobody makes it again. So nothing is put into the cluster before the last of them is gone,
//! whoever removed the release. After a removal of ours its outcome names what is left. Where somebody else removed it,
//! or the outcome was lost together with its process, the objects of the last known inventory are looked at: waited for
//! are those that have been deleted and are still there. What is there and stays is helm's to judge.
//!
//! There is no end to the wait, as there is none to that of a deletion: the object is named, and whoever takes its
//! finalizer off ends it.

use crate::plan::{
    Because,
    draft::{Decision, Draft},
};
use crate::release::RecordStatus;

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    wait(draft, Because::Looking)
}

/// What has to be done before the release counts as gone with all that it had; `looking` says why one looks.
pub(super) fn wait(draft: &mut Draft<'_>, looking: Because) -> Option<Decision> {
    let gone = draft.records()?.newest().is_none_or(|newest| newest.status == RecordStatus::Uninstalled);
    if !gone {
        return None;
    }
    if draft.memory.inventory.is_some()
        && let Some(first) = draft.take_inventory(0, looking)
    {
        return Some(first);
    }
    Decision::idle(Because::Terminating { member: draft.terminating()?.clone() })
}
