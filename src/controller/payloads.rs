//! What the payload of the newest record of a release told: read once, kept while that record is the newest.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    release::{ForeignAction, Payload, Unread},
    types::ReleaseKey,
};

enum Entry {
    Underway {
        revision: u32,
        /// Reads that failed in a row.
        failed: u32,
    },
    Failed {
        revision: u32,
        failed: u32,
        unread: Unread,
        /// Of the Secret for which it holds; of any where it could not be read.
        version: Option<u64>,
    },
    Read {
        payload: Payload,
        /// The version of the Secret.
        version: u64,
    },
}

/// Slim payloads by release. Members are in status as well, so an entry is dropped when its release is settled.
#[derive(Default)]
pub struct Payloads {
    entries: Mutex<HashMap<ReleaseKey, Entry>>,
    /// Revisions that cannot be read, with the versions of their Secrets.
    spoilt: Mutex<HashMap<ReleaseKey, BTreeMap<u32, u64>>>,
}

impl Payloads {
    fn lock(&self) -> MutexGuard<'_, HashMap<ReleaseKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `seen` is the version of the newest record as the index has it. What could not be read may be restored; what
    /// could be does not change by what is labelled.
    pub fn get(&self, release: &ReleaseKey, seen: Option<u64>) -> Option<Payload> {
        match self.lock().get(release) {
            Some(Entry::Read { payload, version }) => {
                let outdated = payload.action == ForeignAction::Unreadable && seen.is_some_and(|seen| seen > *version);
                (!outdated).then(|| payload.clone())
            }
            Some(Entry::Underway { .. } | Entry::Failed { .. }) | None => None,
        }
    }

    /// Why a revision, of which the index has this version, could not be worked with the last time.
    pub fn unread(&self, release: &ReleaseKey, (of, seen): (u32, u64)) -> Option<Unread> {
        match self.lock().get(release) {
            Some(Entry::Failed { revision, unread, version, .. }) if *revision == of => {
                let outdated = version.is_some_and(|version| seen > version);
                (!outdated).then(|| unread.clone())
            }
            Some(Entry::Underway { .. } | Entry::Failed { .. } | Entry::Read { .. }) | None => None,
        }
    }

    /// `false` when the same revision is being read.
    #[must_use]
    pub fn begin(&self, release: &ReleaseKey, of: u32) -> bool {
        let mut entries = self.lock();
        let failed = match entries.get(release) {
            Some(Entry::Underway { revision, .. }) if *revision == of => return false,
            Some(Entry::Failed { revision, failed, .. }) if *revision == of => *failed,
            Some(Entry::Underway { .. } | Entry::Failed { .. } | Entry::Read { .. }) | None => 0,
        };
        entries.insert(release.clone(), Entry::Underway { revision: of, failed });
        true
    }

    /// The read failed: it is made again, later each time.
    pub fn fail(&self, release: &ReleaseKey, of: u32, (why, transient): (&dyn Display, bool), now: Timestamp) {
        let mut entries = self.lock();
        let failed = match entries.get(release) {
            Some(Entry::Underway { revision, failed }) if *revision == of => *failed,
            Some(Entry::Underway { .. } | Entry::Failed { .. } | Entry::Read { .. }) | None => return,
        };
        let pause = SignedDuration::try_from(super::pause_after(failed)).unwrap_or(SignedDuration::ZERO);
        let until = now.checked_add(pause).unwrap_or(now);
        let unread = Unread { why: why.to_string().into(), transient, until };
        entries.insert(
            release.clone(),
            Entry::Failed { revision: of, failed: failed.saturating_add(1), unread, version: None },
        );
    }

    /// A right is missing to work with this version of the record: it is tried again when the right may be there. No
    /// count of failures makes the pauses longer: the longest is taken at once.
    pub fn refuse(&self, release: &ReleaseKey, (of, version): (u32, u64), why: &dyn Display, now: Timestamp) {
        let pause = SignedDuration::try_from(super::RETRY_MAX).unwrap_or(SignedDuration::ZERO);
        let until = now.checked_add(pause).unwrap_or(now);
        let unread = Unread { why: why.to_string().into(), transient: false, until };
        self.lock().insert(release.clone(), Entry::Failed { revision: of, failed: 0, unread, version: Some(version) });
    }

    pub fn put(&self, release: &ReleaseKey, payload: Payload, version: u64) {
        self.lock().insert(release.clone(), Entry::Read { payload, version });
    }

