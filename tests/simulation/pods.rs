//! What the node says of a pod.

use serde_json::{Value, json};

use crate::workloads::Stage;

pub fn status(stage: Stage) -> Value {
    let scheduled = condition("PodScheduled", "True", "", "");
    let waits = |reason: &str, message: &str| {
        let now = json!({ "waiting": { "reason": reason, "message": message } });
        json!({ "phase": "Pending", "conditions": scheduled,
            "containerStatuses": [{ "name": "page", "image": "unicorn", "ready": false, "state": now }] })
    };
    match stage {
        Stage::Coming | Stage::Stuck | Stage::NoQuota => waits("ContainerCreating", ""),
        Stage::Ready => json!({ "phase": "Running", "conditions": condition("Ready", "True", "", "") }),
        Stage::NoNode => json!({ "phase": "Pending",
            "conditions": condition("PodScheduled", "False", "Unschedulable", "0/3 nodes are available") }),
        Stage::NoRegistry => waits("ErrImagePull", "failed to do request: dial tcp 10.0.0.9:443: connection refused"),
        Stage::NoImage => waits("ErrImagePull", "unicorn:pnik: manifest unknown"),
        Stage::Crashed => {
            let now = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
            let before = json!({ "terminated": { "exitCode": 3, "reason": "Error" } });
            json!({ "phase": "Running", "conditions": scheduled, "containerStatuses": [{ "name": "page",
                "ready": false, "restartCount": 4, "state": now, "lastState": before }] })
        }
    }
}

pub fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!([{ "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2027-01-15T08:00:00Z" }])
}
