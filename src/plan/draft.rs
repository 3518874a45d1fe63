//! A plan while it is made: the memory it will leave, and the questions that several rules ask of a snapshot.

use jiff::{SignedDuration, Timestamp};

use super::{Action, Because, Held, Next, Note, Priority, View, Wake, backoff};
use crate::{
    release::{
        Cause, Flight, Health, HistoryEntry, Inputs, InputsView, Inventory, LastFailure, Member, Memory, Operation,
        OperationKind, OwnerId, Payload, Policy, Record, RecordStatus, Records, Snapshot, Unread,
    },
    types::ReleaseDigest,
};

/// What a rule decides.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) action: Action,
    pub(super) because: Because,
    pub(super) wake: Wake,
    /// A place in the queue, or a slot, is wanted: it is not given back although nothing is done now.
    pub(super) placed: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "each is the answer of a rule, and a rule may have none")]
impl Decision {
    pub(super) fn idle(because: Because) -> Option<Self> {
        Some(Self { action: Action::Idle, because, wake: Wake::Never, placed: false })
    }

    pub(super) fn until(because: Because, moment: Timestamp) -> Option<Self> {
        Some(Self { action: Action::Idle, because, wake: Wake::At(moment), placed: false })
    }

    pub(super) fn act(action: Action, because: Because) -> Option<Self> {
        Some(Self { action, because, wake: Wake::Never, placed: false })
    }
}

/// A plan in the making.
pub(super) struct Draft<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) policy: &'a Policy,
    pub(super) memory: Memory,
    pub(super) notes: Vec<Note>,
    pub(super) held: Option<Held>,
    owner: OwnerId,
}

