//! Nothing outlives its holder, however the holder ends.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime};

use libtest_mimic::Failed;
use rustix::process::{Pid, Signal};
use sandbox::tools::Progress;
use sandbox::{Components, Options, Sandbox, wait};

use super::Test;

/// The argument that makes this program hold a light sandbox instead of testing.
pub(crate) const HOLDER: &str = "hold-a-sandbox";

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("killed_holder_leaves_nothing", |_| held_until(|holder, _| signal(holder.id(), Signal::KILL))),
    ("interrupted_holder_leaves_nothing", |_| held_until(|holder, _| signal(holder.id(), Signal::INT))),
    ("terminated_holder_leaves_nothing", |_| held_until(|holder, _| signal(holder.id(), Signal::TERM))),
    ("holder_that_drops_leaves_nothing", |_| held_until(|holder, _| drop(holder.stdin.take()))),
    ("killed_guardian_takes_its_components_along", killed_guardian_takes_its_components_along),
    ("folder_that_nobody_removed_is_swept_by_the_next_start", folder_that_nobody_removed_is_swept_by_the_next_start),
    ("component_that_does_not_start_is_named_with_its_log", component_that_does_not_start_is_named_with_its_log),
];

/// Holds a sandbox until standard input ends; a panic is one more way of ending.
pub(crate) fn hold() -> ExitCode {
    let options = Options { components: Components::Etcd, progress: Progress::silent() };
    let sandbox = match Sandbox::start(options) {
        Ok(sandbox) => sandbox,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", sandbox.directory().display());
    println!("{}", serde_json::to_string(&sandbox.pids()).unwrap_or_default());
    let _ = std::io::stdin().lines().next();
    panic!("this panic is a part of a test");
}

/// A child process that holds a sandbox, with what it said about it.
struct Held {
    holder: Child,
    directory: PathBuf,
    pids: BTreeMap<String, u32>,
}

impl Held {
    fn start() -> Result<Self, Failed> {
        let mut command = holder()?;
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let output = holder.stdout.take().ok_or("the holder has no output")?;
        let mut lines = BufReader::new(output).lines();
        let mut next = || lines.next().ok_or("the holder ended early");
        let directory = PathBuf::from(next()??);
        let pids: BTreeMap<String, u32> = serde_json::from_str(&next()??)?;
        if pids.len() != 2 || !pids.values().copied().all(lives) || !directory.exists() {
            return Err(format!("not held: {pids:?} in {}", directory.display()).into());
        }
        Ok(Self { holder, directory, pids })
    }

    /// Succeeds when no process and no file is left in time.
    fn vanishes(&mut self) -> Result<(), Failed> {
        let _ = self.holder.wait();
        let gone = wait::until(Duration::from_secs(10), || {
            (!self.pids.values().copied().any(lives) && !self.directory.exists()).then_some(())
        });
        let left: Vec<_> = self.pids.iter().filter(|(_, pid)| lives(**pid)).collect();
        gone.ok_or_else(|| format!("left: {left:?}, folder: {}", self.directory.exists()).into())
    }
}

fn holder() -> Result<Command, Failed> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(HOLDER);
    Ok(command)
}

fn held_until(end: impl FnOnce(&mut Child, &BTreeMap<String, u32>)) -> Result<(), Failed> {
    let mut held = Held::start()?;
    end(&mut held.holder, &held.pids);
    held.vanishes()
}

fn killed_guardian_takes_its_components_along(_: &Sandbox) -> Result<(), Failed> {
    let mut held = Held::start()?;
    signal(held.pids["guardian"], Signal::KILL);
    wait::until(Duration::from_secs(10), || (!lives(held.pids["etcd"])).then_some(()))
        .ok_or("etcd lives without its guardian")?;
    // The holder still removes the folder.
    drop(held.holder.stdin.take());
    held.vanishes()
}

fn folder_that_nobody_removed_is_swept_by_the_next_start(_: &Sandbox) -> Result<(), Failed> {
    let mut held = Held::start()?;
    signal(held.pids["guardian"], Signal::KILL);
    signal(held.holder.id(), Signal::KILL);
    held.holder.wait()?;
    let lock = fs::File::options().write(true).open(held.directory.join("holder.lock"))?;
    lock.set_modified(SystemTime::now() - Duration::from_secs(3600))?;
    held_until(|holder, _| drop(holder.stdin.take()))?;
    held.vanishes()
}

fn component_that_does_not_start_is_named_with_its_log(_: &Sandbox) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let fake = folder.path().join("etcd");
    fs::write(&fake, "#!/bin/sh\necho 'the last words of etcd'\nexit 7\n")?;
    fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let output = holder()?.env("SANDBOX_ETCD", &fake).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = ["etcd ended", "exit status: 7", "the last words of etcd"].iter().all(|part| text.contains(part));
    if told { Ok(()) } else { Err(format!("not told: {text}").into()) }
}

/// Tells whether the process runs; one that has ended and only waits to be reaped does not.
fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}
