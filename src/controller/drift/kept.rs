//! What is kept of comparisons: for each object the state in which it was compared, and what was found then.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use super::{COMPARISONS_MAX, PAUSE_FIRST, PAUSE_LONGEST};
use crate::{
    cluster::{ComparedObject, LivePrint, Print, Refusal},
    release::{Deviation, DriftView, Drifted, Finding, Member},
    types::{ReleaseDigest, ReleaseKey},
};

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Looked {
    /// What its watch told when the comparison began, or has told since of the state that was compared.
    told: LivePrint,
    /// The state that was compared.
    read: Option<Print>,
    /// As it was found last. For as long as it cannot be compared for a reason that passes, that is still what is known.
    deviation: Option<Deviation>,
    /// Why it could not be compared the last time.
    refused: Option<Box<str>>,
    /// When the last comparison began that had the time to ask for it.
    asked: Option<Timestamp>,
}

impl Looked {
    /// `before` is what was found of it the last time.
    fn new(told: LivePrint, compared: ComparedObject, asked: Option<Timestamp>, before: Option<Deviation>) -> Self {
        let (read, deviation, refused) = match compared {
            ComparedObject::Read { print, deviation } => (Some(print), deviation, None),
            ComparedObject::Missing => (None, Some(Deviation::Missing), None),
            ComparedObject::MayBeGone => (None, None, None),
            ComparedObject::Refused(Refusal { why, passes }) => (None, before.filter(|_| passes), Some(why)),
        };
        Self { told, read, deviation, refused, asked }
    }

    /// Whether the object is another one by now than it was when it was compared.
    fn is_outdated(&mut self, now: LivePrint) -> bool {
        let outdated = match (now, self.told) {
            _ if now == self.told => false,
            (LivePrint::There(seen), told) => {
                let known = |print: Print| print.mark == seen.mark;
                let before = matches!(told, LivePrint::There(before) if known(before));
                // The watch may be behind the read.
                !before && !self.read.is_some_and(|read| known(read) || seen.version <= read.version)
            }
            // That it went out of view tells nothing by itself: it may have lost helm's label.
            (LivePrint::Absent | LivePrint::Finished, LivePrint::There(_) | LivePrint::Unwatched) => true,
            (LivePrint::Absent | LivePrint::Finished, LivePrint::Absent | LivePrint::Finished)
            | (LivePrint::Unwatched, _) => false,
        };
        if !outdated {
            self.told = now;
        }
        outdated
    }
}

#[derive(Debug)]
struct Entry {
    revision: u32,
    rules: ReleaseDigest,
    /// In the order of the inventory; `None` until it was compared.
    looked: Vec<Option<Looked>>,
    underway: bool,
    pace: Pace,
}

/// How soon the next comparison may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    /// When the last one ended.
    ended: Timestamp,
    /// Comparisons in a row that were wanted as soon as they were allowed, or that did not see everything.
    pressed: u32,
}

impl Pace {
    const NEVER: Self = Self { ended: Timestamp::UNIX_EPOCH, pressed: 0 };

    fn pause(self) -> SignedDuration {
        let pause = PAUSE_FIRST.saturating_mul(2_u32.saturating_pow(self.pressed)).min(PAUSE_LONGEST);
        SignedDuration::try_from(pause).unwrap_or(SignedDuration::ZERO)
    }

    fn due(self) -> Timestamp {
        self.ended.checked_add(self.pause()).unwrap_or(self.ended)
    }

    /// After a comparison that took from `begun` to `ended`.
    fn next(self, begun: Timestamp, ended: Timestamp, failed: bool) -> Self {
        let again = self.pause().saturating_add(self.pause());
        let pressed = failed || begun.duration_since(self.ended) < again;
        let pressed = if pressed { self.pressed.saturating_add(1).min(16) } else { 0 };
        Self { ended, pressed }
    }
}

/// A comparison that is under way.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) revision: u32,
    pub(super) members: Vec<Member>,
    /// Of each of the members, as soon as it is known.
    pub(super) found: Vec<Option<ComparedObject>>,
    /// Why nothing is known of the others.
    left: Option<Refusal>,
    rules: ReleaseDigest,
    begun: Timestamp,
    /// Where each of the members stands in the inventory, and what its watch told.
    places: Vec<(usize, LivePrint)>,
}

impl Task {
    /// Nothing can be said of any object that is not known so far, for the same reason.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.left = Some(refusal);
    }

    /// For metrics.
    pub(super) fn result(&self) -> &'static str {
        let drifted = |one: &ComparedObject| {
            matches!(one, ComparedObject::Missing | ComparedObject::Read { deviation: Some(_), .. })
        };
        if self.left.is_none() && self.found.iter().any(Option::is_none) {
            "error"
        } else if self.found.iter().flatten().any(drifted) {
            "drifted"
        } else if self.is_whole() {
            "same"
        } else {
            "unseen"
        }
    }

    /// Whether all objects were compared.
    fn is_whole(&self) -> bool {
        self.found.iter().all(|one| !matches!(one, None | Some(ComparedObject::Refused(_))))
    }
}

/// By release; only of those where somebody wants to know.
#[derive(Debug)]
pub struct Drifts {
    entries: Mutex<HashMap<ReleaseKey, Entry>>,
    pub(super) slots: Semaphore,
}

impl Default for Drifts {
    fn default() -> Self {
        Self { entries: Mutex::default(), slots: Semaphore::new(COMPARISONS_MAX) }
    }
}

impl Entry {
    fn new(revision: u32, rules: ReleaseDigest, objects: usize, pace: Pace) -> Self {
        let looked = std::iter::repeat_with(|| None).take(objects).collect();
        Self { revision, rules, looked, underway: false, pace }
    }

