//! What is kept of the objects that hold values, and who refers to them.

use std::collections::{BTreeSet, HashMap};

use kube::Resource;
use kube::core::ObjectMeta;

use super::super::scope::Scope;
use super::super::standing::Standing;
use super::super::watch::{Change, number};
use super::{Ref, Version, slot};
use crate::api::ValuesKind;
use crate::release::View;
use crate::types::ObjectKey;

/// What is known of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    /// The watch may have gone past it before anybody referred to it.
    Unlearned,
    Is(Option<Version>),
}

#[derive(Debug)]
struct Source {
    known: Known,
    users: Vec<ObjectKey>,
    /// Named by the list that is being read.
    listed: Option<Version>,
    /// Referred to while a list was being read: the list may have named it before.
    late: bool,
}

/// The watch of one kind in one place.
#[derive(Debug, Default)]
struct Watched {
    standing: Standing,
    listing: bool,
}

#[derive(Debug)]
pub(super) struct Kept {
    watched: [Vec<Watched>; 2],
    refs: HashMap<Ref, Source>,
    by_object: HashMap<ObjectKey, Vec<Ref>>,
}

impl Kept {
    pub(super) fn new(watches: usize) -> Self {
        let blank = || (0..watches).map(|_| Watched::default()).collect();
        Self { watched: [blank(), blank()], refs: HashMap::new(), by_object: HashMap::new() }
    }

    pub(super) fn refer(&mut self, object: &ObjectKey, refs: Vec<Ref>, scope: &Scope) {
        let old = self.by_object.remove(object).unwrap_or_default();
        if old == refs {
            if !refs.is_empty() {
                self.by_object.insert(object.clone(), refs);
            }
            return;
        }
        for reference in old.iter().filter(|reference| !refs.contains(reference)) {
            let Some(kept) = self.refs.get_mut(reference) else { continue };
            kept.users.retain(|user| user != object);
            if kept.users.is_empty() {
                self.refs.remove(reference);
            }
        }
        for reference in &refs {
            let listing = self.watched(reference, scope).is_some_and(|watched| watched.listing);
            let kept = self.refs.entry(reference.clone()).or_insert_with(|| Source {
                known: Known::Unlearned,
                users: Vec::new(),
                listed: None,
                late: listing,
            });
            if !kept.users.contains(object) {
                kept.users.push(object.clone());
            }
        }
        if !refs.is_empty() {
            self.by_object.insert(object.clone(), refs);
        }
    }

    pub(super) fn look(&self, reference: &Ref, scope: &Scope) -> View<Option<Version>> {
        let Some(watched) = self.watched(reference, scope) else {
            return View::Refused(Scope::unwatched(&reference.namespace));
        };
        match (watched.standing.view(()), self.refs.get(reference).map(|kept| &kept.known)) {
            (View::Refused(why), _) => View::Refused(why),
            (View::Is(()), Some(Known::Is(found))) => View::Is(found.clone()),
            (View::Is(()) | View::Pending, _) => View::Pending,
        }
    }

    pub(super) fn unlearned(&self, object: &ObjectKey, scope: &Scope) -> Vec<Ref> {
        let unlearned = |reference: &&Ref| {
            let known = self.refs.get(*reference).map(|kept| &kept.known);
            let view = self.watched(reference, scope).map(|watched| watched.standing.view(()));
            known == Some(&Known::Unlearned) && view == Some(View::Is(()))
        };
        self.by_object.get(object).into_iter().flatten().filter(unlearned).cloned().collect()
    }

    /// Returns who is to look again.
    pub(super) fn fold<K: Resource>(
        &mut self,
        kind: ValuesKind,
        place: usize,
        change: &Change<K>,
        scope: &Scope,
    ) -> BTreeSet<ObjectKey> {
        let mut wakes = BTreeSet::new();
        let Some(watched) = self.watched[slot(kind)].get_mut(place) else { return wakes };
        let turned = watched.standing.turn(change);
        match change {
            Change::Begin => {
                watched.listing = true;
                for kept in of(&mut self.refs, kind, place, scope) {
                    kept.listed = None;
                    kept.late = false;
                }
            }
            Change::Listed(object) => {
                if let Some(kept) = reference(kind, object.meta()).and_then(|key| self.refs.get_mut(&key)) {
                    kept.listed = Some(version(object.meta()));
                }
            }
            Change::Complete { version: list, .. } => {
                watched.listing = false;
                of(&mut self.refs, kind, place, scope).for_each(|kept| kept.complete(*list, &mut wakes));
            }
            Change::Applied(object) => self.put(kind, object.meta(), false, &mut wakes),
            Change::Deleted(object) => self.put(kind, object.meta(), true, &mut wakes),
            Change::Opened { .. } | Change::Lost | Change::Dark | Change::Refused(_) => {}
        }
        if turned {
            of(&mut self.refs, kind, place, scope).for_each(|kept| wakes.extend(kept.users.iter().cloned()));
        }
        wakes
    }

