//! Which releases are being judged: for as long as one is, the pods of its namespaces are watched, so that the cause of
//! trouble can be named.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use crate::{
    cluster::{LiveIndex, PodsAsked},
    plan::{Because, Next, Plan},
    release::{Snapshot, Spec},
    types::ObjectKey,
};

/// The watches of pods that are held for objects.
#[derive(Default)]
pub struct Judging(Mutex<HashMap<ObjectKey, Vec<PodsAsked>>>);

impl Judging {
    /// Follows a plan: begins to watch pods when a verdict is due, and lets go when none is.
    pub fn follow(&self, live: &LiveIndex, key: &ObjectKey, snapshot: &Snapshot, plan: &Plan) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (Spec::Valid(policy), true) = (&snapshot.spec, needed(plan)) else {
            held.remove(key);
            return;
        };
        held.entry(key.clone()).or_insert_with(|| {
            let members = plan.memory.inventory.iter().flat_map(|inventory| &inventory.members);
            let own = std::iter::once(policy.namespace.as_str());
            let namespaces: BTreeSet<&str> =
                members.map(|member| &*member.namespace).filter(|name| !name.is_empty()).chain(own).collect();
            namespaces.into_iter().map(|namespace| live.judge_pods(namespace, &policy.key())).collect()
        });
    }

    pub fn forget(&self, key: &ObjectKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// An attempt is under way, or something is not as it should be and may recover.
fn needed(plan: &Plan) -> bool {
    let troubled = matches!(
        plan.because,
        Because::Judging { .. } | Because::Unhealthy { .. } | Because::AttemptFailed { next: Next::Watching, .. }
    );
    troubled || plan.memory.operation.is_some()
}
