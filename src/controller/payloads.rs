//! What the payload of the newest record of a release told: read once, kept while that record is the newest.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    release::{ForeignAction, Payload},
    types::ReleaseKey,
};

enum Entry {
    Underway(u32),
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
            Some(Entry::Underway(_)) | None => None,
        }
    }

    /// `false` when the same revision is being read.
    #[must_use]
    pub fn begin(&self, release: &ReleaseKey, revision: u32) -> bool {
        let mut entries = self.lock();
        if matches!(entries.get(release), Some(Entry::Underway(known)) if *known == revision) {
            return false;
        }
        entries.insert(release.clone(), Entry::Underway(revision));
        true
    }

    pub fn put(&self, release: &ReleaseKey, payload: Payload, version: u64) {
        self.lock().insert(release.clone(), Entry::Read { payload, version });
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
    }
}
