//! Three operators, one API server and everything that can come between them, for many seeds.
//!
//! Clocks differ in speed and in their beginning; requests and answers are late, lost, or done after their sender gave
//! up; watches are late and lossy; processes are stopped, killed and told to end; people delete the Lease. The driver
//! here does what [`super::Election`] does, around the same [`View`] and [`decide`].

use std::time::Duration;

use super::decide::{Answer, Holder, Moment, RUN_UNTIL, Step, TERM, View, decide};

/// The grain of the simulation, in milliseconds.
const TICK_MS: u64 = 100;
/// Faults happen for so long; then everything is well until the end.
const STORM_MS: u64 = 240_000;
const END_MS: u64 = STORM_MS + 60_000;
const SEEDS: u64 = 400;
/// Nobody deletes the Lease twice within two terms: whoever hears of neither could not tell.
const DELETED_AGAIN_MS: u64 = 2 * 15_000 + 20_000;

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}

/// A request on its way, as the sender made it.
struct Flight {
    step: Step,
    /// By the sender's clock.
    sent: Moment,
    gives_up: Moment,
    from: usize,
    /// The process that sent it: its successor has another name.
    process: u64,
    /// The version that a write is made for.
    version: u64,
    arrives_ms: u64,
    answer: Option<(u64, Answer)>,
    done: bool,
}

struct Replica {
    /// Thousandths of a second that its clock goes in a second.
    rate: u64,
    offset: Duration,
    process: u64,
    view: View,
    version: u64,
    waiting_for: Option<(Moment, Moment, Step)>,
    stopped_until_ms: u64,
    /// Lost or let go; begins anew then.
    restarts_ms: Option<u64>,
}

impl Replica {
    fn new(dice: &mut Dice, process: u64) -> Self {
        Self {
            rate: 950 + dice.roll(101),
            offset: Duration::from_millis(dice.roll(1_000_000)),
            process,
            view: View::new(),
            version: 0,
            waiting_for: None,
            stopped_until_ms: 0,
            restarts_ms: None,
        }
    }

    fn clock(&self, now_ms: u64) -> Moment {
        self.offset + Duration::from_millis(now_ms * self.rate / 1000)
    }

    /// Whether helm may be running on its behalf. Whoever leaves has seen the end of helm before.
    fn may_run(&self, now_ms: u64) -> bool {
        !self.view.is_leaving() && self.view.renewed().is_some_and(|renewed| self.clock(now_ms) < renewed + RUN_UNTIL)
    }
}

/// The Lease on the server: its version, and the process in it.
#[derive(Clone, Copy)]
struct Stored {
    version: u64,
    holder: Option<u64>,
}

