//! The objects of a scenario as they are when it fails.

use std::fmt::Write;

use serde_json::Value;

use super::Scenario;

/// Lines of each operator's log.
const LOG_LINES: usize = 60;

impl Scenario<'_> {
    /// Everything that helps to see why the story went another way.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        if let Some(broken) = self.land.sandbox.broken() {
            let _ = writeln!(text, "--- the sandbox is broken: {broken}");
        }
        for mut object in self.list("/apis/helmrelease.dev/v1alpha1", "helmreleases") {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("managedFields");
            }
            let yaml = serde_saphyr::to_string(&object).unwrap_or_default();
            let _ = writeln!(text, "--- HelmRelease\n{yaml}");
            let release = object["status"]["release"].as_str().unwrap_or_default();
            let history = self.try_helm(&["history", release]).unwrap_or_else(|error| error.to_string());
            let _ = writeln!(text, "--- helm history {release}\n{history}");
        }
        for record in self.list("/api/v1", "secrets?labelSelector=owner%3Dhelm") {
            let _ = writeln!(text, "record {}: {}", record["metadata"]["name"], record["metadata"]["labels"]);
        }
        for pod in self.list("/api/v1", "pods") {
            let _ = writeln!(text, "pod {}: {}", pod["metadata"]["name"], short(&pod["status"]));
        }
        for event in self.list("/apis/events.k8s.io/v1", "events") {
            if event["regarding"]["kind"] == "HelmRelease" {
                let _ = writeln!(text, "event {} {}: {}", event["regarding"]["name"], event["reason"], event["note"]);
            }
        }
        for request in self.proxy.recent().iter().rev().take(20).rev() {
            let _ = writeln!(text, "request {} {} {}", request.method, request.path, request.user_agent);
        }
        for (number, log) in self.logs.borrow().iter().enumerate() {
            let _ = writeln!(text, "--- operator {}, its last lines\n{}", number + 1, log.tail(LOG_LINES));
        }
        text
    }
}

fn short(status: &Value) -> String {
    let containers = status["containerStatuses"].as_array().into_iter().flatten();
    let told: Vec<String> = containers.map(|one| one["state"].to_string()).collect();
    format!("{} {}", status["phase"], told.join(" "))
}
