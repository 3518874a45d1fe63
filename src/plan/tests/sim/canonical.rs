//! One world for all that differ in nothing that is decided from: how late it is, what attempts are called, what was
//! said to people.
//!
//! A moment counts by whether it is past, and all moments of a kind that are past, or ahead, are one. This is where it
//! is coarser than the planner: two moments that are both ahead always come in the same order (a delay is over before a
//! deadline is).

use std::{
    fmt,
    hash::{DefaultHasher, Hasher},
};

use super::*;
use crate::{
    plan::backoff,
    release::{Cause, HistoryEntry},
};

/// What counts as past for every rule: longer than any delay that is added to a moment.
const LONG: SignedDuration = SignedDuration::from_hours(48);
/// The rest of a delay.
const SOON: SignedDuration = SignedDuration::from_secs(10);
/// The time of an attempt, and of a stranger's lock, is not over.
const LATER: SignedDuration = SignedDuration::from_mins(5);
/// In which a fresh look at the objects is taken: see the rule `attempt`.
const FRESH: SignedDuration = SignedDuration::from_secs(60);
/// After which every lock of a stranger counts as left by a dead process.
const STALE: SignedDuration = SignedDuration::from_mins(15);

impl World {
    pub(in super::super) fn canonical(&mut self) {
        let (now, noon, apart) = (self.now, start(), self.ahead);
        let past = noon.checked_sub(LONG).unwrap();
        let ahead =
            |moment: Timestamp, by: SignedDuration| if moment > now { noon.checked_add(by).unwrap() } else { past };
        let since = |moment: Timestamp, limit| moment.checked_add(limit).is_ok_and(|end| end > now);
        let written = |record: &mut Record| {
            let locked = record.status.is_pending() || record.status == RecordStatus::Uninstalling;
            let fresh = locked && since(Timestamp::from_second(record.written + apart).unwrap(), STALE);
            record.written = if fresh { noon } else { past }.as_second() - apart;
        };
        let (holder, view) = (format!("operator-{}", self.holder), self.live_since);
        let seen = view.map(|view| if since(view, FRESH) { noon } else { past });
        let ours = self.memory.operation.as_ref().map(|operation| operation.id.clone());
        let name = |id: &str| -> Box<str> { if ours.as_deref() == Some(id) { "run" } else { "another" }.into() };
        let attempt = |operation: &mut Operation| {
            operation.id = name(&operation.id);
            // Whether it was looked at for long enough, or ever since, is all that its start is asked for.
            let within = view.is_some_and(|view| view <= operation.started || !since(view, FRESH));
            operation.started = if within { seen.unwrap_or(past) } else { past.checked_sub(LONG).unwrap() };
            operation.deadline = ahead(operation.deadline, LATER);
            operation.holder = if *operation.holder == *holder { "operator-1" } else { "operator-0" }.into();
        };
        self.revisions.iter_mut().for_each(|revision| written(&mut revision.record));
        self.running.iter_mut().for_each(|(operation, _)| attempt(operation));
        match &mut self.flight {
            Flight::Idle | Flight::Queued | Flight::Granted => {}
            Flight::Running { operation, .. } => *operation = name(operation),
            Flight::Ended(outcome) => {
                outcome.operation = name(&outcome.operation);
                let mut records: Vec<_> = outcome.records.iter().flat_map(Records::iter).cloned().collect();
                records.iter_mut().for_each(written);
                outcome.records = outcome.records.as_ref().map(|_| Records::new(records));
            }
        }
        let memory = &mut self.memory;
        memory.operation.iter_mut().for_each(attempt);
        memory.deployed.iter_mut().for_each(|deployed| deployed.since = past);
        memory.tested.iter_mut().for_each(|tested| tested.end = past);
        for entry in &mut memory.quarantined {
            (entry.since, entry.message) = (past, "".into());
        }
        let failures = &mut memory.failures;
        failures.not_before = failures.not_before.map(|moment| ahead(moment, SOON));
        failures.last.iter_mut().for_each(|last| last.message.clear());
        let uid = &self.object.uid;
        let waits = |entry: &HistoryEntry| {
            entry.action == OperationKind::Rollback
                && failures.rollbacks > 0
                && backoff::next(entry.end, failures.rollbacks, backoff::LIMIT, uid) > now
        };
        for entry in &mut memory.history {
            entry.end = if waits(entry) { noon } else { past };
            (entry.start, entry.cause) = (entry.end, Cause::Spec);
            (entry.chart, entry.version) = (Box::default(), Box::default());
        }
        (self.now, self.live_since, self.holder) = (noon, seen, 1);
        (self.runs, self.notes, self.last) = (Vec::new(), Vec::new(), None);
    }

    /// The same for two worlds that are the same, made canonical.
    pub(in super::super) fn fingerprint(&self) -> u64 {
        struct Text(DefaultHasher);
        impl fmt::Write for Text {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.write(text.as_bytes());
                Ok(())
            }
        }
        // The texts of inputs are long, and each has a digest of its own.
        let known = match &self.inputs {
            InputsView::Known { inputs, .. } => Some(&inputs.digest),
            InputsView::Stale | InputsView::Underway | InputsView::Failed { .. } => None,
        };
        let sought = self.inputs == InputsView::Underway;
        let Memory {
            observed_generation,
            desired,
            deployed,
            operation,
            failures,
            quarantined,
            inventory,
            tested,
            history,
            definitions,
            handled,
            drift,
        } = &self.memory;
        let desired = desired.as_ref().map(|desired| (&desired.digest, desired.generation));
        let listed = inventory.as_ref().map(|inventory| (inventory.revision, inventory.members.len()));
        let read = self.payload.as_ref().map(|payload| (payload.revision, payload.action));
        // The policy and what is only told or counted are no part of it.
        let outside =
            (&self.object, self.want, known, sought, &self.revisions, self.counter, self.live, self.live_since);
        let helm = (&self.health, &self.script, &self.flight, &self.running, read, self.gone);
        let objects = (self.leaving, self.vanished, self.vanishing, &self.spoilt);
        let open = (observed_generation, desired, deployed, operation, failures, quarantined);
        let past = (listed, tested, history, definitions, handled, drift);
        let mut text = Text(DefaultHasher::new());
        fmt::write(&mut text, format_args!("{outside:?}{helm:?}{objects:?}{open:?}{past:?}")).unwrap();
        text.0.finish()
    }
}
