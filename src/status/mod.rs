//! What is said: conditions, the one sentence, events. A pure function of what was before and what was planned.
//!
//! The same snapshot and plan give the same bytes, so that an idle pass writes nothing: no time of its own is stamped,
//! and a condition keeps its transition time until its status changes.

mod conditions;
mod drift;
mod event;
mod reason;
mod text;
mod words;

pub use event::{Event, EventKind, NOTE_MAX_BYTES};
pub use reason::Reason;
pub use text::bounded;
pub use words::Truth;

use crate::{
    api::{ConditionType, HelmReleaseStatus},
    plan::Plan,
    release::Snapshot,
};

/// What a pass says.
#[must_use]
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    pub status: HelmReleaseStatus,
    /// What the status says of Ready.
    pub ready: Truth,
    /// Told after the status was written, once.
    pub events: Vec<Event>,
}

/// Says a plan.
pub fn render(previous: Option<&HelmReleaseStatus>, snapshot: &Snapshot, plan: &Plan) -> Rendered {
    let mut status = HelmReleaseStatus::from(plan.memory.clone());
    status.release = snapshot.spec.policy().map(|policy| policy.release.to_string());
    let before = previous.map_or(&[][..], |status| &status.conditions[..]);
    let saying = words::say(&plan.because);
    let truth = saying.ready;
    status.conditions = conditions::all(before, snapshot, plan, saying);
    let ready = |conditions: &[_]| conditions::find(conditions, ConditionType::Ready).cloned();
    let events = event::all(ready(before).as_ref(), ready(&status.conditions).as_ref(), plan);
    Rendered { status, ready: truth, events }
}

/// Says of an object that cannot even be read what is wrong with it, without touching the rest of its status.
pub fn render_malformed(
    previous: Option<&HelmReleaseStatus>,
    generation: i64,
    error: &str,
    now: jiff::Timestamp,
) -> HelmReleaseStatus {
    let mut status = previous.cloned().unwrap_or_default();
    status.observed_generation = generation;
    status.conditions = conditions::malformed(&status.conditions, generation, error, now);
    status
}
