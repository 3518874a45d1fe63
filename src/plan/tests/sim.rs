//! A small helm, board and cluster for the planner: what they write, and nothing of how.

mod canonical;
mod helm;

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::pairs::missing;
use crate::{
    api::HelmReleaseStatus,
    plan::{Action, Because, Note, Plan, Wake, check, plan},
    release::{
        Claim, Compared, Comparison, Deviation, Difference, DriftView, Drifted, Ended, Failure, FailureClass, Fault,
        Finding, Flight, ForeignAction, Health, HealthView, Inputs, InputsView, Member, Memory, Object, Operation,
        OperationKind, Outcome, OwnerId, Payload, Policy, Record, RecordStatus, Records, Snapshot, Spec, TestRun, View,
        Why, rollback_told_by, unlocked_description,
    },
    types::{ChartDigest, Duration, Namespace, ObjectKey, ReleaseDigest, ReleaseName},
};

/// When every world begins.
fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// A version of the chart, by the colour of its page.
pub(super) type Colour = &'static str;
pub(super) const COLOURS: [(Colour, &str, &str); 5] = [
    ("pink", "1.0.0", "v1-aa"),
    ("blue", "2.0.0", "v1-bb"),
    ("green", "3.0.0", "v1-cc"),
    ("red", "4.0.0", "v1-dd"),
    ("alien", "9.9.9", "v1-ee"),
];

pub(super) fn digest(colour: Colour) -> ReleaseDigest {
    let (_, _, text) = COLOURS.iter().find(|(name, _, _)| *name == colour).unwrap();
    ReleaseDigest::parse(text).unwrap()
}

pub(super) fn colour(digest: &ReleaseDigest) -> Colour {
    COLOURS.iter().find(|(_, _, text)| *text == digest.as_str()).unwrap().0
}

pub(super) fn inputs(colour: Colour) -> Inputs {
    let (_, version, _) = COLOURS.iter().find(|(name, _, _)| *name == colour).unwrap();
    Inputs {
        chart: "unicorn".into(),
        version: (*version).into(),
        app_version: colour.into(),
        chart_digest: ChartDigest::of(colour.as_bytes()),
        digest: digest(colour),
        generation: 0,
        fingerprint: colour.into(),
        terms: Some(ReleaseDigest::v1(&[b"terms"])),
        cause: crate::release::Cause::Spec,
    }
}

pub(super) fn member() -> Member {
    Member { api_version: "apps/v1".into(), kind: "Deployment".into(), namespace: "apps".into(), name: "web".into() }
}

fn owner() -> OwnerId {
    OwnerId::of(&ObjectKey::new("apps", "unicorn"))
}

fn payload_of(revision: &Revision) -> Payload {
    Payload {
        revision: revision.record.revision,
        action: rollback_told_by(&revision.description)
            .map_or(ForeignAction::Upgrade, |to| ForeignAction::Rollback { to }),
        chart: "unicorn".into(),
        version: inputs(revision.colour).version,
        app_version: revision.colour.into(),
        members: vec![member()],
        short_lived: Vec::new(),
        comparison: None,
    }
}

/// How the objects of a version do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sick {
    Slow(Fault),
    Broken(Fault),
}

/// How a run of helm goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    Good,
    /// Before it wrote a record.
    Refused(FailureClass),
    /// After it wrote a record, which says `failed`.
    Failed(FailureClass),
    /// After it wrote a record, which stays as it is: a rollback's hook, a kill, a lost last write.
    Left(Left),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Hook,
    Killed,
    Unnoticed,
    /// Its time ran out over a hook.
    Stuck,
    /// Its time ran out over a request.
    Unanswered,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Begun,
    Pending,
    Superseding,
}

/// One revision as helm stores it: labels, and what only the payload tells.
#[derive(Debug, Clone)]
pub(super) struct Revision {
    pub(super) record: Record,
    pub(super) colour: Colour,
    /// In the words of helm before 4.3, which has none but these for a rollback.
    pub(super) description: String,
}

/// What a pass decided.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reached {
    pub(super) action: Action,
    pub(super) because: Because,
    pub(super) wake: Wake,
}

