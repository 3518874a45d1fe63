//! Writes to a `HelmRelease`: its finalizer and its status.

use kube::Resource;
use kube::api::{Patch, PatchParams};
use kube::core::{ObjectMeta, Request};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::FIELD_MANAGER;
use super::super::error::ClusterError;
use super::{Requests, patch_params};
use crate::api::{ConditionType, FINALIZER, HelmRelease, HelmReleaseStatus};

/// The object that is written to. The uid keeps a write from reaching another object of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub namespace: Box<str>,
    pub name: Box<str>,
    pub uid: Box<str>,
}

impl Target {
    pub fn of(meta: &ObjectMeta) -> Self {
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        Self { namespace: text(&meta.namespace), name: text(&meta.name), uid: text(&meta.uid) }
    }
}

impl Requests {
    /// Puts our finalizer on the object as it was seen; `Conflict` if it has changed since.
    pub async fn add_finalizer(&self, seen: &ObjectMeta) -> Result<HelmRelease, ClusterError> {
        let mut finalizers = seen.finalizers.clone().unwrap_or_default();
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            finalizers.push(FINALIZER.to_owned());
        }
        self.write_finalizers(seen, &finalizers).await
    }

    /// Takes our finalizer off, and nobody else's; `None` if the object was gone already.
    pub async fn remove_finalizer(&self, seen: &ObjectMeta) -> Result<Option<HelmRelease>, ClusterError> {
        let finalizers = seen.finalizers.iter().flatten().filter(|finalizer| *finalizer != FINALIZER);
        let finalizers: Vec<String> = finalizers.cloned().collect();
        match self.write_finalizers(seen, &finalizers).await {
            Ok(object) => Ok(Some(object)),
            Err(ClusterError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The list is written whole, so the resource version guards what others put into it.
    async fn write_finalizers(&self, seen: &ObjectMeta, list: &[String]) -> Result<HelmRelease, ClusterError> {
        let Some(version) = &seen.resource_version else {
            return Err(ClusterError::Refused("the object has no resource version".into()));
        };
        let target = Target::of(seen);
        let patch = json!({ "metadata": { "resourceVersion": version, "finalizers": list } });
        self.send(objects(&target).patch(&target.name, &patch_params(), &Patch::Merge(patch))).await
    }

    /// Replaces the status and returns the object as it is then. With `version` it is `Conflict` if the object has
    /// changed since: nobody acts on what is out of date.
    pub async fn write_status(
        &self,
        target: &Target,
        status: &HelmReleaseStatus,
        version: Option<&str>,
    ) -> Result<HelmRelease, ClusterError> {
        self.send(status_patch(target, status, version)).await
    }

    /// Takes away what an answer to [`Self::write_status`] has beside what was written: fields that another manager
    /// wrote too, by an edit or a restore, and which stay when an apply of ours leaves them out. An operation that is
    /// over would be there for ever.
    pub async fn correct_status(
        &self,
        seen: &HelmRelease,
        status: &HelmReleaseStatus,
    ) -> Result<HelmRelease, ClusterError> {
        let target = Target::of(&seen.metadata);
        let malformed = |error: serde_json::Error| ClusterError::Malformed(error.to_string().into());
        let there = serde_json::to_value(&seen.status).map_err(malformed)?;
        let correction = correction(&there, &serde_json::to_value(status).map_err(malformed)?);
        let metadata = json!({ "uid": seen.metadata.uid, "resourceVersion": seen.metadata.resource_version });
        let patch = Patch::Merge(json!({ "metadata": metadata, "status": correction }));
        self.send(objects(&target).patch_subresource("status", &target.name, &patch_params(), &patch)).await
    }

    /// As [`Self::write_status`] for an object that is malformed and will be so in the answer.
    pub async fn write_status_unread(&self, target: &Target, status: &HelmReleaseStatus) -> Result<(), ClusterError> {
        match self.text(status_patch(target, status, None)).await {
            // Nothing can be applied to what was stored before the schema was what it is.
            Err(ClusterError::Unavailable(message)) if message.starts_with(UNTYPED) => {
                self.text(ready_patch(target, status)).await.map(drop)
            }
            written => written.map(drop),
        }
    }
}

/// The merge patch that makes `wanted` of `there`.
fn correction(there: &Value, wanted: &Value) -> Value {
    let (Value::Object(there), Value::Object(wanted)) = (there, wanted) else { return wanted.clone() };
    let gone = there.keys().filter(|key| !wanted.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let other = wanted.iter().filter(|(key, value)| there.get(*key) != Some(value));
    let other = other.map(|(key, value)| (key.clone(), correction(there.get(key).unwrap_or(&Value::Null), value)));
    Value::Object(gone.chain(other).collect::<Map<_, _>>())
}

/// How the API server begins to say, with the code of a failure of its own, that a stored object is not of its schema.
const UNTYPED: &str = "failed to create typed live object";

/// Says of Ready alone what a status says: no other condition is in every status, and one that was not applied would
/// stay when the object is put right.
fn ready_patch(target: &Target, status: &HelmReleaseStatus) -> super::Built {
    let ready: Vec<_> = status.conditions.iter().filter(|one| one.type_ == ConditionType::Ready.as_str()).collect();
    let status = json!({ "observedGeneration": status.observed_generation, "conditions": ready });
    let patch = json!({ "metadata": { "uid": target.uid }, "status": status });
    objects(target).patch_subresource("status", &target.name, &patch_params(), &Patch::Merge(patch))
}

fn objects(target: &Target) -> Request {
    Request::new(HelmRelease::url_path(&(), Some(&target.namespace)))
}

/// What a write of status says; in types, because it is the most frequent write and a status is large.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusPatch<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: StatusMetadata<'a>,
    status: &'a HelmReleaseStatus,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusMetadata<'a> {
    name: &'a str,
    namespace: &'a str,
    uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_version: Option<&'a str>,
}

fn status_patch(target: &Target, status: &HelmReleaseStatus, version: Option<&str>) -> super::Built {
    let (api_version, kind) = (HelmRelease::api_version(&()), HelmRelease::kind(&()));
    let Target { namespace, name, uid } = target;
    let metadata = StatusMetadata { name, namespace, uid, resource_version: version };
    let body = StatusPatch { api_version: &api_version, kind: &kind, metadata, status };
    let params = PatchParams::apply(FIELD_MANAGER).force();
    objects(target).patch_subresource("status", &target.name, &params, &Patch::Apply(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_takes_away_what_is_too_much_and_puts_right_what_differs() {
        let there = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1, 2], "f": {"g": 1}, "h": 5});
        let wanted = json!({"a": 1, "b": {"c": 1}, "e": [2], "h": {"i": 6}, "j": 7});
        let expected = json!({"b": {"d": null}, "e": [2], "f": null, "h": {"i": 6}, "j": 7});
        assert_eq!(correction(&there, &wanted), expected);
        assert_eq!(correction(&wanted, &wanted), json!({}));
    }
}
