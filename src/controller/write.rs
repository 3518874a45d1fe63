//! The one place that writes status.

use std::sync::Arc;

use super::Context;
use crate::{
    api::HelmRelease,
    cluster::{self, ClusterError, Target},
    plan::{Action, Plan},
    release::Snapshot,
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
    // The last write to an object that goes is the removal of its finalizer; what happened is told all the same.
    if plan.action == Action::RemoveFinalizer {
        tell(context, &object, plan, rendered.events);
        return Ok(object);
    }
    if plan.defers_status(snapshot) || object.status.as_ref() == Some(&rendered.status) {
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
    let mut written = written?;
    if written.status.as_ref() != Some(&rendered.status) {
        written = context.requests.correct_status(&written, &rendered.status).await?;
    }
    // The watch wakes nobody for a write of our own: what was remembered is acted on by the pass that follows.
    context.main.observe(written.clone());
    context.wake(key);
    let written = Arc::new(written);
    if let Some(ready) = rendered.status.conditions.first() {
        tracing::info!(object = %key, ready = ready.status, reason = ready.reason, message = ready.message, "status");
    }
    tell(context, &written, plan, rendered.events);
    Ok(written)
}

fn tell(context: &Context, object: &HelmRelease, plan: &Plan, events: Vec<Event>) {
    for event in events {
        context.events.say(about(object, plan, event));
    }
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
