//! The holder's side: one guardian child, told over a pipe what to run.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::ROLE;
use super::guardian::{Report, Run};
use crate::wait;

/// How long the guardian may take to end its components before the holder stops waiting and kills it.
const END_LIMIT: Duration = Duration::from_secs(10);

/// A component to run.
pub(crate) struct Process {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
}

/// The guardian process; dropping it ends the components and waits until they are gone.
pub(crate) struct Guardian {
    child: Child,
    /// Closing it is what ends the guardian.
    orders: Option<ChildStdin>,
    components: Arc<Mutex<BTreeMap<String, State>>>,
    directory: PathBuf,
}

#[derive(Debug, Clone)]
enum State {
    Asked,
    Refused(String),
    Running(u32),
    Over(String),
}

impl Guardian {
    /// Starts the guardian of a directory that exists.
    pub(crate) fn start(directory: &Path) -> io::Result<Self> {
        // Not the holder's standard error: a reader of a harness's output would wait for the guardian as well.
        let log = File::create(directory.join("guardian.log"))?;
        let mut child = Command::new("/proc/self/exe")
            .args([ROLE, "guardian"])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let orders = child.stdin.take();
        let components = Arc::new(Mutex::new(BTreeMap::new()));
        if let Some(reports) = child.stdout.take() {
            let components = Arc::clone(&components);
            std::thread::spawn(move || {
                for line in BufReader::new(reports).lines().map_while(Result::ok) {
                    if let Ok(report) = serde_json::from_str(&line) {
                        note(&components, report);
                    }
                }
            });
        }
        Ok(Self { child, orders, components, directory: directory.to_owned() })
    }

    /// Asks for a component and waits until it is started; one that ends at once was started too.
    pub(crate) fn run(&mut self, process: Process) -> io::Result<()> {
        let Process { name, program, arguments } = process;
        self.lock().insert(name.to_owned(), State::Asked);
        let mut line = serde_json::to_vec(&Run { name: name.to_owned(), program, arguments })?;
        line.push(b'\n');
        let orders = self.orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        orders.write_all(&line)?;
        let answer = wait::until(Duration::from_secs(10), || match self.lock().get(name) {
            Some(State::Running(_) | State::Over(_)) => Some(Ok(())),
            Some(State::Refused(reason)) => Some(Err(io::Error::other(reason.clone()))),
            Some(State::Asked) | None => None,
        });
        answer.unwrap_or_else(|| Err(io::Error::other("the guardian does not answer")))
    }

    /// The first component that has ended, with how it ended.
    pub(crate) fn ended(&self) -> Option<(String, String)> {
        self.lock().iter().find_map(|(name, state)| match state {
            State::Over(reason) => Some((name.clone(), reason.clone())),
            _ => None,
        })
    }

    /// The process ids of the guardian and of the running components, by name.
    pub(crate) fn pids(&self) -> BTreeMap<String, u32> {
        let mut pids = BTreeMap::from([("guardian".to_owned(), self.child.id())]);
        pids.extend(self.lock().iter().filter_map(|(name, state)| match state {
            State::Running(pid) => Some((name.clone(), *pid)),
            _ => None,
        }));
        pids
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, State>> {
        self.components.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.orders.take());
        let begin = Instant::now();
        let gone = wait::until(END_LIMIT, || matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)).then_some(()));
        if gone.is_none() {
            eprintln!("sandbox: the guardian did not end in {} s and is killed", begin.elapsed().as_secs());
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // The guardian removes it; this is for a guardian that was killed.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn note(components: &Mutex<BTreeMap<String, State>>, report: Report) {
    let mut components = components.lock().unwrap_or_else(PoisonError::into_inner);
    match report {
        Report::Started { name, pid } => components.insert(name, State::Running(pid)),
        Report::Refused { name, error } => components.insert(name, State::Refused(error)),
        Report::Ended { name, status } => components.insert(name, State::Over(status)),
    };
}