struct World {
    dice: Dice,
    now_ms: u64,
    versions: u64,
    stored: Option<Stored>,
    replicas: Vec<Replica>,
    flights: Vec<Flight>,
    /// News of watches: when, to whom, the version and the Lease then.
    news: Vec<(u64, usize, u64, Option<Stored>)>,
    processes: u64,
    deleted_ms: u64,
    /// How often somebody began to lead.
    gained: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let replicas = (0..3).map(|process| Replica::new(&mut dice, process)).collect();
        Self {
            dice,
            now_ms: 0,
            versions: 1,
            stored: None,
            replicas,
            flights: vec![],
            news: vec![],
            processes: 3,
            deleted_ms: 0,
            gained: 0,
        }
    }

    fn stormy(&self) -> bool {
        self.now_ms < STORM_MS
    }

    fn delay(&mut self) -> u64 {
        match (self.stormy(), self.dice.roll(10)) {
            (true, 0) => self.dice.roll(20_000),
            (true, 1..=3) => self.dice.roll(4_000),
            _ => self.dice.roll(300),
        }
    }

    fn store(&mut self, stored: Option<Stored>) {
        self.stored = stored;
        for to in 0..self.replicas.len() {
            if !(self.stormy() && self.dice.one_in(5)) {
                let at = self.now_ms + self.delay();
                self.news.push((at, to, self.versions, stored));
            }
        }
    }

    fn holder(&self, stored: Stored, replica: usize) -> Holder {
        match stored.holder {
            None => Holder::Nobody,
            Some(process) if process == self.replicas[replica].process => Holder::Us,
            Some(_) => Holder::Other(TERM),
        }
    }

    /// Does what the server does with a request.
    fn serve(&mut self, flight: &Flight) -> Answer {
        let write = |world: &mut Self, holder| {
            world.versions += 1;
            world.store(Some(Stored { version: world.versions, holder }));
            Answer::Written { version: world.versions }
        };
        match (flight.step, self.stored) {
            (Step::Read { .. }, Some(stored)) => {
                Answer::Is { version: stored.version, holder: self.holder(stored, flight.from) }
            }
            (Step::Create { .. }, None) => write(self, Some(flight.process)),
            (Step::Create { .. }, Some(_)) => Answer::Changed,
            (_, None) => Answer::Absent,
            (_, Some(stored)) if stored.version != flight.version => Answer::Changed,
            (Step::Release { .. }, Some(_)) => write(self, None),
            (_, Some(_)) => write(self, Some(flight.process)),
        }
    }

    fn tick(&mut self) {
        self.now_ms += TICK_MS;
        self.carry();
        self.tell();
        for index in 0..self.replicas.len() {
            if self.stormy() {
                self.disturb(index);
            }
            self.act(index);
        }
        let again = self.now_ms - self.deleted_ms > DELETED_AGAIN_MS;
        if self.stormy() && again && self.dice.one_in(600) && self.stored.is_some() {
            self.deleted_ms = self.now_ms;
            self.versions += 1;
            self.store(None);
        }
    }

    /// Requests arrive, answers come back, senders give up.
    fn carry(&mut self) {
        let mut flights = std::mem::take(&mut self.flights);
        for flight in &mut flights {
            if flight.answer.is_none() && self.now_ms >= flight.arrives_ms {
                let answer = self.serve(flight);
                let lost = self.stormy() && self.dice.one_in(12);
                let back = self.now_ms + self.delay();
                flight.answer = Some((if lost { u64::MAX } else { back }, answer));
            }
            let replica = &mut self.replicas[flight.from];
            if flight.process != replica.process || flight.done || self.now_ms < replica.stopped_until_ms {
                continue;
            }
            let clock = replica.clock(self.now_ms);
            let came = flight.answer.filter(|(back, _)| *back <= self.now_ms).map(|(_, answer)| answer);
            let answer = came.or((clock >= flight.gives_up).then_some(Answer::Unclear));
            if let Some(answer) = answer {
                let led = replica.view.renewed().is_some();
                replica.view.answered(flight.step, answer, flight.sent, clock);
                if let Answer::Is { version, .. } | Answer::Written { version } = answer {
                    replica.version = version;
                }
                self.gained += u64::from(!led && replica.view.renewed().is_some());
                replica.waiting_for = None;
                flight.done = true;
            }
        }
        flights.retain(|flight| !flight.done || flight.answer.is_none());
        self.flights.extend(flights);
    }

    fn tell(&mut self) {
        for (at, to, version, stored) in std::mem::take(&mut self.news) {
            if at > self.now_ms || self.now_ms < self.replicas[to].stopped_until_ms {
                self.news.push((at, to, version, stored));
                continue;
            }
            let holder = stored.map(|stored| self.holder(stored, to));
            let replica = &mut self.replicas[to];
            let clock = replica.clock(self.now_ms);
            if replica.view.renewed().is_none() && replica.view.see(version, holder, clock) {
                replica.version = version;
            }
        }
    }

    fn disturb(&mut self, index: usize) {
        let (now, roll) = (self.now_ms, self.dice.roll(9000));
        let long = self.dice.roll(30_000);
        let replica = &mut self.replicas[index];
        match roll {
            0..=9 => replica.stopped_until_ms = now + long,
            10..=14 => self.restart(index),
            // In order: helm has ended before the lease is let go, and so it is here at once.
            15..=19 => replica.view.leave(),
            _ => {}
        }
    }

    fn restart(&mut self, index: usize) {
        self.replicas[index] = Replica::new(&mut self.dice, self.processes);
        self.processes += 1;
        // A watch begins with a list.
        let (at, stored, version) = (self.now_ms + self.delay(), self.stored, self.versions);
        self.news.push((at, index, version, stored));
    }

    fn act(&mut self, index: usize) {
        let now = self.now_ms;
        let replica = &mut self.replicas[index];
        if now < replica.stopped_until_ms || replica.waiting_for.is_some() {
            return;
        }
        if let Some(at) = replica.restarts_ms {
            if now >= at {
                self.restart(index);
            }
            return;
        }
        let clock = replica.clock(now);
        let step = decide(&replica.view, clock);
        let within = match step {
            Step::Wait { .. } => return,
            // helm may go on for two seconds after a loss, so the process stays for three.
            Step::Lost(_) | Step::Done => {
                replica.restarts_ms = Some(now + 3_000);
                return;
            }
            Step::Read { within } | Step::Create { within } | Step::Hold { within } | Step::Release { within } => {
                within
            }
        };
        replica.waiting_for = Some((clock, clock + within, step));
        let (process, version) = (replica.process, replica.version);
        let lost = self.stormy() && self.dice.one_in(12);
        let arrives_ms = if lost { u64::MAX } else { now + self.delay() };
        let (sent, gives_up) = (clock, clock + within);
        let (from, answer, done) = (index, None, false);
        self.flights.push(Flight { step, sent, gives_up, from, process, version, arrives_ms, answer, done });
    }

    fn leaders(&self) -> Vec<u64> {
        let may_run = self.replicas.iter().filter(|replica| replica.may_run(self.now_ms));
        may_run.map(|replica| replica.process).collect()
    }
}

#[test]
fn at_no_moment_may_two_operators_run_helm_and_in_calm_one_does() {
    let mut gained = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for index in 0..3 {
            world.restart(index);
        }
        while world.now_ms < END_MS {
            world.tick();
            let leaders = world.leaders();
            assert!(leaders.len() < 2, "seed {seed}, {} ms: {leaders:?} may all run helm", world.now_ms);
        }
        assert_eq!(world.leaders().len(), 1, "seed {seed}: somebody leads after a minute without faults");
        gained += world.gained;
    }
    assert!(gained > SEEDS * 4, "leadership has to change for this to mean anything: {gained}");
}
