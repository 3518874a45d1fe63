//! Waiting for a predicate with a deadline: the one place that polls.

use std::time::{Duration, Instant};

/// Between two looks at the predicate: short against what is waited for, long against the cost of a look.
const INTERVAL: Duration = Duration::from_millis(25);

/// Looks until the predicate yields a value, which is returned, or the time is over.
pub fn until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = look() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Lets a moment pass, for loops that cannot be written as a predicate.
pub(crate) fn once() {
    std::thread::sleep(INTERVAL);
}
