//! The one place that writes status.

use std::sync::Arc;

use super::Context;
use crate::{
    api::HelmRelease,
    cluster::{self, ClusterError, Target},
    plan::{Action, Plan},
    release::{Memory, Snapshot},
    status::{Event, EventKind, Rendered},
    types::ObjectKey,
};

/// Writes what a pass says, if it says anything new. Returns the object as it is then.
pub(super) async fn write(
    context: &Context,
    key: &ObjectKey,
    object: Arc<HelmRelease>,
    snapshot: &Snapshot,
    plan: &Plan,
    rendered: Rendered,
) -> Result<Arc<HelmRelease>, ClusterError> {
    let put_off = plan.defers_status(snapshot) && !remembers_more(&snapshot.memory, &plan.memory);
    let gone = plan.action == Action::RemoveFinalizer;
    if put_off || gone || object.status.as_ref() == Some(&rendered.status) {
        context.metrics.passes.with_label_values(&["unchanged"]).inc();
        return Ok(object);
    }
    let target = Target::of(&object.metadata);
    let version = object.metadata.resource_version.as_deref();
    // Always against the version that was planned on: a pass that lost a race plans anew.
    let written = context.requests.write_status(&target, &rendered.status, version).await;
    let result = match &written {
        Ok(_) => "written",
        Err(ClusterError::Conflict(_)) => "conflict",
        Err(_) => "error",
    };
    context.metrics.passes.with_label_values(&[result]).inc();
    let written = written?;
    // The watch wakes nobody for a write of our own: what was remembered is acted on by the pass that follows.
    context.main.observe(written.clone());
    context.wake(key);
    let written = Arc::new(written);
    if let Some(ready) = rendered.status.conditions.first() {
        tracing::info!(object = %key, ready = ready.status, reason = ready.reason, message = ready.message, "status");
    }
    for event in rendered.events {
        context.events.say(about(&written, plan, event));
    }
    Ok(written)
}

/// Whether a plan remembers something that must not be put off: all but what every pass finds out by itself.
fn remembers_more(before: &Memory, after: &Memory) -> bool {
    let found_anew = |memory: &Memory| Memory { observed_generation: 0, desired: None, ..memory.clone() };
    found_anew(before) != found_anew(after)
}

fn about(object: &HelmRelease, plan: &Plan, event: Event) -> cluster::Event {
    cluster::Event {
        about: Target::of(&object.metadata),
        kind: match event.kind {
            EventKind::Normal => cluster::EventKind::Normal,
            EventKind::Warning => cluster::EventKind::Warning,
        },
        reason: event.reason,
        action: plan.memory.operation.as_ref().map_or("Reconcile", |operation| operation.kind.as_str()).into(),
        note: event.note,
    }
}
