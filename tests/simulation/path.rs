//! What a request is about, from its path, its query and what it accepts.

use http::HeaderMap;
use serde_json::{Value, json};

use crate::world::{KINDS, Kind, Name};

/// One label that is asked for.
#[derive(Debug, Clone)]
struct Label {
    key: String,
    value: String,
    equal: bool,
}

#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a part of a request that is there or not")]
pub struct Target {
    pub kind: Option<Kind>,
    pub namespace: Option<String>,
    pub name: Option<Name>,
    pub status: bool,
    pub watch: bool,
    pub metadata: bool,
    /// Asked what would be, and nothing is written.
    pub dry_run: bool,
    pub group: String,
    pub discovery: Option<Value>,
    pub version: u64,
    labels: Vec<Label>,
}

impl Target {
    pub fn selects(&self, namespace: &str, object: &Value) -> bool {
        self.namespace.as_ref().is_none_or(|asked| asked == namespace)
            && self.labels.iter().all(|label| {
                let found = object["metadata"]["labels"][&label.key].as_str();
                (found == Some(&label.value)) == label.equal
            })
    }
}

pub fn parse(path: &str, query: &str, headers: &HeaderMap) -> Target {
    let accept = headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut target = Target { metadata: accept.contains("PartialObjectMetadata"), ..Target::default() };
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match key {
            "dryRun" => target.dry_run = value == "All",
            "watch" => target.watch = value == "true" || value == "1",
            "resourceVersion" => target.version = value.parse().unwrap_or(0),
            "labelSelector" => target.labels = labels(&decoded(value)),
            _ => {}
        }
    }
    let mut parts = path.trim_start_matches('/').split('/');
    let group = match (parts.next(), parts.next(), path.starts_with("/api/")) {
        (_, Some(version), true) => version.to_owned(),
        (_, Some(group), false) => format!("{group}/{}", parts.next().unwrap_or_default()),
        _ => return target,
    };
    let rest: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    let (namespace, rest) = match rest.as_slice() {
        [] => {
            target.discovery = Some(discovery(&group));
            return target;
        }
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
        rest => (None, rest),
    };
    let plural = rest.first().copied().unwrap_or_default();
    target.kind = KINDS.into_iter().find(|kind| (kind.names().0, kind.names().2) == (&*group, plural));
    target.name = rest.get(1).map(|name| (namespace.clone().unwrap_or_default(), (*name).to_owned()));
    target.namespace = namespace;
    target.group = group;
    target.status = rest.get(2) == Some(&"status");
    target
}

fn labels(selector: &str) -> Vec<Label> {
    let parts = selector.split(',').filter_map(|part| {
        let (key, value, equal) = match part.split_once("!=") {
            Some((key, value)) => (key, value, false),
            None => part.split_once('=').map(|(key, value)| (key, value.trim_start_matches('='), true))?,
        };
        Some(Label { key: key.to_owned(), value: value.to_owned(), equal })
    });
    parts.collect()
}

fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let hex = [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')];
                out.push(u8::from_str_radix(&String::from_utf8_lossy(&hex), 16).unwrap_or(b'?'));
            }
            b'+' => out.push(b' '),
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn discovery(group: &str) -> Value {
    let resources: Vec<Value> = KINDS
        .into_iter()
        .filter(|kind| kind.names().0 == group)
        .map(|kind| {
            let (_, name, plural) = kind.names();
            json!({ "name": plural, "singularName": "", "namespaced": true, "kind": name, "verbs": ["get", "list"] })
        })
        .collect();
    json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": resources })
}
