//! Reads and deletes objects of releases, of whatever kind.

use kube::Resource;
use kube::api::{DeleteParams, GetParams, Preconditions};
use kube::core::{DynamicObject, Request};
use serde_json::{Value, json};

use super::super::error::ClusterError;
use super::{Built, Requests};
use crate::health::has_health;
use crate::release::Member;

impl Requests {
    /// The object, with its type; only its metadata where its kind has no health, so that no Secret is ever read for
    /// this. `None` where there is none.
    pub async fn read_member(&self, member: &Member) -> Result<Option<Value>, ClusterError> {
        let whole = has_health(&member.api_version, &member.kind);
        let read = |objects: Request| {
            let params = GetParams::default();
            if whole { objects.get(&member.name, &params) } else { objects.get_metadata(&member.name, &params) }
        };
        let found: Option<Value> = match self.text_of(member, read).await {
            Ok(text) => Some(serde_json::from_str(&text).map_err(|error| ClusterError::malformed(&error))?),
            Err(ClusterError::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(found.map(|mut object| {
            if let Some(object) = object.as_object_mut() {
                object.insert("apiVersion".into(), json!(member.api_version));
                object.insert("kind".into(), json!(member.kind));
            }
            object
        }))
    }

    /// Deletes the object if it still has that uid; what it owns goes too. It is no error if there is none.
    pub async fn delete_member(&self, member: &Member, uid: Option<&str>) -> Result<(), ClusterError> {
        let precondition = uid.map(|uid| Preconditions { uid: Some(uid.to_owned()), resource_version: None });
        let params = DeleteParams { preconditions: precondition, ..DeleteParams::background() };
        match self.text_of(member, |objects| objects.delete(&member.name, &params)).await {
            Ok(_) | Err(ClusterError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn text_of(&self, member: &Member, ask: impl FnOnce(Request) -> Built) -> Result<String, ClusterError> {
        if !is_path_segment(&member.name) || !(member.namespace.is_empty() || is_path_segment(&member.namespace)) {
            return Err(ClusterError::Refused(format!("{member} has no possible name").into()));
        }
        let found = self.discovery.resolve(&self.client, &member.api_version, &member.kind).await?;
        let namespace = found.namespaced.then_some(&*member.namespace);
        if namespace.is_some_and(str::is_empty) {
            return Err(ClusterError::Refused(format!("{member} has no namespace").into()));
        }
        let answer = self.text(ask(Request::new(DynamicObject::url_path(&found.resource, namespace)))).await;
        if matches!(answer, Err(ClusterError::NotFound(_))) {
            // The kind itself may be what is gone.
            self.discovery.forget(&member.api_version, &member.kind);
        }
        answer
    }
}

/// Names come from manifests: one that is a path would make this a request for something else.
fn is_path_segment(name: &str) -> bool {
    let odd = |c: char| matches!(c, '/' | '%' | '?' | '#' | '\\') || c.is_control() || c.is_whitespace();
    !matches!(name, "" | "." | "..") && !name.contains(odd)
}
