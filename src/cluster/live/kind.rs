//! One kind: its watches, the judgements of its objects, and who wants them.

use std::collections::BTreeSet;
use std::mem::take;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::super::scope::Scope;
use super::super::standing::Standing;
use super::super::table::Table;
use super::super::watch::Change;
use super::print::is_watched_whole;
use super::{Look, Print};
use crate::health::Judgement;
use crate::release::{Member, View};
use crate::types::ReleaseKey;

/// Who is to look again.
#[derive(Debug, Default)]
pub(super) struct Woken {
    /// Because an object is judged otherwise, or a view turned.
    pub(super) judged: BTreeSet<Arc<ReleaseKey>>,
    /// Because somebody changed an object, however it is judged.
    pub(super) stirred: BTreeSet<Arc<ReleaseKey>>,
}

/// An object as a watch or a read told of it.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) namespace: Box<str>,
    pub(super) name: Box<str>,
    pub(super) print: Print,
    pub(super) judgement: Judgement,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    print: Print,
    /// `None` when it is gone, unless it had done its work by then.
    judgement: Option<Judgement>,
    there: bool,
}

#[derive(Debug, Default)]
struct Slot {
    known: Option<Known>,
    /// Who has it as a member; nearly always one.
    wanters: Vec<Arc<ReleaseKey>>,
}

/// The watch of one place.
#[derive(Debug, Default)]
struct Shard {
    standing: Standing,
    listing: Option<Table<Known>>,
    /// How far the watch has come: an earlier read of our own has nothing to add.
    seen: u64,
}

#[derive(Debug)]
pub(super) struct KindWatch {
    /// Watched as whole objects, not as metadata.
    pub(super) whole: bool,
    /// Handed to a task.
    pub(super) running: bool,
    /// `None` until the API server has been asked.
    namespaced: Option<bool>,
    /// Stands for the first opening of the watch, which delays nobody.
    since: Option<Timestamp>,
    shards: Vec<Shard>,
    slots: Table<Slot>,
    wants: usize,
    /// Since when nobody wants it.
    pub(super) unused: Option<Instant>,
}

impl KindWatch {
    pub(super) fn new(api_version: &str, kind: &str, since: Option<Timestamp>) -> Self {
        Self {
            whole: is_watched_whole(api_version, kind),
            running: false,
            namespaced: None,
            since,
            shards: vec![Shard::default()],
            slots: Table::default(),
            wants: 0,
            unused: None,
        }
    }

    /// After discovery: the watches there will be. An object of the cluster has no namespace, whatever manifests say.
    pub(super) fn resolved(&mut self, namespaced: bool, scope: &Scope) {
        let watches = if namespaced { scope.watches() } else { 1 };
        if self.namespaced == Some(namespaced) {
            return;
        }
        self.namespaced = Some(namespaced);
        let standing = self.shards.first().map(|shard| shard.standing.clone()).unwrap_or_default();
        self.shards = (0..watches).map(|_| Shard { standing: standing.clone(), ..Shard::default() }).collect();
        if !namespaced {
            for (_, name, slot) in take(&mut self.slots).drain() {
                let merged = self.slots.entry("", &name);
                merged.known = merged.known.take().or(slot.known);
                merged.wanters.extend(slot.wanters);
            }
        }
    }

    /// Which watch sees a namespace. Before discovery there is one for all.
    pub(super) fn place(&self, scope: &Scope, namespace: &str) -> Option<usize> {
        if self.namespaced == Some(true) { scope.place(namespace) } else { Some(0) }
    }

