//! What the passes of this process last said of each release: the source of the gauges.
//!
//! Status would say it too, but status outlives the process that wrote it: after a restart it tells of releases that
//! nobody has looked at since.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    api::ConditionType,
    metrics::Metrics,
    status::{Rendered, Truth},
    types::ObjectKey,
};

/// One release, as a pass left it.
struct Said {
    ready: Truth,
    /// Its desired digest is not tried again.
    quarantined: bool,
    drifted: bool,
}

/// Every release that a pass has come to a word about.
#[derive(Default)]
pub struct Census(Mutex<HashMap<ObjectKey, Said>>);

impl Census {
    pub fn count(&self, key: &ObjectKey, Rendered { status, ready, .. }: &Rendered) {
        let desired = status.desired.as_ref().map(|desired| &desired.digest);
        let quarantined = status.quarantined.iter().any(|entry| Some(&entry.digest) == desired);
        let drifted =
            |one: &Condition| one.type_ == ConditionType::Drifted.as_str() && one.status == Truth::True.as_str();
        let drifted = status.conditions.iter().any(drifted);
        let said = Said { ready: *ready, quarantined, drifted };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), said);
    }

    pub fn forget(&self, key: &ObjectKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Brings the gauges up to date.
    pub fn tell(&self, metrics: &Metrics) {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for ready in [Truth::True, Truth::False, Truth::Unknown] {
            let releases = said.values().filter(|said| said.ready == ready).count();
            metrics.releases.with_label_values(&[ready.as_str()]).set(gauge(releases));
        }
        metrics.quarantined.set(gauge(said.values().filter(|said| said.quarantined).count()));
        metrics.drifted.set(gauge(said.values().filter(|said| said.drifted).count()));
    }
}
