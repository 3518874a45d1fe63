//! The index of a repository.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use serde_json::Value;

use crate::digest::sha256;

/// A published version of a chart.
pub(super) struct Release {
    pub(super) name: String,
    pub(super) version: String,
    app_version: Option<String>,
    pub(super) bytes: Bytes,
    /// What the index says, true unless a test makes it a lie.
    pub(super) digest: String,
}

impl Release {
    pub(super) fn new(name: &str, version: &str, app_version: Option<&str>, bytes: Bytes) -> Self {
        let digest = sha256([&bytes[..]]);
        let app_version = app_version.map(str::to_owned);
        Self { name: name.to_owned(), version: version.to_owned(), app_version, bytes, digest }
    }

    pub(super) fn is(&self, name: &str, version: &str) -> bool {
        self.name == name && self.version == version
    }
}

/// The path of an archive, relative to the index.
pub(super) fn archive(name: &str, version: &str) -> String {
    format!("charts/{name}-{version}.tgz")
}

/// The index as YAML, the last publication of a chart first, the same text for the same content.
pub(super) fn text(versions: &[Release]) -> String {
    let mut charts: BTreeMap<&str, Vec<&Release>> = BTreeMap::new();
    for version in versions.iter().rev() {
        charts.entry(&version.name).or_default().push(version);
    }
    let mut text = "apiVersion: v1\ngenerated: \"2026-01-01T00:00:00Z\"\n".to_owned();
    text.push_str(if charts.is_empty() { "entries: {}\n" } else { "entries:\n" });
    for (name, versions) in charts {
        let _ = writeln!(text, "  {}:", quoted(name));
        for one in versions {
            let _ = writeln!(text, "  - apiVersion: v2\n    name: {}", quoted(name));
            let _ = writeln!(text, "    version: {}", quoted(&one.version));
            if let Some(version) = &one.app_version {
                let _ = writeln!(text, "    appVersion: {}", quoted(version));
            }
            let _ = writeln!(text, "    created: \"2026-01-01T00:00:00Z\"\n    digest: {}", one.digest);
            let _ = writeln!(text, "    urls:\n    - {}", quoted(&archive(name, &one.version)));
        }
    }
    text
}

/// A string as YAML takes it whatever it holds.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
