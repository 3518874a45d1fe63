//! Who may run helm, who waits, and what came of it: plain data behind one lock that is never held over an await.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    plan::Priority,
    release::{Flight, Outcome},
    types::ObjectKey,
};

/// Called with the key of an object whose place on the board has changed.
pub type Waker = Box<dyn Fn(&ObjectKey) + Send + Sync>;

/// How many runs there may be.
#[derive(Debug, Clone, Copy)]
pub struct Slots {
    /// Runs that compute: one and a half to two for each core; more make all of them slower.
    pub computing: usize,
    /// Runs whose chart has hooks: they wait more than they compute, and are bounded by memory.
    pub waiting: usize,
}

/// A stop handle of a run: the board knows that it can be ended, not how.
pub trait Halt: Send {
    /// In order, and not in the middle of what is better brought to its end.
    fn when_fit(&self);
    /// In order, where the run has a way to.
    fn gently(&self);
    /// At once.
    fn now(&self);
}

enum Seat {
    Queued { priority: Priority, ticket: u64, hooks: bool },
    Granted { hooks: bool },
    Running(Run),
    Ended(Outcome),
}

struct Run {
    operation: Box<str>,
    hooks: bool,
    cancelled: bool,
    /// The object is gone: nobody will take note of the outcome.
    orphan: bool,
    halt: Box<dyn Halt>,
}

#[derive(Default)]
struct Inner {
    seats: BTreeMap<ObjectKey, Seat>,
    tickets: u64,
    closed: bool,
}

/// The board.
pub struct Board {
    inner: Mutex<Inner>,
    slots: Slots,
    waker: Waker,
}

/// Numbers for metrics and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Occupancy {
    pub queued: usize,
    pub granted: usize,
    pub running: usize,
    pub ended: usize,
}

impl Board {
    pub fn new(slots: Slots, waker: Waker) -> Self {
        Self { inner: Mutex::default(), slots, waker }
    }