/// Everything outside of the planner.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a condition of the surroundings that a story sets alone")]
pub(super) struct World {
    pub(super) now: Timestamp,
    /// How many seconds the clock of the operator is ahead of that of the API server.
    pub(super) ahead: i64,
    pub(super) object: Object,
    pub(super) policy: Policy,
    pub(super) invalid: bool,
    /// The operator does nothing for the object.
    pub(super) refused: bool,
    pub(super) claim: Claim,
    pub(super) want: Colour,
    pub(super) inputs: InputsView,
    pub(super) slow_inputs: bool,
    pub(super) blind: bool,
    pub(super) revisions: Vec<Revision>,
    /// The highest number that was given.
    pub(super) counter: u32,
    pub(super) live: Option<Colour>,
    /// Something outside holds what helm deletes, for a while.
    pub(super) held: bool,
    /// The objects are deleted and still there.
    pub(super) leaving: bool,
    /// So many runs of helm lose an object right after they made it.
    pub(super) vanishing: u32,
    pub(super) vanished: bool,
    pub(super) live_since: Option<Timestamp>,
    pub(super) health: BTreeMap<Colour, Sick>,
    pub(super) script: VecDeque<Run>,
    pub(super) flight: Flight,
    pub(super) running: Option<(Operation, Stage)>,
    pub(super) payload: Option<Payload>,
    /// Revisions whose records are known not to be readable.
    pub(super) spoilt: Vec<u32>,
    pub(super) memory: Memory,
    pub(super) holder: u32,
    pub(super) runs: Vec<(OperationKind, Option<Colour>)>,
    pub(super) notes: Vec<Note>,
    pub(super) gone: bool,
    /// Somebody has changed an object by hand.
    pub(super) drifted: bool,
    /// The revision whose objects were compared, and whether they had drifted.
    pub(super) compared: Option<(u32, bool)>,
    pub(super) last: Option<(Action, Because)>,
}

impl World {
    pub(super) fn new(want: Colour) -> Self {
        let start = start();
        Self {
            now: start,
            ahead: 0,
            object: Object {
                namespace: "apps".into(),
                name: "unicorn".into(),
                uid: "uid".into(),
                generation: 1,
                deleting: false,
                finalizer: false,
                reconcile: None,
                retry: None,
                force_delete: None,
            },
            policy: Policy {
                namespace: Namespace::parse("apps").unwrap(),
                release: ReleaseName::parse("unicorn").unwrap(),
                suspend: false,
                interval: Duration::from_secs(600),
                timeout: Duration::from_secs(300),
                max_history: 2,
                crds: crate::api::CrdsPolicy::Create,
                install_failure: crate::api::InstallFailure::Keep,
                upgrade_failure: crate::api::UpgradeFailure::RollBack,
                retries: 1,
                force_conflicts: false,
                hooks: crate::release::HooksPolicy::default(),
                test: crate::release::TestPolicy::default(),
                deletion: crate::api::DeletionPolicy::Uninstall,
                adopt: crate::api::Adopt::Never,
                drift: crate::release::DriftMode::Off,
            },
            invalid: false,
            refused: false,
            claim: Claim::Ours,
            want,
            inputs: InputsView::Stale,
            slow_inputs: false,
            blind: false,
            revisions: Vec::new(),
            counter: 0,
            live: None,
            held: false,
            leaving: false,
            vanishing: 0,
            vanished: false,
            live_since: Some(start),
            health: BTreeMap::new(),
            script: VecDeque::new(),
            flight: Flight::Idle,
            running: None,
            payload: None,
            spoilt: Vec::new(),
            memory: Memory { observed_generation: -1, ..Memory::default() },
            holder: 1,
            runs: Vec::new(),
            notes: Vec::new(),
            gone: false,
            drifted: false,
            compared: None,
            last: None,
        }
    }

    pub(super) fn records(&self) -> Records {
        Records::new(self.revisions.iter().map(|revision| revision.record.clone()).collect())
    }

    pub(super) fn newest(&self) -> Option<&Revision> {
        self.revisions.last()
    }

    /// As the API server dates what is written, in seconds since 1970.
    pub(super) fn server_second(&self) -> i64 {
        self.now.as_second() - self.ahead
    }

    /// As a comparison of the newest revision's objects finds them, where one was made since they changed.
    fn drift(&self) -> DriftView {
        match self.compared {
            Some((revision, drifted)) if (revision, drifted) == (self.next() - 1, self.drifted) => {
                let what = Deviation::fields(vec!["/spec/replicas".into()]);
                let objects = drifted.then(|| Drifted { member: member(), what });
                DriftView::Is { finding: Finding::new(objects, None), certain: true, again: None }
            }
            Some(_) | None => DriftView::Due { at: self.now },
        }
    }

