//! The next action for a release, and why: a pure function of a snapshot.
//!
//! [`plan`] is total and deterministic. It knows no client, clock, file or log; time is a value of the snapshot. Rules
//! are asked in the order of [`RULES`], and the first that has an answer decides. A plan carries the memory that it
//! leaves behind, so whoever acts has no choices to make: write the memory to status, then do the one action.
//!
//! Writing comes before acting, for every action alike. That puts the intent into status before helm starts, and lets
//! the board forget an outcome only after status tells of it, without a special case for either.

mod action;
mod backoff;
mod case;
mod check;
mod draft;
mod ending;
mod report;
mod rules;

pub use action::{Action, Priority, Wake};
pub use case::{Case, Expected};
pub use check::check;
pub use report::{Because, Held, Next, Note, View};
pub use rules::{RULES, Rule};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::release::{Flight, Memory, Snapshot, Spec};
use draft::{Decision, Draft};

/// How long a status write is put off for an action that is normally followed by another pass at once.
pub const SAY_AFTER: SignedDuration = SignedDuration::from_secs(2);
/// The same for a place in the queue: waiting there is ordinary, and a hundred releases that are declared together would
/// cost a hundred writes to say so.
pub const SAY_QUEUED_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// What to do, what to remember, and why.
#[must_use = "a plan that is not acted on is a release that stands still"]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub action: Action,
    /// What status is to hold before the action is done.
    pub memory: Memory,
    pub because: Because,
    /// Why drift that is to be corrected is not corrected now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// What happened, to be told once.
    pub notes: Vec<Note>,
    /// When a pass is due although nothing changes.
    pub wake: Wake,
}

impl Plan {
    /// Whether the write of status can wait for the next pass, which follows at once: only where nothing is remembered
    /// but what that pass finds out by itself. A request by annotation, for one, would be answered again and again.
    pub fn defers_status(&self, snapshot: &Snapshot) -> bool {
        let found_anew = |memory: &Memory| Memory { observed_generation: 0, desired: None, ..memory.clone() };
        self.action.defers_status() && found_anew(&self.memory) == found_anew(&snapshot.memory)
    }
}

/// Decides. Never fails: what cannot be acted on is a plan that says so.
pub fn plan(snapshot: &Snapshot) -> Plan {
    let policy = match &snapshot.spec {
        Spec::Valid(policy) | Spec::Invalid { policy: Some(policy), .. } | Spec::Refused { policy, .. } => policy,
        Spec::Invalid { message, policy: None } => return nameless(snapshot, message),
    };
    let mut draft = Draft::new(snapshot, policy);
    rules::notice(&mut draft);
    let Decision { mut action, because, mut wake, placed } = RULES
        .iter()
        .find_map(|rule| (rule.decide)(&mut draft))
        .unwrap_or(Decision { action: Action::Idle, because: Because::Looking, wake: Wake::Never, placed: false });
    // A place in the queue, or a slot, is given back by a plan that has no use for it.
    if !placed && matches!(snapshot.flight, Flight::Queued | Flight::Granted) && action == Action::Idle {
        action = Action::Withdraw;
    }
    if action == Action::Idle && !policy.suspend {
        wake = wake.or_sooner(rules::look_again(snapshot));
    }
    if action.defers_status() {
        let after = if matches!(action, Action::Ask(_)) { SAY_QUEUED_AFTER } else { SAY_AFTER };
        wake = wake.or_sooner(snapshot.now.checked_add(after).map_or(Wake::Never, Wake::At));
    }
    Plan { action, memory: draft.memory, because, held: draft.held, notes: draft.notes, wake }
}

/// An object whose names are no names never had a release.
fn nameless(snapshot: &Snapshot, message: &str) -> Plan {
    let mut memory = snapshot.memory.clone();
    memory.observed_generation = snapshot.object.generation;
    let deleting = snapshot.object.deleting && snapshot.object.finalizer;
    let (action, because) = if deleting {
        (Action::RemoveFinalizer, Because::LettingGo)
    } else {
        (Action::Idle, Because::InvalidSpec(message.into()))
    };
    Plan { action, memory, because, held: None, notes: Vec::new(), wake: Wake::Never }
}

#[cfg(test)]
mod tests;
