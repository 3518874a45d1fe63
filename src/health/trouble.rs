//! The cause inside a pod: why it is not ready, and whose fault that is.

use serde_json::Value;

use super::images;
use super::object::Object;
use super::words::{POD_TEXT_MAX_BYTES, counted, detailed, fragment};
use crate::release::Fault;

/// Why one pod is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodTrouble {
    pub fault: Fault,
    /// A fragment such as `container web exited with code 3, 4 restarts`.
    pub text: Box<str>,
    /// How much it explains: of several troubles the highest is told, and its fault counts.
    pub rank: u8,
}

/// Ranks: what only says that time is needed is lowest, what will happen again in every new pod is highest.
const RANK_WAITING: u8 = 1;
const RANK_NODE: u8 = 2;
const RANK_UNSCHEDULABLE: u8 = 3;
const RANK_REGISTRY: u8 = 4;
const RANK_REFERENCE: u8 = 5;
const RANK_CRASH: u8 = 6;

/// Reasons in the status of a failed pod that the kubelet or a controller gives for what the node did to it.
const NODE_REASONS: [&str; 10] = [
    "Evicted",
    "NodeAffinity",
    "NodeLost",
    "NodeShutdown",
    "OutOfcpu",
    "OutOfmemory",
    "OutOfpods",
    "Preempting",
    "Terminated",
    "UnexpectedAdmissionError",
];

/// What a container runtime says of a command that can not be started, without naming it.
const START_ERRORS: [&str; 5] = [
    "executable file not found",
    "no such file or directory",
    "permission denied",
    "exec format error",
    "is a directory",
];

/// The most telling cause, if the pod is in trouble: none for one that is ready, has succeeded or is on its way out.
pub fn pod_trouble(pod: &Value) -> Option<PodTrouble> {
    let pod = Object(pod);
    if let Some(node) = taken_by_node(pod) {
        return Some(node);
    }
    if pod.is_terminating() || is_ready(pod) || pod.text("/status/phase") == "Succeeded" {
        return None;
    }
    unscheduled(pod).or_else(|| containers(pod)).or_else(|| whole(pod))
}

pub(super) fn is_ready(pod: Object<'_>) -> bool {
    pod.text("/status/phase") == "Running" && pod.holds("Ready").is_some()
}

fn trouble(rank: u8, fault: Fault, text: &str) -> PodTrouble {
    PodTrouble { fault, text: fragment(text, POD_TEXT_MAX_BYTES), rank }
}

fn waiting(text: &str) -> PodTrouble {
    trouble(RANK_WAITING, Fault::Own, text)
}

fn taken_by_node(pod: Object<'_>) -> Option<PodTrouble> {
    let reason = pod.text("/status/reason");
    if NODE_REASONS.contains(&reason) {
        let message = pod.text("/status/message");
        let text = detailed(&format!("taken down by its node ({reason})"), message);
        // Evicted for what it used beyond its own limits, not for what the node ran short of.
        let own = message.contains("exceed") && message.contains("limit");
        return Some(if own { crash(&text) } else { trouble(RANK_NODE, Fault::Outside, &text) });
    }
    let disrupted = pod.holds("DisruptionTarget").filter(|_| !is_ready(pod))?;
    Some(trouble(RANK_NODE, Fault::Outside, &detailed("is being taken from its node", disrupted.says())))
}

fn unscheduled(pod: Object<'_>) -> Option<PodTrouble> {
    let scheduled = pod.condition("PodScheduled");
    let told = scheduled.filter(|it| it.status == "False");
    match told {
        Some(it) if it.reason == "SchedulingGated" => {
            Some(trouble(RANK_UNSCHEDULABLE, Fault::Outside, "waits for its scheduling gates"))
        }
        Some(it) => Some(trouble(RANK_UNSCHEDULABLE, Fault::Outside, &detailed("can not be scheduled", it.says()))),
        None if scheduled.is_none()
            && pod.text("/spec/nodeName").is_empty()
            && pod.text("/status/phase") == "Pending" =>
        {
            Some(trouble(RANK_WAITING, Fault::Outside, "is not scheduled yet"))
        }
        None => None,
    }
}

/// Init containers run before all others, so the first that is in trouble holds up the rest.
fn containers(pod: Object<'_>) -> Option<PodTrouble> {
    let init = pod.list("/status/initContainerStatuses").find_map(|status| container(status, "init container"));
    init.or_else(|| {
        let found = pod.list("/status/containerStatuses").filter_map(|status| container(status, "container"));
        // `max_by_key` would take the last of equals.
        found.reduce(|best, next| if next.rank > best.rank { next } else { best })
    })
}

