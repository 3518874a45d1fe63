//! A small world to its end: every order of a few events, until no state is new. Nothing unsafe is ever planned, and
//! from every state the release comes to rest when its surroundings do.
//!
//! What is bounded is what may happen, not how far is looked: from one good version to the next, two of these happen,
//! each at any moment: one thing goes wrong, one operator dies, one person acts; and all that goes on by itself does so
//! in any order. [`search`](super::search) has more of everything, up to a number of states.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
};

use jiff::SignedDuration;

use super::{
    search::{Event, apply, is_at_rest, is_safe},
    sim::{Left, Run, Sick, World},
};
use crate::{
    plan::{Action, Wake, plan},
    release::{FailureClass, Fault},
};

/// Longer than any delay and any deadline.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// More states than any of the worlds has: something in it counts without end.
const ENDLESS: usize = 200_000;

/// One thing that happens next.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Event(Event),
    /// Time goes on to the moment that a pass asks for; where none does, for a day.
    Time,
    /// The operator dies, and none takes over for a day.
    Outage,
}

/// What happens by itself, as often as it likes.
const BY_ITSELF: [Step; 6] = [
    Step::Event(Event::Pass),
    Step::Event(Event::Surroundings),
    Step::Event(Event::HelmStep),
    Step::Event(Event::HelmEnds(Run::Good)),
    Step::Event(Event::Health(None)),
    Step::Time,
];
const TROUBLES: [Step; 5] = [
    Step::Event(Event::HelmEnds(Run::Failed(FailureClass::Hook))),
    Step::Event(Event::HelmEnds(Run::Refused(FailureClass::Template))),
    Step::Event(Event::HelmEnds(Run::Left(Left::Hook))),
    Step::Event(Event::HelmEnds(Run::Left(Left::Killed))),
    Step::Event(Event::Health(Some(Sick::Broken(Fault::Own)))),
];
const CRASHES: [Step; 2] = [Step::Event(Event::Crash), Step::Outage];
const PEOPLE: [Step; 5] = [
    Step::Event(Event::ManualRollback),
    Step::Event(Event::ManualUpgrade),
    Step::Event(Event::ManualUninstall),
    Step::Event(Event::Retry),
    Step::Event(Event::Want("blue")),
];

/// How often each may still happen: what goes wrong, the end of an operator, what a person does.
type Budget = [u8; 3];

fn steps(budget: Budget) -> Vec<(Step, Budget)> {
    let [troubles, crashes, people] = budget;
    let free = BY_ITSELF.iter().map(|step| (*step, budget));
    let trouble = TROUBLES.iter().filter(|_| troubles > 0).map(|step| (*step, [troubles - 1, crashes, people]));
    let crash = CRASHES.iter().filter(|_| crashes > 0).map(|step| (*step, [troubles, crashes - 1, people]));
    let person = PEOPLE.iter().filter(|_| people > 0).map(|step| (*step, [troubles, crashes, people - 1]));
    free.chain(trouble).chain(crash).chain(person).collect()
}

/// Does it, where it can happen.
fn take(world: &mut World, step: Step) -> bool {
    let moved = match step {
        Step::Event(event) => apply(world, event),
        Step::Time => match plan(&world.snapshot()).wake {
            Wake::At(moment) => {
                let ahead = moment > world.now;
                world.now = world.now.max(moment);
                ahead
            }
            Wake::Never => {
                world.now = world.now.checked_add(DAY).unwrap();
                true
            }
        },
        Step::Outage => {
            world.now = world.now.checked_add(DAY).unwrap();
            world.crash();
            true
        }
    };
    if moved {
        is_safe(world);
        world.canonical();
    }
    moved
}