    fn namespace<'a>(&self, namespace: &'a str) -> &'a str {
        if self.namespaced == Some(false) { "" } else { namespace }
    }

    pub(super) fn want(&mut self, member: &Member, release: &Arc<ReleaseKey>) {
        let slot = self.slots.entry(self.namespace(&member.namespace), &member.name);
        if !slot.wanters.contains(release) {
            slot.wanters.push(Arc::clone(release));
            self.wants += 1;
        }
        self.unused = None;
    }

    pub(super) fn unwant(&mut self, member: &Member, release: &ReleaseKey, now: Instant) {
        let namespace = self.namespace(&member.namespace);
        let Some(slot) = self.slots.get_mut(namespace, &member.name) else { return };
        let before = slot.wanters.len();
        slot.wanters.retain(|wanter| **wanter != *release);
        self.wants -= before - slot.wanters.len();
        if slot.is_idle() {
            self.slots.remove(namespace, &member.name);
        }
        if self.wants == 0 {
            self.unused.get_or_insert(now);
        }
    }

    pub(super) fn look(&self, member: &Member, scope: &Scope) -> Look<'_> {
        let Some(place) = self.place(scope, &member.namespace) else {
            return Look::Refused(Scope::unwatched(&member.namespace));
        };
        match self.shards.get(place).map(|shard| shard.standing.view(())) {
            None | Some(View::Pending) => return Look::Pending,
            Some(View::Refused(why)) => return Look::Refused(why),
            Some(View::Is(())) => {}
        }
        let slot = self.slots.get(self.namespace(&member.namespace), &member.name);
        match slot.and_then(|slot| slot.known.as_ref()) {
            Some(Known { judgement: Some(judgement), there, .. }) => Look::Judged { judgement, there: *there },
            _ => Look::Missing,
        }
    }

    /// Of an object that is there.
    pub(super) fn print(&self, member: &Member) -> Option<Print> {
        let slot = self.slots.get(self.namespace(&member.namespace), &member.name)?;
        slot.known.as_ref().map(|known| known.print)
    }

    pub(super) fn since(&self, member: &Member, scope: &Scope) -> Option<Timestamp> {
        self.shards.get(self.place(scope, &member.namespace)?)?.standing.since()
    }

    /// Takes in what the watch at `place` says; returns who is to look again.
    pub(super) fn fold(&mut self, scope: &Scope, place: usize, change: Change<Told>) -> Woken {
        let mut wakes = Woken::default();
        let since = self.since;
        let Some(shard) = self.shards.get_mut(place) else { return wakes };
        let first = shard.standing == Standing::Unlisted;
        let turned = match (&change, since) {
            (Change::Complete { version, .. }, Some(at)) if first => {
                shard.standing.turn::<Told>(&Change::Complete { at, version: *version })
            }
            _ => shard.standing.turn(&change),
        };
        match change {
            Change::Begin => shard.listing = Some(Table::default()),
            Change::Listed(told) => {
                if let Some(listing) = &mut shard.listing {
                    listing.insert(&told.namespace, &told.name, Known::there(told.print, told.judgement));
                }
            }
            Change::Complete { version, .. } => {
                shard.seen = shard.seen.max(version);
                let listing = shard.listing.take().unwrap_or_default();
                self.complete(scope, place, version, listing, &mut wakes);
            }
            Change::Applied(told) => {
                shard.seen = shard.seen.max(told.print.version);
                let slot = self.slots.entry(&told.namespace, &told.name);
                slot.put(Known::there(told.print, told.judgement), &mut wakes);
            }
            Change::Deleted(told) => {
                shard.seen = shard.seen.max(told.print.version);
                if let Some(slot) = self.slots.get_mut(&told.namespace, &told.name) {
                    slot.go(told.print.version, &mut wakes);
                    if slot.is_idle() {
                        self.slots.remove(&told.namespace, &told.name);
                    }
                }
            }
            Change::Opened { .. } | Change::Lost | Change::Dark | Change::Refused(_) => {}
        }
        if turned {
            for (namespace, _, slot) in self.slots.iter() {
                if self.place(scope, namespace) == Some(place) {
                    wakes.judged.extend(slot.wanters.iter().cloned());
                }
            }
        }
        wakes
    }

    pub(super) fn observe(&mut self, place: Option<usize>, told: Told) -> Woken {
        let mut wakes = Woken::default();
        let seen = place.and_then(|place| self.shards.get(place)).map(|shard| shard.seen);
        if seen.is_none_or(|seen| told.print.version <= seen) {
            return wakes;
        }
        // What nobody wants is not kept for a read.
        if let Some(slot) = self.slots.get_mut(&told.namespace, &told.name) {
            slot.put(Known::there(told.print, told.judgement), &mut wakes);
        }
        wakes
    }

    fn complete(&mut self, scope: &Scope, place: usize, version: u64, mut listing: Table<Known>, wakes: &mut Woken) {
        let namespaced = self.namespaced == Some(true);
        self.slots.retain(|namespace, name, slot| {
            if namespaced && scope.place(namespace) != Some(place) {
                return true;
            }
            match listing.remove(namespace, name) {
                Some(known) => slot.put(known, wakes),
                None => slot.go(version, wakes),
            }
            !slot.is_idle()
        });
        for (namespace, name, known) in listing.drain() {
            self.slots.insert(&namespace, &name, Slot { known: Some(known), wanters: Vec::new() });
        }
    }
}

impl Known {
    fn there(print: Print, judgement: Judgement) -> Self {
        Self { print, judgement: Some(judgement), there: true }
    }
}

impl Slot {
    /// Nothing is lost without it.
    fn is_idle(&self) -> bool {
        self.wanters.is_empty() && !self.known.as_ref().is_some_and(|known| known.there)
    }

    fn put(&mut self, new: Known, wakes: &mut Woken) {
        let same = self.known.as_ref().is_some_and(|old| old.judgement == new.judgement && old.there == new.there);
        let still = self.known.as_ref().is_some_and(|old| old.print.mark == new.print.mark);
        if self.known.as_ref().is_none_or(|old| new.print.version > old.print.version) {
            self.known = Some(new);
            if !same {
                wakes.judged.extend(self.wanters.iter().cloned());
            } else if !still {
                wakes.stirred.extend(self.wanters.iter().cloned());
            }
        }
    }

    fn go(&mut self, version: u64, wakes: &mut Woken) {
        let Some(known) = &mut self.known else { return };
        if known.print.version > version || !known.there {
            return;
        }
        known.print.version = version;
        known.there = false;
        // What has done its work may go.
        known.judgement = known.judgement.take().filter(|judgement| judgement.finished);
        wakes.judged.extend(self.wanters.iter().cloned());
    }
}
