//! Which releases are being judged: for as long as one is, the pods of its namespaces are watched, so that the cause of
//! trouble can be named.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::SignedDuration;

use crate::{
    cluster::{LiveIndex, PodsAsked},
    plan::{Because, Next, Plan},
    release::{Snapshot, Spec},
    types::ObjectKey,
};

/// How long after the start of an attempt its pods are of no interest: most are good by then, and need no watch.
const PATIENCE: SignedDuration = SignedDuration::from_secs(2);

/// The watches of pods that are held for objects.
#[derive(Default)]
pub struct Judging(Mutex<HashMap<ObjectKey, Vec<PodsAsked>>>);

impl Judging {
    /// Follows a plan: begins to watch pods when a verdict may be bad, and lets go when none is due. `Some` is how long
    /// a verdict may still be good without anybody having looked at a pod.
    pub fn follow(&self, live: &LiveIndex, key: &ObjectKey, snapshot: &Snapshot, plan: &Plan) -> Option<Duration> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody looks at anything for a refused object.
        let policy = snapshot.spec.policy().filter(|_| !matches!(snapshot.spec, Spec::Refused { .. }));
        let policy = match (policy, interest(plan)) {
            // An attempt is judged to its end, also where the spec has become invalid meanwhile.
            (Some(policy), Interest::Some) => policy,
            (Some(_), Interest::Unknown) => return None,
            (_, Interest::None) | (None, _) => {
                held.remove(key);
                return None;
            }
        };
        if let Some(operation) = &plan.memory.operation
            && !held.contains_key(key)
        {
            let left = PATIENCE.saturating_sub(snapshot.now.duration_since(operation.started));
            if left.is_positive() && snapshot.now < operation.deadline {
                return Duration::try_from(left).ok();
            }
        }
        held.entry(key.clone()).or_insert_with(|| {
            let members = plan.memory.inventory.iter().flat_map(|inventory| &inventory.members);
            let own = std::iter::once(policy.namespace.as_str());
            let namespaces: BTreeSet<&str> =
                members.map(|member| &*member.namespace).filter(|name| !name.is_empty()).chain(own).collect();
            namespaces.into_iter().map(|namespace| live.judge_pods(namespace, &policy.key())).collect()
        });
        None
    }

    pub fn forget(&self, key: &ObjectKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Whether anybody asks what the pods say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interest {
    Some,
    /// To be told by the pass that follows. Whoever let go for that long would say less, and soon the same again.
    Unknown,
    None,
}

/// There is some while an attempt is under way, or something is not as it should be and may recover.
fn interest(plan: &Plan) -> Interest {
    let troubled = matches!(
        plan.because,
        Because::Judging { .. } | Because::Unhealthy { .. } | Because::AttemptFailed { next: Next::Watching, .. }
    );
    match (troubled || plan.memory.operation.is_some(), &plan.because) {
        (true, _) => Interest::Some,
        (false, Because::Looking) => Interest::Unknown,
        (false, _) => Interest::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::{Action, Wake},
        release::Memory,
    };

    fn plan(because: Because) -> Plan {
        Plan {
            action: Action::Idle,
            memory: Memory::default(),
            because,
            held: None,
            notes: Vec::new(),
            wake: Wake::Never,
        }
    }

    #[test]
    fn a_look_at_the_inputs_neither_opens_nor_ends_the_watch_of_pods() {
        let good = Because::Good { revision: 1, label: "pink".into() };
        let bad =
            Because::Judging { label: "pink".into(), until: jiff::Timestamp::UNIX_EPOCH, member: None, why: None };
        let interests = [Because::Looking, good, bad].map(|because| interest(&plan(because)));
        assert_eq!(interests, [Interest::Unknown, Interest::None, Interest::Some]);
    }
}
