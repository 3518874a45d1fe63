//! Namespaces that go: that of the object, and that of the release.

use serde_json::json;

use crate::scenario::{Scenario, web};
use crate::stage::status::condition;
use crate::tests;

tests![
    namespace_of_the_object_goes_with_all_that_is_in_it,
    namespace_of_the_object_goes_and_takes_the_release_elsewhere_along,
    target_namespace_that_went_is_said_and_made_again,
];

impl Scenario<'_> {
    /// Deletes the namespace of the scenario, without waiting until it is gone.
    #[track_caller]
    fn delete_namespace(&self) {
        self.land.cluster.delete_from_cluster("v1", "Namespace", &self.namespace).unwrap();
    }

    #[track_caller]
    fn namespace_is_gone(&self) {
        let path = format!("/api/v1/namespaces/{}", self.namespace);
        self.eventually("the namespace is gone", || self.land.sandbox.get(&path).unwrap().is_none().then_some(()));
    }
}

/// Two namespaces watched by one operator, and an account in the first that may do everything in both.
fn two<'a>(s: &Scenario<'a>) -> (Scenario<'a>, crate::stage::Settings) {
    let target = Scenario::new(s.land, format!("{}-target", s.namespace)).unwrap();
    let mut settings = s.settings();
    settings.namespaces.push(target.namespace.clone());
    s.account("deployer");
    s.grant("cluster-admin", "deployer");
    (target, settings)
}

fn namespace_of_the_object_goes_with_all_that_is_in_it(s: &Scenario<'_>) {
    let other = Scenario::new(s.land, format!("{}-other", s.namespace)).unwrap();
    let mut settings = s.settings();
    settings.namespaces.push(other.namespace.clone());
    let operator = s.operate_with(&settings);
    let bystander = other.bystander();
    s.account("deployer");
    s.grant("admin", "deployer");
    s.declare("plain", &web("1.0.0", json!({})));
    s.declare("as-account", &web("1.0.0", json!({ "serviceAccountName": "deployer" })));
    s.repository.publish(&sandbox::charts::web("3.0.0"));
    s.declare("hooked", &web("3.0.0", json!({ "timeout": "5s", "values": { "hook": "never-ready" } })));
    s.deployed("plain", 1);
    s.deployed("as-account", 1);
    s.eventually("helm waits for a hook", || s.story("hooked").ends_with("pending-install").then_some(()));
    s.delete_namespace();
    for name in ["plain", "as-account", "hooked"] {
        s.gone(name);
    }
    bystander.is_untouched(&other);
    s.eventually("nothing is left to do", || {
        (operator.metric("board_running", "") + operator.metric("board_queued", "") < 1.0).then_some(())
    });
}

fn namespace_of_the_object_goes_and_takes_the_release_elsewhere_along(s: &Scenario<'_>) {
    let (target, settings) = two(s);
    let _operator = s.operate_with(&settings);
    let spec = json!({ "targetNamespace": target.namespace, "serviceAccountName": "deployer" });
    s.declare("a", &web("1.0.0", spec));
    s.deployed("a", 1);
    assert_eq!(target.story("a"), "1 deployed");
    // The account goes in the same moment; its rights are bound to its name and stay.
    s.delete_namespace();
    s.namespace_is_gone();
    assert_eq!(target.story("a"), "", "the release is uninstalled");
    assert!(target.object("/apis/apps/v1", "deployments", "a").is_none());
}

fn target_namespace_that_went_is_said_and_made_again(s: &Scenario<'_>) {
    let (target, settings) = two(s);
    let operator = s.operate_with(&settings);
    s.declare("calm", &web("1.0.0", json!({})));
    s.deployed("calm", 1);
    let spec = |create: bool| {
        let target = &target.namespace;
        web("1.0.0", json!({ "targetNamespace": target, "serviceAccountName": "deployer", "createNamespace": create }))
    };
    s.declare("a", &spec(false));
    s.deployed("a", 1);
    target.delete_namespace();
    target.namespace_is_gone();
    let object = s.until("a", "not ready, with the namespace's name", |object| {
        condition(object, "Ready").is_some_and(|ready| {
            ready.status == "False" && ready.message.contains("namespace") && ready.message.contains(&target.namespace)
        })
    });
    let said = &condition(&object, "Ready").unwrap().message;
    println!("{said}");
    // No loop: the next attempt is due later, and touching the object does not bring it forward.
    let started = operator.metric("helm_processes_started_total", "");
    s.touch(&operator, "calm");
    let tried = operator.metric("helm_processes_started_total", "") - started;
    assert!(tried < 2.0, "{tried} attempts in a row");
    s.declare("a", &spec(true));
    s.ready("a");
    assert_eq!(target.story("a"), "1 deployed");
    assert_eq!(s.story("calm"), "1 deployed");
}
