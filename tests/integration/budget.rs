//! How many requests a release costs the API server.

use sandbox::proxy::Counts;
use serde_json::json;

use crate::scenario::{Scenario, web};
use crate::tests;

tests![fresh_release_and_upgrade_cost_few_requests_beyond_those_of_helm];

/// Beyond what helm itself asks.
const OWN_REQUESTS_MAX: u64 = 10;

fn fresh_release_and_upgrade_cost_few_requests_beyond_those_of_helm(s: &Scenario<'_>) {
    let operator = s.operate();
    // The first of its kind opens the watches that all others share.
    s.declare("first", &web("1.0.0", json!({})));
    s.deployed("first", 1);
    s.marked("first", 1);
    s.event("first", "Installed");
    for (revision, version) in (1..).zip(["1.0.0", "1.1.0"]) {
        let before = s.proxy.snapshot();
        // Pods that come late would be looked at after two seconds, with requests for that.
        s.declare("a", &web(version, json!({ "values": { "replicas": 0 } })));
        s.deployed("a", revision);
        s.marked("a", revision);
        s.touch(&operator, "a");
        s.event("a", if revision == 1 { "Installed" } else { "Upgraded" });
        let counts = s.proxy.snapshot().since(&before);
        within_budget(&format!("revision {revision}"), &counts);
    }
}

#[track_caller]
fn within_budget(what: &str, counts: &Counts) {
    let helm = counts.total(|key| key.user_agent.starts_with("Helm/"));
    let own = counts.total(|key| !key.user_agent.starts_with("Helm/") && !key.resource.starts_with("leases"));
    println!("{what}: {helm} requests by helm, {own} by the operator\n{counts}");
    assert!(helm > 0, "helm is told apart by its user agent:\n{counts}");
    assert!(own <= OWN_REQUESTS_MAX, "{own} requests of the operator's own:\n{counts}");
}
