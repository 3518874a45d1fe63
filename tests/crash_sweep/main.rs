//! `cargo crash-sweep`: every journey of a release, with the operator killed before and after each of its writes, and
//! helm ended in each of its phases.
//!
//! `-- --journey upgrade` makes one of the journeys, and with `--point 7` one of its points; `--side-by-side 2` says how
//! many at once. The same points, fewer of them, are part of the scenarios of `cargo test`.

#[path = "../integration/ground.rs"]
mod ground;
mod orders;
#[allow(dead_code, unused_imports, reason = "the sweep uses a part of the words of the scenarios")]
#[path = "../integration/scenario/mod.rs"]
mod scenario;
#[path = "../stage/mod.rs"]
mod stage;
mod sweep;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ground::Ground;
use orders::Orders;
use sweep::point::{Phase, Point, Run, Side};
use sweep::{Hooks, Journey, Sweep};

/// A point and its number in its journey.
struct Task {
    journey: Journey,
    number: usize,
    point: Point,
}

/// What the points came to.
#[derive(Default)]
struct Tally {
    points: AtomicUsize,
    failed: AtomicUsize,
    not_reached: AtomicUsize,
    extra: AtomicUsize,
    /// How often the operator was killed at a write that the undisturbed journey makes, too.
    killed: Mutex<BTreeMap<Journey, u64>>,
}

fn main() -> ExitCode {
    sandbox::guard();
    stage::play_role();
    let orders = match Orders::read(std::env::args().skip(1)) {
        Ok(orders) => orders,
        Err(error) => {
            eprintln!("crash-sweep: {error}");
            return ExitCode::from(2);
        }
    };
    scenario::remember_panics();
    let (begin, ground, tally) = (Instant::now(), Arc::new(Ground::default()), Tally::default());
    run(&Sweep::new(Arc::clone(&ground)), &orders, &tally);
    // Ends every process of the sandbox.
    drop(ground);
    let count = |number: &AtomicUsize| number.load(Ordering::SeqCst);
    println!(
        "wall time {:.0} s, {} side by side; {} journeys were over before their point, which does not count; \
         {} revisions more than needed",
        begin.elapsed().as_secs_f32(),
        orders.side_by_side,
        count(&tally.not_reached),
        count(&tally.extra),
    );
    println!("crash sweep: {} points, {} failed", count(&tally.points), count(&tally.failed));
    if count(&tally.failed) > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run(sweep: &Sweep, orders: &Orders, tally: &Tally) {
    let undisturbed: Vec<_> = orders.journeys.iter().flat_map(|&journey| with_hooks(journey)).collect();
    side_by_side(orders.side_by_side, &undisturbed, |&(journey, hooks)| {
        let begin = Instant::now();
        // A failure is told by every point that needs it.
        let Ok(reference) = sweep.reference(journey, hooks) else { return };
        let hooked = if hooks == Hooks::Present { " with hooks" } else { "" };
        let (name, seconds, count) = (journey.name(), begin.elapsed().as_secs_f32(), reference.writes.len());
        println!("{name}{hooked}: undisturbed in {seconds:.1} s, {count} writes: {}", reference.writes.join(", "));
    });
    let mut tasks = Vec::new();
    for &journey in &orders.journeys {
        let writes = sweep.reference(journey, Hooks::Absent).map_or(0, |reference| reference.writes.len());
        let points = (1..).zip(Point::all(journey, writes as u64));
        tasks.extend(points.map(|(number, point)| Task { journey, number, point }));
    }
    tasks.retain(|task| orders.point.is_none_or(|number| number == task.number));
    side_by_side(orders.side_by_side, &tasks, |task| {
        let _ = play(sweep, task, tally);
    });
    if orders.point.is_none() {
        orders.journeys.iter().for_each(|&journey| is_swept(sweep, journey, tally));
        side_by_side(orders.side_by_side, &orders.journeys, |&journey| go_on(sweep, journey, tally));
    }
}

/// A sweep that came to few of its points shows nothing: each journey has both sides of the writes that every course
/// of it makes.
fn is_swept(sweep: &Sweep, journey: Journey, tally: &Tally) {
    let Ok(reference) = sweep.reference(journey, Hooks::Absent) else { return };
    let killed = lock(&tally.killed).get(&journey).copied().unwrap_or_default();
    let (all, least) = (2 * reference.writes.len(), 2 * reference.certain_writes());
    let short = killed < least;
    let end = if short { "FAILED" } else { "ok" };
    println!("{}: killed at {killed} of {all} sides of writes, at least {least}: {end}", journey.name());
    tally.failed.fetch_add(usize::from(short), Ordering::SeqCst);
}

/// The writes after the last one of the undisturbed journey, as far as there are more in some other.
fn go_on(sweep: &Sweep, journey: Journey, tally: &Tally) {
    let Ok(reference) = sweep.reference(journey, Hooks::Absent) else { return };
    let writes = reference.writes.len() as u64;
    let mut number = Point::all(journey, writes).len();
    for write in writes + 1.. {
        let mut caught = false;
        for side in [Side::Before, Side::After] {
            number += 1;
            caught |= play(sweep, &Task { journey, number, point: Point::Write { number: write, side } }, tally);
        }
        if !caught {
            return;
        }
    }
}

/// The journey without hooks, and with them where one of its points needs them.
fn with_hooks(journey: Journey) -> Vec<(Journey, Hooks)> {
    let hooked = Run::all(journey).iter().any(|&run| Phase::all(journey, run).contains(&Phase::Hook));
    std::iter::once(Hooks::Absent).chain(hooked.then_some(Hooks::Present)).map(|hooks| (journey, hooks)).collect()
}

/// Whether the crash happened.
fn play(sweep: &Sweep, task: &Task, tally: &Tally) -> bool {
    let begin = Instant::now();
    let passed = sweep.cross(task.journey, task.point);
    let seconds = begin.elapsed().as_secs_f32();
    let point = format!("{} {}: {}", task.journey.name(), task.number, task.point);
    match passed {
        Ok(passed) => {
            tally.extra.fetch_add(passed.extra as usize, Ordering::SeqCst);
            if let (Point::Write { .. }, Some(_)) = (task.point, &passed.caught) {
                *lock(&tally.killed).entry(task.journey).or_default() += 1;
            }
            let tallied = if passed.caught.is_some() { &tally.points } else { &tally.not_reached };
            tallied.fetch_add(1, Ordering::SeqCst);
            let caught = passed.caught.as_deref().unwrap_or("over before");
            println!("{point} ({caught}): ok, {} more revisions, {seconds:.1} s", passed.extra);
            passed.caught.is_some()
        }
        Err(error) => {
            tally.points.fetch_add(1, Ordering::SeqCst);
            tally.failed.fetch_add(1, Ordering::SeqCst);
            println!("{point}: FAILED after {seconds:.1} s\n{error}");
            false
        }
    }
}

/// Does the work for each, some at a time.
fn side_by_side<T: Sync>(count: usize, all: &[T], work: impl Fn(&T) + Sync) {
    let next = Mutex::new(all.iter());
    let take = || lock(&next).next();
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                while let Some(one) = take() {
                    work(one);
                }
            });
        }
    });
}

/// A point that panics is told as failed, and the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
