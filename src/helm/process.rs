//! Processes: one thread that starts them all, one that waits for each, and no way to forget either.
//!
//! The parent-death signal of [`super::leash`] follows the *thread* that started the child. A thread of an async
//! runtime may end at any time, hence the spawner. The waiter owns the child until it is reaped, so that a dropped
//! future leaves neither a running helm nor a zombie nor a directory.

use std::{
    ffi::OsString,
    fs,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};
use tokio::sync::oneshot;

use super::{HelmError, workspace::Workspace};

/// The waiter calls four functions; the default stack of 2 MiB would be address space for nothing.
const WAITER_STACK_BYTES: usize = 128 * 1024;
/// Ticks a second in `/proc/PID/stat`. Fixed by Linux for user space, whatever the kernel's own clock.
const TICKS_PER_SECOND: u64 = 100;

/// What is to be started.
pub(super) struct Order {
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    /// All of it: the operator's own environment is not passed on.
    pub(super) environment: Vec<(&'static str, OsString)>,
    pub(super) directory: Option<PathBuf>,
    /// Whether stdin is written to; it is empty otherwise.
    pub(super) fed: bool,
}

/// How many processes were started and are there.
#[derive(Debug, Default)]
struct Counts {
    started: AtomicU64,
    running: AtomicUsize,
}

/// What is to be started, and the directory that lives as long as it.
pub(super) type Prepared = Result<(Order, Option<Workspace>), HelmError>;
pub(super) type Prepare = Box<dyn FnOnce() -> Prepared + Send>;

struct Job {
    prepare: Prepare,
    reply: oneshot::Sender<Result<Started, HelmError>>,
}

/// The thread that starts processes. It ends when this value is dropped, and the kernel ends leashed children with it.
#[derive(Debug)]
pub(super) struct Spawner {
    jobs: mpsc::Sender<Job>,
    counts: Arc<Counts>,
}

impl Spawner {
    pub(super) fn start() -> Result<Self, HelmError> {
        let counts = Arc::new(Counts::default());
        let (jobs, queue) = mpsc::channel::<Job>();
        let counted = Arc::clone(&counts);
        thread::Builder::new()
            .name("helm-spawner".into())
            .spawn(move || serve(&queue, &counted))
            .map_err(|source| HelmError::Spawn { program: "helm-spawner".into(), source })?;
        Ok(Self { jobs, counts })
    }

    /// Starts what `prepare` orders. Both happen on the spawner's thread, which may block. The workspace lives as long
    /// as the process.
    pub(super) async fn spawn(&self, prepare: Prepare) -> Result<Started, HelmError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job { prepare, reply }).map_err(|_| HelmError::SpawnerGone)?;
        answer.await.map_err(|_| HelmError::SpawnerGone)?
    }

    /// Processes started since the beginning.
    pub(super) fn started(&self) -> u64 {
        self.counts.started.load(Ordering::Relaxed)
    }

    /// Processes that are not reaped yet.
    pub(super) fn running(&self) -> usize {
        self.counts.running.load(Ordering::Relaxed)
    }
}

fn serve(queue: &mpsc::Receiver<Job>, counts: &Arc<Counts>) {
    for job in queue {
        // Nobody waits any more: do not start what would be killed at once.
        if job.reply.is_closed() {
            continue;
        }
        let started = (job.prepare)().and_then(|(order, workspace)| start(order, workspace, counts));
        // A process whose starter has just gone is killed by the drop of `Started`.
        let _ = job.reply.send(started);
    }
}

/// A process that was started, to be attended. Dropping it kills the whole process group.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
    pub(super) group: KillOnDrop,
    pub(super) ended: oneshot::Receiver<Ending>,
}

/// What the waiter saw.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    /// `None` if the kernel did not tell.
    pub(super) status: Option<ExitStatus>,
    pub(super) cpu: Option<Duration>,
}

