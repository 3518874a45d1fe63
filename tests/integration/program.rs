//! Programs that are not the helm that is needed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::scenario::{Scenario, web};
use crate::stage::Settings;
use crate::tests;

tests![
    missing_helm_is_said_with_its_path,
    helm_that_is_too_old_is_said_with_its_version,
    program_that_is_no_helm_is_said_with_its_words,
    helm_that_disappears_is_said_and_waited_for,
];

/// A program of that text in place of helm.
fn program(s: &Scenario<'_>, text: &str) -> PathBuf {
    let path = s.path("not-helm");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Fails unless a release says all these words of that program, and is deployed when helm takes its place.
#[track_caller]
fn is_said(s: &Scenario<'_>, helm: &Path, words: &[&str]) {
    let operator = s.operate_with(&Settings { helm: helm.to_owned(), ..s.settings() });
    s.declare("a", &web("1.0.0", json!({})));
    let message = s.refused("a", "HelmUnavailable");
    for word in words {
        assert!(message.contains(word), "{message} does not say {word}");
    }
    assert!(s.event("a", "HelmUnavailable").contains(words[0]));
    assert!(operator.log().contains(words[0]), "the log does not say {}", words[0]);
    assert_eq!(s.story("a"), "");
    let _ = fs::remove_file(helm);
    symlink(&s.land.helm, helm).unwrap();
    s.deployed("a", 1);
}

fn missing_helm_is_said_with_its_path(s: &Scenario<'_>) {
    let path = s.path("nowhere");
    is_said(s, &path, &[&path.to_string_lossy()]);
}

fn helm_that_is_too_old_is_said_with_its_version(s: &Scenario<'_>) {
    is_said(s, &program(s, "#!/bin/sh\nprintf v3.9.4\n"), &["v3.9", "v3.18"]);
}

fn program_that_is_no_helm_is_said_with_its_words(s: &Scenario<'_>) {
    let other = program(s, "#!/bin/sh\necho I am a teapot\n");
    is_said(s, &other, &[&other.to_string_lossy(), "teapot"]);
}

fn helm_that_disappears_is_said_and_waited_for(s: &Scenario<'_>) {
    let link = s.path("helm");
    symlink(&s.land.helm, &link).unwrap();
    let _operator = s.operate_with(&Settings { helm: link.clone(), ..s.settings() });
    let bystander = s.bystander();
    fs::remove_file(&link).unwrap();
    s.declare("a", &web("1.0.0", json!({})));
    s.refused("a", "HelmUnavailable");
    s.event("a", "HelmUnavailable");
    symlink(&s.land.helm, &link).unwrap();
    s.deployed("a", 1);
    bystander.is_untouched(s);
}
