//! Pods, watched per namespace and only while somebody judges a release there: they tell the cause of trouble.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use tokio::task::AbortHandle;

use super::super::locked::locked;
use super::super::watch::Change;
use crate::health::PodFacts;
use crate::types::ReleaseKey;

#[derive(Debug, Default)]
pub(super) struct Pods(BTreeMap<Box<str>, Watched>);

#[derive(Debug, Default)]
struct Watched {
    /// One entry for each asking.
    users: Vec<ReleaseKey>,
    task: Option<AbortHandle>,
    facts: HashMap<Box<str>, PodFacts>,
    listing: Option<HashMap<Box<str>, PodFacts>>,
}

impl Pods {
    /// True if a watch is to be opened.
    pub(super) fn ask(&mut self, namespace: &str, release: &ReleaseKey) -> bool {
        let watched = self.0.entry(namespace.into()).or_default();
        watched.users.push(release.clone());
        watched.task.is_none()
    }

    fn leave(&mut self, namespace: &str, release: &ReleaseKey) {
        let Some(watched) = self.0.get_mut(namespace) else { return };
        if let Some(one) = watched.users.iter().position(|user| user == release) {
            watched.users.swap_remove(one);
        }
        if watched.users.is_empty() {
            if let Some(task) = &watched.task {
                task.abort();
            }
            self.0.remove(namespace);
        }
    }

    /// Opens a watch by `spawn` wherever one is missing.
    pub(super) fn open(&mut self, mut spawn: impl FnMut(&str) -> AbortHandle) {
        for (namespace, watched) in &mut self.0 {
            watched.task.get_or_insert_with(|| spawn(namespace));
        }
    }

    pub(super) fn facts(&self, namespace: &str) -> impl Iterator<Item = &PodFacts> {
        self.0.get(namespace).into_iter().flat_map(|watched| watched.facts.values())
    }

    /// Takes in what is made of the pods; returns who is to look again.
    pub(super) fn fold(&mut self, namespace: &str, change: Change<Option<PodFacts>>) -> Vec<ReleaseKey> {
        let Some(watched) = self.0.get_mut(namespace) else { return Vec::new() };
        let changed = match change {
            Change::Begin => {
                watched.listing = Some(HashMap::new());
                false
            }
            Change::Listed(Some(pod)) => {
                if let Some(listing) = &mut watched.listing {
                    listing.insert(pod.name.clone(), pod);
                }
                false
            }
            Change::Complete { .. } => {
                let new = watched.listing.take().unwrap_or_default();
                let changed = watched.facts != new;
                watched.facts = new;
                changed
            }
            Change::Applied(Some(pod)) => {
                let old = watched.facts.insert(pod.name.clone(), pod.clone());
                old.as_ref() != Some(&pod)
            }
            Change::Deleted(Some(pod)) => watched.facts.remove(&pod.name).is_some(),
            // They only explain: without them less is said, and nothing that is wrong.
            Change::Dark | Change::Refused(_) => {
                watched.facts.clear();
                false
            }
            Change::Listed(None)
            | Change::Applied(None)
            | Change::Deleted(None)
            | Change::Opened { .. }
            | Change::Lost => false,
        };
        if changed { watched.users.clone() } else { Vec::new() }
    }
}

/// The pods of a namespace are watched until the last of these is dropped.
#[derive(Debug)]
pub struct PodsAsked {
    pods: Arc<Mutex<Pods>>,
    namespace: Box<str>,
    release: ReleaseKey,
}

impl PodsAsked {
    pub(super) fn new(pods: Arc<Mutex<Pods>>, namespace: &str, release: &ReleaseKey) -> Self {
        Self { pods, namespace: namespace.into(), release: release.clone() }
    }
}

impl Drop for PodsAsked {
    fn drop(&mut self) {
        locked(&self.pods).leave(&self.namespace, &self.release);
    }
}
