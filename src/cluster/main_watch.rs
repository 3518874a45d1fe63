//! The watch of `HelmRelease`s: the store that passes read, who claims which release, and what is malformed.

mod dependents;
mod guarded;
mod objects;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use kube::Client;
use kube::runtime::reflector::Store;

use guarded::Guarded;
use objects::{Objects, Wake};

use super::clock::Clock;
use super::locked::locked;
use super::requests::Target;
use super::scope::Scope;
use super::wakes::Wakes;
use super::watch::{Change, Pulse, follow_builtin, side_by_side};
use crate::api::HelmRelease;
use crate::release::View;
use crate::types::{ObjectKey, ReleaseKey};

/// An object that names a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    pub object: ObjectKey,
    pub uid: Box<str>,
    pub created: Timestamp,
}

/// An object that is none by our schema; the definition in the cluster may be another operator's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    pub target: Target,
    pub generation: i64,
    pub deleting: bool,
    /// What serde says is wrong.
    pub error: Box<str>,
}

/// What is seen of an object that another depends on.
#[derive(Debug, Clone)]
pub enum Seen {
    There(Arc<HelmRelease>),
    Missing,
    /// Nobody looks into its namespace.
    Unwatched,
    /// It may be there; says why that is not known.
    Hidden(Box<str>),
}

/// Whom to tell what.
#[derive(Debug, Clone, Default)]
pub struct MainWakes {
    /// New or changed by anybody but us, or in another situation because of another claimant.
    pub changed: Wakes<ObjectKey>,
    pub gone: Wakes<ObjectKey>,
    /// Malformed since now, or in another way.
    pub malformed: Wakes<ObjectKey>,
}

/// The objects as the watch and our own writes tell, whichever is newer.
pub struct MainIndex {
    scope: Scope,
    objects: Mutex<Objects>,
    store: Store<HelmRelease>,
    pulses: Vec<Pulse>,
    wakes: MainWakes,
}

impl MainIndex {
    pub fn new(scope: Scope, wakes: MainWakes) -> Self {
        let objects = Objects::new(scope.watches());
        Self {
            store: objects.store(),
            objects: Mutex::new(objects),
            pulses: (0..scope.watches()).map(|_| Pulse::default()).collect(),
            scope,
            wakes,
        }
    }

    /// Keeps the index up to date; never ends.
    pub async fn run(self: Arc<Self>, client: Client, clock: Clock) {
        let apis = self.scope.apis::<Guarded>(&client);
        let fold = &|place, change| self.fold(place, change);
        let clock = &clock;
        side_by_side(apis.into_iter().zip(&self.pulses).enumerate().map(|(place, (api, pulse))| {
            follow_builtin(api, None, pulse.clone(), clock, move |change| fold(place, change))
        }))
        .await;
    }

    /// Takes in what the watch at `place` says.
    pub fn fold(&self, place: usize, change: Change<Guarded>) {
        let wakes = locked(&self.objects).fold(&self.scope, place, change);
        self.tell(wakes);
    }

    fn tell(&self, wakes: Vec<Wake>) {
        for wake in wakes {
            match wake {
                Wake::Changed(key) => self.wakes.changed.wake(key),
                Wake::Gone(key) => self.wakes.gone.wake(key),
                Wake::Malformed(key) => self.wakes.malformed.wake(key),
            }
        }
    }

    /// Takes in the answer to a write of our own: the next pass sees it however late the watch is, and the watch does
    /// not wake its object for it. Who depends on the object is woken now.
    pub fn observe(&self, written: HelmRelease) {
        let wakes = locked(&self.objects).observe(&self.scope, written);
        self.tell(wakes);
    }

    /// For kube's controller; ready after the first complete list.
    pub fn store(&self) -> Store<HelmRelease> {
        self.store.clone()
    }

    pub fn get(&self, key: &ObjectKey) -> Option<Arc<HelmRelease>> {
        locked(&self.objects).get(key)
    }

    /// All objects that name a release, the oldest first.
    pub fn claimants(&self, release: &ReleaseKey) -> Vec<Claimant> {
        locked(&self.objects).claimants(release)
    }

    /// An object that another depends on, as far as it is seen.
    pub fn dependency(&self, key: &ObjectKey) -> Seen {
        let Some(place) = self.scope.place(&key.namespace) else { return Seen::Unwatched };
        let objects = locked(&self.objects);
        if let Some(object) = objects.get(key) {
            return Seen::There(object);
        }
        if objects.malformed(key).is_some() {
            return Seen::Hidden("it cannot be read".into());
        }
        match objects.standing_of(place) {
            View::Is(()) => Seen::Missing,
            View::Pending => Seen::Hidden("it is not in view".into()),
            View::Refused(why) => Seen::Hidden(format!("it cannot be watched: {why}").into()),
        }
    }

    /// The way from an object over what it depends on back to itself, if there is one.
    pub fn cycle(&self, key: &ObjectKey) -> Option<Vec<ObjectKey>> {
        locked(&self.objects).cycle(key)
    }

    pub fn malformed(&self, key: &ObjectKey) -> Option<Malformed> {
        locked(&self.objects).malformed(key)
    }

    /// Whether everything is seen; `Refused` says why not, and the definition that is not installed is such a reason.
    pub fn standing(&self) -> View<()> {
        locked(&self.objects).standing()
    }

    /// The signs of life of the watches.
    pub fn pulses(&self) -> &[Pulse] {
        &self.pulses
    }
}