    fn put(&mut self, kind: ValuesKind, meta: &ObjectMeta, gone: bool, wakes: &mut BTreeSet<ObjectKey>) {
        let Some(kept) = reference(kind, meta).and_then(|key| self.refs.get_mut(&key)) else { return };
        let told = version(meta);
        if kept.is_behind(&told) {
            kept.tell(if gone { None } else { Some(told) }, wakes);
        }
    }

    /// Counts only as long as the watch has said nothing: the watch tells of what comes, in order.
    pub(super) fn learnt(&mut self, reference: &Ref, found: Option<Version>) -> BTreeSet<ObjectKey> {
        let mut wakes = BTreeSet::new();
        if let Some(kept) = self.refs.get_mut(reference).filter(|kept| kept.known == Known::Unlearned) {
            kept.tell(found, &mut wakes);
        }
        wakes
    }

    pub(super) fn observe(&mut self, reference: &Ref, found: &Version) -> BTreeSet<ObjectKey> {
        let mut wakes = BTreeSet::new();
        // Absence has no version: what was deleted is not brought back by a read that may have been before.
        let newer = |kept: &&mut Source| kept.known != Known::Is(None) && kept.is_behind(found);
        if let Some(kept) = self.refs.get_mut(reference).filter(newer) {
            kept.tell(Some(found.clone()), &mut wakes);
        }
        wakes
    }

    fn watched(&self, reference: &Ref, scope: &Scope) -> Option<&Watched> {
        self.watched[slot(reference.kind)].get(scope.place(&reference.namespace)?)
    }
}

impl Source {
    fn is_behind(&self, told: &Version) -> bool {
        let newer = |old: &Version| number(Some(&told.resource_version)) > number(Some(&old.resource_version));
        match &self.known {
            Known::Is(Some(old)) => newer(old),
            Known::Unlearned | Known::Is(None) => true,
        }
    }

    fn tell(&mut self, found: Option<Version>, wakes: &mut BTreeSet<ObjectKey>) {
        let known = Known::Is(found);
        if self.known != known {
            self.known = known;
            wakes.extend(self.users.iter().cloned());
        }
    }

    fn complete(&mut self, list: u64, wakes: &mut BTreeSet<ObjectKey>) {
        match self.listed.take() {
            Some(told) if self.is_behind(&told) => self.tell(Some(told), wakes),
            Some(_) => {}
            // The list may have named it before anybody referred to it.
            None if self.late => {}
            None => {
                let newer = |found: &Version| number(Some(&found.resource_version)) > list;
                if !matches!(&self.known, Known::Is(Some(found)) if newer(found)) {
                    self.tell(None, wakes);
                }
            }
        }
    }
}

/// What the watch of `kind` at `place` is to tell of.
fn of<'a>(
    refs: &'a mut HashMap<Ref, Source>,
    kind: ValuesKind,
    place: usize,
    scope: &'a Scope,
) -> impl Iterator<Item = &'a mut Source> {
    let there = move |key: &Ref| key.kind == kind && scope.place(&key.namespace) == Some(place);
    refs.iter_mut().filter(move |(key, _)| there(key)).map(|(_, kept)| kept)
}

fn reference(kind: ValuesKind, meta: &ObjectMeta) -> Option<Ref> {
    let (namespace, name) = (meta.namespace.as_deref()?, meta.name.as_deref()?);
    Some(Ref { kind, namespace: namespace.into(), name: name.into() })
}

fn version(meta: &ObjectMeta) -> Version {
    Version {
        uid: meta.uid.as_deref().unwrap_or_default().into(),
        resource_version: meta.resource_version.as_deref().unwrap_or_default().into(),
    }
}
