//! What helm writes to its records, step by step, whether for us or for a person.

use super::*;

impl World {
    /// helm removes the oldest before it creates, but never the one that it calls deployed.
    pub(super) fn prune(&mut self, target: Option<u32>) {
        // The next number is found before what has it may be pruned.
        self.counter = self.next() - 1;
        let records = self.records();
        let way_back = target.or_else(|| Some(self.memory.way_back(&records, u32::MAX, &[])?.revision));
        let max = records.history_max(self.policy.max_history, way_back) as usize;
        let deployed = self.records().deployed().map(|record| record.revision);
        while self.revisions.len() >= max {
            let Some(at) = self.revisions.iter().position(|r| Some(r.record.revision) != deployed) else { break };
            self.revisions.remove(at);
        }
    }

    pub(super) fn create(&mut self, status: RecordStatus, colour: Colour, labels: &Record, description: &str) {
        self.counter = self.counter.max(self.next() - 1) + 1;
        let record = Record { revision: self.counter, status, written: self.server_second(), ..labels.clone() };
        self.revisions.push(Revision { record, colour, description: description.to_owned() });
    }

    /// The run under way goes one step further. False when only its end is left.
    pub(in super::super) fn helm_step(&mut self) -> bool {
        let Some((operation, stage)) = self.running.clone() else { return false };
        if operation.kind == OperationKind::Test {
            return false;
        }
        let stage = match stage {
            Stage::Begun => {
                self.helm_create(&operation);
                Stage::Pending
            }
            Stage::Pending if operation.kind != OperationKind::Uninstall => {
                self.live = self.newest().map(|newest| newest.colour);
                self.vanished = self.vanishing > 0;
                self.vanishing = self.vanishing.saturating_sub(1);
                self.supersede(&operation);
                Stage::Superseding
            }
            Stage::Pending | Stage::Superseding => return false,
        };
        self.running = Some((operation, stage));
        true
    }

    /// A rollback supersedes all that are deployed, an upgrade the one that it compares with: also a failed one, where
    /// none is deployed.
    fn supersede(&mut self, operation: &Operation) {
        let newest = self.next() - 1;
        let deployed = self.records().deployed().map(|record| record.revision);
        let compared = self.revisions.iter().rev().map(|r| r.record.revision).find(|revision| *revision != newest);
        let upgraded = deployed.or(compared).filter(|_| operation.kind == OperationKind::Upgrade);
        for revision in self.revisions.iter_mut().filter(|r| r.record.revision != newest) {
            let record = &mut revision.record;
            if record.status == RecordStatus::Deployed || Some(record.revision) == upgraded {
                record.status = RecordStatus::Superseded;
            }
        }
    }

    pub(super) fn helm_create(&mut self, operation: &Operation) {
        let newest = self.newest().map(|newest| newest.record.status);
        let labels = Record {
            revision: 0,
            status: RecordStatus::Unknown,
            digest: operation.digest.clone(),
            owner: Some(owner()),
            stamp: Some(operation.revision),
            // Both copied from the revision before, as helm does with every label that it is not given anew.
            verified: self.newest().and_then(|newest| newest.record.verified),
            cleared: self.newest().and_then(|newest| newest.record.cleared),
            adopted: self.newest().and_then(|newest| newest.record.adopted),
            written: 0,
        };
        match operation.kind {
            OperationKind::Install => {
                let allowed = matches!(newest, None | Some(RecordStatus::Failed | RecordStatus::Uninstalled));
                assert!(allowed, "helm refuses to install over {newest:?}");
                assert!(!self.leaving, "an install takes what is on its way out for its own, and it vanishes");
                let colour = colour(operation.digest.as_ref().unwrap());
                self.create(RecordStatus::PendingInstall, colour, &labels, "Initial install underway");
            }
            OperationKind::Upgrade => {
                let deployed = self.records().deployed().is_some();
                let last = matches!(newest, Some(RecordStatus::Failed | RecordStatus::Superseded));
                assert!(deployed || last, "helm has nothing to upgrade: {newest:?}");
                self.prune(None);
                let colour = colour(operation.digest.as_ref().unwrap());
                self.create(RecordStatus::PendingUpgrade, colour, &labels, "Preparing upgrade");
            }
            OperationKind::Rollback => {
                self.prune(operation.target);
                let to = operation.target.unwrap();
                let target = self.revisions.iter().find(|r| r.record.revision == to);
                let target = target.expect("the way back was pruned").clone();
                let description = format!("Rollback to {to}");
                self.create(RecordStatus::PendingRollback, target.colour, &target.record, &description);
            }
            OperationKind::Test => {}
            OperationKind::Uninstall => {
                let now = self.server_second();
                let record = &mut self.revisions.last_mut().expect("nothing to uninstall").record;
                record.status = RecordStatus::Uninstalling;
                record.written = now;
            }
        }
    }

