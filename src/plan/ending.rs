//! How an attempt ends in memory: good, bad, or without a result.

use super::{
    Because, Note, Wake, backoff,
    draft::{Decision, Draft},
    rules,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    release::{
        Cause, Deployed, Failures, Fault, HistoryEntry, HistoryResult, Inputs, LastFailure, Operation, OperationKind,
        Quarantined,
    },
    types::{Duration, ReleaseDigest},
};

/// An attempt that is judged bad.
pub(super) struct Rejection<'a> {
    pub(super) operation: &'a Operation,
    pub(super) fault: Fault,
    pub(super) reason: &'static str,
    pub(super) why: Box<str>,
}

impl Draft<'_> {
    /// A revision is good: remembers it as deployed, and marks its record. Without an operation it recovered after its
    /// attempt was over, or status was lost.
    pub(super) fn accept(&mut self, revision: u32, operation: Option<&Operation>) -> Decision {
        let now = self.now();
        let record = self.records().and_then(|records| records.get(revision));
        let known = record.and_then(|record| self.entry_of(record)).cloned();
        let action = operation.map(|o| o.kind).or(known.as_ref().map(|entry| entry.action));
        let digest = match operation {
            Some(operation) => operation.digest.clone(),
            None => record.and_then(|record| record.digest.clone()),
        };
        let deployed = self.describe(revision, digest.as_ref());
        let label: Box<str> = deployed.label().into();
        if let Some(operation) = operation {
            self.memory.remember(HistoryEntry {
                revision,
                action: operation.kind,
                chart: deployed.chart.clone(),
                version: deployed.version.clone(),
                digest: digest.clone(),
                cause: operation.cause,
                result: HistoryResult::Succeeded,
                start: operation.started,
                end: now,
            });
        } else if known.is_some() {
            let ours =
                |entry: &&mut HistoryEntry| entry.revision == revision && entry.result != HistoryResult::External;
            let late = self.memory.history.iter_mut().rev().find(ours);
            if let Some(entry) = late {
                entry.result = HistoryResult::Succeeded;
            }
        }
        if let Some(kind) = action {
            self.notes.push(Note::Done { kind, revision, label: label.clone() });
        }
        let desired = self.memory.desired.as_ref().is_some_and(|d| Some(&d.digest) == digest.as_ref());
        if desired {
            self.memory.failures = Failures::default();
        }
        self.memory.failures.rollbacks = 0;
        self.memory.quarantined.retain(|entry| Some(&entry.digest) != digest.as_ref());
        self.memory.deployed = Some(deployed);
        self.memory.operation = None;
        let because = if self.inputs().is_some_and(|inputs| Some(&inputs.digest) == digest.as_ref()) {
            Because::Good { revision, label }
        } else if action == Some(OperationKind::Rollback) && !desired && !self.nothing_failed() {
            rules::back(self)
        } else {
            // What is desired is another thing by now, or not known.
            Because::Looking
        };
        Decision { action: self.mark(revision), because, wake: Wake::Never, placed: false }
    }

    /// Nothing failed that would have to be said: the way back was taken from an upgrade that was only interrupted.
    fn nothing_failed(&self) -> bool {
        let held = self.memory.desired.as_ref().is_some_and(|d| self.memory.quarantine_of(&d.digest).is_some());
        self.memory.failures.last.is_none() && !held
    }

    /// What is known of the content of a revision. The inputs may have changed since its attempt began, and where there
    /// is no digest, it was never made from any.
    pub(super) fn describe(&self, revision: u32, digest: Option<&ReleaseDigest>) -> Deployed {
        let since = self.now();
        let deployed = |chart: &str, version: &str, app_version: &str| Deployed {
            revision,
            chart: chart.into(),
            version: version.into(),
            app_version: app_version.into(),
            digest: digest.cloned(),
            since,
        };
        let memory = &self.memory;
        let payload = self.payload(revision);
        if let (None, Some(payload)) = (digest, payload) {
            return deployed(&payload.chart, &payload.version, &payload.app_version);
        }
        let desired = memory.desired.as_ref().filter(|desired| Some(&desired.digest) == digest);
        if let Some(Inputs { chart, version, app_version, .. }) = desired {
            return deployed(chart, version, app_version);
        }
        match (memory.deployed.as_ref().filter(|before| before.digest.as_ref() == digest), payload) {
            (Some(before), _) => deployed(&before.chart, &before.version, &before.app_version),
            (None, Some(payload)) => deployed(&payload.chart, &payload.version, &payload.app_version),
            (None, None) => deployed("", &format!("revision {revision}"), ""),
        }
    }

    /// The attempt is bad: counts it, and quarantines its digest when the budget is used up. A digest that is not
    /// desired any more has no budget: counting it would take an attempt from its successor.
    pub(super) fn reject(&mut self, rejection: Rejection<'_>) {
        let Rejection { operation, fault, reason, why } = rejection;
        let past = self.is_past(operation);
        self.end(operation, HistoryResult::Failed);
        if past {
            return;
        }
        let (now, uid) = (self.snapshot.now, &self.snapshot.object.uid);
        let failures = &mut self.memory.failures;
        failures.hindered = 0;
        let last = Some(LastFailure { reason: reason.to_owned(), message: why.to_string() });
        match operation.kind {
            OperationKind::Rollback => {
                failures.rollbacks = failures.rollbacks.saturating_add(1);
                // Why helm failed is known only now; the health of what it left can be looked at again.
                if reason == rules::reason(operation.kind) {
                    failures.last = last;
                }
            }
            OperationKind::Uninstall | OperationKind::Install => {
                failures.last = last;
                failures.count = failures.count.saturating_add(1);
                failures.not_before = Some(backoff::next(now, failures.count, backoff::LIMIT, uid));
            }
            // What was good is not given up because it could not be put back, whoever's fault that is.
            OperationKind::Upgrade | OperationKind::Test if operation.cause == Cause::Drift => {
                failures.last = last;
                failures.count = failures.count.saturating_add(1);
                failures.not_before = Some(backoff::next(now, failures.count, backoff::LIMIT_OUTSIDE, uid));
                self.uncorrected(why);
            }
            OperationKind::Upgrade | OperationKind::Test => {
                failures.last = last;
                failures.count = failures.count.saturating_add(1);
                let limit = match fault {
                    Fault::Own => backoff::LIMIT,
                    Fault::Outside => backoff::LIMIT_OUTSIDE,
                };
                failures.not_before = Some(backoff::next(now, failures.count, limit, uid));
                failures.own = failures.own.saturating_add(u32::from(fault == Fault::Own));
                if fault == Fault::Own && failures.own > self.policy.retries {
                    failures.not_before = None;
                    self.quarantine(operation, reason, why);
                }
            }
        }
    }

    /// A correction of drift failed.
    pub(super) fn uncorrected(&mut self, why: Box<str>) {
        if let Some(drift) = &mut self.memory.drift {
            drift.failure = Some(why);
        }
    }

    /// An attempt whose helm had to wait before it could start: that was no time in which its objects could have become
    /// ready, so all of the time that the spec gives it counts from the start of helm.
    pub(super) fn delayed(&mut self, operation: Operation, waited: Duration) -> Operation {
        let waited = SignedDuration::try_from(waited.as_std()).unwrap_or_default();
        let deadline = operation.deadline.checked_add(waited).unwrap_or(operation.deadline);
        let operation = Operation { deadline, ..operation };
        self.memory.operation = Some(operation.clone());
        operation
    }

    /// Whether an attempt was made for inputs that are not desired any more.
    pub(super) fn is_past(&self, operation: &Operation) -> bool {
        let desired = self.memory.desired.as_ref().map(|desired| &desired.digest);
        match operation.kind {
            OperationKind::Install | OperationKind::Upgrade | OperationKind::Test => {
                operation.digest.as_ref() != desired
            }
            OperationKind::Rollback | OperationKind::Uninstall => false,
        }
    }

    fn quarantine(&mut self, operation: &Operation, reason: &str, why: Box<str>) {
        let Some(digest) = operation.digest.clone() else { return };
        self.notes.push(Note::Quarantined { label: self.label_of(operation), why: why.clone() });
        let (since, version) = (self.now(), self.describe(operation.revision, Some(&digest)).version);
        self.memory.quarantine(Quarantined { digest, version, reason: reason.into(), message: why, since });
    }

    /// Ends the attempt in memory without counting it.
    pub(super) fn abandon(&mut self, operation: &Operation) {
        self.end(operation, HistoryResult::Abandoned);
        self.notes.push(Note::Interrupted { kind: operation.kind, revision: operation.revision });
    }

    pub(super) fn end(&mut self, operation: &Operation, result: HistoryResult) {
        self.close(operation, operation.revision, result);
    }

    /// helm refused before it wrote a revision: told, and nothing is decided from it.
    pub(super) fn refuse(&mut self, operation: &Operation) {
        self.close(operation, 0, HistoryResult::Failed);
    }

    fn close(&mut self, operation: &Operation, revision: u32, result: HistoryResult) {
        let (chart, version) = self.content(operation);
        self.memory.remember(HistoryEntry {
            revision,
            action: operation.kind,
            chart,
            version,
            digest: operation.digest.clone(),
            cause: operation.cause,
            result,
            start: operation.started,
            end: self.now(),
        });
        self.memory.operation = None;
    }

    /// Chart and version that an operation deploys, or removes.
    fn content(&self, operation: &Operation) -> (Box<str>, Box<str>) {
        let good = self.memory.deployed.as_ref();
        let known = match operation.kind {
            OperationKind::Uninstall => good.filter(|good| good.revision == operation.revision).cloned(),
            OperationKind::Rollback => good.filter(|good| Some(good.revision) == operation.target).cloned(),
            OperationKind::Install | OperationKind::Upgrade | OperationKind::Test => {
                Some(self.describe(operation.revision, operation.digest.as_ref()))
            }
        };
        match (known, operation.target) {
            (Some(known), _) => (known.chart, known.version),
            (None, Some(target)) => (Box::default(), format!("revision {target}").into()),
            (None, None) => Default::default(),
        }
    }

    /// Somebody else did it.
    pub(super) fn tell(&mut self, action: OperationKind, there: Deployed, at: Timestamp) {
        self.tell_of(action, there, at, Cause::External);
    }

    /// Somebody else did it, and it is told for that cause.
    pub(super) fn tell_of(&mut self, action: OperationKind, there: Deployed, at: Timestamp, cause: Cause) {
        let Deployed { revision, chart, version, digest, .. } = there;
        let result = HistoryResult::External;
        self.memory.remember(HistoryEntry {
            revision,
            action,
            chart,
            version,
            digest,
            cause,
            result,
            start: at,
            end: at,
        });
    }
}
