//! Workloads that keep a number of pods alive.
//!
//! All wanted pods have to be there and available, as kstatus has it: the slack that an update strategy allows is for
//! the time of the update, and a revision that never leaves it is not good.

use super::object::Object;
use super::words::{counted, detailed, outside, own, progressing};
use crate::release::{Fault, Verdict, Why};

/// Words of a refusal to create pods that asking again does not change, because the pods themselves are refused.
/// Everything else is a cause outside, above all quota and webhooks that are down.
const REFUSED_FOR_GOOD: [&str; 4] =
    ["violates PodSecurity", "denied the request", "error looking up service account", "is invalid"];

pub(super) fn deployment(object: Object<'_>) -> Verdict {
    if let Some(unseen) = never_seen(object) {
        return Verdict::Progressing(unseen);
    }
    if object.is_true("/spec/paused") {
        return Verdict::Healthy;
    }
    let wanted = wanted(object);
    let updated = object.count("/status/updatedReplicas");
    let available = object.count("/status/availableReplicas");
    let old = object.count("/status/replicas") - updated;
    let refused = refused_pods(object);
    if object.condition("Progressing").is_some_and(|it| it.reason == "ProgressDeadlineExceeded") {
        let deadline = object.int("/spec/progressDeadlineSeconds").unwrap_or(DEFAULT_PROGRESS_DEADLINE_SECONDS);
        let text = format!("made no progress for {deadline} s, {available} of {wanted} replicas are available");
        return Verdict::Failed(match refused {
            Some(Why { fault: Fault::Outside, text: cause }) => outside(&format!("{text}; {cause}")),
            Some(Why { text: cause, .. }) => own(&format!("{text}; {cause}")),
            None => own(&text),
        });
    }
    if let Some(refused) = refused {
        return Verdict::Progressing(refused);
    }
    if updated < wanted {
        return of_wanted(updated, wanted, "replicas are updated");
    }
    if old > 0 {
        return leftover(old, "old replica");
    }
    if available < wanted {
        return of_wanted(available, wanted, "replicas are available");
    }
    Verdict::Healthy
}

/// The API server's default, for an object that was read before defaults were filled in.
const DEFAULT_PROGRESS_DEADLINE_SECONDS: i64 = 600;

/// Under `OnDelete` the update waits for a person, so it is not awaited; that the pods run is.
pub(super) fn stateful_set(object: Object<'_>) -> Verdict {
    if let Some(unseen) = never_seen(object) {
        return Verdict::Progressing(unseen);
    }
    let wanted = wanted(object);
    let partition = object.count("/spec/updateStrategy/rollingUpdate/partition");
    let updating = object.text("/spec/updateStrategy/type") != "OnDelete"
        && object.text("/status/currentRevision") != object.text("/status/updateRevision");
    let updated = object.count("/status/updatedReplicas");
    let to_update = wanted.saturating_sub(partition).max(0);
    if updating && updated < to_update {
        return of_wanted(updated, to_update, "replicas are updated");
    }
    let surplus = object.count("/status/replicas") - wanted;
    if surplus > 0 {
        return leftover(surplus, "surplus replica");
    }
    let ready = object.count("/status/readyReplicas");
    if ready < wanted {
        return of_wanted(ready, wanted, "replicas are ready");
    }
    // Old API servers do not write it; where it is there, it honours minReadySeconds.
    match object.int("/status/availableReplicas") {
        Some(available) if available < wanted => of_wanted(available.max(0), wanted, "replicas are available"),
        // Without a partition the controller closes an update by making both revisions one.
        _ if updating && partition == 0 => progressing("its update is not closed yet"),
        _ => Verdict::Healthy,
    }
}

/// Under `OnDelete` as for a stateful set.
pub(super) fn daemon_set(object: Object<'_>) -> Verdict {
    if let Some(unseen) = never_seen(object) {
        return Verdict::Progressing(unseen);
    }
    let wanted = object.count("/status/desiredNumberScheduled");
    let updated = object.count("/status/updatedNumberScheduled");
    let available = object.count("/status/numberAvailable");
    if updated < wanted && object.text("/spec/updateStrategy/type") != "OnDelete" {
        return of_wanted(updated, wanted, "pods are updated");
    }
    if available < wanted {
        return of_wanted(available, wanted, "pods are available");
    }
    Verdict::Healthy
}

/// Replica sets and replication controllers: they keep pods, and never update them.
pub(super) fn replica_set(object: Object<'_>) -> Verdict {
    if let Some(unseen) = never_seen(object) {
        return Verdict::Progressing(unseen);
    }
    if let Some(refused) = refused_pods(object) {
        return Verdict::Progressing(refused);
    }
    let wanted = wanted(object);
    let surplus = object.count("/status/replicas") - wanted;
    let available = object.count("/status/availableReplicas");
    if surplus > 0 {
        return leftover(surplus, "surplus replica");
    }
    if available < wanted {
        return of_wanted(available, wanted, "replicas are available");
    }
    Verdict::Healthy
}

/// These kinds always write the generation they saw, so a status without one was never written.
fn never_seen(object: Object<'_>) -> Option<Why> {
    object.int("/status/observedGeneration").is_none().then(|| object.unseen())
}

/// The API's default is 1.
fn wanted(object: Object<'_>) -> i64 {
    object.int("/spec/replicas").unwrap_or(1).max(0)
}

fn of_wanted(there: i64, wanted: i64, what: &str) -> Verdict {
    progressing(&format!("{there} of {wanted} {what}"))
}

fn leftover(count: i64, noun: &str) -> Verdict {
    let verb = if count == 1 { "is" } else { "are" };
    progressing(&format!("{} {verb} still there", counted(count, noun)))
}

fn refused_pods(object: Object<'_>) -> Option<Why> {
    let failure = object.holds("ReplicaFailure")?;
    // A validation error repeats the value it refuses, which may be a secret.
    let says = failure.says().split(": Invalid value").next().unwrap_or_default();
    let text = detailed("pods can not be created", says);
    let for_good = REFUSED_FOR_GOOD.iter().any(|words| failure.message.contains(words));
    Some(if for_good { own(&text) } else { outside(&text) })
}
