//! Jobs.

use super::object::Object;
use super::words::{counted, detailed, own, progressing};
use crate::release::Verdict;

/// Nothing that happens to the object afterwards, its deletion by time to live included, takes completion back.
pub(super) fn is_complete(object: Object<'_>) -> bool {
    object.holds("Complete").is_some()
}

/// A Job that failed, whatever happens to the object afterwards.
pub(super) fn failure(object: Object<'_>) -> Option<Verdict> {
    let failed = object.holds("Failed")?;
    let head = if failed.reason.is_empty() { "failed".to_owned() } else { format!("failed with {}", failed.reason) };
    Some(Verdict::Failed(own(&detailed(&head, failed.message))))
}

/// The cluster removes it some time after it has ended, however that was.
pub(super) fn is_short_lived(object: Object<'_>) -> bool {
    object.int("/spec/ttlSecondsAfterFinished").is_some()
}

/// Its pods do nothing any more, whatever came of them.
pub(super) fn has_ended(object: Object<'_>) -> bool {
    is_complete(object) || object.holds("Failed").is_some()
}

/// A suspended Job is as its owner wants it, like a paused Deployment.
pub(super) fn judge(object: Object<'_>) -> Verdict {
    if is_complete(object) || object.is_true("/spec/suspend") {
        return Verdict::Healthy;
    }
    if let Some(failed) = failure(object) {
        return failed;
    }
    // Without `completions` the pods themselves decide when the work is done.
    let mut text = object.int("/spec/completions").map_or_else(
        || "is not complete".to_owned(),
        |wanted| format!("{} of {} succeeded", object.count("/status/succeeded"), counted(wanted.max(0), "pod")),
    );
    let failed = object.count("/status/failed");
    if failed > 0 {
        text = format!("{text}, {failed} failed");
    }
    progressing(&text)
}