    /// A panic elsewhere leaves consistent data: every method changes it in one step.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, keys: &[ObjectKey]) {
        for key in keys {
            (self.waker)(key);
        }
    }

    /// Where an object stands.
    pub fn flight(&self, key: &ObjectKey) -> Flight {
        match self.lock().seats.get(key) {
            None => Flight::Idle,
            Some(Seat::Queued { .. }) => Flight::Queued,
            Some(Seat::Granted { .. }) => Flight::Granted,
            Some(Seat::Running(run)) => Flight::Running { operation: run.operation.clone(), cancelled: run.cancelled },
            Some(Seat::Ended(outcome)) => Flight::Ended(outcome.clone()),
        }
    }

    /// Queues for the pool of runs with hooks, or for the other. A place that is there already gets the more urgent
    /// priority. `true` when the slot is granted at once, which wakes nobody.
    #[must_use]
    pub fn ask(&self, key: &ObjectKey, priority: Priority, hooks: bool) -> bool {
        let mut inner = self.lock();
        let ticket = inner.tickets;
        inner.tickets += 1;
        match inner.seats.get_mut(key) {
            Some(Seat::Queued { priority: known, hooks: pool, .. }) => {
                *known = (*known).min(priority);
                *pool = hooks;
            }
            Some(Seat::Granted { .. } | Seat::Running(_) | Seat::Ended(_)) => {}
            None => {
                inner.seats.insert(key.clone(), Seat::Queued { priority, ticket, hooks });
            }
        }
        let mut granted = inner.grant(self.slots);
        drop(inner);
        let others = granted.len();
        granted.retain(|other| other != key);
        self.wake(&granted);
        granted.len() < others
    }

    /// Gives back a place in the queue or a slot that is not used.
    pub fn withdraw(&self, key: &ObjectKey) {
        let mut inner = self.lock();
        if matches!(inner.seats.get(key), Some(Seat::Queued { .. } | Seat::Granted { .. })) {
            inner.seats.remove(key);
        }
        let granted = inner.grant(self.slots);
        drop(inner);
        self.wake(&granted);
    }

    /// Uses a slot. `false` when there is none: the board was closed, or the grant is gone.
    #[must_use]
    pub fn start(&self, key: &ObjectKey, operation: &str, hooks: bool, halt: Box<dyn Halt>) -> bool {
        let mut inner = self.lock();
        if inner.closed || !matches!(inner.seats.get(key), Some(Seat::Granted { .. })) {
            return false;
        }
        let run = Run { operation: operation.into(), hooks, cancelled: false, orphan: false, halt };
        inner.seats.insert(key.clone(), Seat::Running(run));
        // A run with hooks sits in the other pool: its slot is free at once.
        let granted = inner.grant(self.slots);
        drop(inner);
        self.wake(&granted);
        true
    }

    /// Moves a run to the pool that it belongs to: what was asked for is a guess where the chart is not at hand, as
    /// for a rollback, a removal, a second attempt and everything after a restart. A seat that gets free is granted.
    pub fn reseat(&self, key: &ObjectKey, hooks: bool) {
        let mut inner = self.lock();
        if let Some(Seat::Running(run)) = inner.seats.get_mut(key) {
            run.hooks = hooks;
        }
        let granted = inner.grant(self.slots);
        drop(inner);
        self.wake(&granted);
    }

    /// Puts the outcome of a run on the board, where it stays until it is acknowledged.
    pub fn end(&self, key: &ObjectKey, outcome: Outcome) {
        let mut inner = self.lock();
        if matches!(inner.seats.get(key), Some(Seat::Running(Run { orphan: true, .. }))) {
            inner.seats.remove(key);
        } else {
            inner.seats.insert(key.clone(), Seat::Ended(outcome));
        }
        let mut woken = inner.grant(self.slots);
        drop(inner);
        woken.push(key.clone());
        self.wake(&woken);
    }

    /// Forgets an outcome: status tells of it now.
    pub fn acknowledge(&self, key: &ObjectKey, operation: &str) {
        let mut inner = self.lock();
        if matches!(inner.seats.get(key), Some(Seat::Ended(outcome)) if *outcome.operation == *operation) {
            inner.seats.remove(key);
        }
    }

    /// The object is gone: nobody will take note of an outcome. A run goes on to its end.
    pub fn forget(&self, key: &ObjectKey) {
        let mut inner = self.lock();
        if let Some(Seat::Running(run)) = inner.seats.get_mut(key) {
            run.orphan = true;
        } else {
            inner.seats.remove(key);
        }
        let granted = inner.grant(self.slots);
        drop(inner);
        self.wake(&granted);
    }

    /// Ends a run in order, as soon as that does no harm.
    pub fn cancel(&self, key: &ObjectKey) {
        if let Some(Seat::Running(run)) = self.lock().seats.get_mut(key) {
            run.cancelled = true;
            run.halt.when_fit();
        }
    }

    /// Grants nothing any more. Whoever waits is forgotten; runs go on.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.seats.retain(|_, seat| matches!(seat, Seat::Running(_) | Seat::Ended(_)));
    }

    /// Ends all runs: in order, or at once.
    pub fn halt(&self, at_once: bool) {
        for seat in self.lock().seats.values_mut() {
            if let Seat::Running(run) = seat {
                run.cancelled = true;
                if at_once {
                    run.halt.now();
                } else {
                    run.halt.gently();
                }
            }
        }
    }

    pub fn occupancy(&self) -> Occupancy {
        let mut count = Occupancy::default();
        for seat in self.lock().seats.values() {
            match seat {
                Seat::Queued { .. } => count.queued += 1,
                Seat::Granted { .. } => count.granted += 1,
                Seat::Running(_) => count.running += 1,
                Seat::Ended(_) => count.ended += 1,
            }
        }
        count
    }
}

impl Inner {
    /// Hands out free slots. One grant is given ahead of a free slot, so that the intent of the next run is written
    /// while the run before it ends; who starts without a slot waits for one in its own task.
    fn grant(&mut self, slots: Slots) -> Vec<ObjectKey> {
        let mut granted = Vec::new();
        while !self.closed {
            let Some((key, hooks)) = self.next(self.has_room(slots, false), self.has_room(slots, true)) else { break };
            self.seats.insert(key.clone(), Seat::Granted { hooks });
            granted.push(key);
        }
        granted
    }

    fn has_room(&self, slots: Slots, pool: bool) -> bool {
        let busy = self.seats.values().filter(|seat| match seat {
            Seat::Granted { hooks } => *hooks == pool,
            Seat::Running(run) => run.hooks == pool,
            Seat::Queued { .. } | Seat::Ended(_) => false,
        });
        busy.count() <= if pool { slots.waiting } else { slots.computing }
    }

