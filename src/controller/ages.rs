//! Since when this process has seen a record as it is, by its own monotonic clock.
//!
//! A record is dated by the API server, and whoever compares that with the clock of the operator takes a living process
//! for dead as soon as one of the two is wrong. What was seen here is a lower bound by one clock alone. It begins anew
//! with each start of the operator, which costs a wait and risks nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

use crate::types::{Duration, ReleaseKey};

struct Seen {
    revision: u32,
    /// Of the Secret.
    version: u64,
    since: Instant,
}

/// The newest records of releases that somebody is at work on.
#[derive(Default)]
pub struct Ages(Mutex<HashMap<ReleaseKey, Seen>>);

impl Ages {
    /// How long a record has been seen at this version.
    pub fn untouched(&self, release: &ReleaseKey, revision: u32, version: u64, now: Instant) -> Duration {
        let mut ages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Seen { revision, version, since: now };
        let seen = ages.entry(release.clone()).or_insert_with(fresh);
        if (seen.revision, seen.version) != (revision, version) {
            *seen = fresh();
        }
        Duration::at_most_a_year(now.saturating_duration_since(seen.since))
    }

    /// Nobody is at work on it any more.
    pub fn forget(&self, release: &ReleaseKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Namespace, ReleaseName};

    #[test]
    fn a_record_counts_as_untouched_from_when_it_was_first_seen_at_its_version() {
        let release = ReleaseKey { namespace: Namespace::parse("n").unwrap(), name: ReleaseName::parse("a").unwrap() };
        let (ages, start) = (Ages::default(), Instant::now());
        let untouched = |revision, version, after| {
            ages.untouched(&release, revision, version, start + std::time::Duration::from_secs(after))
        };
        let told = [untouched(2, 7, 0), untouched(2, 7, 60), untouched(2, 8, 61), untouched(2, 8, 71)];
        assert_eq!(told, [0, 60, 0, 10].map(Duration::from_secs));
        assert_eq!(untouched(3, 8, 80), Duration::ZERO);
        ages.forget(&release);
        assert_eq!(untouched(3, 8, 90), Duration::ZERO);
    }
}
