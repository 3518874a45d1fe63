//! Pods: judged alone, and as facts about the workload that owns them.

use jiff::Timestamp;
use serde_json::Value;

use super::object::Object;
use super::selector::{Labels, labels_of};
use super::trouble::{PodTrouble, is_ready, pod_trouble};
use super::words::progressing;
use crate::release::{Fault, Verdict, Why};

const LABEL_TEMPLATE_HASH: &str = "pod-template-hash";
const LABEL_REVISION_HASH: &str = "controller-revision-hash";

/// What is kept of a pod while its release is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFacts {
    pub namespace: Box<str>,
    pub name: Box<str>,
    pub labels: Box<Labels>,
    pub ready: bool,
    pub trouble: Option<PodTrouble>,
    /// The object that controls it; absent for a bare pod.
    pub owner: Option<Box<Owner>>,
    /// Seconds since the epoch; 0 if unknown.
    pub created: i64,
}

/// The controller named by a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub kind: Box<str>,
    pub name: Box<str>,
}

impl PodFacts {
    /// `None` for what has no name, and so is no pod.
    pub fn of(pod: &Value) -> Option<Self> {
        let object = Object(pod);
        let name = object.text("/metadata/name");
        let owner = object.list("/metadata/ownerReferences").find(|owner| owner.is_true("/controller"));
        (!name.is_empty()).then(|| Self {
            namespace: object.text("/metadata/namespace").into(),
            name: name.into(),
            labels: object.at("/metadata/labels").and_then(labels_of).unwrap_or_default(),
            ready: is_ready(object) && !object.is_terminating(),
            trouble: pod_trouble(pod),
            owner: owner
                .map(|owner| Box::new(Owner { kind: owner.text("/kind").into(), name: owner.text("/name").into() })),
            created: object.text("/metadata/creationTimestamp").parse::<Timestamp>().map_or(0, Timestamp::as_second),
        })
    }

    /// Which revision of its workload it runs, as an opaque hash.
    pub fn revision(&self) -> Option<&str> {
        let of = |key: &str| self.labels.iter().find(|(name, _)| **name == *key).map(|(_, value)| &**value);
        of(LABEL_TEMPLATE_HASH).or_else(|| of(LABEL_REVISION_HASH))
    }
}

pub(super) fn is_complete(pod: Object<'_>) -> bool {
    pod.text("/status/phase") == "Succeeded"
}

/// Nothing in it runs any more, or ever will again.
pub(super) fn has_ended(pod: Object<'_>) -> bool {
    is_complete(pod) || pod.text("/status/phase") == "Failed"
}

/// A pod that failed stays failed. One that crashes is started again by its own `restartPolicy`, so it is on its way.
pub(super) fn judge(pod: Object<'_>) -> Verdict {
    if is_ready(pod) || is_complete(pod) {
        return Verdict::Healthy;
    }
    let why = pod_trouble(pod.0).map(|trouble| Why { fault: trouble.fault, text: trouble.text });
    match (pod.text("/status/phase"), why) {
        ("Failed", why) => Verdict::Failed(why.unwrap_or(Why { fault: Fault::Own, text: "failed".into() })),
        (_, Some(why)) => Verdict::Progressing(why),
        (_, None) => progressing("is not ready"),
    }
}
