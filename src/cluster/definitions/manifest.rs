//! Reads the files under `crds/` of a chart.

use serde_json::{Map, Value, json};

/// The one version in which API servers take definitions (Kubernetes 1.22 and newer).
const API_VERSION: &str = "apiextensions.k8s.io/v1";
const KIND: &str = "CustomResourceDefinition";
/// Definitions of one chart: some times as many as the largest public charts bring.
const DEFINITIONS_MAX: usize = 512;
/// Bytes of all files together: as above.
const BYTES_MAX: usize = 32 << 20;
/// Levels of one document. A schema of whole pod templates has about forty; each level costs stack.
const DEPTH_MAX: usize = 64;
/// Generated files have none; what people write has few.
const ALIASES_MAX: usize = 1_000;

/// What a chart should not have under `crds/`. Quotes names and no content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    #[error(
        "{file} holds {what}; under crds/ of a chart only CustomResourceDefinitions are applied, other objects belong \
         under templates/"
    )]
    OtherKind { file: Box<str>, what: Box<str> },
    #[error("{file} holds CustomResourceDefinition {name} of {api_version}; {API_VERSION} is needed")]
    OtherVersion { file: Box<str>, name: Box<str>, api_version: Box<str> },
    #[error("{file} holds a CustomResourceDefinition without {what}")]
    Incomplete { file: Box<str>, what: &'static str },
    #[error("{file} is not YAML{place}")]
    Malformed { file: Box<str>, place: Box<str> },
    #[error("the chart has more than {DEFINITIONS_MAX} CustomResourceDefinitions")]
    TooMany,
    #[error("the files under crds/ have more than {max} MiB together", max = BYTES_MAX >> 20)]
    TooLarge,
}

/// A CustomResourceDefinition as a chart states it.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    name: Box<str>,
    /// Without what is not a chart's to state, such as a status that a generator left there.
    object: Value,
}

impl Definition {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn object(&self) -> &Value {
        &self.object
    }

    pub(super) fn spec(&self) -> &Value {
        self.object.get("spec").unwrap_or(&Value::Null)
    }

    pub(super) fn has_version(&self, name: &str) -> bool {
        let versions = self.spec().get("versions").and_then(Value::as_array);
        versions.into_iter().flatten().any(|version| version["name"] == name)
    }
}

/// The definitions in the files of a chart, each with its path below the chart, in their order.
pub fn read_definitions<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Vec<Definition>, DefinitionError> {
    let (mut definitions, mut bytes) = (Vec::new(), 0_usize);
    for (file, content) in files {
        bytes = bytes.saturating_add(content.len());
        if bytes > BYTES_MAX {
            return Err(DefinitionError::TooLarge);
        }
        for document in documents(file, content)? {
            // As helm reads it: a document without content is none.
            if document.is_null() {
                continue;
            }
            if definitions.len() == DEFINITIONS_MAX {
                return Err(DefinitionError::TooMany);
            }
            definitions.push(definition(file, document)?);
        }
    }
    Ok(definitions)
}

fn documents(file: &str, content: &[u8]) -> Result<Vec<Value>, DefinitionError> {
    let malformed = |place: String| DefinitionError::Malformed { file: file.into(), place: place.into() };
    let text = std::str::from_utf8(content).map_err(|_| malformed(" in UTF-8".to_owned()))?;
    // An editor may have left a mark of the byte order, which is no content.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let read = serde_saphyr::from_multiple_with_options::<Value>(text, yaml_options(content.len()));
    // The parser's own message may quote the text.
    read.map_err(|error| {
        let place = error.location().map(|place| format!(" at line {} column {}", place.line(), place.column()));
        malformed(place.unwrap_or_default())
    })
}

/// The defaults are made for configuration files. Definitions are long, so what bounds them is their size in bytes: no
/// event has less than one. Whatever amplifies stays tight.
fn yaml_options(bytes: usize) -> serde_saphyr::Options {
    // The beginning and the end of a text are events too.
    let most = bytes.saturating_add(16);
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_reader_input_bytes: Some(most),
            max_events: most,
            max_nodes: most,
            max_total_scalar_bytes: most,
            max_total_comment_bytes: most,
            max_depth: DEPTH_MAX,
            max_aliases: ALIASES_MAX,
            max_anchors: ALIASES_MAX,
            max_documents: DEFINITIONS_MAX,
        },
        with_snippet: false,
        emit_comments: false,
    }
}

fn definition(file: &str, mut document: Value) -> Result<Definition, DefinitionError> {
    let text = |path: &str| document.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, api_version, name) = (text("/kind"), text("/apiVersion"), text("/metadata/name"));
    let what = |described: String| DefinitionError::OtherKind { file: file.into(), what: described.into() };
    if kind.is_empty() {
        return Err(what("a document that is no Kubernetes object".to_owned()));
    }
    if kind != KIND {
        return Err(what(format!("{} {}", printable(&kind), printable(&name)).trim_end().to_owned()));
    }
    let incomplete = |what| DefinitionError::Incomplete { file: file.into(), what };
    // It becomes part of a path.
    if !is_object_name(&name) {
        return Err(incomplete("a name that it may have"));
    }
    if api_version != API_VERSION {
        let api_version = printable(&api_version).into();
        return Err(DefinitionError::OtherVersion { file: file.into(), name: name.into(), api_version });
    }
    let spec =
        document.get_mut("spec").map(Value::take).filter(Value::is_object).ok_or_else(|| incomplete("a spec"))?;
    let mut metadata = Map::from_iter([("name".to_owned(), json!(name))]);
    for field in ["labels", "annotations"] {
        if let Some(stated) = document.pointer_mut(&format!("/metadata/{field}")).filter(|stated| stated.is_object()) {
            metadata.insert(field.to_owned(), stated.take());
        }
    }
    let object = json!({ "apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec });
    Ok(Definition { name: name.into(), object })
}

/// A DNS subdomain, as names of definitions are.
fn is_object_name(name: &str) -> bool {
    let good = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    (1..=253).contains(&name.len()) && name.bytes().all(good) && !name.starts_with('.')
}

/// Text of a chart in a message for a person.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}
