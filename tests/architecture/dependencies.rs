//! What the operator is built from: one of each kind, and nothing that was decided against.

use std::collections::BTreeSet;
use std::process::Command;

use super::files;

/// Crates of which one version is enough.
const ONCE: [&str; 8] = ["http", "hyper", "jiff", "k8s-openapi", "kube", "rustls", "schemars", "tokio"];

/// Crates that stay out, and what is used instead.
const OUT: [(&str, &str); 10] = [
    ("aws-lc-rs", "ring is the one provider of cryptography"),
    ("aws-lc-sys", "ring is the one provider of cryptography"),
    ("backoff", "unmaintained; backon"),
    ("chrono", "jiff"),
    ("native-tls", "rustls"),
    ("openssl", "rustls"),
    ("openssl-sys", "rustls"),
    ("serde_yaml", "unmaintained; serde-saphyr"),
    ("serde_yml", "serde-saphyr"),
    ("yaml-rust", "unmaintained; serde-saphyr"),
];

/// Name and version of everything that is linked into the operator.
fn linked() -> BTreeSet<(String, String)> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--package", env!("CARGO_PKG_NAME")])
        .current_dir(files::root())
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).expect("text");
    let crates = tree.lines().filter_map(|line| line.split_once(' '));
    crates.map(|(name, rest)| (name.to_owned(), rest.split(' ').next().unwrap_or_default().to_owned())).collect()
}

#[test]
fn one_version_of_each_foundation_is_linked() {
    let linked = linked();
    for name in ONCE {
        let versions: Vec<_> = linked.iter().filter(|(one, _)| one == name).map(|(_, version)| version).collect();
        assert_eq!(versions.len(), 1, "{name}: {versions:?}");
    }
}

#[test]
fn what_was_decided_against_is_not_linked() {
    let linked = linked();
    let found: Vec<_> = OUT.iter().filter(|(name, _)| linked.iter().any(|(one, _)| one == name)).collect();
    assert!(found.is_empty(), "{found:#?}");
}
