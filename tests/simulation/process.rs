//! A helm process: time passes in phases, and at each it can be ended in every way in which a process ends.

use std::{sync::Arc, time::Duration};

use helm_release_operator::helm::Stop;
use tokio::time::{Instant, sleep, sleep_until};

use crate::world::{Name, World};

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
    /// The very last write fails.
    LastWrite,
}

/// Why a process does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// It is gone on the spot, by our own wish or not.
    Dead { ours: bool },
    /// It was told to end, and does so in order.
    Told { clock: bool },
    /// An error of its own. `silent`: the record cannot be written any more.
    Error { text: String, silent: bool },
}

pub fn error<T>(text: impl Into<String>) -> Result<T, Cut> {
    Err(Cut::Error { text: text.into(), silent: false })
}

pub struct Process {
    pub world: Arc<World>,
    pub who: Who,
    pub release: Name,
    stop: Stop,
    ends_in_order: bool,
    deadline: Instant,
    doom: Option<(u64, Doom)>,
    phase: u64,
}

impl Process {
    pub fn new(world: &Arc<World>, who: Who, release: Name, stop: Stop, ends_in_order: bool, wall: Duration) -> Self {
        let doom = {
            let mut state = world.lock();
            let doomed = state.disturbed && state.helm.per_mille(world.settings.helm_faults);
            let rng = &mut state.helm;
            let dooms = [
                Doom::Memory,
                Doom::Memory,
                Doom::Unreachable { silent: false },
                Doom::Unreachable { silent: true },
                Doom::LastWrite,
            ];
            doomed.then(|| (rng.range(0, 6), *rng.pick(&dooms)))
        };
        let deadline = Instant::now() + wall;
        Self { world: Arc::clone(world), who, release, stop, ends_in_order, deadline, doom, phase: 0 }
    }

    pub fn chance(&self, low: u64, high: u64) -> u64 {
        self.world.lock().helm.range(low, high)
    }

    /// Whether the last write of the run goes wrong.
    pub fn last_write_fails(&self) -> bool {
        let fails = matches!(self.doom, Some((_, Doom::LastWrite)));
        if fails {
            self.world.tell(format_args!("helm: {} cannot write its last record", self.release.1));
        }
        fails
    }

    /// Whether chance had a hand in how this ends.
    pub fn is_doomed(&self) -> bool {
        self.doom.is_some()
    }

    /// Works for a while, between `low` and `high` milliseconds.
    pub async fn work(&mut self, low: u64, high: u64) -> Result<(), Cut> {
        let time = self.chance(low, high);
        self.wait(Duration::from_millis(time)).await
    }

    pub async fn wait(&mut self, time: Duration) -> Result<(), Cut> {
        let doomed = self.doom.filter(|(phase, doom)| *phase == self.phase && *doom != Doom::LastWrite);
        self.phase += 1;
        let time = if doomed.is_some() { time / 2 } else { time };
        let (now, gently) = (self.stop.now.clone(), self.stop.gently.clone());
        tokio::select! {
            biased;
            () = now.cancelled() => return Err(Cut::Dead { ours: true }),
            () = gently.cancelled(), if self.ends_in_order => return Err(Cut::Told { clock: false }),
            () = sleep(time) => {}
            () = sleep_until(self.deadline) => {
                return Err(if self.ends_in_order { Cut::Told { clock: true } } else { Cut::Dead { ours: true } });
            }
        }
        if let Who::Operator(number) = self.who {
            // A child dies with the operator that started it.
            self.world.with_operator(number).await;
        }
        match doomed {
            None | Some((_, Doom::LastWrite)) => Ok(()),
            Some((_, Doom::Memory)) => Err(Cut::Dead { ours: false }),
            Some((_, Doom::Unreachable { silent })) => {
                let text = "Kubernetes cluster unreachable: Get \"https://10.0.0.1:443/version\": dial tcp \
                            10.0.0.1:443: connect: connection refused";
                Err(Cut::Error { text: text.to_owned(), silent })
            }
        }
    }
}