    fn next(&self) -> u32 {
        self.newest().map_or(1, |newest| newest.record.revision + 1)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let wanted = self.memory.inventory.as_ref().is_some_and(|inventory| inventory.revision > 0);
        let health = match self.live.map(|live| self.health.get(live)) {
            _ if self.live_since.is_none() => Health::Unknown { why: "no view".into(), refused: false },
            Some(_) if self.vanished => Health::Progressing { member: member(), why: Why::outside("does not exist") },
            None if wanted => {
                Health::Progressing { member: member(), why: Why { fault: Fault::Own, text: "is missing".into() } }
            }
            None | Some(None) => Health::Healthy,
            Some(Some(Sick::Slow(fault))) => {
                Health::Progressing { member: member(), why: Why { fault: *fault, text: "not ready".into() } }
            }
            Some(Some(Sick::Broken(fault))) => {
                Health::Failed { member: member(), why: Why { fault: *fault, text: "crash loop".into() } }
            }
        };
        let newest = self.newest().map(|newest| newest.record.revision);
        Snapshot {
            now: self.now,
            holder: format!("operator-{}", self.holder).into(),
            object: self.object.clone(),
            spec: if self.refused {
                Spec::Refused { why: "no account".into(), policy: self.policy.clone() }
            } else if self.invalid {
                Spec::Invalid { message: "no".into(), policy: Some(self.policy.clone()) }
            } else {
                Spec::Valid(self.policy.clone())
            },
            claim: self.claim.clone(),
            inputs: self.inputs.clone(),
            dependencies: Vec::new(),
            cycle: None,
            records: if self.blind { View::Pending } else { View::Is(self.records()) },
            version: 1,
            unread: None,
            spoilt: self.spoilt.clone(),
            untouched: self.newest().map_or(Duration::ZERO, |newest| {
                let since = newest.record.written + self.ahead;
                Duration::from_secs(u32::try_from(self.now.as_second() - since).unwrap_or(0))
            }),
            payload: self.payload.clone().filter(|payload| Some(payload.revision) == newest || payload.revision == 0),
            health: HealthView {
                health,
                live_since: self.live_since,
                present: self.present(),
                missing: Some(member()).filter(|_| self.vanished),
            },
            drift: self.drift(),
            flight: self.flight.clone(),
            memory: self.memory.clone(),
        }
    }

    /// Of the objects that the inventory names.
    fn present(&self) -> Vec<Member> {
        let there = self.live.is_some() || self.leaving;
        let known = self.memory.inventory.iter().flat_map(|inventory| &inventory.members);
        known.filter(|_| there).cloned().collect()
    }

