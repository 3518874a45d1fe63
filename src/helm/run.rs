//! One run of helm from start to end: its input is given, its output is drained, its limits are kept.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{ChildStderr, ChildStdin, ChildStdout},
    sync::oneshot,
    time,
};
use tokio_util::sync::CancellationToken;

use super::process::{Ending, Group, Started};
use crate::{release::Failure, types::Redacted};

/// Bytes read from a pipe at once: a quarter of what Linux buffers in one.
const READ_BYTES: usize = 16 * 1024;
/// How often the memory of a running process is looked at. The peak is the kernel's own; only growth after the last
/// look is missed.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);
/// How long output is read on after the process and its group are gone: a stranger may hold the other end.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// How a run can be asked to end before its time.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// SIGTERM for an install or upgrade, which then sets its record to failed. A rollback or uninstall goes on: it
    /// would die of the signal and leave a pending record.
    pub gently: CancellationToken,
    /// SIGKILL for whatever runs.
    pub now: CancellationToken,
}

impl Stop {
    pub(super) fn is_asked(&self) -> bool {
        self.gently.is_cancelled() || self.now.is_cancelled()
    }
}

/// How a process ended. Whether the release is well is another question, for its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    /// By a signal that was not ours.
    Signal(i32),
    /// By us, because the wall clock ran out.
    TimedOut,
    /// By us, on request; or it was not started for that reason.
    Cancelled,
    /// No helm was there at any time.
    NotStarted(Failure),
}

/// What is known of a run after its end.
#[must_use = "a run of helm has changed a release"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub exit: Exit,
    /// The end of what was printed. Untrusted, and may hold secrets of the chart: only [`super::ended`] reads it.
    pub stdout_tail: Redacted<String>,
    pub stderr_tail: Redacted<String>,
    /// Bytes of output that were read and thrown away.
    pub dropped_bytes: u64,
    pub wall: Duration,
    /// In steps of 10 ms.
    pub cpu: Option<Duration>,
    /// `None` for a run that ended before the first look.
    pub peak_rss_bytes: Option<u64>,
}

impl Run {
    pub(super) fn without_process(exit: Exit) -> Self {
        Self {
            exit,
            stdout_tail: Redacted::default(),
            stderr_tail: Redacted::default(),
            dropped_bytes: 0,
            wall: Duration::ZERO,
            cpu: None,
            peak_rss_bytes: None,
        }
    }
}

/// What a run is held to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Kept of each stream.
    pub(super) output_bytes: usize,
    pub(super) wall_clock: Duration,
    /// Between SIGTERM and SIGKILL.
    pub(super) grace: Duration,
    /// Whether a gentle stop has a meaning: see [`Stop::gently`].
    pub(super) ends_in_order: bool,
}

/// Stays with a process until it is reaped. Dropping the future kills the process and its group.
pub(super) async fn attend(started: Started, input: Option<&[u8]>, limits: &Limits, stop: &Stop) -> Run {
    let begun = Instant::now();
    let Started { stdin, stdout, stderr, group, ended } = started;
    let (mut out, mut err) = (Tail::new(limits.output_bytes), Tail::new(limits.output_bytes));
    let watched = {
        let stdout = stdout.and_then(|pipe| ChildStdout::from_std(pipe).ok());
        let stderr = stderr.and_then(|pipe| ChildStderr::from_std(pipe).ok());
        let stdin = stdin.and_then(|pipe| ChildStdin::from_std(pipe).ok());
        let mut pipes = pin!(async { tokio::join!(feed(stdin, input), out.fill(stdout), err.fill(stderr)) });
        let mut watch = pin!(watch(ended, &group, limits, stop));
        tokio::select! {
            watched = &mut watch => {
                // An error means that somebody outside of the group holds the pipe; what was read so far is kept.
                let _ = time::timeout(DRAIN_LIMIT, pipes).await;
                watched
            }
            _ = &mut pipes => watch.await,
        }
    };
    let (stdout_tail, dropped_out) = out.finish();
    let (stderr_tail, dropped_err) = err.finish();
    Run {
        exit: watched.exit(),
        stdout_tail: Redacted::new(stdout_tail),
        stderr_tail: Redacted::new(stderr_tail),
        dropped_bytes: dropped_out + dropped_err,
        wall: begun.elapsed(),
        cpu: watched.ending.and_then(|ending| ending.cpu),
        peak_rss_bytes: watched.peak_rss_bytes,
    }
}

