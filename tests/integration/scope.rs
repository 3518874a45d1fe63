//! What an operator looks at, and whose rights it uses.

use sandbox::charts::Chart;
use sandbox::proxy::{RequestInfo, Rule};
use serde_json::json;

use crate::faults::answers;
use crate::ground::Land;
use crate::scenario::{Scenario, chart, web};
use crate::tests;

tests![
    whole_cluster_is_watched_when_no_namespace_is_named,
    several_namespaces_are_watched,
    other_namespaces_are_left_alone,
    service_account_without_rights_is_refused_with_its_name,
    service_account_with_rights_deploys,
    foreign_target_namespace_needs_a_service_account,
    kind_that_may_not_be_watched_is_named_and_the_others_are_judged,
];

fn whole_cluster_is_watched_when_no_namespace_is_named(_: &Scenario<'_>) {
    // A land of its own: in the shared one it would take part in every other scenario.
    let land = Land::new().unwrap();
    let one = Scenario::new(&land, "one".to_owned()).unwrap();
    let two = Scenario::new(&land, "two".to_owned()).unwrap();
    let _operator = one.operate_with(&crate::stage::Settings { namespaces: Vec::new(), ..one.settings() });
    one.declare("a", &web("1.0.0", json!({})));
    two.declare("a", &web("1.1.0", json!({})));
    one.deployed("a", 1);
    two.deployed("a", 1);
    assert_eq!((&*one.config("a", "version"), &*two.config("a", "version")), ("1.0.0", "1.1.0"));
}

fn several_namespaces_are_watched(s: &Scenario<'_>) {
    let second = Scenario::new(s.land, format!("{}-second", s.namespace)).unwrap();
    let mut settings = s.settings();
    settings.namespaces.push(second.namespace.clone());
    let _operator = s.operate_with(&settings);
    s.declare("a", &web("1.0.0", json!({})));
    second.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    second.deployed("a", 1);
}

fn other_namespaces_are_left_alone(s: &Scenario<'_>) {
    let other = Scenario::new(s.land, format!("{}-other", s.namespace)).unwrap();
    let _operator = s.operate();
    other.declare("a", &web("1.0.0", json!({})));
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    let object = other.object("/apis/helmrelease.dev/v1alpha1", "helmreleases", "a").unwrap();
    assert_eq!(object["status"], json!({ "observedGeneration": -1 }));
    assert_eq!(object["metadata"]["finalizers"], json!(null));
}

fn service_account_without_rights_is_refused_with_its_name(s: &Scenario<'_>) {
    let _operator = s.operate();
    let bystander = s.bystander();
    s.account("powerless");
    s.declare("a", &web("1.0.0", json!({ "serviceAccountName": "powerless" })));
    let object = s.until("a", "not ready, with the account's name", |object| {
        let ready = crate::stage::status::condition(object, "Ready");
        ready.is_some_and(|ready| ready.status == "False" && ready.message.contains("powerless"))
    });
    let ready = crate::stage::status::condition(&object, "Ready").unwrap();
    assert!(ready.message.to_lowercase().contains("forbidden"), "{}: {}", ready.reason, ready.message);
    assert_eq!(s.story("a"), "");
    s.grant("admin", "powerless");
    s.annotate("a", "helmrelease.dev/retry");
    s.deployed("a", 1);
    bystander.is_untouched(s);
}

fn service_account_with_rights_deploys(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.account("deployer");
    s.grant("admin", "deployer");
    let spec = |version| web(version, json!({ "serviceAccountName": "deployer" }));
    s.declare("a", &spec("1.0.0"));
    s.deployed("a", 1);
    s.declare("a", &spec("1.1.0"));
    s.deployed("a", 2);
    s.delete("a");
    s.gone("a");
    assert_eq!(s.story("a"), "");
}

fn foreign_target_namespace_needs_a_service_account(s: &Scenario<'_>) {
    let target = Scenario::new(s.land, format!("{}-target", s.namespace)).unwrap();
    let mut settings = s.settings();
    settings.namespaces.push(target.namespace.clone());
    let _operator = s.operate_with(&settings);
    s.declare("a", &web("1.0.0", json!({ "targetNamespace": target.namespace })));
    let object = s.until("a", "refused", |object| {
        crate::stage::status::condition(object, "Ready").is_some_and(|ready| ready.status == "False")
    });
    let ready = crate::stage::status::condition(&object, "Ready").unwrap();
    assert!(ready.message.contains("serviceAccountName"), "{}: {}", ready.reason, ready.message);
    assert_eq!(target.story("a"), "");
}

fn with_a_network_policy(version: &str) -> Chart {
    let policy = json!({ "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": { "name": "open" }, "spec": { "podSelector": {} } });
    chart(version).file("templates/policy.yaml", policy.to_string())
}

fn kind_that_may_not_be_watched_is_named_and_the_others_are_judged(s: &Scenario<'_>) {
    for version in ["1.8.0", "1.9.0"] {
        s.repository.publish(&with_a_network_policy(version));
    }
    let of_the_operator =
        |info: &RequestInfo| info.resource == "networkpolicies" && !info.user_agent.starts_with("Helm/");
    let message = "networkpolicies.networking.k8s.io is forbidden: User \"operator\" cannot list it";
    s.proxy.rule(Rule::new(of_the_operator, answers::status(403, "Forbidden", message)));
    let _operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    let bad = json!({ "timeout": "5s", "upgrade": { "retries": 0 }, "values": { "outcome": "never-ready" } });
    s.declare("a", &web("1.8.0", bad));
    let message = s.refused("a", "RolledBack");
    assert!(message.contains("Deployment a"), "{message}");
    s.declare("a", &web("1.9.0", json!({})));
    s.until("a", "the kind and the missing right are named", |object| {
        let ready = crate::stage::status::condition(object, "Ready");
        ready.is_some_and(|ready| {
            ready.status == "Unknown"
                && ready.message.contains("let the operator list and watch NetworkPolicy (networking.k8s.io/v1)")
        })
    });
}
