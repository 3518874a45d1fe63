//! Single flight: however many callers want the same thing, one of them fetches it and the others share what came.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use super::error::SourceError;

/// One thing that is fetched by at most one caller at a time.
///
/// A caller that goes away takes its fetch with it, and the next in line begins anew: nothing runs that nobody wants.
#[derive(Debug)]
pub(super) struct Flight<T> {
    /// Number of fetches that came to an end.
    landed: AtomicU64,
    last: tokio::sync::Mutex<Option<Result<T, SourceError>>>,
}

impl<T> Default for Flight<T> {
    fn default() -> Self {
        Self { landed: AtomicU64::new(0), last: tokio::sync::Mutex::new(None) }
    }
}

impl<T: Clone> Flight<T> {
    /// The result of a fetch that ended after this call, failures included: fifty callers of a dead repository cost
    /// one attempt, not fifty in a row.
    pub(super) async fn join(&self, fetch: impl Future<Output = Result<T, SourceError>>) -> Result<T, SourceError> {
        let before = self.landed.load(Ordering::Acquire);
        let mut last = self.last.lock().await;
        if self.landed.load(Ordering::Acquire) != before
            && let Some(shared) = &*last
        {
            return shared.clone();
        }
        let result = fetch.await;
        *last = Some(result.clone());
        self.landed.fetch_add(1, Ordering::Release);
        result
    }
}

/// Flights by what they fetch; one that nobody waits for any more is forgotten, with its result.
#[derive(Debug)]
pub(super) struct Flights<K, T>(Mutex<HashMap<K, Weak<Flight<T>>>>);

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Hash + Eq, T> Flights<K, T> {
    pub(super) fn to(&self, key: K) -> Arc<Flight<T>> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        flights.retain(|_, flight| flight.strong_count() > 0);
        if let Some(flight) = flights.get(&key).and_then(Weak::upgrade) {
            return flight;
        }
        let flight = Arc::new(Flight::default());
        flights.insert(key, Arc::downgrade(&flight));
        flight
    }
}
