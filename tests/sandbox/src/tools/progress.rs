//! Telling what is being built: a ticking line on a terminal, a line every half minute elsewhere.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Between two lines where nobody watches a line tick, as in a log of CI.
const QUIET_INTERVAL: Duration = Duration::from_secs(30);

/// Where the progress of [`super::ensure`] goes.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    audible: bool,
    terminal: bool,
}

/// One tool that is being built.
pub(super) struct Step<'a> {
    progress: &'a Progress,
    tool: &'static str,
    position: usize,
    count: usize,
    begin: Instant,
    last: Cell<Option<(Instant, &'static str)>>,
}

impl Progress {
    /// Tells on standard error.
    pub fn stderr() -> Self {
        Self { audible: true, terminal: std::io::stderr().is_terminal() }
    }

    /// Tells nothing.
    pub fn silent() -> Self {
        Self { audible: false, terminal: false }
    }

    pub(super) fn step(&self, tool: &'static str, position: usize, count: usize) -> Step<'_> {
        Step { progress: self, tool, position, count, begin: Instant::now(), last: Cell::new(None) }
    }
}

impl Step<'_> {
    /// Tells what happens now; called often, written as often as it helps.
    pub(super) fn tell(&self, what: &'static str) {
        let now = Instant::now();
        let due = self.last.get().is_none_or(|(last, said)| {
            said != what
                || now.duration_since(last)
                    >= if self.progress.terminal { Duration::from_secs(1) } else { QUIET_INTERVAL }
        });
        if due {
            self.last.set(Some((now, what)));
            self.write(what, false);
        }
    }

    /// Tells that the tool is there.
    pub(super) fn done(&self) {
        self.write("ready", true);
    }

    fn write(&self, what: &str, last: bool) {
        if !self.progress.audible {
            return;
        }
        let Self { tool, position, count, .. } = self;
        let line = format!("sandbox: {tool} ({position} of {count}) {what}, {} s", self.begin.elapsed().as_secs());
        let mut stderr = std::io::stderr().lock();
        // Progress that cannot be written is no reason to stop.
        let _ = match (self.progress.terminal, last) {
            (true, false) => write!(stderr, "\r\x1b[K{line}"),
            (true, true) => writeln!(stderr, "\r\x1b[K{line}"),
            (false, _) => writeln!(stderr, "{line}"),
        };
    }
}