    /// The most urgent of the pools that have room; among equals from the namespace with the fewest at work, then who
    /// came first.
    fn next(&self, computing: bool, waiting: bool) -> Option<(ObjectKey, bool)> {
        let mut at_work: BTreeMap<&str, usize> = BTreeMap::new();
        for (key, seat) in &self.seats {
            if matches!(seat, Seat::Granted { .. } | Seat::Running(_)) {
                *at_work.entry(&key.namespace).or_default() += 1;
            }
        }
        self.seats
            .iter()
            .filter_map(|(key, seat)| match seat {
                Seat::Queued { priority, ticket, hooks } if (*hooks && waiting) || (!*hooks && computing) => {
                    let load = at_work.get(&*key.namespace).copied().unwrap_or(0);
                    Some(((*priority, load, *ticket), key, *hooks))
                }
                Seat::Queued { .. } | Seat::Granted { .. } | Seat::Running(_) | Seat::Ended(_) => None,
            })
            .min_by_key(|(rank, ..)| *rank)
            .map(|(_, key, hooks)| (key.clone(), hooks))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::release::Ended;

    struct Deaf;

    impl Halt for Deaf {
        fn when_fit(&self) {}
        fn gently(&self) {}
        fn now(&self) {}
    }

    fn board(computing: usize) -> (Board, Arc<Mutex<Vec<ObjectKey>>>) {
        let woken = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&woken);
        let waker = Box::new(move |key: &ObjectKey| sink.lock().unwrap().push(key.clone()));
        (Board::new(Slots { computing, waiting: 8 }, waker), woken)
    }

    fn key(namespace: &str, name: &str) -> ObjectKey {
        ObjectKey::new(namespace, name)
    }

    fn outcome(operation: &str) -> Outcome {
        Outcome {
            operation: operation.into(),
            ended: Ended::Succeeded,
            waited: crate::types::Duration::ZERO,
            records: None,
            payload: None,
            awaited: None,
            left_over: None,
            definitions: Box::default(),
            tests: None,
        }
    }

    #[test]
    fn one_grant_is_given_ahead_of_a_free_slot_and_the_next_after_an_end() {
        let (board, woken) = board(1);
        let granted = ["a", "b", "c"].map(|name| board.ask(&key("n", name), Priority::Changed, false));
        assert_eq!(granted, [true, true, false]);
        assert_eq!(*woken.lock().unwrap(), [], "who asks is told by the answer");
        assert!(board.start(&key("n", "a"), "1", false, Box::new(Deaf)));
        assert_eq!(board.flight(&key("n", "c")), Flight::Queued);
        board.end(&key("n", "a"), outcome("1"));
        assert_eq!(board.flight(&key("n", "c")), Flight::Granted);
        assert_eq!(*woken.lock().unwrap(), [key("n", "c"), key("n", "a")]);
        assert!(matches!(board.flight(&key("n", "a")), Flight::Ended(_)));
        board.acknowledge(&key("n", "a"), "other");
        assert!(matches!(board.flight(&key("n", "a")), Flight::Ended(_)));
        board.acknowledge(&key("n", "a"), "1");
        assert_eq!(board.flight(&key("n", "a")), Flight::Idle);
    }

    #[test]
    fn urgent_goes_first_then_the_namespace_with_less_at_work() {
        let (board, _) = board(1);
        let _ = board.ask(&key("busy", "1"), Priority::Changed, false);
        let _ = board.ask(&key("busy", "2"), Priority::Changed, false);
        let _ = board.ask(&key("busy", "3"), Priority::Retry, false);
        let _ = board.ask(&key("calm", "4"), Priority::Retry, false);
        let _ = board.ask(&key("busy", "5"), Priority::Repair, false);
        board.withdraw(&key("busy", "2"));
        assert_eq!(board.flight(&key("busy", "5")), Flight::Granted);
        board.withdraw(&key("busy", "5"));
        assert_eq!(board.flight(&key("calm", "4")), Flight::Granted);
    }

