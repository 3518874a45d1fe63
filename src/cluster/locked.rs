//! Takes a lock whose holder can not leave it half done.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The data behind a lock, also after a panic of another holder: every fold keeps its data whole at each step, and one
/// panic must not take the operator's eyes away.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
