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

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ground::Ground;
use orders::Orders;
use sweep::point::{Phase, Point, Run};
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
        "wall time {:.0} s, {} side by side; {} journeys were over before their point; {} revisions more than needed",
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
    side_by_side(orders.side_by_side, &tasks, |task| play(sweep, task, tally));
}

/// The journey without hooks, and with them where one of its points needs them.
fn with_hooks(journey: Journey) -> Vec<(Journey, Hooks)> {
    let hooked = Phase::all(journey, Run::Change).contains(&Phase::Hook);
    std::iter::once(Hooks::Absent).chain(hooked.then_some(Hooks::Present)).map(|hooks| (journey, hooks)).collect()
}

fn play(sweep: &Sweep, task: &Task, tally: &Tally) {
    let begin = Instant::now();
    let passed = sweep.cross(task.journey, task.point);
    let seconds = begin.elapsed().as_secs_f32();
    tally.points.fetch_add(1, Ordering::SeqCst);
    let point = format!("{} {}: {}", task.journey.name(), task.number, task.point);
    match passed {
        Ok(passed) => {
            tally.extra.fetch_add(passed.extra as usize, Ordering::SeqCst);
            let caught = passed.caught.unwrap_or_else(|| {
                tally.not_reached.fetch_add(1, Ordering::SeqCst);
                "over before".to_owned()
            });
            println!("{point} ({caught}): ok, {} more revisions, {seconds:.1} s", passed.extra);
        }
        Err(error) => {
            tally.failed.fetch_add(1, Ordering::SeqCst);
            println!("{point}: FAILED after {seconds:.1} s\n{error}");
        }
    }
}

/// Does the work for each, some at a time.
fn side_by_side<T: Sync>(count: usize, all: &[T], work: impl Fn(&T) + Sync) {
    let next = Mutex::new(all.iter());
    let take = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
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
