//! The records that one watch has seen, with the versions that keep an entry from moving back.

use super::super::standing::Standing;
use super::super::watch::{Change, number};
use super::label::{identity, spoilt, versioned_record};
use super::{Meta, Tally};
use crate::release::{Record, Records, View};
use crate::types::ReleaseKey;
use std::collections::{HashMap, HashSet};

/// A record as of a version of its Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedRecord {
    pub version: u64,
    pub record: Record,
}

/// All records of a release, as they are in view.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordsSeen {
    pub records: Records,
    /// Of the Secret of the newest; 0 where there is none.
    pub version: u64,
}

/// All records of a release, as a complete list with a quorum told them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordsRead {
    /// The version of the list: what it does not name was not there then.
    pub version: u64,
    pub held: Vec<VersionedRecord>,
}

impl RecordsRead {
    pub fn records(&self) -> Records {
        Records::new(self.held.iter().map(|held| held.record.clone()).collect())
    }
}

/// What is known of one release.
#[derive(Debug, Default, Clone)]
struct Entry {
    /// The version of a complete read of our own: what the watch says of earlier versions is no news. 0 if there is
    /// none, or if the watch has passed it.
    floor: u64,
    held: Vec<VersionedRecord>,
}

impl Entry {
    fn is_news(&mut self, version: u64) -> bool {
        if version <= self.floor {
            return false;
        }
        self.floor = 0;
        true
    }

    /// True if it says something else than before.
    fn put(&mut self, new: VersionedRecord) -> bool {
        let Some(old) = self.held.iter_mut().find(|held| held.record.revision == new.record.revision) else {
            self.held.push(new);
            return true;
        };
        if old.version >= new.version {
            return false;
        }
        let changed = old.record != new.record;
        *old = new;
        changed
    }

    fn take(&mut self, revision: u32, version: u64) -> bool {
        let before = self.held.len();
        self.held.retain(|held| held.record.revision != revision || held.version > version);
        self.held.len() != before
    }

    fn says_the_same(&self, other: &Self) -> bool {
        let covers = |a: &Self, b: &Self| a.held.iter().all(|x| b.held.iter().any(|y| x.record == y.record));
        self.held.len() == other.held.len() && covers(self, other)
    }
}

type Entries = HashMap<ReleaseKey, Entry>;

/// One watch and what it has seen.
#[derive(Debug, Default)]
pub(super) struct Shard {
    standing: Standing,
    entries: Entries,
    /// The list that is being read.
    listing: Option<Entries>,
    /// How far the watch has come. It tells everything in order, so that a read of our own at an earlier version has
    /// nothing to add, and must not bring back what was deleted since.
    seen: u64,
    /// Releases that were told `Pending`.
    waiting: HashSet<ReleaseKey>,
}

impl Shard {
    pub(super) fn standing(&self) -> View<()> {
        self.standing.view(())
    }

    /// Returns the releases to look at again.
    pub(super) fn fold(&mut self, change: Change<Meta>, tally: &Tally) -> Vec<ReleaseKey> {
        let turned = self.standing.turn(&change);
        if let Change::Applied(meta) | Change::Deleted(meta) = &change {
            self.seen = self.seen.max(number(meta.metadata.resource_version.as_deref()));
        }
        let mut wakes = match change {
            Change::Begin => {
                self.listing = Some(Entries::new());
                Vec::new()
            }
            Change::Listed(meta) => {
                if let Some(listing) = &mut self.listing {
                    apply(listing, &meta, tally);
                }
                Vec::new()
            }
            Change::Complete { version, .. } => self.complete(version),
            Change::Applied(meta) => apply(&mut self.entries, &meta, tally).into_iter().collect(),
            Change::Deleted(meta) => self.delete(&meta).into_iter().collect(),
            Change::Opened { .. } | Change::Lost | Change::Dark | Change::Refused(_) => Vec::new(),
        };
        if turned && !matches!(self.standing.view(()), View::Pending) {
            wakes.extend(self.waiting.drain());
            // In an order that says nothing about how a map is laid out: equal histories are told equally.
            wakes.sort_unstable();
        }
        wakes
    }