    /// One pass: plan, check, write, act.
    pub(super) fn pass(&mut self) -> Reached {
        let snapshot = self.snapshot();
        let plan = plan(&snapshot);
        let wrong = check(&snapshot, &plan);
        assert!(wrong.is_empty(), "{wrong:?}\n{plan:#?}\n{snapshot:#?}");
        if let Some(case) = missing(&snapshot, &plan.because) {
            panic!("{case}");
        }
        if !plan.defers_status(&snapshot) {
            let wire = HelmReleaseStatus::from(plan.memory.clone());
            self.memory = Memory::from(wire);
            assert_eq!(self.memory, plan.memory, "status keeps all that is remembered");
            self.notes.extend(plan.notes.iter().cloned());
        }
        self.last = Some((plan.action.clone(), plan.because.clone()));
        self.act(&plan.action);
        let Plan { action, because, wake, .. } = plan;
        Reached { action, because, wake }
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Idle => {}
            Action::AddFinalizer => self.object.finalizer = true,
            Action::RemoveFinalizer => self.gone = true,
            Action::Prepare => self.inputs = InputsView::Underway,
            Action::Inspect { revision: 0 } => {
                let members = if self.leaving { vec![member()] } else { Vec::new() };
                self.payload = Some(Payload::left(members));
            }
            Action::Inspect { revision } => {
                let found = self.revisions.iter().find(|r| r.record.revision == *revision).unwrap();
                self.payload = Some(payload_of(found));
            }
            Action::Compare { revision } => {
                let found = self.revisions.iter().find(|r| r.record.revision == *revision).unwrap();
                let parts = vec![Difference::Values];
                let result = if found.colour == self.want { Compared::Equal } else { Compared::Differs(parts) };
                let comparison = Comparison { digest: digest(self.want), resource_version: "1".into(), result };
                self.payload = Some(Payload { comparison: Some(Box::new(comparison)), ..payload_of(found) });
            }
            Action::Adopt { revision, digest, .. } => {
                let (owner, digest) = (owner(), digest.clone());
                let record = self.record(*revision);
                (record.owner, record.digest) = (Some(owner), digest);
                (record.stamp, record.adopted) = (Some(*revision), Some(*revision));
            }
            Action::Detect { .. } => self.compared = Some((self.next() - 1, self.drifted)),
            Action::Ask(_) => self.flight = Flight::Queued,
            Action::Withdraw | Action::Acknowledge { .. } => self.flight = Flight::Idle,
            Action::Start(operation) => {
                self.runs.push((operation.kind, operation.digest.as_ref().map(colour)));
                self.flight = Flight::Running { operation: operation.id.clone(), cancelled: false };
                self.running = Some((operation.clone(), Stage::Begun));
            }
            Action::Cancel => {
                let Flight::Running { cancelled, .. } = &mut self.flight else { panic!("nothing runs") };
                *cancelled = true;
            }
            Action::Mark { revision, .. } => {
                let owner = owner();
                let record = self.record(*revision);
                record.owner = Some(owner);
                record.stamp = Some(*revision);
                record.verified = Some(*revision);
            }
            Action::Clear { revisions } => {
                for revision in revisions {
                    self.record(*revision).cleared = Some(*revision);
                }
            }
            Action::Unlock { revision, .. } => {
                self.record(*revision).status = RecordStatus::Failed;
                let unlocked = self.revisions.iter_mut().find(|r| r.record.revision == *revision).unwrap();
                unlocked.description = unlocked_description(&unlocked.description, "helm died");
            }
        }
    }

    pub(super) fn record(&mut self, revision: u32) -> &mut Record {
        &mut self.revisions.iter_mut().find(|r| r.record.revision == revision).unwrap().record
    }

    /// The operator and its helm are gone at once; another takes over.
    pub(super) fn crash(&mut self) {
        self.running = None;
        self.flight = Flight::Idle;
        self.holder += 1;
        self.inputs = InputsView::Stale;
        self.payload = None;
        self.compared = None;
        self.live_since = Some(self.now);
    }

    /// What goes on by itself. False when nothing does.
    pub(super) fn surroundings(&mut self) -> bool {
        let mut moved = false;
        if self.inputs == InputsView::Underway && !self.slow_inputs {
            self.inputs = InputsView::Known { inputs: inputs(self.want), look_again: None, passed_over: None };
            moved = true;
        }
        if self.flight == Flight::Queued {
            self.flight = Flight::Granted;
            moved = true;
        } else if self.running.is_some() {
            let run = self.script.pop_front().unwrap_or(Run::Good);
            self.helm_end(run);
            moved = true;
        } else if self.leaving && matches!(self.last, Some((Action::Idle, Because::Terminating { .. }))) {
            // As late as can be: after everything that did not wait for it.
            self.leaving = false;
            moved = true;
        }
        moved
    }

    /// Passes until nothing moves any more without the clock.
    pub(super) fn run(&mut self) -> Reached {
        for _ in 0..60 {
            let plan = self.pass();
            let due = matches!(plan.wake, Wake::At(moment) if moment <= self.now);
            if self.gone || (!self.surroundings() && plan.action == Action::Idle && !due) {
                return plan;
            }
        }
        panic!("no rest: {:?}\n{:#?}", self.last, self.snapshot());
    }

    /// Passes until a run of helm is under way.
    pub(super) fn until_runs(&mut self) {
        for _ in 0..60 {
            self.pass();
            if self.running.is_some() {
                return;
            }
            self.surroundings();
        }
        panic!("helm was never started: {:?}", self.last);
    }

    /// Passes, with all that goes on by itself, until a run of that kind is under way.
    pub(super) fn run_until(&mut self, kind: OperationKind) {
        for _ in 0..60 {
            self.pass();
            if self.running.as_ref().is_some_and(|(operation, _)| operation.kind == kind) {
                return;
            }
            self.surroundings();
        }
        panic!("never begun: {:?}", self.last);
    }

    /// The clock goes on to the next wake, and on until nothing moves.
    pub(super) fn wait(&mut self) -> Reached {
        let plan = self.run();
        let Wake::At(moment) = plan.wake else { return plan };
        self.now = self.now.max(moment);
        self.run()
    }

    pub(super) fn later(&mut self, minutes: i64) -> Reached {
        self.now = self.now.checked_add(SignedDuration::from_mins(minutes)).unwrap();
        self.run()
    }

    /// The spec asks for another version.
    pub(super) fn want(&mut self, colour: Colour) {
        self.want = colour;
        self.object.generation += 1;
        self.inputs = InputsView::Stale;
    }
}
