//! Where objects of a kind are found on the API server, and whether they live in namespaces.

use std::sync::Mutex;

use kube::Client;
use kube::core::{ApiResource, GroupVersionKind};
use tokio::time::timeout;

use super::error::ClusterError;
use super::locked::locked;
use super::requests::REQUEST_DEADLINE;
use super::table::Table;

/// A kind that the API server serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub resource: ApiResource,
    pub namespaced: bool,
}

/// Asks for the list of a group version once, and again only for a kind that it does not know: a definition may be
/// installed at any time.
#[derive(Debug, Default)]
pub struct Discovery(Mutex<Table<Resolved>>);

impl Discovery {
    pub async fn resolve(&self, client: &Client, api_version: &str, kind: &str) -> Result<Resolved, ClusterError> {
        if let Some(known) = locked(&self.0).get(api_version, kind) {
            return Ok(known.clone());
        }
        let list = async {
            if api_version.contains('/') {
                client.list_api_group_resources(api_version).await
            } else {
                client.list_core_api_resources(api_version).await
            }
        };
        let list = timeout(REQUEST_DEADLINE, list).await.map_err(|_| ClusterError::Timeout)??;
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let mut known = locked(&self.0);
        for entry in list.resources.iter().filter(|entry| !entry.name.contains('/')) {
            let kind = GroupVersionKind::gvk(group, version, &entry.kind);
            let resource = ApiResource::from_gvk_with_plural(&kind, &entry.name);
            known.insert(api_version, &entry.kind, Resolved { resource, namespaced: entry.namespaced });
        }
        let found = known.get(api_version, kind).cloned();
        found
            .ok_or_else(|| ClusterError::NotFound(format!("the API server has no kind {kind} in {api_version}").into()))
    }

    /// After the API server has answered that the kind is not there.
    pub fn forget(&self, api_version: &str, kind: &str) {
        locked(&self.0).remove(api_version, kind);
    }
}
