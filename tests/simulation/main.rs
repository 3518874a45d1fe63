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

/// As part of `cargo test`: what fits ten seconds of an unoptimised build.
const SEEDS: u64 = 60;
/// Every so many seeds are played twice, and the two traces compared.
const TWICE_EVERY: u64 = 50;

thread_local! {
    /// What a task of this thread's simulation panicked with; the runtime would swallow it.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

struct Asked {
    seeds: u64,
    first: u64,
    one: Option<u64>,
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
        let told = play(seed, asked.lag, true);
        print!("{}", told.trace);
        told.wrong.iter().for_each(|wrong| println!("seed {seed}: {wrong}"));
        return summary(1, u64::from(!told.wrong.is_empty()));
    }
    let broken = contract::broken();
    for story in &broken {
        println!("contract of helm: {story}");
    }
    let next = AtomicU64::new(asked.first);
    let (failed, quiet) = (AtomicU64::new(broken.len() as u64), AtomicU64::new(0));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| work(&next, &asked, &failed, &quiet));
        }
    });
    let (seconds, quiet) = (began.elapsed().as_secs_f64(), quiet.load(Ordering::Relaxed));
    println!("{} seeds in {seconds:.1} s; {quiet} came to rest and were watched for ten quiet minutes", asked.seeds);
    summary(asked.seeds, failed.load(Ordering::Relaxed))
}

fn summary(seeds: u64, failed: u64) -> ExitCode {
    println!("simulation: {seeds} seeds, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn asked(mut arguments: impl Iterator<Item = String>) -> Result<Asked, String> {
    let one = std::env::var("SEED").ok().map(|seed| number(&seed)).transpose()?;
    let mut asked = Asked { seeds: SEEDS, first: 0, one, lag: Duration::ZERO };
    while let Some(argument) = arguments.next() {
        let (flag, value) = match argument.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        let mut value = || value.clone().or_else(|| arguments.next()).ok_or_else(|| format!("{flag} needs a value"));
        match &*flag {
            "--seeds" => asked.seeds = number(&value()?)?,
            "--first" => asked.first = number(&value()?)?,
            "--seed" => asked.one = Some(number(&value()?)?),
            "--lag" => asked.lag = Duration::from_secs(number(value()?.trim_end_matches('s'))?),
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

fn work(next: &AtomicU64, asked: &Asked, failed: &AtomicU64, quiet: &AtomicU64) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= asked.first + asked.seeds {
            return;
        }
        let mut told = play(seed, asked.lag, false);
        if seed.is_multiple_of(TWICE_EVERY) && play(seed, asked.lag, false).digest != told.digest {
            told.wrong.push("it does not replay".to_owned());
        }
        quiet.fetch_add(u64::from(told.quiet), Ordering::Relaxed);
        if !told.wrong.is_empty() {
            failed.fetch_add(1, Ordering::Relaxed);
            println!("seed {seed}: {}   (SEED={seed} cargo simulate)", told.wrong.join("; "));
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
