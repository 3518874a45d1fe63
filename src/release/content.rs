//! What a chart consists of, reduced to digests: the archive that is to be deployed, and the copy of a chart that helm
//! keeps in a record, can be compared without holding either, and nothing of them can be printed.
//!
//! Equal means that helm would render the same from both. Everything that a template can see counts, also files that no
//! template of the day looks at. Where that cannot be told the two differ, and what follows is an upgrade: that is
//! honest, and costs a revision. So it is for every chart with subcharts, because helm does not keep them in records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::types::ReleaseDigest;

/// The fields of Chart.yaml that helm reads; it drops all others, and dependencies count as subcharts.
const ABOUT: [&str; 15] = [
    "annotations",
    "apiVersion",
    "appVersion",
    "condition",
    "deprecated",
    "description",
    "home",
    "icon",
    "keywords",
    "kubeVersion",
    "maintainers",
    "name",
    "sources",
    "tags",
    "version",
];
/// Mark of the byte order, which helm takes off when it loads a file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The content of a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChartContent {
    name: Box<str>,
    version: Box<str>,
    about: Option<ReleaseDigest>,
    defaults: Option<ReleaseDigest>,
    schema: Option<ReleaseDigest>,
    templates: BTreeMap<Box<str>, ReleaseDigest>,
    files: BTreeMap<Box<str>, ReleaseDigest>,
    subcharts: bool,
}

/// A part in which what is deployed is not what is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Difference {
    /// Another chart, or another version of it: then no other part of it is named.
    Chart,
    /// What else stands in Chart.yaml.
    About,
    Templates,
    DefaultValues,
    Schema,
    Files,
    /// There are some, and the record does not hold them.
    Subcharts,
    /// What the user gave.
    Values,
}

impl Difference {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chart => "the chart or its version",
            Self::About => "Chart.yaml",
            Self::Templates => "templates",
            Self::DefaultValues => "default values",
            Self::Schema => "the schema of the values",
            Self::Files => "files of the chart",
            Self::Subcharts => "the content of subcharts, which records do not hold",
            Self::Values => "values",
        }
    }
}

impl ChartContent {
    /// Takes in what Chart.yaml says, as YAML or as helm's JSON of it.
    pub fn about(&mut self, chart_yaml: &Value) {
        let text = |key: &str| chart_yaml.get(key).and_then(plain).and_then(|value| value.as_str().map(Into::into));
        self.name = text("name").unwrap_or_default();
        self.version = text("version").unwrap_or_default();
        let known = ABOUT.iter().filter_map(|key| Some(((*key).to_owned(), plain(chart_yaml.get(*key)?)?)));
        let mut known: Value = known.collect();
        // What a chart without an apiVersion is taken for.
        if known.get("apiVersion").is_none() {
            known["apiVersion"] = Value::from("v1");
        }
        self.about = Some(digest(&known));
        self.subcharts |= chart_yaml.get("dependencies").and_then(plain).is_some();
    }

    pub fn defaults(&mut self, values: &Value) {
        self.defaults = Some(digest_of_values(values));
    }

    pub fn schema(&mut self, text: &[u8]) {
        self.schema = Some(digest_of_file(text));
    }

    pub fn template(&mut self, path: &str, text: &[u8]) {
        self.templates.insert(path.into(), digest_of_file(text));
    }

    pub fn file(&mut self, path: &str, content: &[u8]) {
        self.files.insert(path.into(), digest_of_file(content));
    }

    pub fn has_subcharts(&mut self) {
        self.subcharts = true;
    }

    /// In which parts the two are not known to be the same.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        if (&self.name, &self.version) != (&other.name, &other.version) {
            return vec![Difference::Chart];
        }
        let none = digest_of_values(&Value::Null);
        let defaults = |content: &Self| content.defaults.clone().unwrap_or_else(|| none.clone());
        let parts = [
            (Difference::About, self.about == other.about),
            (Difference::Templates, self.templates == other.templates),
            (Difference::DefaultValues, defaults(self) == defaults(other)),
            (Difference::Schema, self.schema == other.schema),
            (Difference::Files, self.files == other.files),
            (Difference::Subcharts, !self.subcharts && !other.subcharts),
        ];
        parts.into_iter().filter(|(_, same)| !same).map(|(part, _)| part).collect()
    }
}

/// Digest of values, the same for what helm takes for the same: numbers are floating point to helm, whatever they were
/// written as, and no values at all are an empty map. A null inside of a map is kept: it removes a default.
pub fn digest_of_values(values: &Value) -> ReleaseDigest {
    if values.is_null() { digest(&Value::Object(serde_json::Map::new())) } else { digest(values) }
}

fn digest_of_file(content: &[u8]) -> ReleaseDigest {
    ReleaseDigest::v1(&[content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content)])
}

fn digest(value: &Value) -> ReleaseDigest {
    let mut canonical = Vec::new();
    write(&mut canonical, value);
    ReleaseDigest::v1(&[&canonical])
}

/// Each value begins with a letter for its kind, and whatever has no fixed length with its length.
fn write(out: &mut Vec<u8>, value: &Value) {
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend((text.len() as u64).to_be_bytes());
        out.extend(text.as_bytes());
    };
    match value {
        Value::Null => out.push(b'0'),
        Value::Bool(yes) => out.extend([b'b', u8::from(*yes)]),
        Value::Number(number) => {
            out.push(b'n');
            // Adding zero makes one of the two zeroes.
            out.extend((number.as_f64().unwrap_or(f64::NAN) + 0.0).to_bits().to_be_bytes());
        }
        Value::String(string) => {
            out.push(b's');
            text(out, string);
        }
        Value::Array(items) => {
            out.push(b'a');
            out.extend((items.len() as u64).to_be_bytes());
            for item in items {
                write(out, item);
            }
        }
        Value::Object(fields) => {
            out.push(b'o');
            out.extend((fields.len() as u64).to_be_bytes());
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            for (key, value) in sorted {
                text(out, key);
                write(out, value);
            }
        }
    }
}

/// A part of Chart.yaml as helm writes it to a record: scalars are texts of printable characters, and what is empty is
/// left out.
fn plain(value: &Value) -> Option<Value> {
    let kept = match value {
        Value::Null | Value::Bool(false) => return None,
        Value::Bool(true) => Value::from("true"),
        Value::Number(number) => Value::from(number_text(number)),
        Value::String(text) => {
            let printable = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !c.is_control());
            Value::from(printable.collect::<String>())
        }
        Value::Array(items) => items.iter().filter_map(plain).collect(),
        Value::Object(fields) => fields.iter().filter_map(|(key, value)| Some((key.clone(), plain(value)?))).collect(),
    };
    let empty = match &kept {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    };
    (!empty).then_some(kept)
}

/// `appVersion: 1.0` is the text `1` to helm.
fn number_text(number: &serde_json::Number) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").map_or_else(|| text.clone(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests;