/// Writes all and closes. A process that ends without reading is no error: its exit tells more.
async fn feed(pipe: Option<ChildStdin>, input: Option<&[u8]>) {
    if let (Some(mut pipe), Some(input)) = (pipe, input) {
        let _ = pipe.write_all(input).await;
    }
}

struct Watched {
    ending: Option<Ending>,
    /// Why we ended it, if we did.
    cut: Option<Exit>,
    peak_rss_bytes: Option<u64>,
}

impl Watched {
    fn exit(&self) -> Exit {
        use std::os::unix::process::ExitStatusExt as _;
        let status = self.ending.and_then(|ending| ending.status);
        let code = status.and_then(|status| status.code());
        match (&self.cut, code, status.and_then(|status| status.signal())) {
            // It was done before the signal could matter.
            (Some(_), Some(0), _) => Exit::Code(0),
            (Some(cut), _, _) => cut.clone(),
            (None, Some(code), _) => Exit::Code(code),
            (None, None, Some(signal)) => Exit::Signal(signal),
            // The kernel did not tell, which std reports as a lost child: it is gone, how is unknown.
            (None, None, None) => Exit::Signal(0),
        }
    }
}

async fn watch(mut ended: oneshot::Receiver<Ending>, group: &Group, limits: &Limits, stop: &Stop) -> Watched {
    let deadline = time::Instant::now() + limits.wall_clock;
    // Not at once: that would measure the leash, before it has become helm.
    let mut sample = time::interval_at(time::Instant::now() + SAMPLE_INTERVAL, SAMPLE_INTERVAL);
    sample.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    let (mut cut, mut kill_at, mut killed, mut peak_rss_bytes) = (None, deadline, false, None);
    loop {
        let running = cut.is_none();
        let term = |why: Exit, cut: &mut Option<Exit>| {
            group.signal(Signal::TERM);
            *cut = Some(why);
            time::Instant::now() + limits.grace
        };
        tokio::select! {
            biased;
            ending = &mut ended => return Watched { ending: ending.ok(), cut, peak_rss_bytes },
            () = stop.now.cancelled(), if !killed => {
                group.signal(Signal::KILL);
                killed = true;
                cut.get_or_insert(Exit::Cancelled);
            }
            () = stop.gently.cancelled(), if running && limits.ends_in_order => {
                kill_at = term(Exit::Cancelled, &mut cut);
            }
            () = time::sleep_until(deadline), if running => kill_at = term(Exit::TimedOut, &mut cut),
            () = time::sleep_until(kill_at), if !running && !killed => {
                group.signal(Signal::KILL);
                killed = true;
            }
            _ = sample.tick() => peak_rss_bytes = peak_rss_bytes.max(group.peak_rss_bytes()),
        }
    }
}

/// The end of a stream. Keeps between one and two times the limit while it grows.
struct Tail {
    bytes: Vec<u8>,
    limit: usize,
    dropped: u64,
}

impl Tail {
    fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, dropped: 0 }
    }

    async fn fill(&mut self, pipe: Option<impl AsyncRead + Unpin>) {
        let Some(mut pipe) = pipe else { return };
        let mut chunk = vec![0; READ_BYTES];
        // A pipe that cannot be read has ended as well.
        while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
            self.bytes.extend_from_slice(&chunk[..count]);
            if self.bytes.len() > self.limit.saturating_mul(2) {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        let surplus = self.bytes.len().saturating_sub(self.limit);
        self.bytes.drain(..surplus);
        self.dropped = self.dropped.saturating_add(surplus as u64);
    }

    fn finish(mut self) -> (String, u64) {
        self.cut();
        (String::from_utf8_lossy(&self.bytes).into_owned(), self.dropped)
    }
}