fn start(order: Order, workspace: Option<Workspace>, counts: &Arc<Counts>) -> Result<Started, HelmError> {
    let Order { program, args, environment, directory, fed } = order;
    let mut command = Command::new(&program);
    command.args(args).env_clear().envs(environment).process_group(0);
    command.stdin(if fed { Stdio::piped() } else { Stdio::null() }).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(directory) = directory {
        command.current_dir(directory);
    }
    // Counted first: no process is ever there that is not counted, not even in its first moment.
    counts.started.fetch_add(1, Ordering::Relaxed);
    counts.running.fetch_add(1, Ordering::Relaxed);
    let mut child = command.spawn().map_err(|source| {
        counts.started.fetch_sub(1, Ordering::Relaxed);
        counts.running.fetch_sub(1, Ordering::Relaxed);
        HelmError::Spawn { program: program.clone(), source }
    })?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());

    let group = Arc::new(Group { leader: Pid::from_child(&child), reaped: Mutex::new(false) });
    let (done, ended) = oneshot::channel();
    let waiter = Waiter { child, group: Arc::clone(&group), counts: Arc::clone(counts), workspace, ending: None };
    thread::Builder::new()
        .name("helm-waiter".into())
        .stack_size(WAITER_STACK_BYTES)
        .spawn(move || {
            let _ = done.send(waiter.wait());
        })
        // The closure is dropped, and with it the waiter, which kills and reaps.
        .map_err(|source| HelmError::Spawn { program, source })?;
    Ok(Started { stdin, stdout, stderr, group: KillOnDrop(group), ended })
}

/// A process group, named by its leader for as long as the leader is not reaped and its number not used again.
#[derive(Debug)]
pub(super) struct Group {
    leader: Pid,
    reaped: Mutex<bool>,
}

impl Group {
    /// Signals every process of the group; none any more is fine.
    pub(super) fn signal(&self, signal: Signal) {
        if !*self.reaped() {
            let _ = kill_process_group(self.leader, signal);
        }
    }

    /// The most memory that the leader has held so far.
    pub(super) fn peak_rss_bytes(&self) -> Option<u64> {
        let reaped = self.reaped();
        if *reaped {
            return None;
        }
        let status = fs::read_to_string(format!("/proc/{}/status", self.leader.as_raw_nonzero())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    }

    fn reaped(&self) -> MutexGuard<'_, bool> {
        self.reaped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct KillOnDrop(Arc<Group>);

impl std::ops::Deref for KillOnDrop {
    type Target = Group;

    fn deref(&self) -> &Group {
        &self.0
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.signal(Signal::KILL);
    }
}

/// Owns a child until it is reaped.
struct Waiter {
    child: Child,
    group: Arc<Group>,
    counts: Arc<Counts>,
    workspace: Option<Workspace>,
    ending: Option<Ending>,
}

impl Waiter {
    fn wait(mut self) -> Ending {
        // Without reaping: as long as the leader is a zombie, its number names its group and nobody else's.
        while let Err(Errno::INTR) =
            waitid(WaitId::Pid(self.group.leader), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        {}
        self.reap()
    }

    /// Ends what is left of the group, and lets the leader go.
    fn reap(&mut self) -> Ending {
        if let Some(ending) = self.ending {
            return ending;
        }
        let cpu = cpu_time(self.group.leader);
        let mut reaped = self.group.reaped();
        let _ = kill_process_group(self.group.leader, Signal::KILL);
        let ending = Ending { status: self.child.wait().ok(), cpu };
        *reaped = true;
        drop(reaped);
        // Before the end is told: whoever hears of it finds the directory gone.
        drop(self.workspace.take());
        self.counts.running.fetch_sub(1, Ordering::Relaxed);
        self.ending = Some(ending);
        ending
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.reap();
    }
}

/// CPU time of a process that has ended and is not reaped: the kernel keeps it in the zombie.
fn cpu_time(pid: Pid) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The second field is the program's name in parentheses, which may hold anything.
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()?.checked_add(fields.next()?.parse().ok()?)?;
    Some(Duration::from_millis(ticks.checked_mul(1000 / TICKS_PER_SECOND)?))
}
