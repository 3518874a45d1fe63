//! What is kept of the objects.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kube::Resource as _;
use kube::core::ObjectMeta;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use kube::runtime::watcher;

use super::super::error::cut;
use super::super::requests::Target;
use super::super::scope::Scope;
use super::super::standing::Standing;
use super::super::watch::{Change, number};
use super::{Claimant, Malformed, dependents::Dependents, guarded::Guarded};
use crate::api::HelmRelease;
use crate::release::{View, dependency_keys, release_key};
use crate::types::{ObjectKey, ReleaseKey};

/// A copy of the whole object that kubectl leaves in it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Bytes of what serde says of a malformed object.
const ERROR_MAX_BYTES: usize = 512;

/// Somebody to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wake {
    Changed(ObjectKey),
    Gone(ObjectKey),
    Malformed(ObjectKey),
}

#[derive(Debug)]
struct Seen {
    version: u64,
    claimant: Claimant,
    /// Stays while the object is malformed: nobody takes over what may be put right in a moment.
    claim: Option<ReleaseKey>,
    malformed: Option<Box<Malformed>>,
}

/// The watch of one place.
#[derive(Debug, Default)]
struct Watched {
    standing: Standing,
    listing: Option<HashSet<ObjectKey>>,
    /// How far the watch has come: an earlier answer to a write of ours has nothing to add.
    seen: u64,
}

pub(super) struct Objects {
    writer: Writer<HelmRelease>,
    ready: bool,
    watched: Vec<Watched>,
    seen: HashMap<ObjectKey, Seen>,
    claims: HashMap<ReleaseKey, Vec<ObjectKey>>,
    dependents: Dependents,
}

impl Objects {
    pub(super) fn new(watches: usize) -> Self {
        Self {
            writer: Writer::default(),
            ready: false,
            watched: (0..watches).map(|_| Watched::default()).collect(),
            seen: HashMap::new(),
            claims: HashMap::new(),
            dependents: Dependents::default(),
        }
    }

