//! The crash sweep: a journey is made once undisturbed, and once for each point at which something may be killed. The
//! end has to be the same.

mod journey;
mod outcome;
pub(crate) mod point;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sandbox::wait;

pub(crate) use journey::{Hooks, Journey};

use crate::ground::Ground;
use crate::scenario::{Revision, Scenario, play};
use crate::stage::Operator;
use journey::NAME;
use outcome::{Outcome, deployment, is_locked, object};
use point::{Point, Trap, is_own_write, told};

/// How long a journey may take to its end; a back-off and a new time for judging are part of the slowest.
const JOURNEY_LIMIT: Duration = Duration::from_secs(120);

/// Events follow what they tell of, so the last writes of a journey may come after its end, but not later than this.
const LAST_WRITES: Duration = Duration::from_secs(3);

/// A write of status, as [`told`] has it.
const STATUS: &str = "helmreleases/status";

/// The end is reached before all that is written of it; how long the rest may take.
const SETTLED: Duration = Duration::from_secs(30);

/// The finalizer or what stands for it, the intent, the end and the mark: fewer writes are no journey.
const WRITES_MIN: usize = 4;

/// An undisturbed journey.
#[derive(Clone)]
pub(crate) struct Reference {
    outcome: Outcome,
    /// The highest revision that there ever was.
    highest: u32,
    /// The operator's own writes, in their order.
    pub(crate) writes: Vec<String>,
}

impl Reference {
    /// How many of its writes every course of the journey makes. What comes to pass between two passes is told in one
    /// write, so that a course may have fewer of them, but never by a third; and the slower the machine, the more is
    /// told of what is waited for, of which the intent and the end alone are certain.
    pub(crate) fn certain_writes(&self) -> u64 {
        let others = self.writes.iter().filter(|write| !write.contains(STATUS)).count();
        (self.writes.len() * 2 / 3).min(others + 2) as u64
    }
}

/// What became of one point.
#[derive(Debug, Clone)]
pub(crate) struct Passed {
    /// The request at which something was killed; none if the journey was over before.
    pub(crate) caught: Option<String>,
    /// Revisions more than in the undisturbed journey.
    pub(crate) extra: u32,
}

type Known = Arc<OnceLock<Result<Reference, String>>>;

/// The undisturbed journeys, each made when it is first asked for.
pub(crate) struct Sweep {
    ground: Arc<Ground>,
    references: Mutex<BTreeMap<(Journey, Hooks), Known>>,
}

impl Sweep {
    pub(crate) fn new(ground: Arc<Ground>) -> Self {
        Self { ground, references: Mutex::default() }
    }

    pub(crate) fn reference(&self, journey: Journey, hooks: Hooks) -> Result<Reference, String> {
        let known = {
            let mut references = self.references.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(references.entry((journey, hooks)).or_default())
        };
        known.get_or_init(|| self.told(journey, |s| make(s, journey, hooks))).clone()
    }

    /// Makes the journey with a crash at that point; the error tells what is otherwise than without it.
    pub(crate) fn cross(&self, journey: Journey, point: Point) -> Result<Passed, String> {
        let reference = self.reference(journey, point.hooks());
        let reference = reference.map_err(|error| format!("the undisturbed journey fails: {error}"))?;
        self.told(journey, |s| cross(s, journey, point, &reference))
    }