fn container(status: Object<'_>, noun: &str) -> Option<PodTrouble> {
    let label = format!("{noun} {}", status.text("/name"));
    let is_init = noun != "container";
    if status.at("/state/waiting").is_some() {
        return waiting_container(status, &label);
    }
    if status.at("/state/terminated").is_some() {
        return exited(status, "/state/terminated", &label);
    }
    if status.at("/state/running").is_none() || status.is_true("/ready") {
        return None;
    }
    if let Some(before) = exited(status, "/lastState/terminated", &label) {
        return Some(before);
    }
    // A sidecar among the init containers says `started` once it may be left running.
    match (is_init, status.is_true("/started")) {
        (true, true) => None,
        (true, false) => Some(waiting(&format!("{label} has not finished"))),
        (false, true) => Some(waiting(&format!("{label} is running but not ready"))),
        (false, false) => Some(waiting(&format!("{label} is running but has not passed its start-up probe"))),
    }
}

fn waiting_container(status: Object<'_>, label: &str) -> Option<PodTrouble> {
    let message = status.text("/state/waiting/message");
    match status.text("/state/waiting/reason") {
        "PodInitializing" => None,
        "" | "ContainerCreating" => exited(status, "/lastState/terminated", label)
            .or_else(|| Some(waiting(&format!("{label} is being created")))),
        "CrashLoopBackOff" => exit(status, "/lastState/terminated", label)
            .or_else(|| Some(crash(&with_restarts(status, &format!("{label} is in a crash loop"))))),
        reason if images::REASONS.contains(&reason) => {
            let fault = images::fault(reason, message);
            let rank = if fault == Fault::Own { RANK_REFERENCE } else { RANK_REGISTRY };
            let head = format!("{label}: image {} can not be pulled", status.text("/image"));
            Some(trouble(rank, fault, &detailed(&head, images::cause(message))))
        }
        // The kubelet's own time-outs, not something that the pod names wrongly.
        reason if message.contains("timed out") || message.contains("deadline exceeded") => {
            let head = format!("{label} can not be created ({reason})");
            Some(trouble(RANK_NODE, Fault::Outside, &detailed(&head, message)))
        }
        reason => {
            let head = format!("{label} can not be created ({reason})");
            Some(trouble(RANK_REFERENCE, Fault::Own, &detailed(&head, message)))
        }
    }
}

fn crash(text: &str) -> PodTrouble {
    trouble(RANK_CRASH, Fault::Own, text)
}

/// An end with another code than 0.
fn exited(status: Object<'_>, at: &str, label: &str) -> Option<PodTrouble> {
    if status.int(&format!("{at}/exitCode")) == Some(0) { None } else { exit(status, at, label) }
}

/// An end with any code: for a container that should have gone on running, 0 is wrong too.
///
/// `terminated.message` is never told: it is the program's own text, or the runtime's with the command line in it, and
/// either may hold a secret.
fn exit(status: Object<'_>, at: &str, label: &str) -> Option<PodTrouble> {
    let end = status.at(at).map(Object)?;
    let code = end.int("/exitCode")?;
    let text = match end.text("/reason") {
        "OOMKilled" => format!("{label} ran out of memory (OOMKilled)"),
        "ContainerStatusUnknown" => {
            let text = format!("{label} was lost by its node");
            return Some(trouble(RANK_NODE, Fault::Outside, &text));
        }
        reason @ ("StartError" | "ContainerCannotRun") => {
            let message = end.text("/message");
            let cause = START_ERRORS.iter().find(|words| message.contains(**words)).unwrap_or(&reason);
            format!("{label} could not start: {cause}")
        }
        _ => format!("{label} exited with code {code}"),
    };
    Some(crash(&with_restarts(status, &text)))
}

fn with_restarts(status: Object<'_>, text: &str) -> String {
    match status.count("/restartCount") {
        0 => text.to_owned(),
        restarts => format!("{text}, {}", counted(restarts, "restart")),
    }
}

/// No container says what is wrong: what the pod says as a whole.
fn whole(pod: Object<'_>) -> Option<PodTrouble> {
    if pod.text("/status/phase") == "Failed" {
        let head = match pod.text("/status/reason") {
            "" => "failed".to_owned(),
            "DeadlineExceeded" => "ran longer than its activeDeadlineSeconds".to_owned(),
            reason => format!("failed with {reason}"),
        };
        return Some(trouble(RANK_CRASH, Fault::Own, &detailed(&head, pod.text("/status/message"))));
    }
    let ready = pod.condition("Ready").filter(|it| it.status != "True")?;
    if pod.holds("ContainersReady").is_none() {
        return Some(waiting(&detailed("is not ready", ready.says())));
    }
    // All containers are ready, so either a gate is closed or the node's controller took readiness away.
    let closed = pod.list("/spec/readinessGates").map(|gate| gate.text("/conditionType"));
    match closed.filter(|gate| pod.holds(gate).is_none()).find(|gate| !gate.is_empty()) {
        Some(gate) => Some(waiting(&format!("has not passed its readiness gate {gate}"))),
        None => Some(trouble(RANK_NODE, Fault::Outside, &detailed("its node is not ready", ready.message))),
    }
}
