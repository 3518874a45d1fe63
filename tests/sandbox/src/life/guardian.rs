//! The guardian process: starts components when told, reports the ones that end, and ends them all with its holder.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

use super::leashed;

/// How long components may take to end after the terminate signal before they are killed.
const GRACE: Duration = Duration::from_millis(700);

/// What the holder asks of the guardian: to run one program.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) name: String,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
}

/// What the guardian tells its holder.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    Started { name: String, pid: u32 },
    Refused { name: String, error: String },
    Ended { name: String, status: String },
}

struct Component {
    name: String,
    child: Child,
    /// Becomes readable when the process ends, so that the guardian sleeps until something happens.
    pidfd: OwnedFd,
}

struct Guard {
    directory: PathBuf,
    components: Vec<Component>,
    /// Bytes read from the holder that are not yet a whole line.
    pending: Vec<u8>,
}

/// Runs until the holder is gone; the one argument is the directory, which the guardian removes at its end.
pub(super) fn run(arguments: &[OsString]) -> i32 {
    let [directory] = arguments else {
        return 64;
    };
    // Fails only for a process that already leads a group, which a fresh child does not.
    let _ = rustix::process::setsid();
    let mut guard = Guard { directory: directory.into(), components: Vec::new(), pending: Vec::new() };
    let outcome = guard.serve();
    guard.end();
    i32::from(outcome.is_err())
}

impl Guard {
    /// Serves until the end of standard input.
    fn serve(&mut self) -> io::Result<()> {
        loop {
            if self.wait()? && !self.read()? {
                return Ok(());
            }
            let mut ended = Vec::new();
            self.components.retain_mut(|component| match component.child.try_wait() {
                Ok(Some(status)) => {
                    ended.push((component.name.clone(), status.to_string()));
                    false
                }
                _ => true,
            });
            for (name, status) in ended {
                report(&Report::Ended { name, status })?;
            }
        }
    }

    /// Waits until the holder speaks or a component ends; true when it is the holder.
    fn wait(&self) -> io::Result<bool> {
        let stdin = io::stdin();
        let mut waited = vec![PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
        waited.extend(self.components.iter().map(|one| PollFd::new(&one.pidfd, PollFlags::IN)));
        match rustix::event::poll(&mut waited, None) {
            Ok(_) => Ok(!waited[0].revents().is_empty()),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads what there is and obeys whole lines; false at the end of the input.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        // `Stdin` would buffer lines that `poll` then does not show, hence the raw descriptor.
        let count = rustix::io::read(io::stdin().as_fd(), &mut buffer)?;
        self.pending.extend_from_slice(&buffer[..count]);
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            self.obey(serde_json::from_slice(&line)?)?;
        }
        Ok(count > 0)
    }

    fn obey(&mut self, run: Run) -> io::Result<()> {
        let name = run.name.clone();
        match self.start(run) {
            Ok(pid) => report(&Report::Started { name, pid }),
            Err(error) => report(&Report::Refused { name, error: error.to_string() }),
        }
    }

    fn start(&mut self, run: Run) -> io::Result<u32> {
        let log = File::options().create(true).append(true).open(self.directory.join(format!("{}.log", run.name)))?;
        let child = leashed(&run.program)
            .args(&run.arguments)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let pid = child.id();
        let pidfd = rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        self.components.push(Component { name: run.name, child, pidfd });
        Ok(pid)
    }

    /// Ends and reaps every component, then removes the directory.
    fn end(&mut self) {
        for component in &self.components {
            let _ = rustix::process::kill_process(Pid::from_child(&component.child), Signal::TERM);
        }
        let deadline = Instant::now() + GRACE;
        for component in &mut self.components {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) };
            let _ = rustix::event::poll(&mut [PollFd::new(&component.pidfd, PollFlags::IN)], Some(&timeout));
            let _ = component.child.kill();
            let _ = component.child.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Writes one line for the holder.
fn report(report: &Report) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    let mut stdout = io::stdout();
    stdout.write_all(&line)?;
    stdout.flush()
}