    pub(super) fn look(&mut self, key: &ReleaseKey) -> View<RecordsSeen> {
        let view = self.standing.view(());
        if view == View::Pending {
            self.waiting.insert(key.clone());
        }
        view.map(|()| {
            let held = self.entries.get(key).map_or(&[][..], |entry| &entry.held);
            let newest = held.iter().max_by_key(|held| held.record.revision);
            let records = Records::new(held.iter().map(|held| held.record.clone()).collect());
            RecordsSeen { records, version: newest.map_or(0, |newest| newest.version) }
        })
    }

    pub(super) fn version(&self, key: &ReleaseKey, revision: u32) -> Option<u64> {
        let held = &self.entries.get(key)?.held;
        held.iter().find(|held| held.record.revision == revision).map(|held| held.version)
    }

    pub(super) fn observe(&mut self, key: &ReleaseKey, read: &RecordsRead) -> bool {
        if read.version <= self.seen {
            return false;
        }
        let old = self.entries.entry(key.clone()).or_default();
        if read.version <= old.floor {
            return false;
        }
        // What we wrote since then stays.
        let mut new = Entry { floor: read.version, held: read.held.clone() };
        for later in old.held.drain(..).filter(|held| held.version > read.version) {
            new.put(later);
        }
        let changed = !new.says_the_same(old);
        *old = new;
        changed
    }

    pub(super) fn observe_record(&mut self, key: &ReleaseKey, record: VersionedRecord) -> bool {
        if record.version <= self.seen {
            return false;
        }
        let entry = self.entries.entry(key.clone()).or_default();
        record.version > entry.floor && entry.put(record)
    }

    /// The list takes the place of what was seen before, unless a read of our own is newer than the list.
    fn complete(&mut self, version: u64) -> Vec<ReleaseKey> {
        let Some(mut new) = self.listing.take() else { return Vec::new() };
        self.seen = self.seen.max(version);
        for (key, entry) in &mut self.entries {
            if entry.floor > version {
                new.insert(key.clone(), entry.clone());
                continue;
            }
            // A single record that we wrote since: the list has an older one, or none.
            for own in entry.held.extract_if(.., |held| held.version > version) {
                new.entry(key.clone()).or_default().put(own);
            }
        }
        let old = std::mem::replace(&mut self.entries, new);
        let empty = Entry::default();
        let mut changed: Vec<ReleaseKey> = Vec::new();
        for (key, entry) in &self.entries {
            if !entry.says_the_same(old.get(key).unwrap_or(&empty)) {
                changed.push(key.clone());
            }
        }
        changed.extend(old.into_iter().filter(|(key, _)| !self.entries.contains_key(key)).map(|(key, _)| key));
        changed.sort_unstable();
        changed
    }

    fn delete(&mut self, meta: &Meta) -> Option<ReleaseKey> {
        let (key, revision) = identity(&meta.metadata)?;
        remove(&mut self.entries, key, revision, number(meta.metadata.resource_version.as_deref()))
    }
}

/// Returns the release if it says something else now.
fn apply(entries: &mut Entries, meta: &Meta, tally: &Tally) -> Option<ReleaseKey> {
    let identity = identity(&meta.metadata);
    let record = versioned_record(&meta.metadata);
    let (Some((key, revision)), Some(record)) = (identity.clone(), record) else {
        tally.count_record();
        // It may have been a record until somebody spoiled it.
        let (key, revision) = identity?;
        return remove(entries, key, revision, number(meta.metadata.resource_version.as_deref()));
    };
    debug_assert_eq!(revision, record.record.revision);
    spoilt(&meta.metadata).for_each(|label| tally.count_label(label));
    let entry = entries.entry(key.clone()).or_default();
    (entry.is_news(record.version) && entry.put(record)).then_some(key)
}

fn remove(entries: &mut Entries, key: ReleaseKey, revision: u32, version: u64) -> Option<ReleaseKey> {
    let entry = entries.get_mut(&key)?;
    let changed = entry.is_news(version) && entry.take(revision, version);
    if entry.held.is_empty() && entry.floor == 0 {
        entries.remove(&key);
    }
    changed.then_some(key)
}