    pub(super) fn store(&self) -> Store<HelmRelease> {
        self.writer.as_reader()
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Option<Arc<HelmRelease>> {
        self.writer.as_reader().get(&ObjectRef::new(&key.name).within(&key.namespace))
    }

    pub(super) fn claimants(&self, release: &ReleaseKey) -> Vec<Claimant> {
        let keys = self.claims.get(release).into_iter().flatten();
        let mut all: Vec<Claimant> = keys.filter_map(|key| Some(self.seen.get(key)?.claimant.clone())).collect();
        all.sort_by(|a, b| (a.created, &a.object).cmp(&(b.created, &b.object)));
        all
    }

    pub(super) fn malformed(&self, key: &ObjectKey) -> Option<Malformed> {
        self.seen.get(key)?.malformed.as_deref().cloned()
    }

    /// Whether what is said of the objects of one place can be relied on.
    pub(super) fn standing_of(&self, place: usize) -> View<()> {
        self.watched.get(place).map_or(View::Pending, |watched| watched.standing.view(()))
    }

    pub(super) fn cycle(&self, key: &ObjectKey) -> Option<Vec<ObjectKey>> {
        self.dependents.cycle(key)
    }

    pub(super) fn standing(&self) -> View<()> {
        let mut all = View::Is(());
        for watched in &self.watched {
            match watched.standing.view(()) {
                View::Refused(why) => return View::Refused(why),
                View::Pending => all = View::Pending,
                View::Is(()) => {}
            }
        }
        all
    }

    pub(super) fn fold(&mut self, scope: &Scope, place: usize, change: Change<Guarded>) -> Vec<Wake> {
        let mut wakes = Vec::new();
        let Some(watched) = self.watched.get_mut(place) else { return wakes };
        watched.standing.turn(&change);
        match change {
            Change::Begin => watched.listing = Some(HashSet::new()),
            Change::Listed(object) => {
                if let (Some(listing), Some(key)) = (&mut watched.listing, key_of(object.meta())) {
                    listing.insert(key);
                }
                self.take_in(&object, &mut wakes);
            }
            Change::Complete { version, .. } => {
                watched.seen = watched.seen.max(version);
                let listing = watched.listing.take().unwrap_or_default();
                let gone = |(key, seen): &(&ObjectKey, &Seen)| {
                    !listing.contains(*key) && seen.version <= version && scope.place(&key.namespace) == Some(place)
                };
                let mut gone: Vec<ObjectKey> = self.seen.iter().filter(gone).map(|(key, _)| key.clone()).collect();
                gone.sort_unstable();
                for key in gone {
                    self.remove(key, &mut wakes);
                }
            }
            Change::Applied(object) => {
                watched.seen = watched.seen.max(version_of(object.meta()));
                self.take_in(&object, &mut wakes);
            }
            Change::Deleted(object) => {
                let version = version_of(object.meta());
                watched.seen = watched.seen.max(version);
                let key = key_of(object.meta());
                if let Some(key) = key.filter(|key| self.seen.get(key).is_some_and(|seen| seen.version <= version)) {
                    self.remove(key, &mut wakes);
                }
            }
            Change::Opened { .. } | Change::Lost | Change::Dark | Change::Refused(_) => {}
        }
        self.open_when_ready();
        wakes
    }

    /// Tells of others only: the watch passes over what is taken in here, so this is when those who depend on it hear.
    pub(super) fn observe(&mut self, scope: &Scope, written: HelmRelease) -> Vec<Wake> {
        let mut wakes = Vec::new();
        let Some(key) = key_of(written.meta()) else { return wakes };
        let place = scope.place(&key.namespace).and_then(|place| self.watched.get(place));
        // What the watch has passed it has told already, a later deletion included.
        if place.is_some_and(|watched| version_of(written.meta()) > watched.seen) {
            self.put(key.clone(), version_of(written.meta()), || Ok(written), &mut wakes);
        }
        let own = Wake::Changed(key);
        wakes.retain(|wake| *wake != own);
        wakes
    }

    fn take_in(&mut self, object: &Guarded, wakes: &mut Vec<Wake>) {
        if let Some(key) = key_of(object.meta()) {
            self.put(key, version_of(object.meta()), || object.read(), wakes);
        }
    }

    /// Reads an object if it is newer than what is known of it.
    fn put(
        &mut self,
        key: ObjectKey,
        version: u64,
        read: impl FnOnce() -> Result<HelmRelease, Box<InvalidObject>>,
        wakes: &mut Vec<Wake>,
    ) {
        if self.seen.get(&key).is_some_and(|old| old.version >= version) {
            return;
        }
        let old = self.seen.remove(&key);
        self.put_known(key, old, read(), wakes);
    }

    fn put_known(
        &mut self,
        key: ObjectKey,
        old: Option<Seen>,
        object: Result<HelmRelease, Box<InvalidObject>>,
        wakes: &mut Vec<Wake>,
    ) {
        let meta = object.as_ref().map_or_else(|invalid| &invalid.metadata, HelmRelease::meta);
        let (version, claimant) = (version_of(meta), claimant(&key, meta));
        let (claim, malformed) = old.map_or((None, None), |old| (old.claim, old.malformed));
        let mut seen = Seen { version, claimant, claim, malformed };
        match object {
            Ok(mut good) => {
                slim(&mut good.metadata);
                seen.malformed = None;
                let claim = release_key(&good).ok();
                if seen.claim != claim {
                    self.unclaim(&key, seen.claim.take(), wakes);
                    self.claim(&key, claim.as_ref(), wakes);
                    seen.claim = claim;
                }
                self.dependents.set(&key, dependency_keys(&good));
                self.writer.apply_watcher_event(&watcher::Event::Apply(good));
                wakes.push(Wake::Changed(key.clone()));
            }
            Err(invalid) => {
                let malformed = Box::new(Malformed {
                    target: Target::of(&invalid.metadata),
                    generation: invalid.metadata.generation.unwrap_or(0),
                    deleting: invalid.metadata.deletion_timestamp.is_some(),
                    error: cut(&invalid.error, ERROR_MAX_BYTES).into(),
                });
                self.dependents.set(&key, Vec::new());
                if seen.malformed.as_ref() != Some(&malformed) {
                    tracing::warn!(object = %key, error = %malformed.error, "malformed object passed by");
                    wakes.push(Wake::Malformed(key.clone()));
                }
                seen.malformed = Some(malformed);
                self.drop_from_store(&key);
            }
        }
        self.tell_dependents(&key, wakes);
        self.seen.insert(key, seen);
    }

    fn tell_dependents(&self, key: &ObjectKey, wakes: &mut Vec<Wake>) {
        wakes.extend(self.dependents.of(key).cloned().map(Wake::Changed));
    }

    fn remove(&mut self, key: ObjectKey, wakes: &mut Vec<Wake>) {
        let Some(seen) = self.seen.remove(&key) else { return };
        self.unclaim(&key, seen.claim, wakes);
        self.drop_from_store(&key);
        self.dependents.set(&key, Vec::new());
        self.tell_dependents(&key, wakes);
        wakes.push(Wake::Gone(key));
    }

    fn drop_from_store(&mut self, key: &ObjectKey) {
        if let Some(object) = self.get(key) {
            self.writer.apply_watcher_event(&watcher::Event::Delete((*object).clone()));
        }
    }

    fn claim(&mut self, key: &ObjectKey, release: Option<&ReleaseKey>, wakes: &mut Vec<Wake>) {
        let Some(release) = release else { return };
        let claimants = self.claims.entry(release.clone()).or_default();
        wakes.extend(claimants.iter().cloned().map(Wake::Changed));
        claimants.push(key.clone());
    }

    /// The others that name the release may have it now.
    fn unclaim(&mut self, key: &ObjectKey, release: Option<ReleaseKey>, wakes: &mut Vec<Wake>) {
        let Some(release) = release else { return };
        let Some(claimants) = self.claims.get_mut(&release) else { return };
        claimants.retain(|claimant| claimant != key);
        wakes.extend(claimants.iter().cloned().map(Wake::Changed));
        if claimants.is_empty() {
            self.claims.remove(&release);
        }
    }

    /// The store counts as ready once every watch has either listed or been refused: a namespace that we may not see
    /// keeps nobody waiting. kube's writer says so only at the end of a list of everything.
    fn open_when_ready(&mut self) {
        if self.ready || self.watched.iter().any(|watched| watched.standing.view(()) == View::Pending) {
            return;
        }
        self.ready = true;
        let all = self.writer.as_reader().state();
        self.writer.apply_watcher_event(&watcher::Event::Init);
        for object in all {
            self.writer.apply_watcher_event(&watcher::Event::InitApply((*object).clone()));
        }
        self.writer.apply_watcher_event(&watcher::Event::InitDone);
    }
}

fn key_of(meta: &ObjectMeta) -> Option<ObjectKey> {
    Some(ObjectKey::new(meta.namespace.as_deref()?, meta.name.as_deref()?))
}

fn version_of(meta: &ObjectMeta) -> u64 {
    number(meta.resource_version.as_deref())
}

fn claimant(key: &ObjectKey, meta: &ObjectMeta) -> Claimant {
    Claimant {
        object: key.clone(),
        uid: meta.uid.as_deref().unwrap_or_default().into(),
        created: meta.creation_timestamp.as_ref().map_or(jiff::Timestamp::UNIX_EPOCH, |time| time.0),
    }
}

/// Half of an object is about who wrote which field.
fn slim(meta: &mut ObjectMeta) {
    meta.managed_fields = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(LAST_APPLIED);
    }
}
