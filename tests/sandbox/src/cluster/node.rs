//! The simulated node and the stages through which kwok takes nodes and pods.

use serde_json::{Value, json};

use crate::api::Api;

/// Name of the one node.
pub const NODE: &str = "sandbox-node";

/// How a pod turns out, as an expression over the pod; the stages select by it.
///
/// In this order: what its annotation says; what its image `sandbox/<outcome>` says; never ready where its first
/// container is probed at a path that is never served; success where it is meant to end; ready.
const OUTCOME: &str = r#".metadata.annotations["sandbox.test/outcome"]
  // (.spec.containers[0].image | capture("^sandbox/(?<outcome>[a-z-]+)(:|$)").outcome)
  // (if .spec.containers[0].readinessProbe.httpGet.path == "/broken" then "never-ready" else null end)
  // (if .spec.restartPolicy == "Always" then "ready" else "succeed" end)"#;

/// The stage documents for kwok.
pub(super) fn stages() -> String {
    let outcome = OUTCOME.split_whitespace().collect::<Vec<_>>().join(" ");
    // The place of the text in its template gives the indentation of every line of it.
    let status = include_str!("stages/pod-status.yaml").lines().collect::<Vec<_>>().join("\n        ");
    let pods =
        include_str!("stages/pod.yaml").replace("@OUTCOME@", &format!("({outcome})")).replace("@STATUS@", &status);
    format!("{}---\n{pods}", include_str!("stages/node.yaml"))
}

/// The node object, labelled like a real one, since hook jobs of public charts select on these labels.
pub(super) fn node(version: &str) -> Value {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "annotations": { "kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0" },
            "labels": {
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": arch,
                "kubernetes.io/hostname": NODE,
                "beta.kubernetes.io/os": "linux",
                "beta.kubernetes.io/arch": arch,
            },
        },
        "status": { "nodeInfo": { "architecture": arch, "kubeletVersion": version } },
    })
}

/// Succeeds when the node is ready and takes pods.
pub(super) fn ready(api: &Api) -> Result<(), String> {
    let node = api.get(&format!("/api/v1/nodes/{NODE}")).map_err(|error| error.to_string())?.unwrap_or_default();
    let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
    let tainted = node["spec"]["taints"].as_array().is_some_and(|taints| !taints.is_empty());
    match (ready, tainted) {
        (true, false) => Ok(()),
        (true, true) => Err("the node is ready and still tainted".to_owned()),
        (false, _) => Err("the node is not ready".to_owned()),
    }
}
