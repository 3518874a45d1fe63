//! Any object with conditions, by the rules of kstatus: what custom resources are judged by.

use super::object::Object;
use super::words::{detailed, own, progressing};
use crate::release::Verdict;

/// An object without these conditions is healthy: nothing tells a kind that never writes them from one that has not
/// written them yet, and waiting for the former would never end.
pub(super) fn judge(object: Object<'_>) -> Verdict {
    // A condition about an older generation tells nothing about this one; Gateway API and others date each of them.
    let current = |kind: &str| {
        object.condition(kind).map(|found| (found, found.observed.is_none_or(|seen| seen >= object.generation())))
    };
    if let Some((reconciling, true)) = current("Reconciling")
        && reconciling.status == "True"
    {
        return progressing(&detailed("is being reconciled", reconciling.says()));
    }
    if let Some((stalled, true)) = current("Stalled")
        && stalled.status == "True"
    {
        return Verdict::Failed(own(&detailed("is stalled", stalled.says())));
    }
    match current("Ready") {
        None => Verdict::Healthy,
        Some((_, false)) => Verdict::Progressing(object.unseen()),
        Some((ready, true)) => match ready.status {
            "True" => Verdict::Healthy,
            "False" => progressing(&detailed("is not ready", ready.says())),
            _ => progressing(&detailed("is not known to be ready", ready.says())),
        },
    }
}