    /// A revision cannot be read.
    pub fn spoil(&self, release: &ReleaseKey, revision: u32, version: u64) {
        let mut spoilt = self.spoilt.lock().unwrap_or_else(PoisonError::into_inner);
        spoilt.entry(release.clone()).or_default().insert(revision, version);
    }

    /// Revisions that could not be read and are the same since, by the versions that are `seen`.
    pub fn spoilt(&self, release: &ReleaseKey, seen: impl Fn(u32) -> Option<u64>) -> Vec<u32> {
        let mut spoilt = self.spoilt.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = spoilt.get_mut(release) else { return Vec::new() };
        // A view that has not come so far yet knows of no change.
        known.retain(|revision, version| seen(*revision).is_some_and(|seen| seen <= *version));
        let revisions: Vec<u32> = known.keys().copied().collect();
        if revisions.is_empty() {
            spoilt.remove(release);
        }
        revisions
    }

    /// Drops what was read of a release that is as declared.
    pub fn settle(&self, release: &ReleaseKey) {
        let mut entries = self.lock();
        if matches!(entries.get(release), Some(Entry::Read { .. })) {
            entries.remove(release);
        }
    }

    pub fn give_up(&self, release: &ReleaseKey) {
        self.lock().remove(release);
        self.spoilt.lock().unwrap_or_else(PoisonError::into_inner).remove(release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Namespace, ReleaseName};

    #[test]
    fn read_that_fails_is_made_again_later_each_time_and_anew_for_another_revision() {
        let release = ReleaseKey { namespace: Namespace::parse("n").unwrap(), name: ReleaseName::parse("a").unwrap() };
        let (payloads, now) = (Payloads::default(), Timestamp::UNIX_EPOCH);
        let pauses: Vec<i128> = (0..9)
            .map(|_| {
                assert!(payloads.begin(&release, 2) && !payloads.begin(&release, 2));
                payloads.fail(&release, 2, (&"no", false), now);
                let unread = payloads.unread(&release, (2, 0)).unwrap();
                assert!(!unread.transient);
                unread.until.duration_since(now).as_millis()
            })
            .collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
        assert_eq!(payloads.unread(&release, (3, 0)), None);
        assert!(payloads.begin(&release, 3));
        payloads.fail(&release, 3, (&"late", true), now);
        let unread = payloads.unread(&release, (3, 0)).unwrap();
        assert!(unread.transient && unread.until.duration_since(now).as_millis() == 500);
    }

    #[test]
    fn what_was_refused_holds_for_the_record_as_it_was() {
        let release = ReleaseKey { namespace: Namespace::parse("n").unwrap(), name: ReleaseName::parse("a").unwrap() };
        let payloads = Payloads::default();
        payloads.refuse(&release, (2, 7), &"no right", Timestamp::UNIX_EPOCH);
        assert!(payloads.unread(&release, (2, 7)).is_some() && payloads.unread(&release, (2, 6)).is_some());
        assert_eq!(payloads.unread(&release, (2, 8)), None, "somebody has written to it since");
    }

    #[test]
    fn what_could_not_be_read_counts_until_the_record_is_another() {
        let release = ReleaseKey { namespace: Namespace::parse("n").unwrap(), name: ReleaseName::parse("a").unwrap() };
        let payloads = Payloads::default();
        payloads.put(&release, Payload::unreadable(2), 7);
        assert!(payloads.get(&release, Some(7)).is_some() && payloads.get(&release, None).is_some());
        assert_eq!(payloads.get(&release, Some(8)), None);
        payloads.put(&release, Payload { action: ForeignAction::Upgrade, ..Payload::unreadable(2) }, 7);
        assert!(payloads.get(&release, Some(8)).is_some(), "a mark changes nothing about what was read");
    }

    #[test]
    fn a_revision_is_spoilt_until_its_record_is_another_or_gone() {
        let release = ReleaseKey { namespace: Namespace::parse("n").unwrap(), name: ReleaseName::parse("a").unwrap() };
        let payloads = Payloads::default();
        payloads.spoil(&release, 1, 7);
        payloads.spoil(&release, 2, 8);
        payloads.spoil(&release, 3, 9);
        assert_eq!(payloads.spoilt(&release, |_| Some(7)), [1, 2, 3]);
        let seen = |revision| (revision < 3).then_some(8);
        assert_eq!(payloads.spoilt(&release, seen), [2]);
        assert_eq!(payloads.spoilt(&release, |_| Some(1)), [2], "what is another is not spoilt again");
    }
}
