//! A helm process: time passes in phases, and at each it can be ended in every way in which a process ends.

use std::{sync::Arc, time::Duration};

use helm_release_operator::helm::Stop;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{
    behaviours::{Loss, Write},
    records::Record,
    world::{Name, NoNamespace, World},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Operator(u64),
    Stranger,
}

/// What chance has in mind for a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doom {
    /// The kernel kills it.
    Memory,
    /// The API server is not reached any more. `silent`: not even to say so in the record.
    Unreachable { silent: bool },
    /// One write goes wrong.
    Write(Write, Loss),
}

/// Who ends a process on the spot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Operator,
    Clock,
    Kernel,
    /// By SIGTERM, for which it has no handler.
    Somebody,
}

/// Why a process does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// It is gone on the spot.
    Dead { by: By },
    /// It was told to end, and does so in order.
    Told { clock: bool },
    /// An error of its own. `silent`: the record cannot be written any more.
    Error { text: String, silent: bool },
}

pub fn error<T>(text: impl Into<String>) -> Result<T, Cut> {
    Err(Cut::Error { text: text.into(), silent: false })
}

/// What is to be known of a helm process from outside.
#[derive(Debug, Default)]
pub struct Latest {
    /// It has read its chart, and has written nothing yet.
    pub loaded: bool,
    /// Somebody who is not the operator sends it SIGTERM.
    pub struck: CancellationToken,
}

pub struct Process {
    pub world: Arc<World>,
    pub who: Who,
    pub release: Name,
    stop: Stop,
    struck: CancellationToken,
    ends_in_order: bool,
    /// It takes notice of being told to end.
    listens: bool,
    deadline: Instant,
    doom: Option<(u64, Doom)>,
    phase: u64,
}

impl Process {
    pub fn new(world: &Arc<World>, who: Who, release: Name, stop: Stop, ends_in_order: bool, wall: Duration) -> Self {
        let latest = Latest::default();
        let struck = latest.struck.clone();
        let doom = {
            let mut state = world.lock();
            state.latest = latest;
            let doomed = state.disturbed && state.helm.per_mille(world.settings.helm_faults);
            let rng = &mut state.helm;
            let dooms = [
                Doom::Memory,
                Doom::Memory,
                Doom::Unreachable { silent: false },
                Doom::Unreachable { silent: true },
                Doom::Write(Write::Own, Loss::Refused),
                Doom::Write(Write::Own, Loss::Done),
                Doom::Write(Write::First, Loss::Refused),
                Doom::Write(Write::First, Loss::Done),
                Doom::Write(Write::Superseding, Loss::Refused),
                Doom::Write(Write::Object, Loss::Refused),
                Doom::Write(Write::Purge, Loss::Refused),
            ];
            doomed.then(|| (rng.range(0, 6), *rng.pick(&dooms)))
        };
        let deadline = Instant::now() + wall;
        let listens = true;
        Self { world: Arc::clone(world), who, release, stop, struck, ends_in_order, listens, deadline, doom, phase: 0 }
    }

    pub fn chance(&self, low: u64, high: u64) -> u64 {
        self.world.lock().helm.range(low, high)
    }

    /// How such a write goes wrong: once where a story says so, each time where chance does.
    fn loses(&self, write: Write) -> Option<Loss> {
        let mut state = self.world.lock();
        let told = state.broken.take_if(|(which, _)| *which == write).map(|(_, loss)| loss);
        let doomed = match self.doom {
            Some((_, Doom::Write(which, loss))) if which == write => Some(loss),
            _ => None,
        };
        told.or(doomed)
    }

    /// Makes a write, or does not; the error is what helm hears.
    fn try_to(&self, write: Write, make: impl FnOnce()) -> Result<(), Cut> {
        let loss = self.loses(write);
        if loss != Some(Loss::Refused) {
            make();
        }
        let Some(loss) = loss else { return Ok(()) };
        self.world.tell(format_args!("helm: {} has lost a write: {write:?} {loss:?}", self.release.1));
        error("etcdserver: request timed out")
    }

