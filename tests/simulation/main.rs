//! The whole controller against a simulated world, by seed: `cargo simulate -- --seeds 10000`, `--seed 17`, `--lag 2s`.
//!
//! Real: the board, the indexes and their watches, requests and their deadlines, gather, plan, render, write, act, the
//! tasks of an attempt, the drain, helm's words and records as they are read. Simulated: the API server behind kube's
//! client, helm, the chart repository, the controllers of the cluster, and time. Only kube's applier is left out: it
//! polls passes in the order in which a map lies, and a seed would not replay.

#[path = "../contract/mod.rs"]
mod behaviours;
mod charts;
mod contract;
mod helm;
mod ledger;
mod operator;
mod oracle;
mod path;
mod pods;
mod process;
mod records;
mod removal;
mod rng;
mod runs;
mod said;
mod scenario;
mod server;
mod story;
mod versions;
mod watches;
mod workloads;
mod world;

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use scenario::Settings;
use story::Told;

/// Small allocations are a third of the work with the allocator of the C library, and half of that with this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As part of `cargo test`, with watches that tell at once and with late ones: what fits fifteen seconds of an
/// unoptimised build.
const SEEDS: [(u64, Duration); 2] = [(60, Duration::ZERO), (30, Duration::from_secs(2))];
/// Fewer seeds than this may all be worlds that never come to rest.
const MANY: u64 = 20;
/// Every so many seeds are played twice, and the two traces compared.
const TWICE_EVERY: u64 = 50;

thread_local! {
    /// What a task of this thread's simulation panicked with; the runtime would swallow it.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Asked {
    seeds: Option<u64>,
    first: u64,
    one: Option<u64>,
    lag: Option<Duration>,
}

impl Asked {
    fn rounds(&self) -> Vec<Round> {
        let round = |(seeds, lag)| Round { first: self.first, end: self.first + seeds, lag };
        match (self.seeds, self.lag) {
            (None, None) => SEEDS.map(round).into(),
            (seeds, lag) => vec![round((seeds.unwrap_or(SEEDS[0].0), lag.unwrap_or_default()))],
        }
    }
}

/// Seeds that are played with watches that are late by as much.
struct Round {
    first: u64,
    end: u64,
    lag: Duration,
}

fn main() -> ExitCode {
    let asked = match asked(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(why) => {
            println!("simulation: {why}");
            return ExitCode::FAILURE;
        }
    };
    std::panic::set_hook(Box::new(|info| {
        PANIC.with_borrow_mut(|panic| *panic = Some(info.to_string()));
    }));
    if let Some(seed) = asked.one {
        let told = play(seed, asked.lag.unwrap_or_default(), true);
        print!("{}", told.trace);
        told.wrong.iter().for_each(|wrong| println!("seed {seed}: {wrong}"));
        return summary(1, u64::from(!told.wrong.is_empty()));
    }
    let broken = contract::broken();
    for story in &broken {
        println!("contract of helm: {story}");
    }
    let rounds = asked.rounds();
    let failed = rounds.iter().map(play_round).sum::<u64>() + broken.len() as u64;
    summary(rounds.iter().map(|round| round.end - round.first).sum(), failed)
}

/// How many of its seeds failed.
fn play_round(round: &Round) -> u64 {
    let next = AtomicU64::new(round.first);
    let (failed, quiet) = (AtomicU64::new(0), AtomicU64::new(0));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| work(&next, round, &failed, &quiet));
        }
    });
    let (seconds, seeds) = (began.elapsed().as_secs_f64(), round.end - round.first);
    let (failed, quiet) = (failed.into_inner(), quiet.into_inner());
    let lag = if round.lag.is_zero() { String::new() } else { format!(", watches {} s late", round.lag.as_secs()) };
    println!("{seeds} seeds in {seconds:.1} s{lag}; {quiet} came to rest and were watched for ten quiet minutes");
    if seeds >= MANY && quiet < seeds / 2 {
        println!("most worlds never come to rest, so that quiet is not seen");
        return failed + 1;
    }
    failed
}

fn summary(seeds: u64, failed: u64) -> ExitCode {
    println!("simulation: {seeds} seeds, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn asked(mut arguments: impl Iterator<Item = String>) -> Result<Asked, String> {
    let one = std::env::var("SEED").ok().map(|seed| number(&seed)).transpose()?;
    let mut asked = Asked { one, ..Asked::default() };
    while let Some(argument) = arguments.next() {
        let (flag, value) = match argument.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        let mut value = || value.clone().or_else(|| arguments.next()).ok_or_else(|| format!("{flag} needs a value"));
        match &*flag {
            "--seeds" => asked.seeds = Some(number(&value()?)?),
            "--first" => asked.first = number(&value()?)?,
            "--seed" => asked.one = Some(number(&value()?)?),
            "--lag" => asked.lag = Some(Duration::from_secs(number(value()?.trim_end_matches('s'))?)),
            // What cargo hands to every test, and what is typed after an alias that has it already.
            "--quiet" | "--nocapture" | "-q" | "--" => {}
            other => return Err(format!("{other} is not known; there are --seeds, --first, --seed and --lag")),
        }
    }
    Ok(asked)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is not a number"))
}

fn work(next: &AtomicU64, round: &Round, failed: &AtomicU64, quiet: &AtomicU64) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= round.end {
            return;
        }
        let mut told = play(seed, round.lag, false);
        if seed.is_multiple_of(TWICE_EVERY) && play(seed, round.lag, false).digest != told.digest {
            told.wrong.push("it does not replay".to_owned());
        }
        quiet.fetch_add(u64::from(told.quiet), Ordering::Relaxed);
        if !told.wrong.is_empty() {
            failed.fetch_add(1, Ordering::Relaxed);
            let lag = if round.lag.is_zero() { String::new() } else { format!(" --lag {}s", round.lag.as_secs()) };
            println!("seed {seed}: {}   (cargo simulate -- --seed {seed}{lag})", told.wrong.join("; "));
        }
    }
}

/// One seed from beginning to end, on a runtime and a clock of its own.
fn play(seed: u64, lag: Duration, keep_trace: bool) -> Told {
    // The jitter of watches that were lost comes from here.
    fastrand::seed(seed);
    PANIC.with_borrow_mut(|panic| *panic = None);
    let settings = Settings::generate(seed, lag);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(story::tell(settings, keep_trace))));
    drop(runtime);
    let mut told = played.unwrap_or_else(|_| Told { wrong: Vec::new(), trace: String::new(), digest: 0, quiet: false });
    if let Some(panic) = PANIC.with_borrow_mut(Option::take) {
        told.wrong.push(panic);
    }
    told
}
