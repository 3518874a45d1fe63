//! The index of objects that hold values: of what is referred to, which version is there; never what is in it.

mod kept;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::{Client, Resource};
use tokio::sync::Notify;

use kept::Kept;

use super::clock::Clock;
use super::error::ClusterError;
use super::locked::locked;
use super::requests::Requests;
use super::scope::Scope;
use super::wakes::Wakes;
use super::watch::{Change, Pulse, follow_builtin, side_by_side};
use crate::api::ValuesKind;
use crate::release::View;
use crate::types::ObjectKey;

/// Secrets that are helm's records are watched by another index.
const SECRET_LABELS: &str = "owner!=helm";
const KINDS: [ValuesKind; 2] = [ValuesKind::ConfigMap, ValuesKind::Secret];

/// An object that holds values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ref {
    pub kind: ValuesKind,
    pub namespace: Box<str>,
    pub name: Box<str>,
}

/// Which object it is, and in which state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub uid: Box<str>,
    pub resource_version: Box<str>,
}

/// One watch for each kind and watched namespace, opened when the first object refers to that kind.
#[derive(Debug)]
pub struct ValuesIndex {
    scope: Scope,
    kept: Mutex<Kept>,
    referred: [Notify; 2],
    pulses: [Vec<Pulse>; 2],
    wakes: Wakes<ObjectKey>,
}

impl ValuesIndex {
    pub fn new(scope: Scope, wakes: Wakes<ObjectKey>) -> Self {
        let pulses = || (0..scope.watches()).map(|_| Pulse::default()).collect();
        Self {
            kept: Mutex::new(Kept::new(scope.watches())),
            referred: [Notify::new(), Notify::new()],
            pulses: [pulses(), pulses()],
            wakes,
            scope,
        }
    }

    /// Keeps the index up to date; never ends.
    pub async fn run(self: Arc<Self>, client: Client, clock: Clock) {
        tokio::join!(
            self.run_kind::<ConfigMap>(&client, &clock, ValuesKind::ConfigMap, None),
            self.run_kind::<Secret>(&client, &clock, ValuesKind::Secret, Some(SECRET_LABELS)),
        );
    }

    async fn run_kind<K>(&self, client: &Client, clock: &Clock, kind: ValuesKind, labels: Option<&str>)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static,
        PartialObjectMeta<K>: serde::de::DeserializeOwned,
    {
        self.referred[slot(kind)].notified().await;
        let apis = self.scope.apis::<PartialObjectMeta<K>>(client);
        side_by_side(apis.into_iter().zip(&self.pulses[slot(kind)]).enumerate().map(|(place, (api, pulse))| {
            follow_builtin(api, labels, pulse.clone(), clock, move |change| self.fold(kind, place, &change))
        }))
        .await;
    }

    /// Takes in what the watch of `kind` at `place` says.
    pub fn fold<K: Resource>(&self, kind: ValuesKind, place: usize, change: &Change<K>) {
        let wakes = locked(&self.kept).fold(kind, place, change, &self.scope);
        self.wakes.wake_all(wakes);
    }

    /// What `object` refers to from now on; nothing, when it is gone.
    pub fn refer(&self, object: &ObjectKey, refs: Vec<Ref>) {
        for kind in KINDS {
            if refs.iter().any(|reference| reference.kind == kind) {
                // A permit is kept for a watch that does not wait yet; later ones are not needed.
                self.referred[slot(kind)].notify_one();
            }
        }
        locked(&self.kept).refer(object, refs, &self.scope);
    }

    /// Which version is there. `Pending` also where the watch went past the object before anybody referred to it:
    /// [`Self::unlearned`] names those.
    pub fn look(&self, reference: &Ref) -> View<Option<Version>> {
        locked(&self.kept).look(reference, &self.scope)
    }

    /// What has to be asked for once, with [`Self::learn`].
    pub fn unlearned(&self, object: &ObjectKey) -> Vec<Ref> {
        locked(&self.kept).unlearned(object, &self.scope)
    }

    /// Asks for one object's metadata; who refers to it is woken.
    pub async fn learn(&self, requests: &Requests, reference: &Ref) -> Result<(), ClusterError> {
        let found = requests.read_values_version(reference).await?;
        let wakes = locked(&self.kept).learnt(reference, found);
        self.wakes.wake_all(wakes);
        Ok(())
    }

    /// Takes in what a read of our own has found.
    pub fn observe(&self, reference: &Ref, found: &Version) {
        let wakes = locked(&self.kept).observe(reference, found);
        self.wakes.wake_all(wakes);
    }

    /// The signs of life of the watches of a kind.
    pub fn pulses(&self, kind: ValuesKind) -> &[Pulse] {
        &self.pulses[slot(kind)]
    }
}

fn slot(kind: ValuesKind) -> usize {
    match kind {
        ValuesKind::ConfigMap => 0,
        ValuesKind::Secret => 1,
    }
}