    /// Creates the record of a new revision.
    pub fn create(&self, record: &Record) -> Result<(), Cut> {
        let no_namespace = self.world.lock().no_namespace;
        match no_namespace {
            Some(NoNamespace::Gone) => {
                return error(format!("create: failed to create: namespaces {:?} not found", self.release.0));
            }
            Some(NoNamespace::Going) => {
                return error(format!(
                    "namespace {:?} is not to be used because it is being terminated",
                    self.release.0
                ));
            }
            None => {}
        }
        let mut made = Ok(());
        self.try_to(Write::First, || made = record.create(&self.world, &self.release).map(drop))?;
        if made.is_err() { error("release: already exists") } else { Ok(()) }
    }

    /// Writes a record that is there.
    pub fn write(&self, which: Write, record: &mut Record, status: &str, description: &str) -> Result<(), Cut> {
        let (world, release) = (&self.world, &self.release);
        self.try_to(which, || record.update(world, release, status, description))
    }

    pub fn purge(&self, record: &Record) -> Result<(), Cut> {
        self.try_to(Write::Purge, || record.remove(&self.world, &self.release))
    }

    /// Whether the objects can be written.
    pub fn may_touch_objects(&self) -> Result<(), Cut> {
        self.try_to(Write::Object, || {})
    }

    /// Whether chance had a hand in how this ends.
    pub fn is_doomed(&self) -> bool {
        self.doom.is_some()
    }

    /// Reads what it is given, then renders and compares. Told to end before its record is there, an install or upgrade
    /// writes it first, so that it can say that it failed; a signal that comes while the chart is read ends it.
    pub async fn prepare(&mut self) -> Result<(), Cut> {
        self.work(20, 200).await?;
        self.world.lock().latest.loaded = true;
        self.deaf(30, 400).await
    }

    /// Works for a while and takes no notice of being told to end until that is over.
    pub async fn deaf(&mut self, low: u64, high: u64) -> Result<(), Cut> {
        self.listens = false;
        let done = self.work(low, high).await;
        self.listens = true;
        done
    }

    /// Works for a while, between `low` and `high` milliseconds.
    pub async fn work(&mut self, low: u64, high: u64) -> Result<(), Cut> {
        let time = self.chance(low, high);
        self.wait(Duration::from_millis(time)).await
    }

    pub async fn wait(&mut self, time: Duration) -> Result<(), Cut> {
        let doomed = self.doom.filter(|(phase, doom)| *phase == self.phase && !matches!(doom, Doom::Write(..)));
        self.phase += 1;
        let time = if doomed.is_some() { time / 2 } else { time };
        let (now, gently) = (self.stop.now.clone(), self.stop.gently.clone());
        let struck = self.struck.clone();
        tokio::select! {
            biased;
            () = now.cancelled() => return Err(Cut::Dead { by: By::Operator }),
            () = struck.cancelled() => return Err(Cut::Dead { by: By::Somebody }),
            () = gently.cancelled(), if self.ends_in_order && self.listens => return Err(Cut::Told { clock: false }),
            () = sleep(time) => {}
            () = sleep_until(self.deadline), if self.listens || !self.ends_in_order => {
                return Err(if self.ends_in_order { Cut::Told { clock: true } } else { Cut::Dead { by: By::Clock } });
            }
        }
        if let Who::Operator(number) = self.who {
            // A child dies with the operator that started it.
            self.world.with_operator(number).await;
        }
        match doomed {
            None | Some((_, Doom::Write(..))) => Ok(()),
            Some((_, Doom::Memory)) => Err(Cut::Dead { by: By::Kernel }),
            Some((_, Doom::Unreachable { silent })) => {
                let text = "Kubernetes cluster unreachable: Get \"https://10.0.0.1:443/version\": dial tcp \
                            10.0.0.1:443: connect: connection refused";
                Err(Cut::Error { text: text.to_owned(), silent })
            }
        }
    }
}
