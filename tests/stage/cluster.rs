//! A client with the rights of an administrator, past every proxy: it applies what users apply, and looks.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use helm_release_operator::api::{HelmRelease, crd};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::Failure;

/// The field manager of what users apply here.
const MANAGER: &str = "user";

/// A connection to the sandbox's API server.
pub(crate) struct Cluster {
    runtime: Runtime,
    client: Client,
}

impl Cluster {
    pub(crate) fn connect(kubeconfig: &Path) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let client = runtime.block_on(async {
            let config = Kubeconfig::read_from(kubeconfig)?;
            let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
            Ok::<_, Failure>(Client::try_from(config)?)
        })?;
        Ok(Self { runtime, client })
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Runs a request to its end.
    pub(crate) fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Applies the operator's definitions and waits until they are served.
    pub(crate) fn apply_definitions(&self) -> Result<(), Failure> {
        let definition = crd();
        let name = definition["metadata"]["name"].as_str().ok_or("the definition has no name")?.to_owned();
        let all: Api<CustomResourceDefinition> = Api::all(self.client());
        self.wait(async {
            all.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&definition)).await?;
            let served = await_condition(all, &name, conditions::is_crd_established());
            tokio::time::timeout(Duration::from_secs(30), served).await??;
            Ok(())
        })
    }

    pub(crate) fn create_namespace(&self, name: &str) -> Result<(), Failure> {
        let manifest = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        self.apply_value(None, &manifest)?;
        // Pods need it, and the controller manager makes it a moment later.
        let all: Api<DynamicObject> = Api::namespaced_with(self.client(), name, &resource("v1", "ServiceAccount"));
        let there = await_condition(all, "default", |object: Option<&DynamicObject>| object.is_some());
        self.wait(async { tokio::time::timeout(Duration::from_secs(30), there).await })??;
        Ok(())
    }

    /// Applies a manifest written in YAML as `kubectl apply --server-side` would.
    pub(crate) fn apply(&self, namespace: &str, manifest: &str) -> Result<DynamicObject, Failure> {
        let manifest: Value = serde_saphyr::from_str(manifest)?;
        Ok(self.apply_value(Some(namespace), &manifest)?)
    }

    /// Applies an object; without a namespace, one of the cluster.
    pub(crate) fn apply_value(&self, namespace: Option<&str>, manifest: &Value) -> kube::Result<DynamicObject> {
        let text = |pointer| manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let resource = resource(text("/apiVersion"), text("/kind"));
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client(), namespace, &resource),
            None => Api::all_with(self.client(), &resource),
        };
        let parameters = PatchParams::apply(MANAGER).force();
        self.wait(api.patch(text("/metadata/name"), &parameters, &Patch::Apply(manifest)))
    }

    /// Merges the patch into an object.
    pub(crate) fn patch(
        &self,
        namespace: &str,
        api_version: &str,
        kind: &str,
        name: &str,
        patch: &Value,
    ) -> kube::Result<()> {
        let resource = resource(api_version, kind);
        let api: Api<DynamicObject> = Api::namespaced_with(self.client(), namespace, &resource);
        let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        self.wait(api.patch(name, &parameters, &Patch::Merge(patch))).map(|_| ())
    }

    /// Changes the status of a release as somebody would who is not the operator.
    pub(crate) fn patch_status(&self, namespace: &str, name: &str, status: &Value) -> kube::Result<()> {
        let api: Api<HelmRelease> = Api::namespaced(self.client(), namespace);
        let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        self.wait(api.patch_status(name, &parameters, &Patch::Merge(json!({ "status": status })))).map(|_| ())
    }

    pub(crate) fn delete(&self, namespace: &str, api_version: &str, kind: &str, name: &str) -> kube::Result<()> {
        let resource = resource(api_version, kind);
        let api: Api<DynamicObject> = Api::namespaced_with(self.client(), namespace, &resource);
        self.wait(api.delete(name, &DeleteParams::background())).map(|_| ())
    }

    /// Deletes an object that is in no namespace.
    pub(crate) fn delete_from_cluster(&self, api_version: &str, kind: &str, name: &str) -> kube::Result<()> {
        let api: Api<DynamicObject> = Api::all_with(self.client(), &resource(api_version, kind));
        self.wait(api.delete(name, &DeleteParams::background())).map(|_| ())
    }

    pub(crate) fn releases(&self, namespace: &str) -> Api<HelmRelease> {
        Api::namespaced(self.client(), namespace)
    }

    /// Hands every state of the object to the closure, none while it is not there, until that yields or the time is over.
    pub(crate) fn follow<T>(
        &self,
        namespace: &str,
        name: &str,
        limit: Duration,
        mut look: impl FnMut(Option<&HelmRelease>) -> Option<T>,
    ) -> Option<T> {
        let states = watcher::watch_object(self.releases(namespace), name).default_backoff();
        self.wait(async {
            let mut states = pin!(states);
            let found = async {
                while let Some(state) = states.next().await {
                    if let Some(found) = state.ok().and_then(|state| look(state.as_ref())) {
                        return Some(found);
                    }
                }
                None
            };
            tokio::time::timeout(limit, found).await.ok().flatten()
        })
    }
}

fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}
