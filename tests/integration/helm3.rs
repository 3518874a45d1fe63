//! The same operator with helm 3.

use serde_json::json;

use crate::scenario::{Scenario, skip, web};
use crate::stage::Settings;
use crate::stage::status::condition;
use crate::tests;

tests![release_is_installed_upgraded_rolled_back_and_uninstalled];

fn release_is_installed_upgraded_rolled_back_and_uninstalled(s: &Scenario<'_>) {
    let helm = match s.land.sandbox.helm3() {
        Ok(helm) => helm,
        Err(error) => skip(error.to_string()),
    };
    let _operator = s.operate_with(&Settings { helm, ..s.settings() });
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
