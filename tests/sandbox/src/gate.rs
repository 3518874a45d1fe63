//! A gate that a test closes and opens, and that answers stand in front of.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Open at first. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    closed: bool,
    waiting: Vec<Waker>,
}

impl Gate {
    pub fn close(&self) {
        self.turn(true);
    }

    /// Lets through what has gathered, in its order.
    pub fn open(&self) {
        self.turn(false);
    }

    fn turn(&self, closed: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = closed;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Ready while the gate is open.
    pub(crate) fn poll_passage(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.closed {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            state.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }
}