/// With nothing but what goes on by itself from now on, and with objects that are well, the release comes to rest. Ways
/// that meet are walked once, and one that meets itself never ends.
pub(super) fn comes_to_rest(world: &World, known: &mut HashSet<u64>) {
    let mut world = world.clone();
    world.health.clear();
    world.canonical();
    let (mut here, mut way) = (world.fingerprint(), HashSet::new());
    while !known.contains(&here) {
        assert!(way.insert(here), "never at rest: {:#?}", world.snapshot());
        let reached = world.pass();
        is_safe(&world);
        world.canonical();
        let before = std::mem::replace(&mut here, world.fingerprint());
        if reached.action != Action::Idle || here != before {
            continue;
        }
        // What is waited for, and so goes away, is told by what was said last.
        world.last = Some((reached.action.clone(), reached.because.clone()));
        if !world.surroundings() {
            if reached.wake == Wake::Never {
                is_at_rest(&world, &reached.because);
                break;
            }
            assert!(take(&mut world, Step::Time), "a pass is due, and does nothing");
        }
        world.canonical();
        here = world.fingerprint();
    }
    known.extend(way);
}

/// All states of a world, each looked at, until none is new.
fn explore(retries: u32, budget: Budget) {
    let mut start = World::new("blue");
    start.policy.retries = retries;
    let _ = start.run();
    start.want("red");
    start.canonical();
    let mut seen = HashMap::from([(start.fingerprint(), vec![budget])]);
    let (mut at_rest, mut happened) = (HashSet::new(), Vec::new());
    let mut looked = 0;
    // What has most left to happen first: the same world with less left has nothing new in it.
    let left = |budget: Budget| usize::from(budget.iter().sum::<u8>());
    let mut queues = vec![VecDeque::new(); left(budget) + 1];
    queues[left(budget)].push_back((start, budget, Vec::new()));
    while let Some((world, budget, path)) = queues.iter_mut().rev().find_map(VecDeque::pop_front) {
        looked += 1;
        assert!(looked < ENDLESS, "a world without an end: {path:?}");
        let mut spare = None;
        for (step, rest) in steps(budget) {
            let mut next = spare.take().unwrap_or_else(|| world.clone());
            let told = catch_unwind(AssertUnwindSafe(|| take(&mut next, step)));
            let Ok(moved) = told else { panic!("after {path:?} and {step:?}") };
            if !moved {
                spare = Some(next);
                continue;
            }
            if !happened.contains(&step) {
                happened.push(step);
            }
            let known = seen.entry(next.fingerprint()).or_default();
            if known.iter().any(|more| more.iter().zip(rest).all(|(more, rest)| *more >= rest)) {
                continue;
            }
            known.push(rest);
            let told = catch_unwind(AssertUnwindSafe(|| comes_to_rest(&next, &mut at_rest)));
            assert!(told.is_ok(), "after {path:?} and {step:?}");
            queues[left(rest)].push_back((next, rest, [&path[..], &[step]].concat()));
        }
    }
    // Nothing recovers where nothing was in trouble.
    let can = |step: &Step| budget[0] > 0 || *step != Step::Event(Event::Health(None));
    let all = steps(budget).into_iter().map(|(step, _)| step);
    let never: Vec<_> = all.filter(|step| can(step) && !happened.contains(step)).collect();
    assert!(never.is_empty(), "cannot happen anywhere: {never:?}");
    println!("retries {retries}, {budget:?}: {looked} states, and no more; {}", spent());
}

/// The processor time of this thread, where the system tells it.
fn spent() -> String {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|told| told.split(' ').next()?.parse::<u64>().ok());
    nanos.map_or_else(String::new, |nanos| format!("{} ms of processor time", nanos / 1_000_000))
}

#[test]
fn one_trouble_and_one_crash_at_any_moment_are_safe_and_come_to_rest() {
    explore(0, [1, 1, 0]);
}

#[test]
fn one_trouble_and_one_person_at_any_moment_are_safe_and_come_to_rest() {
    explore(0, [1, 0, 1]);
}

#[test]
fn one_crash_and_one_person_at_any_moment_are_safe_and_come_to_rest() {
    explore(0, [0, 1, 1]);
}

#[test]
#[ignore = "takes half a minute: .ci/run runs it by itself; each two of the three are in every run"]
fn one_trouble_one_crash_and_one_person_at_any_moment_are_safe_and_come_to_rest() {
    explore(0, [1, 1, 1]);
}