    #[test]
    fn runs_with_hooks_leave_the_computing_slots_free() {
        let (board, _) = board(1);
        let names: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        for name in &names {
            let _ = board.ask(&key("n", name), Priority::Changed, true);
            let started = board.start(&key("n", name), name, true, Box::new(Deaf));
            // Eight run, and one is granted ahead.
            assert_eq!(started, board.occupancy().running <= 9 && board.occupancy().queued == 0, "{name}");
        }
        assert_eq!(board.occupancy(), Occupancy { running: 9, queued: 11, ..Occupancy::default() });
        let _ = board.ask(&key("n", "plain"), Priority::Changed, false);
        assert_eq!(board.flight(&key("n", "plain")), Flight::Granted);
    }

    #[test]
    fn run_that_is_overtaken_ends_when_that_does_no_harm_and_at_shutdown_it_is_not_asked() {
        struct Told(Arc<Mutex<Vec<&'static str>>>);
        impl Halt for Told {
            fn when_fit(&self) {
                self.0.lock().unwrap().push("when fit");
            }
            fn gently(&self) {
                self.0.lock().unwrap().push("gently");
            }
            fn now(&self) {
                self.0.lock().unwrap().push("now");
            }
        }
        let (board, told) = (board(1).0, Arc::default());
        let _ = board.ask(&key("n", "a"), Priority::Changed, true);
        assert!(board.start(&key("n", "a"), "1", true, Box::new(Told(Arc::clone(&told)))));
        board.cancel(&key("n", "a"));
        board.halt(false);
        board.halt(true);
        assert_eq!(*told.lock().unwrap(), ["when fit", "gently", "now"]);
    }

    #[test]
    fn run_that_turns_out_to_wait_for_hooks_gives_its_computing_slot_away() {
        let (board, woken) = board(1);
        let names: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        for name in &names {
            let _ = board.ask(&key("n", name), Priority::Repair, false);
        }
        let _ = board.ask(&key("n", "plain"), Priority::Changed, false);
        for name in &names {
            assert_eq!(board.flight(&key("n", name)), Flight::Granted, "{name}");
            assert!(board.start(&key("n", name), name, false, Box::new(Deaf)));
            board.reseat(&key("n", name), true);
        }
        assert_eq!(board.flight(&key("n", "plain")), Flight::Granted);
        assert_eq!(*woken.lock().unwrap().last().unwrap(), key("n", "plain"), "who is granted is woken");
        let _ = board.ask(&key("n", "hooked"), Priority::Repair, true);
        assert_eq!(board.flight(&key("n", "hooked")), Flight::Queued, "the pool of runs with hooks is more than full");
    }

    #[test]
    fn run_that_turns_out_not_to_wait_takes_a_computing_slot() {
        let (board, _) = board(1);
        for name in ["a", "b"] {
            let _ = board.ask(&key("n", name), Priority::Changed, true);
            assert!(board.start(&key("n", name), name, true, Box::new(Deaf)));
            board.reseat(&key("n", name), false);
        }
        let _ = board.ask(&key("n", "plain"), Priority::Changed, false);
        assert_eq!(board.flight(&key("n", "plain")), Flight::Queued);
    }

    #[test]
    fn nothing_is_kept_of_an_object_that_is_gone() {
        let (board, _) = board(2);
        for name in ["running", "waiting"] {
            let _ = board.ask(&key("n", name), Priority::Changed, false);
        }
        assert!(board.start(&key("n", "running"), "1", false, Box::new(Deaf)));
        board.forget(&key("n", "running"));
        board.forget(&key("n", "waiting"));
        assert_eq!(board.occupancy(), Occupancy { running: 1, ..Occupancy::default() });
        board.end(&key("n", "running"), outcome("1"));
        assert_eq!(board.occupancy(), Occupancy::default());
    }

    #[test]
    fn a_closed_board_grants_nothing_and_keeps_what_ended() {
        let (board, _) = board(2);
        let _ = board.ask(&key("n", "a"), Priority::Changed, false);
        assert!(board.start(&key("n", "a"), "1", false, Box::new(Deaf)));
        board.close();
        let _ = board.ask(&key("n", "b"), Priority::Repair, false);
        assert!(!board.start(&key("n", "b"), "2", false, Box::new(Deaf)));
        board.end(&key("n", "a"), outcome("1"));
        assert_eq!(board.occupancy(), Occupancy { queued: 1, ended: 1, ..Occupancy::default() });
    }
}
