//! Files that are made from the code are as the code would make them.
//!
//! `UPDATE=1 cargo test --test architecture generated` makes them anew.

use std::fs;
use std::process::Command;

use super::files::root;

const HOW: &str =
    "made from the code, and the code says something else; run UPDATE=1 cargo test --test architecture generated";

/// Compares, or writes where that is asked for.
fn check(path: &str, expected: &str) {
    let path = root().join(path);
    let found = fs::read_to_string(&path).unwrap_or_default();
    if found == expected {
        return;
    }
    if std::env::var_os("UPDATE").is_some_and(|update| update == "1") {
        fs::write(&path, expected).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return;
    }
    let first = found.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
    panic!("{} is {HOW} (line {} differs)", path.display(), first.map_or(0, |line| line + 1));
}

/// What the operator prints for a subcommand.
fn printed(subcommand: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_helm-release-operator")).arg(subcommand).output().expect("it runs");
    assert!(output.status.success(), "{subcommand}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The text with what stands between the markers replaced.
fn with_section(text: &str, name: &str, section: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("README.md has no line {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("README.md has no line {end}"));
    format!("{before}{begin}{}\n{end}{after}", section.trim_end())
}

#[test]
fn generated_definition_is_the_one_of_the_types() {
    let expected = helm_release_operator::api::crd_yaml();
    check("crds/helmreleases.helmrelease.dev.yaml", &expected);
    assert_eq!(printed("crd"), expected, "what the program prints is what is committed");
}

#[test]
fn generated_tables_of_the_readme_are_those_of_the_rules() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let expected = ["rules", "reasons"].iter().fold(readme, |text, name| with_section(&text, name, &printed(name)));
    check("README.md", &expected);
}
