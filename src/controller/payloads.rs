//! What the payload of the newest record of a release told: read once, kept while that record is the newest.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{release::Payload, types::ReleaseKey};

enum Entry {
    Underway(u32),
    Read(Payload),
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

    pub fn get(&self, release: &ReleaseKey) -> Option<Payload> {
        match self.lock().get(release) {
            Some(Entry::Read(payload)) => Some(payload.clone()),
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

    pub fn put(&self, release: &ReleaseKey, payload: Payload) {
        self.lock().insert(release.clone(), Entry::Read(payload));
    }

    /// Drops what was read of a release that is as declared.
    pub fn settle(&self, release: &ReleaseKey) {
        let mut entries = self.lock();
        if matches!(entries.get(release), Some(Entry::Read(_))) {
            entries.remove(release);
        }
    }

    pub fn give_up(&self, release: &ReleaseKey) {
        self.lock().remove(release);
    }
}
