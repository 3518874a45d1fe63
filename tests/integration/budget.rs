//! How many requests a release costs the API server.

use std::time::{Duration, Instant};

use sandbox::proxy::{CountKey, Counts};
use serde_json::json;

use crate::scenario::{Scenario, web};
use crate::tests;

tests![fresh_release_and_upgrade_cost_few_requests_beyond_those_of_helm];

/// Beyond what helm itself asks, and beside status.
const OTHERS_MAX: u64 = 6;
/// Together they are ten.
const STATUS_MAX: u64 = 4;
/// What takes longer than this is told, with a write for each sentence.
const QUICK: Duration = Duration::from_secs(2);
const STATUS_MAX_WHERE_TOLD: u64 = 6;

fn fresh_release_and_upgrade_cost_few_requests_beyond_those_of_helm(s: &Scenario<'_>) {
    let operator = s.operate();
    // The first of its kind opens the watches that all others share.
    s.declare("first", &web("1.0.0", json!({})));
    s.deployed("first", 1);
    s.marked("first", 1);
    s.event("first", "Installed");
    for (revision, version) in (1..).zip(["1.0.0", "1.1.0"]) {
        let (before, begun) = (s.proxy.snapshot(), Instant::now());
        // Pods that come late would be looked at after two seconds, with requests for that.
        s.declare("a", &web(version, json!({ "values": { "replicas": 0 } })));
        s.deployed("a", revision);
        let took = begun.elapsed();
        s.marked("a", revision);
        s.touch(&operator, "a");
        s.event("a", if revision == 1 { "Installed" } else { "Upgraded" });
        let counts = s.proxy.snapshot().since(&before);
        within_budget(&format!("revision {revision}"), took, &counts);
    }
}

#[track_caller]
fn within_budget(what: &str, took: Duration, counts: &Counts) {
    let helm = counts.total(|key| key.user_agent.starts_with("Helm/"));
    let is_own = |key: &CountKey| !key.user_agent.starts_with("Helm/") && !key.resource.starts_with("leases");
    let status = counts.total(|key| is_own(key) && key.resource == "helmreleases/status");
    let others = counts.total(is_own) - status;
    println!("{what}: {helm} requests by helm, {others} by the operator and {status} writes of status\n{counts}");
    assert!(helm > 0, "helm is told apart by its user agent:\n{counts}");
    assert!(others <= OTHERS_MAX, "{others} requests of the operator's own beside status:\n{counts}");
    let most = if took < QUICK { STATUS_MAX } else { STATUS_MAX_WHERE_TOLD };
    assert!(status <= most, "{status} writes of status within {took:.1?}:\n{counts}");
}
