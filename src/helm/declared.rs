//! What a revision states of some of its objects, for a comparison with those in the cluster. Content, Secrets among it:
//! nothing of it is kept or printed.

use serde_json::{Map, Value, json};

use super::{
    ApplyMethod, ManifestError,
    manifest::{are_objects, documents_with_content},
    record::RecordError,
};
use crate::{release::Member, types::ReleaseKey};

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
    api_version: Box<str>,
    kind: Box<str>,
    /// As written; empty means the release's namespace or none.
    namespace: Box<str>,
    name: Box<str>,
    /// With the label and the annotations that helm adds, which its records do not have.
    pub content: Value,
}

impl Declared {
    /// Whether it is this member of a release. One without a namespace is of a kind that has none.
    pub fn is(&self, member: &Member, release: &ReleaseKey) -> bool {
        let namespace = if self.namespace.is_empty() { release.namespace.as_str() } else { &self.namespace };
        self.api_version == member.api_version
            && self.kind == member.kind
            && self.name == member.name
            && (member.namespace.is_empty() || *member.namespace == *namespace)
    }
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

/// Lists are taken apart, the same as [`super::manifest_objects`] does.
fn take(found: &mut Vec<Declared>, mut content: Value, wanted: &impl Fn(&str, &str) -> bool) {
    if let Some(items) = content.get_mut("items").and_then(Value::as_array_mut).filter(|items| are_objects(items)) {
        return std::mem::take(items).into_iter().for_each(|item| take(found, item, wanted));
    }
    let text = |path: &str| content.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (kind, name) = (text("/kind"), text("/metadata/name"));
    if name.is_empty() || !wanted(kind, name) {
        return;
    }
    let (api_version, namespace) = (text("/apiVersion").into(), text("/metadata/namespace").into());
    let (kind, name) = (kind.into(), name.into());
    found.push(Declared { api_version, kind, namespace, name, content });
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
    use crate::helm::manifest_objects;
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
        let names: Vec<_> = found.iter().map(|one| (&*one.name, &*one.namespace)).collect();
        assert_eq!(names, [("a", ""), ("b", "other")]);
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
    fn items_that_are_not_all_objects_are_a_part_of_the_object() {
        let object = "{apiVersion: v1, kind: Service, metadata: {name: b}}";
        for items in ["{soup: 1}", "[soup]", "[{name: soup}]", &format!("[{object}, soup]")] {
            let odd = format!("apiVersion: x.example/v1\nkind: Menu\nmetadata: {{name: a}}\nitems: {items}\n");
            let found = read(&odd, "ssa").unwrap();
            let names: Vec<_> = found.iter().map(|one| &*one.name).collect();
            let members: Vec<_> = manifest_objects(&odd).unwrap().into_iter().map(|one| one.name).collect();
            assert_eq!((names, members), (vec!["a"], vec!["a".into()]), "{items}");
            assert!(found[0].content.get("items").is_some_and(|items| *items != json!([])), "{items}");
        }
    }

    #[test]
    fn a_member_is_known_by_where_it_lives() {
        let found = read(MANIFEST, "ssa").unwrap();
        let release =
            ReleaseKey { namespace: Namespace::parse("meadow").unwrap(), name: ReleaseName::parse("web").unwrap() };
        let is = |at: usize, namespace: &str| {
            let Declared { api_version, kind, name, .. } = &found[at];
            let member = Member {
                api_version: api_version.clone(),
                kind: kind.clone(),
                namespace: namespace.into(),
                name: name.clone(),
            };
            found[at].is(&member, &release)
        };
        assert!(is(0, "meadow") && !is(0, "other") && is(1, "other") && !is(1, "meadow") && is(0, ""));
    }

    #[test]
    fn an_error_repeats_nothing() {
        let error = read("---\npassword: [hunter2\n", "ssa").err().unwrap();
        assert_eq!(error.to_string(), "document 1 of the manifest is not a Kubernetes object in YAML");
    }
}
