//! The way to a cluster.

use std::path::PathBuf;

use http::HeaderValue;
use http::header::USER_AGENT;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::error::ClusterError;
use crate::release::{Identity, Impersonated};

/// Where the address of the API server and the identity come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// What a pod finds in its own file system.
    InCluster,
    /// A file, and the context in it; without a context the current one.
    Kubeconfig { path: PathBuf, context: Option<String> },
    /// The user's kubeconfig as kubectl finds it, else as in a pod.
    Inferred { context: Option<String> },
}

/// How to reach the cluster. `agent_suffix` tells operators apart that share an API server.
///
/// No request is tried again behind our back: a pass fails fast and comes back. There is no read timeout, which would
/// end quiet watches; each request has its own deadline.
pub async fn config(access: &Access, agent_suffix: Option<&str>) -> Result<Config, ClusterError> {
    let options = |context: &Option<String>| KubeConfigOptions { context: context.clone(), ..Default::default() };
    let mut config = match access {
        Access::InCluster => Config::incluster().map_err(|error| unusable(&error))?,
        Access::Kubeconfig { path, context } => {
            let file = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
            Config::from_custom_kubeconfig(file, &options(context)).await.map_err(|error| unusable(&error))?
        }
        Access::Inferred { context: None } => Config::infer().await.map_err(|error| unusable(&error))?,
        Access::Inferred { context } => {
            Config::from_kubeconfig(&options(context)).await.map_err(|error| unusable(&error))?
        }
    };
    config.default_retry = false;
    config.read_timeout = None;
    let agent = user_agent(agent_suffix);
    config.headers.push((USER_AGENT, HeaderValue::from_str(&agent).map_err(|error| unusable(&error))?));
    Ok(config)
}

/// A client. It opens no connection before its first request.
pub fn connect(config: Config) -> Result<Client, ClusterError> {
    Client::try_from(config).map_err(|error| unusable(&error))
}

/// The way to the cluster as somebody else.
///
/// A client is made for each use and not kept: it is needed once before some runs of helm, and one for each of
/// thousands of service accounts would hold connections that nobody uses.
#[derive(Clone)]
pub struct Identities(Config);

impl Identities {
    /// `config` is the operator's own way.
    pub fn new(config: Config) -> Self {
        Self(config)
    }

    pub fn client(&self, identity: &Identity) -> Result<Client, ClusterError> {
        connect(self.config_of(identity))
    }

    fn config_of(&self, identity: &Identity) -> Config {
        let mut config = self.0.clone();
        if let Some(Impersonated { user, groups }) = identity.impersonated() {
            config.auth_info.impersonate = Some(user);
            config.auth_info.impersonate_groups = Some(groups.into());
        }
        config
    }
}

fn user_agent(suffix: Option<&str>) -> String {
    let agent = concat!("helm-release-operator/", env!("CARGO_PKG_VERSION"));
    suffix.map_or_else(|| agent.to_owned(), |suffix| format!("{agent} {suffix}"))
}

fn unusable(error: &dyn std::error::Error) -> ClusterError {
    ClusterError::Access(error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Namespace;

    const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
current-context: a
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: u, user: {token: t}}]
contexts:
- {name: a, context: {cluster: c, user: u, namespace: one}}
- {name: b, context: {cluster: c, user: u, namespace: two}}
";

    #[tokio::test]
    async fn config_has_our_agent_and_no_retries() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubeconfig");
        std::fs::write(&path, KUBECONFIG).unwrap();
        let access = Access::Kubeconfig { path, context: Some("b".into()) };
        let config = config(&access, Some("scenario")).await.unwrap();
        assert!(!config.default_retry);
        assert_eq!((config.read_timeout, &*config.default_namespace), (None, "two"));
        let agent = config.headers[0].1.to_str().unwrap();
        assert!(agent.starts_with("helm-release-operator/") && agent.ends_with(" scenario"), "{agent}");
    }

    #[test]
    fn service_account_is_impersonated_with_its_groups() {
        let identities = Identities::new(Config::new(http::Uri::from_static("http://127.0.0.1:1")));
        let name = Identity::ServiceAccount { namespace: Namespace::parse("team").unwrap(), name: "sa".into() };
        let auth = identities.config_of(&name).auth_info;
        assert_eq!(auth.impersonate.as_deref(), Some("system:serviceaccount:team:sa"));
        let groups = auth.impersonate_groups.unwrap();
        assert_eq!(groups, ["system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"]);
        assert_eq!(identities.config_of(&Identity::Own).auth_info.impersonate, None);
    }

    #[tokio::test]
    async fn config_from_a_file_that_is_not_there_is_an_error() {
        let access = Access::Kubeconfig { path: "/nowhere/kubeconfig".into(), context: None };
        assert_eq!(config(&access, None).await.unwrap_err().reason(), "Access");
    }
}
