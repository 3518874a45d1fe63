//! The index of helm's records: for each release its revisions, from the metadata of Secrets alone.

mod held;
mod label;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::core::PartialObjectMeta;
use tokio::sync::Notify;

use held::Shard;
pub use held::{RecordsRead, RecordsSeen, VersionedRecord};
pub use label::OwnLabel;
pub(super) use label::versioned_record;

use super::clock::Clock;
use super::locked::locked;
use super::scope::Scope;
use super::wakes::Wakes;
use super::watch::{Change, Pulse, follow_builtin, side_by_side};
use crate::release::View;
use crate::types::ReleaseKey;

/// Selects what helm's Secret driver writes.
pub(super) const LABELS: &str = "owner=helm";

type Meta = PartialObjectMeta<Secret>;

/// What cannot be read, counted each time that it was seen.
#[derive(Debug, Default)]
pub(super) struct Tally {
    records: AtomicU64,
    /// In the order of [`OwnLabel::ALL`].
    labels: [AtomicU64; OwnLabel::ALL.len()],
}

impl Tally {
    fn count_record(&self) {
        self.records.fetch_add(1, Ordering::Relaxed);
    }

    fn count_label(&self, label: OwnLabel) {
        for (_, count) in OwnLabel::ALL.iter().zip(&self.labels).filter(|(other, _)| **other == label) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Answers for every release in the watched namespaces without a request.
#[derive(Debug)]
pub struct RecordIndex {
    scope: Scope,
    shards: Mutex<Vec<Shard>>,
    pulses: Vec<Pulse>,
    wakes: Wakes<ReleaseKey>,
    /// Something was told, whether it changes anything or not.
    news: Notify,
    tally: Tally,
}

impl RecordIndex {
    pub fn new(scope: Scope, wakes: Wakes<ReleaseKey>) -> Self {
        let watches = scope.watches();
        Self {
            scope,
            shards: Mutex::new((0..watches).map(|_| Shard::default()).collect()),
            pulses: (0..watches).map(|_| Pulse::default()).collect(),
            wakes,
            news: Notify::new(),
            tally: Tally::default(),
        }
    }

    /// Keeps the index up to date; never ends.
    pub async fn run(self: Arc<Self>, client: Client, clock: Clock) {
        let apis = self.scope.apis::<Meta>(&client);
        let fold = &|place, change| self.fold(place, change);
        let clock = &clock;
        side_by_side(apis.into_iter().zip(&self.pulses).enumerate().map(|(place, (api, pulse))| {
            follow_builtin(api, Some(LABELS), pulse.clone(), clock, move |change| fold(place, change))
        }))
        .await;
    }

    /// Takes in what the watch at `place` says.
    pub fn fold(&self, place: usize, change: Change<Meta>) {
        let wakes = {
            let mut shards = locked(&self.shards);
            let Some(shard) = shards.get_mut(place) else { return };
            shard.fold(change, &self.tally)
        };
        self.news.notify_waiters();
        self.wakes.wake_all(wakes);
    }

    /// The revisions of a release. One that is told `Pending` is woken when there is more to say.
    pub fn look(&self, key: &ReleaseKey) -> View<RecordsSeen> {
        let Some(place) = self.scope.place(key.namespace.as_str()) else {
            return View::Refused(Scope::unwatched(key.namespace.as_str()));
        };
        locked(&self.shards).get_mut(place).map_or(View::Pending, |shard| shard.look(key))
    }

    /// The version of the Secret behind a revision, as far as it is seen.
    pub fn version(&self, key: &ReleaseKey, revision: u32) -> Option<u64> {
        let place = self.scope.place(key.namespace.as_str())?;
        locked(&self.shards).get(place)?.version(key, revision)
    }

    /// Waits until a later version of a revision's Secret is seen than that one.
    pub async fn newer(&self, key: &ReleaseKey, revision: u32, than: u64) {
        loop {
            let mut news = pin!(self.news.notified());
            // Before the look, so that nothing is missed between the two.
            news.as_mut().enable();
            if self.version(key, revision).is_some_and(|version| version > than) {
                return;
            }
            news.await;
        }
    }

    /// Whether every watch has told all there is.
    pub fn standing(&self) -> View<()> {
        let shards = locked(&self.shards);
        let refused = shards.iter().map(Shard::standing).find(|view| !matches!(view, View::Is(())));
        refused.unwrap_or(View::Is(()))
    }

    /// Takes in a complete read of our own: the release as of the version of that read, what is gone included.
    pub fn observe(&self, key: &ReleaseKey, read: &RecordsRead) {
        self.own(key, |shard| shard.observe(key, read));
    }

    /// Takes in one record that we have just read or written.
    pub fn observe_record(&self, key: &ReleaseKey, record: VersionedRecord) {
        self.own(key, |shard| shard.observe_record(key, record));
    }

    /// Secrets with helm's label that are not records; they are passed by.
    pub fn malformed(&self) -> u64 {
        self.tally.records.load(Ordering::Relaxed)
    }

    /// Labels of the operator's that cannot be read, on records that can.
    pub fn spoilt_labels(&self) -> impl Iterator<Item = (OwnLabel, u64)> {
        let counts = self.tally.labels.iter().map(|count| count.load(Ordering::Relaxed));
        OwnLabel::ALL.into_iter().zip(counts)
    }

    /// The signs of life of the watches.
    pub fn pulses(&self) -> &[Pulse] {
        &self.pulses
    }

    fn own(&self, key: &ReleaseKey, fold: impl FnOnce(&mut Shard) -> bool) {
        let Some(place) = self.scope.place(key.namespace.as_str()) else { return };
        let changed = locked(&self.shards).get_mut(place).is_some_and(fold);
        if changed {
            self.wakes.wake(key.clone());
        }
    }
}
