//! The judgement of one object: which rule is for which kind, and what is kept of the outcome.

use serde_json::Value;

use super::object::{Object, group_of};
use super::selector::Selector;
use super::{conditions, jobs, platform, pods, storage, workloads};
use crate::release::Verdict;

/// What is kept of an object that was judged; small, because there is one for every member of every release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub verdict: Verdict,
    /// It will do nothing any more (a completed Job, a succeeded Pod, a failed Job that is removed by its time to live):
    /// when it is gone later, it is not missing, and this is what counts.
    pub finished: bool,
    /// Of a workload: selects the pods in which the cause of its trouble is found.
    pub selector: Option<Box<Selector>>,
}

type Rule = fn(Object<'_>) -> Verdict;

/// By the rules of its kind. Total: an object that is rubbish gets a judgement like any other.
pub fn judge(object: &Value) -> Judgement {
    let object = Object(object);
    let is = |group: &str, kind: &str| object.group() == group && object.kind() == kind;
    // Done is done: these also stay what they are while the object is being removed, as a time to live does it.
    let finished = is("batch", "Job") && jobs::is_complete(object) || is("", "Pod") && pods::is_complete(object);
    if finished {
        return Judgement { verdict: Verdict::Healthy, finished, selector: None };
    }
    let rule = rule(object.group(), object.kind());
    let failure = if is("batch", "Job") { jobs::failure(object) } else { None };
    let verdict = match (failure, object.unsettled(), rule) {
        (Some(failure), _, _) => failure,
        (None, _, None) if !object.is_terminating() => Verdict::Healthy,
        (None, Some(why), _) => Verdict::Progressing(why),
        (None, None, rule) => rule.map_or(Verdict::Healthy, |rule| rule(object)),
    };
    let selector = if has_pods(object.group(), object.kind()) { Selector::of(object) } else { None };
    let finished = matches!(verdict, Verdict::Failed(_)) && is("batch", "Job") && jobs::is_short_lived(object);
    Judgement { verdict, finished, selector: selector.map(Box::new) }
}

/// Whether a Job or a Pod will do nothing any more, whatever came of it; helm waits for that at a hook.
pub fn has_ended(object: &Value) -> bool {
    let object = Object(object);
    match (object.group(), object.kind()) {
        ("batch", "Job") => jobs::has_ended(object),
        ("", "Pod") => pods::has_ended(object),
        _ => false,
    }
}

/// Whether objects of this kind must be watched whole; of all others metadata is enough, and all that is judged is
/// that they are there and are not being deleted. True for unknown kinds.
pub fn has_health(api_version: &str, kind: &str) -> bool {
    rule(group_of(api_version), kind).is_some()
}

fn has_pods(group: &str, kind: &str) -> bool {
    matches!(
        (group, kind),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
            | ("", "ReplicationController")
            | ("batch", "Job")
    )
}

/// `None`: being there is all there is to it. The version never matters: no served version of these kinds differs in
/// what is read.
fn rule(group: &str, kind: &str) -> Option<Rule> {
    let rule: Rule = match (group, kind) {
        ("apps", "Deployment") => workloads::deployment,
        ("apps", "StatefulSet") => workloads::stateful_set,
        ("apps", "DaemonSet") => workloads::daemon_set,
        ("apps", "ReplicaSet") | ("", "ReplicationController") => workloads::replica_set,
        ("batch", "Job") => jobs::judge,
        ("", "Pod") => pods::judge,
        ("", "PersistentVolumeClaim") => storage::claim,
        ("", "Service") => platform::service,
        ("", "Namespace") => platform::namespace,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => platform::definition,
        ("apiregistration.k8s.io", "APIService") => platform::served_api,
        _ if is_inert(group, kind) => return None,
        _ => conditions::judge,
    };
    Some(rule)
}

/// Kinds that are in effect by being there, or whose status tells about others: a budget that is used up, an
/// autoscaler without metrics and an Ingress without an address are no fault of a revision.
fn is_inert(group: &str, kind: &str) -> bool {
    match group {
        "" => matches!(
            kind,
            "ConfigMap"
                | "Endpoints"
                | "Event"
                | "LimitRange"
                | "PersistentVolume"
                | "PodTemplate"
                | "ResourceQuota"
                | "Secret"
                | "ServiceAccount"
        ),
        "admissionregistration.k8s.io"
        | "autoscaling"
        | "coordination.k8s.io"
        | "discovery.k8s.io"
        | "events.k8s.io"
        | "networking.k8s.io"
        | "node.k8s.io"
        | "policy"
        | "rbac.authorization.k8s.io"
        | "scheduling.k8s.io"
        | "storage.k8s.io" => true,
        "apps" => kind == "ControllerRevision",
        "batch" => kind == "CronJob",
        "extensions" => kind == "Ingress",
        _ => false,
    }
}
