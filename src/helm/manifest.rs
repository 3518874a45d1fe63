//! The objects of a release, from the manifest in its record: names only, never content.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::Value;

use crate::{release::Member, types::Namespace};

/// Most objects of one release. Ten times the largest public charts; a record of 1 MiB packed could hold far more.
const OBJECTS_MAX: usize = 5_000;
/// helm leaves objects with this annotation in place on uninstall and when they go from the chart.
const POLICY: &str = "helm.sh/resource-policy";
const KEEP: &str = "keep";

/// The manifest cannot be taken apart. Carries the place and never the text, which may be that of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("document {document} of the manifest is not a Kubernetes object in YAML")]
    Malformed { document: usize },
    #[error("the manifest has more than {OBJECTS_MAX} objects")]
    TooMany,
}

/// An object as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestObject {
    pub api_version: Box<str>,
    pub kind: Box<str>,
    /// As written. Absent means the release's namespace or none, which only the API server's discovery can tell.
    pub namespace: Option<Box<str>>,
    pub name: Box<str>,
    /// helm does not delete it.
    pub keep: bool,
    /// A Job that the cluster removes some time after it has finished.
    pub short_lived: bool,
}

impl ManifestObject {
    /// Its identity in the cluster, once it is known whether its kind lives in namespaces. helm creates what has no
    /// namespace in that of the release.
    pub fn member(&self, namespaced: bool, release: &Namespace) -> Member {
        let namespace = if namespaced { self.namespace.as_deref().unwrap_or(release.as_str()) } else { "" };
        Member {
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            namespace: namespace.into(),
            name: self.name.clone(),
        }
    }
}

/// All objects of a manifest in its order, lists taken apart. Documents without content are skipped, as helm does.
pub fn manifest_objects(manifest: &str) -> Result<Vec<ManifestObject>, ManifestError> {
    let mut objects = Vec::new();
    for (document, text) in documents_with_content(manifest) {
        let malformed = |_| ManifestError::Malformed { document };
        let read = serde_saphyr::from_str_with_options::<Option<Object>>(text, yaml_options()).map_err(malformed)?;
        let Some(object) = read else { continue };
        push(&mut objects, object)?;
    }
    Ok(objects)
}

fn push(objects: &mut Vec<ManifestObject>, object: Object) -> Result<(), ManifestError> {
    if let Some(Items::Objects(items)) = object.items {
        return items.into_iter().try_for_each(|item| push(objects, item));
    }
    // A generated name is known to nobody before the object is there.
    let Some(name) = object.metadata.name else { return Ok(()) };
    if objects.len() == OBJECTS_MAX {
        return Err(ManifestError::TooMany);
    }
    let job = &*object.kind == "Job" && object.api_version.starts_with("batch/");
    let policy = object.metadata.annotations.get(POLICY).and_then(Option::as_deref);
    objects.push(ManifestObject {
        api_version: object.api_version,
        kind: object.kind,
        namespace: object.metadata.namespace.filter(|namespace| !namespace.is_empty()),
        name,
        // helm compares without case and blanks.
        keep: policy.is_some_and(|policy| policy.trim().eq_ignore_ascii_case(KEEP)),
        short_lived: job && matches!(object.spec, Some(Spec::OfJob { ttl_seconds_after_finished: Some(_) })),
    });
    Ok(())
}

/// Whether these are objects each, so that what has them under `items` is a list and no object of its own.
pub(super) fn are_objects(items: &[Value]) -> bool {
    items.iter().all(|item| Object::deserialize(item).is_ok())
}

/// Documents with their place, without those that helm skips.
pub(super) fn documents_with_content(manifest: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_empty = |line: &str| line.trim_start().is_empty() || line.trim_start().starts_with('#');
    documents(manifest).enumerate().filter(move |(_, text)| !text.lines().all(is_empty))
}

/// Splits at lines that begin with `---`, which end a document even inside of a block of text.
fn documents(manifest: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(manifest);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let marker = line.strip_prefix("---");
            if marker.is_some_and(|tail| tail.is_empty() || tail.starts_with(char::is_whitespace)) {
                // What follows on the same line, such as a comment, belongs to the next document.
                rest = Some(&text[at + 3..]);
                return Some(&text[..at]);
            }
            at += line.len();
        }
        rest = None;
        Some(text)
    })
}

/// As helm reads: the last of equal keys wins, sizes are bounded by the record's.
fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    api_version: Box<str>,
    kind: Box<str>,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    items: Option<Items>,
    #[serde(default)]
    spec: Option<Spec>,
}