    /// Plays the story in a scenario of its own, for what it yields.
    fn told<T>(&self, journey: Journey, story: impl Fn(&Scenario<'_>) -> T) -> Result<T, String> {
        let yielded = Mutex::new(None);
        let played = play(&self.ground, journey.name(), |s| {
            let value = story(s);
            *yielded.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        });
        if let Err(failed) = played {
            return Err(failed.message().unwrap_or("it panicked").to_owned());
        }
        yielded.into_inner().unwrap_or_else(PoisonError::into_inner).ok_or_else(|| "it did not come to an end".into())
    }
}

/// The undisturbed journey.
fn make(s: &Scenario<'_>, journey: Journey, hooks: Hooks) -> Reference {
    let operator = s.operate();
    journey.prepare(s, hooks);
    let guard = Guard::new(s, journey);
    let before = s.proxy.recent().iter().filter(|info| is_own_write(info)).count();
    journey.change(s, hooks);
    guard.watch("the end of the undisturbed journey", |is_over| is_over);
    for event in journey.last_events() {
        s.event(NAME, event);
    }
    let writes: Vec<_> = s.proxy.recent().iter().filter(|info| is_own_write(info)).skip(before).map(told).collect();
    assert!(writes.len() >= WRITES_MIN, "too few writes: {writes:?}");
    if journey != Journey::Uninstall {
        s.touch(&operator, NAME);
    }
    Reference { outcome: guard.outcome(), highest: guard.highest(), writes }
}

/// The journey with a crash.
fn cross(s: &Scenario<'_>, journey: Journey, point: Point, reference: &Reference) -> Passed {
    let mut operator = s.operate();
    journey.prepare(s, point.hooks());
    let guard = Guard::new(s, journey);
    let trap = Trap::lay(s, &operator, journey, point);
    journey.change(s, point.hooks());
    guard.watch("the crash, or the end without one", |is_over| is_over || trap.has_sprung());
    // What helm does is always the same.
    let certain = match point {
        Point::Write { number, .. } => number <= reference.certain_writes(),
        Point::Helm { .. } => true,
    };
    wait::until(if certain { SETTLED } else { LAST_WRITES }, || trap.has_sprung().then_some(()));
    trap.disarm();
    let caught = trap.has_sprung().then(|| s.eventually("the crash has happened", || non_empty(trap.caught())));
    assert!(caught.is_some() || !certain, "it did not come to that point; undisturbed: {:?}", reference.writes);
    if caught.is_some() && point.ends_the_operator() {
        operator.wait_until_ended().unwrap();
        sound(&operator);
        operator = s.operate();
    }
    guard.watch("the end after the crash", |is_over| is_over);
    if journey != Journey::Uninstall {
        s.touch(&operator, NAME);
    }
    let settled = wait::until(SETTLED, || (guard.outcome() == reference.outcome).then_some(()));
    if settled.is_none() {
        assert_eq!(guard.outcome(), reference.outcome, "the end (left) differs from that of an undisturbed journey");
    }
    sound(&operator);
    // What came of the touches, too.
    guard.watch("a last look", |_| true);
    let locked: Vec<Revision> = s.revisions(NAME).into_iter().filter(is_locked).collect();
    assert!(locked.is_empty(), "helm's lock is left: {locked:?}");
    let (highest, most) = (guard.highest(), journey.extra_revisions_max(!point.ends_the_operator()));
    assert!(
        (reference.highest..=reference.highest + most).contains(&highest),
        "revision {highest} was made; {} without a crash, and at most {most} more",
        reference.highest
    );
    Passed { caught, extra: highest - reference.highest }
}

/// Fails when the operator broke one of its own assertions on the way.
#[track_caller]
fn sound(operator: &Operator) {
    assert!(!operator.log().contains("panicked at"), "the operator panicked");
}

fn non_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// Looks, all the way, whether what was good is still there, and what was made.
struct Guard<'a> {
    s: &'a Scenario<'a>,
    journey: Journey,
    /// The digest of the release before the change.
    digest: Option<String>,
    seen: RefCell<Seen>,
}

/// What a journey has shown so far.
#[derive(Default)]
struct Seen {
    /// What names the record of each revision through all that is written to it, also of those that are pruned by now.
    records: BTreeMap<u32, String>,
    /// Of the Deployment, since there was a revision that had been judged good.
    deployment: Option<String>,
}

impl Seen {
    /// Adds what is there now; fails where a revision is made a second time, or what was good has gone.
    #[track_caller]
    fn add(&mut self, s: &Scenario<'_>, journey: Journey, records: &[Revision]) {
        for record in records {
            let uid = self.records.entry(record.number).or_insert_with(|| record.uid.clone());
            assert_eq!(*uid, record.uid, "revision {} was removed and made anew", record.number);
        }
        if !journey.keeps_what_was_good() {
            return;
        }
        let good = records.iter().any(|record| record.verified);
        if self.deployment.is_some() {
            assert_eq!(deployment(s), self.deployment, "the Deployment of the good version was taken away");
            assert!(good, "no verified revision is left to go back to: {records:?}");
        } else if good {
            self.deployment = deployment(s);
            assert!(self.deployment.is_some(), "a revision without its Deployment was called good: {records:?}");
        }
    }
}

impl<'a> Guard<'a> {
    #[track_caller]
    fn new(s: &'a Scenario<'_>, journey: Journey) -> Self {
        let records = s.revisions(NAME);
        let mut seen = Seen::default();
        seen.add(s, journey, &records);
        let digest = records.last().map(|newest| newest.digest.clone());
        Self { s, journey, digest, seen: RefCell::new(seen) }
    }

    #[track_caller]
    fn outcome(&self) -> Outcome {
        Outcome::of(self.s, self.digest.as_deref())
    }

    /// The highest revision that was ever there.
    fn highest(&self) -> u32 {
        self.seen.borrow().records.last_key_value().map_or(0, |(number, _)| *number)
    }

    /// Looks until the closure, told whether the journey is over, says enough.
    #[track_caller]
    fn watch(&self, what: &str, enough: impl Fn(bool) -> bool) {
        let (s, journey) = (self.s, self.journey);
        let seen = wait::until(JOURNEY_LIMIT, || {
            let records = s.revisions(NAME);
            self.seen.borrow_mut().add(s, journey, &records);
            enough(journey.is_over(s, object(s).as_ref(), &records)).then_some(())
        });
        assert!(seen.is_some(), "not after {JOURNEY_LIMIT:?}: {what}");
    }
}