    /// The run ends, as told.
    pub(in super::super) fn helm_end(&mut self, run: Run) {
        let failure = |class| Failure { class, message: "helm said so".into() };
        let cancelled = matches!(self.flight, Flight::Running { cancelled: true, .. });
        if cancelled {
            return self.finish(Ended::Cancelled, Some(RecordStatus::Failed));
        }
        let tests = self.running.as_ref().is_some_and(|(operation, _)| operation.kind == OperationKind::Test);
        if tests {
            return self.tests_end(run);
        }
        if let Run::Refused(class) = run {
            return self.finish(Ended::Failed(failure(class)), None);
        }
        self.helm_step();
        match run {
            Run::Good => {
                self.helm_step();
                self.finish(Ended::Succeeded, Some(RecordStatus::Deployed));
            }
            Run::Refused(_) => {}
            Run::Failed(class) => self.finish(Ended::Failed(failure(class)), Some(RecordStatus::Failed)),
            Run::Left(Left::Hook) => self.finish(Ended::Failed(failure(FailureClass::Hook)), None),
            Run::Left(Left::Killed) => self.finish(Ended::Killed { signal: 9 }, None),
            Run::Left(Left::Unnoticed) => self.finish(Ended::Succeeded, None),
            Run::Left(Left::Stuck) => {
                self.finish(Ended::TimedOut, Some(RecordStatus::Failed));
                if let Flight::Ended(outcome) = &mut self.flight {
                    outcome.awaited = Some(Box::new(Why::own("hook Job web-hook did not end")));
                }
            }
            Run::Left(Left::Unanswered) => self.finish(Ended::TimedOut, None),
        }
    }

    /// Tests write no revision, however they end.
    fn tests_end(&mut self, run: Run) {
        let failure = |class| Failure { class, message: "helm said so".into() };
        let ended = match run {
            Run::Good | Run::Left(Left::Unnoticed) => Ended::Succeeded,
            Run::Refused(class) | Run::Failed(class) => Ended::Failed(failure(class)),
            Run::Left(Left::Hook) => Ended::Failed(failure(FailureClass::Hook)),
            Run::Left(Left::Killed) => Ended::Killed { signal: 9 },
            Run::Left(Left::Stuck | Left::Unanswered) => Ended::TimedOut,
        };
        self.finish(ended, None);
    }

    pub(super) fn finish(&mut self, ended: Ended, status: Option<RecordStatus>) {
        let Some((operation, stage)) = self.running.take() else { return };
        let now = self.server_second();
        if operation.kind == OperationKind::Uninstall {
            if status == Some(RecordStatus::Deployed) {
                self.manual_uninstall();
            }
        } else if let Some(status) = status.filter(|_| stage != Stage::Begun) {
            let newest = self.revisions.last_mut().unwrap();
            newest.record.status = status;
            newest.record.written = now;
            self.live = Some(newest.colour);
            self.drifted &= status != RecordStatus::Deployed;
        }
        let surplus = self.records().surplus(self.policy.max_history, &owner());
        self.revisions.retain(|revision| !surplus.contains(&revision.record.revision));
        let failed = (ended != Ended::Succeeded).then(|| "Pod web-test failed".into());
        let tests = (operation.kind == OperationKind::Test).then(|| Box::new(TestRun { all: 1, selected: 1, failed }));
        self.flight = Flight::Ended(Outcome {
            operation: operation.id,
            ended,
            waited: Duration::ZERO,
            records: Some(self.records()),
            payload: self.newest().map(|newest| Box::new(payload_of(newest))),
            awaited: None,
            left_over: Some(if self.leaving { vec![member()] } else { Vec::new() }),
            definitions: Box::default(),
            tests,
        });
    }

    /// Somebody runs `helm upgrade`, which copies the labels of the newest revision.
    pub(in super::super) fn manual_upgrade(&mut self, colour: Colour, status: RecordStatus) {
        let labels = self.newest().unwrap().record.clone();
        self.supersede_for(status);
        self.create(status, colour, &labels, "Preparing upgrade");
        self.live = Some(colour);
    }

    /// Somebody runs `helm rollback`, which copies the labels of the target.
    pub(in super::super) fn manual_rollback(&mut self, to: u32, status: RecordStatus) {
        let target = self.revisions.iter().find(|r| r.record.revision == to).unwrap().clone();
        self.supersede_for(status);
        self.create(status, target.colour, &target.record, &format!("Rollback to {to}"));
        self.live = Some(target.colour);
    }

    pub(super) fn supersede_for(&mut self, status: RecordStatus) {
        for revision in &mut self.revisions {
            if status == RecordStatus::Deployed && revision.record.status == RecordStatus::Deployed {
                revision.record.status = RecordStatus::Superseded;
            }
        }
    }

    pub(in super::super) fn manual_uninstall(&mut self) {
        self.revisions.clear();
        self.counter = 0;
        self.leaving = self.held && self.live.is_some();
        self.live = None;
    }
}
