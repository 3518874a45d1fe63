//! A plan while it is made: the memory it will leave, and the questions that several rules ask of a snapshot.

use jiff::{SignedDuration, Timestamp};

use super::{Action, Because, Next, Note, Priority, Wake, backoff};
use crate::{
    api::{HistoryResult, LastFailure},
    release::{
        Cause, Deployed, Fault, Flight, Health, HistoryEntry, Inputs, InputsView, Inventory, Memory, Operation,
        OperationKind, OwnerId, Policy, Quarantined, Record, Records, Snapshot,
    },
};

/// What a rule decides.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) action: Action,
    pub(super) because: Because,
    pub(super) wake: Wake,
}

#[expect(clippy::unnecessary_wraps, reason = "each is the answer of a rule, and a rule may have none")]
impl Decision {
    pub(super) fn idle(because: Because) -> Option<Self> {
        Some(Self { action: Action::Idle, because, wake: Wake::Never })
    }

    pub(super) fn until(because: Because, moment: Timestamp) -> Option<Self> {
        Some(Self { action: Action::Idle, because, wake: Wake::At(moment) })
    }

    pub(super) fn act(action: Action, because: Because) -> Option<Self> {
        Some(Self { action, because, wake: Wake::Never })
    }
}

/// A plan in the making.
pub(super) struct Draft<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) policy: &'a Policy,
    pub(super) memory: Memory,
    pub(super) notes: Vec<Note>,
    owner: OwnerId,
}

