//! Every order of events in a world that is too large to be seen whole, up to a number of states: nothing unsafe is ever
//! planned, and from everywhere the release comes to rest when its surroundings do. [`whole`](super::whole) has a small
//! one to its end.

use std::{
    collections::{HashSet, VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

use super::{
    sim::{Left, Run, Sick, World},
    whole::comes_to_rest,
};
use crate::{
    plan::{Action, Because},
    release::{FailureClass, Fault, OperationKind, RecordStatus},
};

/// States that are looked at; the time that the whole suite may take decides.
const STATES: usize = 1000;
/// The same with clocks apart, which tell nothing that is decided from.
const STATES_APART: usize = 250;

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Event {
    Pass,
    /// What goes on by itself: slots, look-ups; helm only if it is not at work.
    Surroundings,
    HelmStep,
    HelmEnds(Run),
    Crash,
    Health(Option<Sick>),
    Want(&'static str),
    Clock,
    ManualRollback,
    ManualUpgrade,
    ManualUninstall,
    Retry,
}

const EVENTS: [Event; 19] = [
    Event::Pass,
    Event::Surroundings,
    Event::HelmStep,
    Event::HelmEnds(Run::Good),
    Event::HelmEnds(Run::Failed(FailureClass::Hook)),
    Event::HelmEnds(Run::Refused(FailureClass::Template)),
    Event::HelmEnds(Run::Left(Left::Hook)),
    Event::HelmEnds(Run::Left(Left::Killed)),
    Event::Crash,
    Event::Health(None),
    Event::Health(Some(Sick::Broken(Fault::Own))),
    Event::Health(Some(Sick::Slow(Fault::Outside))),
    Event::Want("red"),
    Event::Want("blue"),
    Event::Clock,
    Event::ManualRollback,
    Event::ManualUpgrade,
    Event::ManualUninstall,
    Event::Retry,
];

/// Does it, where it can happen.
pub(super) fn apply(world: &mut World, event: Event) -> bool {
    let at_rest = world.running.is_none() && world.newest().is_some_and(|n| !n.record.status.is_pending());
    match event {
        Event::Pass => {
            let before = world.memory.clone();
            let reached = world.pass();
            reached.action != Action::Idle || before != world.memory
        }
        Event::Surroundings => world.running.is_none() && world.surroundings(),
        Event::HelmStep => world.helm_step(),
        Event::HelmEnds(run) => {
            let running = world.running.is_some();
            if running {
                world.helm_end(run);
            }
            running
        }
        Event::Crash => {
            world.crash();
            true
        }
        Event::Health(sick) => {
            let before = world.health.get("red").copied();
            match sick {
                Some(sick) => world.health.insert("red", sick),
                None => world.health.remove("red"),
            };
            before != sick
        }
        Event::Want(colour) => {
            let other = world.want != colour;
            if other {
                world.want(colour);
            }
            other
        }
        Event::Clock => {
            world.now = world.now.checked_add(jiff::SignedDuration::from_mins(6)).unwrap();
            true
        }
        Event::ManualRollback => {
            let target = world.revisions.iter().rev().skip(1).find(|r| r.record.is_verified());
            let target = target.map(|target| target.record.revision).filter(|_| at_rest);
            if let Some(target) = target {
                world.manual_rollback(target, RecordStatus::Deployed);
            }
            target.is_some()
        }
        Event::ManualUpgrade => {
            if at_rest {
                world.manual_upgrade("alien", RecordStatus::Deployed);
            }
            at_rest
        }
        Event::ManualUninstall => {
            if at_rest {
                world.manual_uninstall();
            }
            at_rest
        }
        Event::Retry => {
            let before = world.object.retry.replace("retry".into());
            before.is_none()
        }
    }
}

/// The same for states that differ only in how late it is.
fn key(world: &World) -> u64 {
    let mut hash = DefaultHasher::new();
    let memory = &world.memory;
    let until = memory.failures.not_before.map(|moment| moment > world.now);
    let due = memory.operation.as_ref().map(|o| (o.kind, o.revision, o.target, o.deadline > world.now));
    let records: Vec<_> = world.revisions.iter().map(|r| (r.record.revision, r.record.status, r.colour)).collect();
    let marks: Vec<_> = world.revisions.iter().map(|r| (r.record.stamp, r.record.verified)).collect();
    let history: Vec<_> = memory.history.iter().map(|h| (h.revision, h.action, h.result)).collect();
    (until, due, records, marks, history, memory.failures.own, memory.failures.rollbacks).hash(&mut hash);
    let outside = (
        world.want,
        world.live,
        world.leaving,
        &world.health,
        &world.running.as_ref().map(|r| r.1),
        &world.object.retry,
    );
    format!("{outside:?}").hash(&mut hash);
    let board = match &world.flight {
        crate::release::Flight::Idle => 0,
        crate::release::Flight::Queued => 1,
        crate::release::Flight::Granted => 2,
        crate::release::Flight::Running { cancelled, .. } => 3 + u8::from(*cancelled),
        crate::release::Flight::Ended(_) => 5,
    };
    let known = matches!(world.inputs, crate::release::InputsView::Known { .. });
    let told = memory.quarantined.iter().map(|q| (q.digest.as_str(), &q.reason)).collect::<Vec<_>>();
    let good = memory.deployed.as_ref().map(|deployed| deployed.revision);
    (board, known, told, good, world.payload.is_some(), memory.handled.foreign).hash(&mut hash);
    hash.finish()
}

/// What must hold in every state, beyond what the linter and the small helm check by themselves.
pub(super) fn is_safe(world: &World) {
    let removals = world.runs.iter().filter(|run| run.0 == OperationKind::Uninstall).count();
    assert_eq!(removals, 0, "a release that was good once was uninstalled");
    if let Some((_, Because::Good { label, .. })) = &world.last {
        assert!(label.contains(world.want) || world.inputs == crate::release::InputsView::Stale, "{label}");
    }
}

/// Where a release may stay for ever, while its objects are well.
pub(super) fn is_at_rest(world: &World, because: &Because) {
    let stable = world.live.is_some()
        && matches!(
            because,
            Because::Good { .. }
                | Because::RolledBackByUser { .. }
                | Because::RolledBack { .. }
                | Because::AttemptFailed { next: crate::plan::Next::Quarantined, .. }
        );
    assert!(stable, "{because:?}\n{:#?}", world.snapshot());
}

#[test]
fn the_first_states_of_a_large_world_are_safe_and_come_to_rest() {
    search(STATES, 0);
}

#[test]
fn the_first_states_of_a_large_world_are_the_same_with_the_operators_clock_two_minutes_ahead() {
    search(STATES_APART, 120);
}

#[test]
fn the_first_states_of_a_large_world_are_the_same_with_the_operators_clock_two_minutes_behind() {
    search(STATES_APART, -120);
}

/// `ahead`: how many seconds the clock of the operator is ahead of that of the API server.
fn search(states: usize, ahead: i64) {
    let mut start = World::new("blue");
    start.ahead = ahead;
    start.policy.retries = 1;
    start.held = true;
    let _ = start.run();
    start.want("red");
    let mut seen = HashSet::from([key(&start)]);
    let mut queue = VecDeque::from([(start, Vec::new())]);
    let (mut at_rest, mut looked) = (HashSet::new(), 0);
    while let Some((world, path)) = queue.pop_front() {
        looked += 1;
        if looked > states {
            break;
        }
        for event in EVENTS {
            let mut next = world.clone();
            let mut path: Vec<Event> = path.clone();
            path.push(event);
            let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                if !apply(&mut next, event) {
                    return false;
                }
                is_safe(&next);
                true
            }));
            let Ok(moved) = told else { panic!("after {path:?}") };
            if !moved || !seen.insert(key(&next)) {
                continue;
            }
            let rest = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| comes_to_rest(&next, &mut at_rest)));
            assert!(rest.is_ok(), "after {path:?}");
            queue.push_back((next, path));
        }
    }
    assert!(looked > states, "a bound of {states} states is none: the world ends after {looked}");
}

/// Long histories, where the search is wide: each step is likely to be a pass, so that much happens between events.
#[test]
fn long_histories_are_safe_and_come_to_rest() {
    for seed in 1..=300_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut draw = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(random >> 33).unwrap() % below
        };
        let mut world = World::new("blue");
        world.policy.retries = u32::from(seed % 2 == 0);
        world.policy.test.enabled = seed % 3 == 0;
        world.ahead = [-120, 0, 120][draw(3)];
        world.held = seed % 5 == 0;
        let mut path = Vec::new();
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..60 {
                let event = match draw(3) {
                    0 => EVENTS[draw(EVENTS.len())],
                    1 => Event::Surroundings,
                    _ => Event::Pass,
                };
                if apply(&mut world, event) {
                    path.push(event);
                    is_safe(&world);
                }
            }
            comes_to_rest(&world, &mut HashSet::new());
        }));
        assert!(told.is_ok(), "seed {seed}, after {path:?}");
    }
}
