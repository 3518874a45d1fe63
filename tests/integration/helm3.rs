//! The same operator with helm 3.

use serde_json::json;

use crate::scenario::{Scenario, skip, web};
use crate::stage::Settings;
use crate::stage::status::condition;
use crate::testing::{rolled_back, spec, with_test};
use crate::tests;

tests![release_is_installed_upgraded_rolled_back_and_uninstalled, tests_that_fail_roll_an_upgrade_back_and_are_named];

/// Skips where helm 3 cannot be had.
pub(crate) fn helm_3(s: &Scenario<'_>) -> Settings {
    match s.land.sandbox.helm3() {
        Ok(helm) => Settings { helm, ..s.settings() },
        Err(error) => skip(error.to_string()),
    }
}

fn release_is_installed_upgraded_rolled_back_and_uninstalled(s: &Scenario<'_>) {
    let _operator = s.operate_with(&helm_3(s));
    let spec = |version, outcome: &str| {
        let values = json!({ "hook": "succeed", "outcome": outcome });
        web(version, json!({ "timeout": "20s", "upgrade": { "retries": 0 }, "values": values }))
    };
    s.declare("a", &spec("1.0.0", "ready"));
    s.deployed("a", 1);
    s.declare("a", &spec("1.1.0", "ready"));
    s.deployed("a", 2);
    s.declare("a", &spec("2.0.0", "crash-loop"));
    s.until("a", "rolled back and quarantined", |object| {
        let set_aside = object.status.as_ref().is_some_and(|status| !status.quarantined.is_empty());
        set_aside && condition(object, "Ready").is_some_and(|ready| ready.reason == "RolledBack")
    });
    assert_eq!(s.config("a", "version"), "1.1.0");
    s.delete("a");
    s.gone("a");
    assert_eq!(s.story("a"), "");
}

fn tests_that_fail_roll_an_upgrade_back_and_are_named(s: &Scenario<'_>) {
    s.repository.publish(&with_test("6.0.0"));
    let _operator = s.operate_with(&helm_3(s));
    let other = json!({ "name": "another", "exclude": true });
    let enabled = json!({ "enabled": true, "filters": [other] });
    s.declare("a", &spec("succeed", &enabled));
    let object = s.deployed("a", 1);
    assert!(condition(&object, "Tested").is_some_and(|tested| tested.status == "True"), "{object:?}");
    s.declare("a", &spec("fail", &enabled));
    let object = rolled_back(s);
    let said = condition(&object, "Ready").map(|ready| ready.message.clone()).unwrap_or_default();
    assert!(said.contains("Pod a-test failed"), "{said}");
    assert_eq!((&*s.config("a", "message"), &*s.story("a")), ("succeed", "1 superseded, 2 superseded, 3 deployed"));
}