/// An attempt that is judged bad.
pub(super) struct Rejection<'a> {
    pub(super) operation: &'a Operation,
    pub(super) fault: Fault,
    pub(super) reason: &'static str,
    pub(super) why: Box<str>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, policy: &'a Policy) -> Self {
        Self { snapshot, policy, memory: snapshot.memory.clone(), notes: Vec::new(), owner: snapshot.object.owner() }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.snapshot.now
    }

    pub(super) fn records(&self) -> Option<&'a Records> {
        self.snapshot.records.is()
    }

    pub(super) fn newest(&self) -> Option<&'a Record> {
        self.records()?.newest()
    }

    /// The inputs, where they are known and not out of date.
    pub(super) fn inputs(&self) -> Option<&'a Inputs> {
        match &self.snapshot.inputs {
            InputsView::Known { inputs, .. } => Some(inputs),
            InputsView::Stale | InputsView::Underway | InputsView::Failed { .. } => None,
        }
    }

    /// Written by this object's runs: by its stamp, or because status says so. A rollback's record has the labels of
    /// its target, so there only status can tell.
    pub(super) fn is_ours(&self, record: &Record) -> bool {
        record.is_stamped_by(&self.owner)
            || self.memory.operation.as_ref().is_some_and(|o| o.revision == record.revision && o.target.is_some())
            || self.memory.deployed.as_ref().is_some_and(|d| d.revision == record.revision)
            || self.memory.entry(record.revision).is_some_and(|e| e.action == OperationKind::Rollback)
    }

    /// Whether this object ever made a revision of the release.
    pub(super) fn ever_ours(&self) -> bool {
        self.memory.deployed.is_some()
            || self.memory.operation.is_some()
            || !self.memory.history.is_empty()
            || self.records().is_some_and(|records| records.iter().any(|r| r.is_stamped_by(&self.owner)))
    }

    /// How a person names what is desired.
    pub(super) fn desired_label(&self) -> Box<str> {
        self.memory.desired.as_ref().map_or_else(|| "the desired version".into(), |d| d.label().into())
    }

    pub(super) fn label_of(&self, operation: &Operation) -> Box<str> {
        match &self.memory.desired {
            Some(desired) if operation.digest.as_ref() == Some(&desired.digest) => desired.label().into(),
            _ => match &self.memory.deployed {
                Some(deployed) => deployed.label().into(),
                None => self.desired_label(),
            },
        }
    }

    /// Asks for a slot, waits for it, or starts: whichever the board allows.
    pub(super) fn launch(
        &mut self,
        kind: OperationKind,
        cause: Cause,
        priority: Priority,
        target: Option<u32>,
    ) -> Decision {
        let snapshot = self.snapshot;
        let launched = match &snapshot.flight {
            Flight::Idle => Decision::act(Action::Ask(priority), Because::Queued),
            Flight::Queued => Decision::idle(Because::Queued),
            // What is planned with a slot in hand is what runs; nothing planned before counts.
            Flight::Granted | Flight::Running { .. } | Flight::Ended(_) => {
                let operation = self.operation(kind, cause, target);
                let label =
                    if kind == OperationKind::Rollback { self.target_label(target) } else { self.desired_label() };
                self.memory.operation = Some(operation.clone());
                Decision::act(Action::Start(operation), Because::Running { kind, label, target })
            }
        };
        launched.unwrap_or(Decision { action: Action::Idle, because: Because::Queued, wake: Wake::Never })
    }

    fn operation(&self, kind: OperationKind, cause: Cause, target: Option<u32>) -> Operation {
        let records = self.records();
        let newest = records.and_then(Records::newest).map_or(0, |r| r.revision);
        let revision = match kind {
            OperationKind::Uninstall => newest,
            OperationKind::Install | OperationKind::Upgrade | OperationKind::Rollback => newest.saturating_add(1),
        };
        let digest = match kind {
            OperationKind::Install | OperationKind::Upgrade => self.inputs().map(|i| i.digest.clone()),
            OperationKind::Rollback => target.and_then(|to| records?.get(to)).and_then(|record| record.digest.clone()),
            OperationKind::Uninstall => None,
        };
        let timeout = SignedDuration::try_from(self.policy.timeout.as_std()).unwrap_or(backoff::LIMIT);
        Operation {
            id: format!("{revision}-{}", self.now().as_millisecond()).into(),
            kind,
            digest,
            revision,
            target,
            cause,
            started: self.now(),
            deadline: self.now().checked_add(timeout).unwrap_or(Timestamp::MAX),
            holder: self.snapshot.holder.clone(),
        }
    }

    /// The version behind a revision to go back to, as far as it is remembered.
    pub(super) fn target_label(&self, target: Option<u32>) -> Box<str> {
        let target = target.unwrap_or_default();
        match &self.memory.deployed {
            Some(deployed) if deployed.revision == target => deployed.label().into(),
            _ => format!("revision {target}").into(),
        }
    }

    /// The attempt is good: remembers it as deployed, and marks its record.
    pub(super) fn accept(&mut self, revision: u32, operation: Option<&Operation>) -> Decision {
        let now = self.now();
        let rollback = operation.is_some_and(|o| o.kind == OperationKind::Rollback)
            || self.memory.entry(revision).is_some_and(|e| e.action == OperationKind::Rollback);
        let deployed = if rollback { self.back_at(revision, operation) } else { self.newly_deployed(revision) };
        if let Some(operation) = operation {
            self.memory.remember(HistoryEntry {
                revision,
                action: operation.kind,
                version: deployed.version.clone(),
                digest: operation.digest.clone(),
                cause: operation.cause,
                result: HistoryResult::Succeeded,
                start: operation.started,
                end: now,
            });
            self.notes.push(Note::Done { kind: operation.kind, revision, label: deployed.label().into() });
        }
        self.memory.failures.rollbacks = 0;
        if !rollback {
            self.memory.failures = crate::release::Failures::default();
        }
        let label: Box<str> = deployed.label().into();
        self.memory.deployed = Some(deployed);
        self.memory.operation = None;
        Decision { action: Action::Mark { revision }, because: Because::Good { revision, label }, wake: Wake::Never }
    }

    fn newly_deployed(&self, revision: u32) -> Deployed {
        let desired = self.memory.desired.as_ref();
        let text = |pick: fn(&Inputs) -> &str| desired.map_or("", pick).into();
        Deployed {
            revision,
            chart: text(|d| &d.chart),
            version: text(|d| &d.version),
            app_version: text(|d| &d.app_version),
            digest: desired.map(|d| d.digest.clone()),
            since: self.now(),
        }
    }

    fn back_at(&self, revision: u32, operation: Option<&Operation>) -> Deployed {
        let digest = self
            .records()
            .and_then(|records| records.get(revision))
            .and_then(|record| record.digest.clone())
            .or_else(|| operation.and_then(|o| o.digest.clone()));
        let payload = self.snapshot.payload.as_ref().filter(|payload| payload.revision == revision);
        match (&self.memory.deployed, payload) {
            (_, Some(payload)) => Deployed {
                revision,
                chart: payload.chart.clone(),
                version: payload.version.clone(),
                app_version: payload.app_version.clone(),
                digest,
                since: self.now(),
            },
            (Some(before), None) => Deployed { revision, digest, since: self.now(), ..before.clone() },
            (None, None) => Deployed { digest, ..self.newly_deployed(revision) },
        }
    }

    /// The attempt is bad: counts it, and quarantines its digest when the budget is used up.
    pub(super) fn reject(&mut self, rejection: Rejection<'_>) {
        let Rejection { operation, fault, reason, why } = rejection;
        self.end(operation, HistoryResult::Failed);
        let failures = &mut self.memory.failures;
        failures.last = Some(LastFailure { reason: reason.to_owned(), message: why.to_string() });
        let (now, uid) = (self.snapshot.now, &self.snapshot.object.uid);
        match operation.kind {
            OperationKind::Rollback => {
                failures.rollbacks = failures.rollbacks.saturating_add(1);
            }
            OperationKind::Uninstall | OperationKind::Install => {
                failures.count = failures.count.saturating_add(1);
                failures.not_before = Some(backoff::next(now, failures.count, backoff::LIMIT, uid));
            }
            OperationKind::Upgrade => {
                failures.count = failures.count.saturating_add(1);
                let limit = match fault {
                    Fault::Own => backoff::LIMIT,
                    Fault::Outside => backoff::LIMIT_OUTSIDE,
                };
                failures.not_before = Some(backoff::next(now, failures.count, limit, uid));
                if fault == Fault::Own && failures.count > self.policy.retries {
                    failures.not_before = None;
                    self.quarantine(operation, reason, why);
                }
            }
        }
    }

    fn quarantine(&mut self, operation: &Operation, reason: &str, why: Box<str>) {
        let Some(digest) = operation.digest.clone() else { return };
        let label = self.label_of(operation);
        self.notes.push(Note::Quarantined { label: label.clone(), why: why.clone() });
        let since = self.now();
        self.memory.quarantine(Quarantined { digest, version: label, reason: reason.into(), message: why, since });
    }

    /// Ends the attempt in memory without counting it.
    pub(super) fn abandon(&mut self, operation: &Operation) {
        self.end(operation, HistoryResult::Abandoned);
        self.notes.push(Note::Interrupted { kind: operation.kind, revision: operation.revision });
    }

    fn end(&mut self, operation: &Operation, result: HistoryResult) {
        let version = match operation.kind {
            OperationKind::Rollback => self.target_label(operation.target),
            OperationKind::Install | OperationKind::Upgrade | OperationKind::Uninstall => {
                self.memory.desired.as_ref().map(|d| d.version.clone()).unwrap_or_default()
            }
        };
        self.memory.remember(HistoryEntry {
            revision: operation.revision,
            action: operation.kind,
            version,
            digest: operation.digest.clone(),
            cause: operation.cause,
            result,
            start: operation.started,
            end: self.now(),
        });
        self.memory.operation = None;
    }

    /// Makes the inventory speak of a revision. `Some` is what has to be done first.
    pub(super) fn take_inventory(&mut self, revision: u32, because: Because) -> Option<Decision> {
        if self.memory.inventory.as_ref().is_some_and(|inventory| inventory.revision == revision) {
            return None;
        }
        match &self.snapshot.payload {
            // The health at hand is that of another inventory: the pass that follows the write has the right one.
            Some(payload) if payload.revision == revision => {
                self.memory.inventory = Some(Inventory::new(revision, payload.members.clone()));
                Decision::until(because, self.now())
            }
            _ => Decision::act(Action::Inspect { revision }, because),
        }
    }

    /// The attempts left, or what follows instead.
    pub(super) fn next(&self) -> Next {
        match self.memory.failures.not_before {
            Some(moment) => Next::RetryAt(moment),
            None => Next::Quarantined,
        }
    }

    pub(super) fn last_failure(&self) -> Box<str> {
        let last = self.memory.failures.last.as_ref();
        last.map_or_else(|| "the reason is not known any more".into(), |last| last.message.as_str().into())
    }

    pub(super) fn health(&self) -> &'a Health {
        &self.snapshot.health.health
    }
}
