//! Keys to look at again: a queue in which each key stands at most once, so that nothing blocks and nothing is lost.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures::Stream;

use super::locked::locked;

/// The handle of a queue. It is bounded by the number of keys that exist: a key that already waits is not added.
///
/// Any number of clones may wake; one of them is read as a stream, which never ends.
#[derive(Debug)]
pub struct Wakes<T>(Arc<Mutex<Queue<T>>>);

#[derive(Debug)]
struct Queue<T> {
    waiting: HashSet<T>,
    order: VecDeque<T>,
    reader: Option<Waker>,
}

impl<T> Clone for Wakes<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Wakes<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Queue { waiting: HashSet::new(), order: VecDeque::new(), reader: None })))
    }
}

impl<T: Clone + Eq + Hash> Wakes<T> {
    pub fn wake(&self, key: T) {
        self.wake_all([key]);
    }

    pub fn wake_all(&self, keys: impl IntoIterator<Item = T>) {
        let mut queue = locked(&self.0);
        for key in keys {
            if queue.waiting.insert(key.clone()) {
                queue.order.push_back(key);
            }
        }
        let reader = if queue.order.is_empty() { None } else { queue.reader.take() };
        drop(queue);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl<T: Clone + Eq + Hash> Stream for Wakes<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut queue = locked(&self.0);
        if let Some(key) = queue.order.pop_front() {
            queue.waiting.remove(&key);
            return Poll::Ready(Some(key));
        }
        queue.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
impl<T: Clone + Eq + Hash + Ord> Wakes<T> {
    /// What waits, sorted; nothing waits afterwards.
    pub(super) fn taken(&self) -> Vec<T> {
        let mut queue = locked(&self.0);
        queue.waiting.clear();
        let mut keys: Vec<T> = queue.order.drain(..).collect();
        keys.sort();
        keys
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, StreamExt as _};

    use super::*;

    #[test]
    fn wakes_of_one_key_are_one_until_it_is_read() {
        let mut wakes = Wakes::default();
        wakes.wake_all([1, 2, 1]);
        assert_eq!(wakes.next().now_or_never(), Some(Some(1)));
        wakes.wake(1);
        assert_eq!(wakes.next().now_or_never(), Some(Some(2)));
        assert_eq!(wakes.next().now_or_never(), Some(Some(1)));
        assert_eq!(wakes.next().now_or_never(), None);
    }

    #[tokio::test]
    async fn reader_that_waits_is_woken_by_another_handle() {
        let wakes = Wakes::default();
        let mut reader = wakes.clone();
        let read = tokio::spawn(async move { reader.next().await });
        tokio::task::yield_now().await;
        wakes.wake("a");
        assert_eq!(read.await.unwrap(), Some("a"));
    }
}