/// Of all that a spec may be, the one field that decides something.
#[derive(Deserialize)]
#[serde(untagged)]
enum Spec {
    #[serde(rename_all = "camelCase")]
    OfJob {
        #[serde(default)]
        ttl_seconds_after_finished: Option<i64>,
    },
    Other(IgnoredAny),
}

/// Whatever has a list of objects under `items` is a list to helm, whatever its kind is called. [`are_objects`] says the
/// same of content.
#[derive(Deserialize)]
#[serde(untagged)]
enum Items {
    Objects(Vec<Object>),
    Other(IgnoredAny),
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    name: Option<Box<str>>,
    #[serde(default)]
    namespace: Option<Box<str>>,
    #[serde(default, deserialize_with = "or_empty")]
    annotations: BTreeMap<String, Option<String>>,
}

fn or_empty<'de, D>(from: D) -> Result<BTreeMap<String, Option<String>>, D::Error>
where
    D: Deserializer<'de>,
{
    Option::deserialize(from).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(manifest: &str) -> Vec<String> {
        let show = |o: ManifestObject| {
            let keep = if o.keep { " keep" } else { "" };
            let short = if o.short_lived { " short-lived" } else { "" };
            format!("{} {} {}/{}{keep}{short}", o.api_version, o.kind, o.namespace.as_deref().unwrap_or("-"), o.name)
        };
        manifest_objects(manifest).unwrap().into_iter().map(show).collect()
    }

    #[test]
    fn documents_lists_and_policies_are_read() {
        let manifest = "---
# Source: unicorn/templates/a.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  annotations:
    helm.sh/resource-policy: \"Keep \"
    other:
data:
  text: |
    key: value
     --- not the end
---
# Source: unicorn/templates/empty.yaml

--- # a comment
apiVersion: apps/v1
kind: Deployment
metadata: {name: b, namespace: other, annotations: }
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: c}}
- {apiVersion: v1, kind: Service, metadata: {name: d, namespace: ''}}
---
apiVersion: x/v1
kind: Shopping
metadata: {name: e}
items: {milk: 1}
---
apiVersion: v1
kind: Pod
metadata: {generateName: f-}
";
        assert_eq!(
            shown(manifest),
            [
                "v1 ConfigMap -/a keep",
                "apps/v1 Deployment other/b",
                "v1 Service -/c",
                "v1 Service -/d",
                "x/v1 Shopping -/e"
            ]
        );
        assert!(shown("").is_empty());
    }

    #[test]
    fn only_a_job_with_a_time_to_live_is_short_lived() {
        let job = |spec: &str| format!("apiVersion: batch/v1\nkind: Job\nmetadata: {{name: a}}\n{spec}\n");
        for spec in
            ["spec: {backoffLimit: 1, ttlSecondsAfterFinished: 0}", "spec:\n  1: x\n  ttlSecondsAfterFinished: 60"]
        {
            assert_eq!(shown(&job(spec)), ["batch/v1 Job -/a short-lived"], "{spec}");
        }
        for spec in
            ["", "spec:", "spec: {ttlSecondsAfterFinished: }", "spec: [1, {a: b}]", "spec: text", "spec: {1: 2}"]
        {
            assert_eq!(shown(&job(spec)), ["batch/v1 Job -/a"], "{spec}");
        }
        let other = job("spec: {ttlSecondsAfterFinished: 60}").replace("batch/v1", "example.com/v1");
        assert_eq!(shown(&other), ["example.com/v1 Job -/a"]);
    }

    #[test]
    fn equal_keys_and_names_like_numbers_are_taken_as_helm_takes_them() {
        assert_eq!(shown("apiVersion: v1\nkind: A\nkind: B\nmetadata: {name: '123'}\n"), ["v1 B -/123"]);
    }

    #[test]
    fn what_is_no_object_is_an_error_that_names_the_document_only() {
        let error = manifest_objects("---\na: b\n---\npassword: [hunter2\n").unwrap_err();
        assert_eq!(error, ManifestError::Malformed { document: 1 });
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn objects_are_counted() {
        let one = "apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\n";
        assert_eq!(manifest_objects(&one.repeat(OBJECTS_MAX)).map(|list| list.len()), Ok(OBJECTS_MAX));
        assert_eq!(manifest_objects(&one.repeat(OBJECTS_MAX + 1)), Err(ManifestError::TooMany));
    }

    #[test]
    fn members_live_where_their_kind_lives() {
        let release = Namespace::parse("meadow").unwrap();
        let objects = manifest_objects("apiVersion: v1\nkind: A\nmetadata: {name: a}\n").unwrap();
        assert_eq!(&*objects[0].member(true, &release).namespace, "meadow");
        assert_eq!(&*objects[0].member(false, &release).namespace, "");
    }
}
