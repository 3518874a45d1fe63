//! What a revision states of some of its objects, for a comparison with those in the cluster. Content, Secrets among it:
//! nothing of it is kept or printed.

use serde_json::{Map, Value, json};

use super::{ApplyMethod, ManifestError, ManifestObject, manifest::documents_with_content, record::RecordError};
use crate::types::ReleaseKey;

/// Why it cannot be told. Repeats no text of the record.
#[derive(Debug, thiserror::Error)]
pub enum DeclaredError {
    #[error("{0}")]
    Record(#[from] RecordError),
    #[error("{0}")]
    Manifest(#[from] ManifestError),
}

/// An object as helm applies it. Has no `Debug`: it may be a Secret.
pub struct Declared {
    pub object: ManifestObject,
    /// With the label and the annotations that helm adds, which its records do not have.
    pub content: Value,
}

/// The objects of a record, of those that `wanted` chooses, in the order of the manifest. Reads the same bytes as
/// [`super::decode`].
pub fn declared(
    data: &[u8],
    release: &ReleaseKey,
    wanted: impl Fn(&str, &str) -> bool,
) -> Result<Vec<Declared>, DeclaredError> {
    let payload = super::decode(data)?;
    let mut found = Vec::new();
    for (document, text) in documents_with_content(&payload.manifest) {
        let malformed = |_| ManifestError::Malformed { document };
        let read = serde_saphyr::from_str_with_options::<Value>(text, yaml_options()).map_err(malformed)?;
        take(&mut found, read, &wanted);
    }
    for one in &mut found {
        complete(&mut one.content, release, payload.apply_method);
    }
    Ok(found)
}

/// As names are read from manifests, and octal numbers as helm reads them.
fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        legacy_octal_numbers: true,
        with_snippet: false,
    }
}

/// Lists are taken apart, as [`super::manifest_objects`] does.
fn take(found: &mut Vec<Declared>, mut content: Value, wanted: &impl Fn(&str, &str) -> bool) {
    if let Some(Value::Array(items)) = content.get_mut("items").map(Value::take) {
        return items.into_iter().for_each(|item| take(found, item, wanted));
    }
    let text = |path: &str| content.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (kind, name) = (text("/kind"), text("/metadata/name"));
    if name.is_empty() || !wanted(kind, name) {
        return;
    }
    let object = ManifestObject {
        api_version: text("/apiVersion").into(),
        kind: kind.into(),
        namespace: Some(text("/metadata/namespace")).filter(|namespace| !namespace.is_empty()).map(Into::into),
        name: name.into(),
        keep: false,
        short_lived: false,
    };
    found.push(Declared { object, content });
}

/// What helm puts on every object, over the chart's own words.
fn complete(content: &mut Value, release: &ReleaseKey, method: ApplyMethod) {
    let Some(metadata) = content.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let mut put = |field: &str, name: &str, value: &str| {
        let field = metadata.entry(field).or_insert_with(|| json!({}));
        if !field.is_object() {
            *field = json!({});
        }
        field[name] = json!(value);
    };
    put("labels", "app.kubernetes.io/managed-by", "Helm");
    put("annotations", "meta.helm.sh/release-name", release.name.as_str());
    put("annotations", "meta.helm.sh/release-namespace", release.namespace.as_str());
    if method == ApplyMethod::ClientSide {
        // An API server drops a null from what it is given whole, and would take it for a field from an apply.
        without_nulls(content);
    }
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            *fields = std::mem::take(fields).into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>();
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;
    use crate::types::{Namespace, ReleaseName};

    fn read(manifest: &str, method: &str) -> Result<Vec<Declared>, DeclaredError> {
        let release =
            ReleaseKey { namespace: Namespace::parse("meadow").unwrap(), name: ReleaseName::parse("web").unwrap() };
        let record = json!({"version": 1, "manifest": manifest, "apply_method": method}).to_string();
        declared(STANDARD.encode(record).as_bytes(), &release, |kind, _| kind != "Secret")
    }

    const MANIFEST: &str = "---\n# Source: a\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: }\n\
        data: {a: b, c: }\n---\napiVersion: v1\nkind: List\nitems:\n\
        - {apiVersion: v1, kind: Service, metadata: {name: b, namespace: other, labels: {app.kubernetes.io/managed-by: me}}}\n\
        - {apiVersion: v1, kind: Secret, metadata: {name: c}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {generateName: d-}\n";

    #[test]
    fn objects_are_told_as_helm_applies_them() {
        let found = read(MANIFEST, "ssa").unwrap();
        let names: Vec<_> = found.iter().map(|one| (&*one.object.name, one.object.namespace.as_deref())).collect();
        assert_eq!(names, [("a", None), ("b", Some("other"))]);
        let annotations = json!({"meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "meadow"});
        assert_eq!(found[0].content["metadata"]["annotations"], annotations);
        assert_eq!(found[0].content["data"], json!({"a": "b", "c": null}));
        assert_eq!(found[1].content["metadata"]["labels"], json!({"app.kubernetes.io/managed-by": "Helm"}));
    }

    #[test]
    fn what_was_given_whole_has_no_nulls() {
        assert_eq!(read(MANIFEST, "csa").unwrap()[0].content["data"], json!({"a": "b"}));
    }

    #[test]
    fn an_error_repeats_nothing() {
        let error = read("---\npassword: [hunter2\n", "ssa").err().unwrap();
        assert_eq!(error.to_string(), "document 1 of the manifest is not a Kubernetes object in YAML");
    }
}