impl<'a> Draft<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, policy: &'a Policy) -> Self {
        let (memory, owner) = (snapshot.memory.clone(), snapshot.object.owner());
        Self { snapshot, policy, memory, notes: Vec::new(), held: None, owner }
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
            || self.memory.operation.as_ref().is_some_and(|operation| self.wrote(operation, record))
            || (self.is_good(record) && self.names_us(record))
            || self.entry_of(record).is_some_and(|entry| entry.action == OperationKind::Rollback)
    }

    /// Whether a record was written by the run of an operation, and not by somebody who was there first.
    pub(super) fn wrote(&self, operation: &Operation, record: &Record) -> bool {
        record.revision == operation.revision
            && match operation.kind {
                OperationKind::Install | OperationKind::Upgrade | OperationKind::Test => {
                    record.is_stamped_by(&self.owner)
                }
                OperationKind::Rollback => record.digest == operation.digest && self.names_us(record),
                OperationKind::Uninstall => false,
            }
    }

    /// What a record of ours deploys. A digest that helm copied onto somebody else's upgrade is no digest of it.
    pub(super) fn digest_of(&self, record: &'a Record) -> Option<&'a ReleaseDigest> {
        let known = self.memory.deployed.as_ref().filter(|deployed| deployed.revision == record.revision);
        match known {
            Some(deployed) if !record.is_stamped_by(&self.owner) => {
                record.digest.as_ref().filter(|digest| deployed.digest.as_ref() == Some(*digest))
            }
            _ => record.digest.as_ref().filter(|_| self.is_ours(record)),
        }
    }

    /// helm copies labels from revision to revision, so this holds for everybody's revisions of a release of ours.
    fn names_us(&self, record: &Record) -> bool {
        record.owner.as_ref() == Some(&self.owner)
    }

    /// Whether the release that is there is this object's, by what its records say.
    pub(super) fn ever_ours(&self) -> bool {
        self.records().is_some_and(|records| records.belong_to(&self.owner))
    }

    /// What the payload of the newest record told, if it is that revision and was read.
    pub(super) fn payload(&self, revision: u32) -> Option<&'a Payload> {
        self.snapshot.payload.as_ref().filter(|payload| payload.revision == revision)
    }

    /// What history tells of a record.
    pub(super) fn entry_of(&self, record: &Record) -> Option<&HistoryEntry> {
        self.memory.entry_of(record)
    }

    /// The newest revision, where it is the one that was last judged good and is still there.
    pub(super) fn at_good(&self) -> Option<&'a Record> {
        let newest = self.newest().filter(|newest| newest.status == RecordStatus::Deployed)?;
        self.is_good(newest).then_some(newest)
    }

    /// Whether a record is that of the revision which was last judged good. Where somebody deleted that one, its number
    /// is given again: to something else.
    fn is_good(&self, record: &Record) -> bool {
        self.memory.deployed.as_ref().is_some_and(|good| {
            good.revision == record.revision && (good.digest.is_none() || good.digest == record.digest)
        })
    }

    /// Forgets what is known of a revision whose number is given again: the release was removed, or somebody deleted the
    /// newest records.
    fn forget_from(&mut self, revision: u32) {
        let memory = &mut self.memory;
        memory.deployed.take_if(|good| good.revision >= revision);
        memory.tested.take_if(|tested| tested.revision >= revision);
        memory.inventory.take_if(|inventory| inventory.revision >= revision);
        memory.handled.foreign.take_if(|told| *told >= revision);
    }

    /// Inputs other than `bad` that nothing was tried with so far: the better repair, if they are there.
    pub(super) fn fresh(&self, bad: Option<&ReleaseDigest>) -> bool {
        let failures = &self.memory.failures;
        failures.last.is_none()
            && failures.not_before.is_none()
            && self.inputs().is_some_and(|inputs| {
                Some(&inputs.digest) != bad && self.memory.quarantine_of(&inputs.digest).is_none()
            })
    }

    /// An object that the removal of the release has left, and that is still there. While the inventory is still that of
    /// a revision, nobody has looked what is left of it.
    pub(super) fn terminating(&self) -> Option<&'a Member> {
        let left = self.memory.inventory.as_ref().is_some_and(|inventory| inventory.revision == 0);
        self.snapshot.health.present.first().filter(|_| left)
    }

    /// How a person names what is desired.
    pub(super) fn desired_label(&self) -> Box<str> {
        self.memory.desired.as_ref().map_or_else(|| "the desired version".into(), |d| d.label().into())
    }

    pub(super) fn label_of(&self, operation: &Operation) -> Box<str> {
        match operation.kind {
            OperationKind::Rollback => self.target_label(operation.target),
            OperationKind::Install | OperationKind::Upgrade | OperationKind::Test | OperationKind::Uninstall => {
                self.describe(operation.revision, operation.digest.as_ref()).label().into()
            }
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
        let label = if kind == OperationKind::Rollback { self.target_label(target) } else { self.desired_label() };
        self.place(self.operation(kind, cause, target), label, priority)
    }

    /// The same for an operation that is made already.
    pub(super) fn place(&mut self, operation: Operation, label: Box<str>, priority: Priority) -> Decision {
        let snapshot = self.snapshot;
        let (action, because) = match &snapshot.flight {
            Flight::Idle => (Action::Ask(priority), Because::Queued),
            Flight::Queued => (Action::Idle, Because::Queued),
            // What is planned with a slot in hand is what runs; nothing planned before counts.
            Flight::Granted | Flight::Running { .. } | Flight::Ended(_) => {
                let (kind, target) = (operation.kind, operation.target);
                if matches!(kind, OperationKind::Install | OperationKind::Upgrade | OperationKind::Rollback) {
                    self.forget_from(operation.revision);
                }
                self.memory.operation = Some(operation.clone());
                (Action::Start(operation), Because::Running { kind, label, target })
            }
        };
        Decision { action, because, wake: Wake::Never, placed: true }
    }

    /// An attempt for a deployed revision whose own is over or was lost: with a new deadline.
    pub(super) fn reopened(&self, newest: &Record, digest: ReleaseDigest) -> Operation {
        let kind = match self.entry_of(newest) {
            Some(entry) => entry.action,
            None if newest.revision == 1 => OperationKind::Install,
            None => OperationKind::Upgrade,
        };
        // The labels of a rollback are those of its target, its number among them.
        let target = newest.stamp.filter(|_| kind == OperationKind::Rollback);
        let correction = self.entry_of(newest).is_some_and(|entry| entry.cause == Cause::Drift);
        let planned = self.operation(kind, if correction { Cause::Drift } else { Cause::Retry }, target);
        Operation { revision: newest.revision, digest: Some(digest), ..planned }
    }

    pub(super) fn operation(&self, kind: OperationKind, cause: Cause, target: Option<u32>) -> Operation {
        let records = self.records();
        let newest = records.and_then(Records::newest).map_or(0, |r| r.revision);
        let revision = match kind {
            OperationKind::Uninstall | OperationKind::Test => newest,
            OperationKind::Install | OperationKind::Upgrade | OperationKind::Rollback => newest.saturating_add(1),
        };
        let digest = match kind {
            OperationKind::Install | OperationKind::Upgrade => self.inputs().map(|i| i.digest.clone()),
            OperationKind::Rollback => target.and_then(|to| records?.get(to)).and_then(|record| record.digest.clone()),
            OperationKind::Uninstall | OperationKind::Test => None,
        };
        let timeout = SignedDuration::try_from(self.policy.timeout.as_std()).unwrap_or(backoff::LIMIT);
        Operation {
            id: format!("{revision}-{}", self.now().as_millisecond()).into(),
            kind,
            digest,
            revision,
            of: None,
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

    /// Makes the inventory speak of a revision, or with 0 of what is left of a release that is gone. `Some` is what has to
    /// be done first.
    pub(super) fn take_inventory(&mut self, revision: u32, because: Because) -> Option<Decision> {
        if self.memory.inventory.as_ref().is_some_and(|inventory| inventory.revision == revision) {
            return None;
        }
        match &self.snapshot.payload {
            // The health at hand is that of another inventory: the pass that follows the write has the right one.
            Some(payload) if payload.revision == revision => {
                self.memory.inventory = Some(Inventory::of(payload));
                Decision::until(because, self.now())
            }
            _ => self.inspect(revision, because),
        }
    }

    /// Has the payload of the newest record read, unless that failed a moment ago.
    pub(super) fn inspect(&self, revision: u32, because: Because) -> Option<Decision> {
        self.unless_refused(Action::Inspect { revision }, because)
    }

    /// The same, to compare it with what is declared.
    pub(super) fn compare(&self, revision: u32, because: Because) -> Option<Decision> {
        self.unless_refused(Action::Compare { revision }, because)
    }

    /// Has the lock of somebody else's process taken away, unless the right to do that was missing a moment ago.
    pub(super) fn unlock_of_others(&self, revision: u32, because: Because) -> Option<Decision> {
        self.unless_refused(self.unlock(revision), because)
    }

    fn unless_refused(&self, action: Action, because: Because) -> Option<Decision> {
        match &self.snapshot.unread {
            Some(Unread { why, transient, until }) if self.now() < *until => {
                Decision::until(Because::Unread { why: why.clone(), transient: *transient }, *until)
            }
            Some(_) | None => Decision::act(action, because),
        }
    }

    /// Says on the record that the revision is good. Holds for the record as it was seen.
    pub(super) fn mark(&self, revision: u32) -> Action {
        Action::Mark { revision, version: self.snapshot.version }
    }

    /// Takes the lock of a dead process off the record. Holds for the record as it was seen.
    pub(super) fn unlock(&self, revision: u32) -> Action {
        Action::Unlock { revision, version: self.snapshot.version }
    }

    /// The attempts left, or what follows instead.
    pub(super) fn next(&self) -> Next {
        match self.memory.failures.not_before {
            Some(moment) => Next::RetryAt(moment),
            None => Next::Quarantined,
        }
    }

    /// When a rollback that helm could not complete is tried again.
    pub(super) fn rollback_due(&self) -> Timestamp {
        let last = self.memory.attempts().rev().find(|entry| entry.action == OperationKind::Rollback);
        match (self.memory.failures.rollbacks, last) {
            (0, _) | (_, None) => self.now(),
            (rollbacks, Some(entry)) => backoff::next(entry.end, rollbacks, backoff::LIMIT, &self.snapshot.object.uid),
        }
    }

    /// Puts an attempt off that something hinders which passes by itself: later each time, and not counted as an
    /// attempt. The moment is told.
    pub(super) fn put_off(&mut self, reason: &str, why: &str) -> Timestamp {
        let (now, uid) = (self.snapshot.now, &self.snapshot.object.uid);
        let failures = &mut self.memory.failures;
        failures.hindered = failures.hindered.saturating_add(1);
        let until = backoff::next(now, failures.hindered, backoff::LIMIT, uid);
        failures.not_before = Some(until);
        failures.last = Some(LastFailure { reason: reason.to_owned(), message: why.to_owned() });
        until
    }

    pub(super) fn last_failure(&self) -> Box<str> {
        let last = self.memory.failures.last.as_ref();
        last.map_or_else(|| "the reason is not known any more".into(), |last| last.message.as_str().into())
    }

    /// Why nothing can be said of the objects: they are not in view yet, or some may not be watched.
    pub(super) fn unseen(&self) -> Because {
        match self.health() {
            Health::Unknown { why, refused: true } => Because::ViewRefused { view: View::Members, why: why.clone() },
            Health::Unknown { refused: false, .. }
            | Health::Progressing { .. }
            | Health::Healthy
            | Health::Failed { .. } => Because::ViewPending(View::Members),
        }
    }

    pub(super) fn health(&self) -> &'a Health {
        &self.snapshot.health.health
    }
}
