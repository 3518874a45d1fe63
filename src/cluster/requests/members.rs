//! Reads and deletes objects of releases, of whatever kind.

use std::pin::pin;

use futures::StreamExt as _;
use kube::api::{DeleteParams, GetParams, Preconditions};
use kube::core::{DynamicObject, Request};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
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
        Ok(found.map(|object| typed(member, object)))
    }

    /// Waits until the object is as described; while it cannot be seen, that is asked again for ever. Whoever waits has
    /// an end of his own.
    pub async fn until_member(
        &self,
        member: &Member,
        mut is_so: impl FnMut(Option<&Value>) -> bool,
    ) -> Result<(), ClusterError> {
        let found = self.discovery.resolve(&self.client, &member.api_version, &member.kind).await?;
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &member.namespace, &found.resource);
        let mut states = pin!(watcher::watch_object(api, &member.name).default_backoff());
        while let Some(state) = states.next().await {
            let Ok(object) = state else { continue };
            let object = object.and_then(|object| serde_json::to_value(object).ok()).map(|found| typed(member, found));
            if is_so(object.as_ref()) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Deletes the object if it still has the uid and the version that were `seen`; what it owns goes too. It is no
    /// error if there is none.
    pub async fn delete_member(&self, member: &Member, seen: Option<(&str, &str)>) -> Result<(), ClusterError> {
        let precondition = seen.map(|(uid, version)| Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: Some(version.to_owned()),
        });
        let params = DeleteParams { preconditions: precondition, ..DeleteParams::background() };
        match self.text_of(member, |objects| objects.delete(&member.name, &params)).await {
            Ok(_) | Err(ClusterError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn text_of(
        &self,
        member: &Member,
        ask: impl FnOnce(Request) -> Built,
    ) -> Result<String, ClusterError> {
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

/// An object of a list, or metadata alone, does not say what it is.
fn typed(member: &Member, mut object: Value) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.insert("apiVersion".into(), json!(member.api_version));
        object.insert("kind".into(), json!(member.kind));
    }
    object
}

/// Names come from manifests: one that is a path would make this a request for something else.
fn is_path_segment(name: &str) -> bool {
    let odd = |c: char| matches!(c, '/' | '%' | '?' | '#' | '\\') || c.is_control() || c.is_whitespace();
    !matches!(name, "" | "." | "..") && !name.contains(odd)
}
