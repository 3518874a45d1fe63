//! Deletion when the service account of the release, or its rights, are gone.

use serde_json::json;

use crate::scenario::{Scenario, web};
use crate::tests;

tests![
    release_whose_account_is_gone_is_left_and_the_object_goes,
    account_that_is_gone_and_whose_rights_are_left_still_uninstalls,
    account_without_rights_holds_the_deletion_until_it_has_them,
    forced_deletion_lets_go_of_what_cannot_be_removed,
];

/// A release made as an account whose rights end with the namespaced binding.
fn deployed(s: &Scenario<'_>) {
    s.account("deployer");
    s.grant("admin", "deployer");
    s.declare("a", &web("1.0.0", json!({ "serviceAccountName": "deployer" })));
    s.deployed("a", 1);
    s.marked("a", 1);
}

fn release_whose_account_is_gone_is_left_and_the_object_goes(s: &Scenario<'_>) {
    let _operator = s.operate();
    let bystander = s.bystander();
    deployed(s);
    s.delete_object("v1", "ServiceAccount", "deployer");
    s.revoke("deployer");
    s.delete("a");
    s.gone("a");
    let note = s.event("a", "UninstallFailed");
    assert!(note.contains("deployer") && note.contains("left"), "{note}");
    assert_eq!(s.story("a"), "1 deployed", "what nobody may remove is left as it was");
    bystander.is_untouched(s);
}

fn account_that_is_gone_and_whose_rights_are_left_still_uninstalls(s: &Scenario<'_>) {
    let _operator = s.operate();
    deployed(s);
    s.delete_object("v1", "ServiceAccount", "deployer");
    s.delete("a");
    s.gone("a");
    assert_eq!(s.story("a"), "");
    assert!(s.object("/apis/apps/v1", "deployments", "a").is_none());
}

fn account_without_rights_holds_the_deletion_until_it_has_them(s: &Scenario<'_>) {
    let _operator = s.operate();
    deployed(s);
    s.revoke("deployer");
    s.delete("a");
    let object = s.until("a", "held, with the reason", |object| {
        let conditions = object.status.iter().flat_map(|status| &status.conditions);
        let mut ready = conditions.filter(|one| one.type_ == "Ready");
        ready.any(|ready| ready.reason == "UninstallFailed" && ready.message.contains("forbidden"))
    });
    assert!(object.metadata.deletion_timestamp.is_some());
    s.grant("admin", "deployer");
    s.gone("a");
    assert_eq!(s.story("a"), "");
}

fn forced_deletion_lets_go_of_what_cannot_be_removed(s: &Scenario<'_>) {
    let _operator = s.operate();
    deployed(s);
    s.revoke("deployer");
    s.delete("a");
    s.until("a", "held", |object| {
        let conditions = object.status.iter().flat_map(|status| &status.conditions);
        conditions.filter(|one| one.type_ == "Ready").any(|ready| ready.reason == "UninstallFailed")
    });
    s.annotate("a", "helmrelease.dev/force-delete");
    s.gone("a");
    s.event("a", "ForcedDeletion");
    assert_eq!(s.story("a"), "1 deployed");
}