    /// Objects that have to be compared because they are not what they were.
    fn outdated(&mut self, prints: &[LivePrint]) -> Vec<usize> {
        let mut outdated = Vec::new();
        for (place, (looked, print)) in self.looked.iter_mut().zip(prints).enumerate() {
            if looked.as_mut().is_none_or(|looked| looked.is_outdated(*print)) {
                outdated.push(place);
            }
        }
        outdated
    }

    /// Objects that could not be compared.
    fn refused(&self) -> impl Iterator<Item = (usize, &str)> {
        let looked = self.looked.iter().enumerate();
        looked.filter_map(|(place, looked)| Some((place, looked.as_ref()?.refused.as_deref()?)))
    }

    /// By when they are to be asked for: those that do not answer may use up all the time that a comparison has, so they
    /// come after all others, and among themselves each has its turn.
    fn in_turn(&self, places: &mut [usize]) {
        places.sort_by_key(|place| {
            let looked = self.looked.get(*place).and_then(Option::as_ref);
            let refused = looked.is_some_and(|looked| looked.refused.is_some());
            (refused, looked.and_then(|looked| looked.asked), *place)
        });
    }

    fn finding(&self, members: &[Member]) -> Finding {
        let drifted = members.iter().zip(&self.looked).filter_map(|(member, looked)| {
            let what = looked.as_ref()?.deviation.clone()?;
            Some(Drifted { member: member.clone(), what })
        });
        let mut refused = self.refused();
        let unseen = refused.next().and_then(|(place, why)| {
            let (member, more) = (members.get(place)?, refused.count());
            let more = match more {
                0 => String::new(),
                1 => ", nor can 1 more object".into(),
                _ => format!(", nor can {more} more objects"),
            };
            Some(format!("{member} cannot be compared ({why}){more}").into())
        });
        Finding::new(drifted, unseen)
    }
}

impl Drifts {
    fn lock(&self) -> MutexGuard<'_, HashMap<ReleaseKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the objects of a revision, compared by rules with that digest.
    pub(super) fn look(
        &self,
        release: &ReleaseKey,
        (revision, rules): (u32, ReleaseDigest),
        members: &[Member],
        prints: &[LivePrint],
        now: Timestamp,
    ) -> DriftView {
        let mut entries = self.lock();
        let known = entries.get(release);
        if known.is_none_or(|entry| entry.revision != revision || entry.rules != rules) {
            let pace = known.map_or(Pace::NEVER, |entry| Pace { pressed: 0, ..entry.pace });
            let underway = known.is_some_and(|entry| entry.underway);
            let entry = Entry { underway, ..Entry::new(revision, rules, members.len(), pace) };
            entries.insert(release.clone(), entry);
        }
        let Some(entry) = entries.get_mut(release) else { return DriftView::Unseen };
        if entry.underway {
            return DriftView::Underway;
        }
        let (due, refused) = (entry.pace.due(), entry.refused().next().is_some());
        if !entry.outdated(prints).is_empty() || (refused && due <= now) {
            return DriftView::Due { at: due };
        }
        let deviates = |looked: &Looked| looked.deviation.is_some() && looked.refused.is_none();
        let certain = entry.looked.iter().flatten().any(deviates) || !refused;
        DriftView::Is { finding: entry.finding(members), certain, again: refused.then_some(due) }
    }

    /// The objects to compare, in the order of their turns; `None` where there are none, or where that is under way.
    pub(super) fn begin(
        &self,
        release: &ReleaseKey,
        members: &[Member],
        prints: &[LivePrint],
        now: Timestamp,
    ) -> Option<Task> {
        let mut entries = self.lock();
        let entry = entries.get_mut(release).filter(|entry| !entry.underway)?;
        let mut places = entry.outdated(prints);
        places.extend(entry.refused().map(|(place, _)| place));
        places.sort_unstable();
        places.dedup();
        entry.in_turn(&mut places);
        let places: Vec<(usize, LivePrint)> =
            places.into_iter().filter_map(|place| Some((place, *prints.get(place)?))).collect();
        entry.underway = !places.is_empty();
        let members: Vec<Member> = places.iter().filter_map(|(place, _)| members.get(*place).cloned()).collect();
        let (revision, rules) = (entry.revision, entry.rules.clone());
        let found = vec![None; members.len()];
        entry.underway.then_some(Task { revision, members, found, left: None, rules, begun: now, places })
    }

    /// Takes in what was found; of an object of which nothing is known now, what was known before stays.
    pub(super) fn end(&self, release: &ReleaseKey, task: Task, now: Timestamp) {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(release) else { return };
        entry.underway = false;
        entry.pace = entry.pace.next(task.begun, now, !task.is_whole());
        // Another revision, or other rules, since it began.
        if entry.revision != task.revision || entry.rules != task.rules {
            return;
        }
        for ((place, told), found) in task.places.into_iter().zip(task.found) {
            let Some(looked) = entry.looked.get_mut(place) else { continue };
            let asked = looked.as_ref().and_then(|looked| looked.asked);
            let (compared, asked) = match (found, &task.left) {
                (Some(compared), _) => (compared, Some(task.begun)),
                (None, Some(refusal)) => (ComparedObject::Refused(refusal.clone()), asked),
                (None, None) => continue,
            };
            let before = looked.take().and_then(|looked| looked.deviation);
            *looked = Some(Looked::new(told, compared, asked, before));
        }
    }

    pub fn forget(&self, release: &ReleaseKey) {
        self.lock().remove(release);
    }
}
