//! What is read from an index, and what is refused.

use std::fmt::Write as _;

use crate::{
    sources::{
        error::printable,
        index::{NamedDigest, parse_text},
    },
    types::ChartName,
};

fn versions(body: &str) -> Vec<String> {
    let charts = parse_text(body, &["a"]).unwrap();
    charts[&ChartName::parse("a").unwrap()].iter().map(|entry| entry.version.to_string()).collect()
}

#[test]
fn only_asked_charts_are_kept() {
    let mut body = String::from("apiVersion: v1\nentries:\n");
    for chart in 0..2_000 {
        writeln!(body, "  c{chart}:").unwrap();
        for version in 0..3 {
            write!(
                body,
                "  - version: 1.{version}.0\n    description: 1e999\n    urls: [c{chart}-1.{version}.0.tgz]\n"
            )
            .unwrap();
        }
    }
    let charts = parse_text(&body, &["c7", "absent"]).unwrap();
    assert_eq!(charts.len(), 2);
    assert_eq!(charts[&ChartName::parse("c7").unwrap()].len(), 3);
    assert!(charts[&ChartName::parse("absent").unwrap()].is_empty());
}

#[test]
fn json_and_yaml_say_the_same() {
    let json = r#"{"apiVersion":"v1","entries":{"b":[{"x":[1]}],"a":[{"version":"1.0.0","appVersion":"1.10","digest":null,"urls":["a.tgz"]}]}}"#;
    let yaml = "entries:\n  a:\n  - version: 1.0.0\n    appVersion: 1.10\n    urls: [a.tgz]\n";
    assert_eq!(parse_text(json, &["a"]), parse_text(yaml, &["a"]));
}

#[test]
fn numbers_stay_as_they_are_written() {
    for app in ["1.10", "1e3", "0777", "1_000", "yes", "2024-01-01"] {
        let body = format!("entries:\n  a:\n  - version: 1.0.0\n    appVersion: {app}\n    urls: [a.tgz]\n");
        let charts = parse_text(&body, &["a"]).unwrap();
        assert_eq!(&*charts[&ChartName::parse("a").unwrap()][0].app_version, app);
    }
}

#[test]
fn entries_without_a_version_are_skipped() {
    let body = "entries:\n  a:\n  - version: banana\n  - version: 1.2\n  - {}\n  - null\n  - version: v1.0.0\n  - version: 1.0.1+b\n";
    assert_eq!(versions(body), ["1.0.0", "1.0.1+b"]);
    assert!(versions("entries:\n  a:\n").is_empty());
    assert!(versions("apiVersion: v1\nentries:\n").is_empty());
    assert!(versions("apiVersion: v1\n").is_empty());
}

#[test]
fn malformed_digest_is_not_an_absent_one() {
    let body = "entries:\n  a:\n  - {version: 1.0.0, digest: zz}\n  - {version: 1.0.1, digest: ''}\n";
    let charts = parse_text(body, &["a"]).unwrap();
    let digests: Vec<_> = charts[&ChartName::parse("a").unwrap()].iter().map(|entry| entry.digest).collect();
    assert_eq!(digests, [NamedDigest::Malformed, NamedDigest::Absent]);
}

#[test]
fn what_is_no_index_is_refused_in_one_line() {
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n\
        d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\n\
        g: &g [*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g]\nentries: {}\n";
    let deep = format!("entries: {}", "[".repeat(100_000));
    let json_deep = format!("{{\"entries\":{}", "[".repeat(100_000));
    for body in [
        "",
        "  \n",
        "<!DOCTYPE html>",
        "hello",
        "- a\n- b\n",
        "a: 1\n",
        "{\"a\":1}",
        "{\"entries\":",
        "entries: [1]\n",
        "entries:\n  a: {}\n",
        "entries:\n  a: []\n  a: []\n",
        r#"{"entries":{"a":[],"a":[]}}"#,
        r#"{"entries":{"a":[]},"entries":{}}"#,
        bomb,
        &deep,
        &json_deep,
        "entries:\n  a:\n  - version: [1]\n",
    ] {
        let shown: String = body.chars().take(60).collect();
        let why = parse_text(body, &["a"]).expect_err(&shown).0;
        assert!(!why.is_empty() && why.chars().count() <= 161 && !why.contains(char::is_control), "{shown}: {why:?}");
    }
}

#[test]
fn foreign_text_becomes_one_short_visible_line() {
    assert_eq!(printable("a\x1b[31m\n\tb\u{202e}c"), "a [31m bc");
    assert_eq!(printable(&"ä".repeat(500)).chars().count(), 161);
}
