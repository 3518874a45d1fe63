//! CustomResourceDefinitions: read, created and applied, never deleted.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Resource;
use kube::api::{GetParams, Patch, PatchParams, PostParams};
use kube::core::Request;
use serde_json::Value;

use super::super::FIELD_MANAGER;
use super::super::error::ClusterError;
use super::Requests;

impl Requests {
    /// `None` where there is none.
    pub(in super::super) async fn read_definition(&self, name: &str) -> Result<Option<Value>, ClusterError> {
        self.send_opt(definitions().get(name, &GetParams::default())).await
    }

    /// `Conflict` if there is one already.
    pub(in super::super) async fn create_definition(&self, definition: &Value) -> Result<Value, ClusterError> {
        let body = serde_json::to_vec(definition).map_err(|error| ClusterError::malformed(&error))?;
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let created = self.send(definitions().create(&params, body)).await?;
        self.forget_kinds(definition);
        Ok(created)
    }

    /// Takes every field that the definition states, whoever holds it.
    pub(in super::super) async fn apply_definition(&self, name: &str, stated: &Value) -> Result<Value, ClusterError> {
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = self.send(definitions().patch(name, &params, &Patch::Apply(stated))).await?;
        self.forget_kinds(stated);
        Ok(applied)
    }

    /// Whether the API server tells whoever asks that it has the kind.
    pub(in super::super) async fn is_served(&self, api_version: &str, kind: &str) -> Result<bool, ClusterError> {
        match self.discovery.resolve(&self.client, api_version, kind).await {
            Ok(_) => Ok(true),
            Err(ClusterError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What was known of the kinds may be of an earlier definition.
    fn forget_kinds(&self, definition: &Value) {
        let text = |path: &str| definition.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
        for version in versions.into_iter().flatten().filter_map(|version| version["name"].as_str()) {
            self.discovery.forget(&format!("{}/{version}", text("/spec/group")), text("/spec/names/kind"));
        }
    }
}

fn definitions() -> Request {
    Request::new(CustomResourceDefinition::url_path(&(), None))
}
