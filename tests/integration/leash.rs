//! Programs that are not the helm that is needed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::json;

use crate::scenario::{Scenario, web};
use crate::stage::{Operator, Settings};
use crate::tests;

tests![
    missing_helm_ends_the_start_with_its_path,
    helm_that_is_too_old_ends_the_start_with_its_version,
    program_that_is_no_helm_ends_the_start,
    helm_that_disappears_is_said_and_waited_for,
];

/// A program of that text in place of helm.
fn program(s: &Scenario<'_>, text: &str) -> PathBuf {
    let path = s.path("not-helm");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Fails unless the operator ends by itself, with all these words in its log.
#[track_caller]
fn ends_saying(s: &Scenario<'_>, helm: PathBuf, words: &[&str]) {
    let mut operator = Operator::spawn(&Settings { helm, ..s.settings() }).unwrap();
    let status = operator.wait_until_ended().unwrap();
    assert!(!status.success());
    // The last lines may still be on their way from the pipe.
    s.eventually(&format!("the log says {words:?}:\n{}", operator.log().tail(10)), || {
        operator.log().find(|line| words.iter().all(|word| line.contains(word)).then_some(()))
    });
}

fn missing_helm_ends_the_start_with_its_path(s: &Scenario<'_>) {
    let path = s.path("nowhere");
    ends_saying(s, path.clone(), &[&path.to_string_lossy()]);
}

fn helm_that_is_too_old_ends_the_start_with_its_version(s: &Scenario<'_>) {
    let old = program(s, "#!/bin/sh\nprintf v3.9.4\n");
    ends_saying(s, old, &["v3.9", "v3.18"]);
}

fn program_that_is_no_helm_ends_the_start(s: &Scenario<'_>) {
    let other = program(s, "#!/bin/sh\necho I am a teapot\n");
    ends_saying(s, other.clone(), &[&other.to_string_lossy(), "teapot"]);
}

fn helm_that_disappears_is_said_and_waited_for(s: &Scenario<'_>) {
    let link = s.path("helm");
    std::os::unix::fs::symlink(&s.land.helm, &link).unwrap();
    let _operator = s.operate_with(&Settings { helm: link.clone(), ..s.settings() });
    let bystander = s.bystander();
    fs::remove_file(&link).unwrap();
    s.declare("a", &web("1.0.0", json!({})));
    s.refused("a", "HelmUnavailable");
    s.event("a", "HelmUnavailable");
    std::os::unix::fs::symlink(&s.land.helm, &link).unwrap();
    s.deployed("a", 1);
    bystander.is_untouched(s);
}
