//! The kubeconfig of one run: where the API server is, how to prove who we are, and as whom to act.
//!
//! A file and not flags, for two reasons: argv is readable by others, and client-go inside a pod takes flags as a
//! reason to forget the server it would have found.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::HelmError;
use crate::{
    release::{Identity, Impersonated},
    types::Redacted,
};

/// The one name that cluster, user and context share.
const ENTRY: &str = "release";

/// How to reach an API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterAccess {
    pub server: String,
    pub authority: Option<Authority>,
    pub tls_server_name: Option<String>,
    pub auth: Auth,
    /// May hold a password, therefore it goes into the file and not into the environment.
    pub proxy_url: Option<Redacted<String>>,
    /// Do not check the server's certificate. Takes precedence over `authority`, since client-go refuses both.
    pub insecure: bool,
}

/// Who vouches for the server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    Pem(Vec<u8>),
    File(PathBuf),
}

/// How the operator proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    None,
    /// A file, never a token: it is replaced while a long run goes on.
    TokenFile(PathBuf),
    /// Both PEM.
    Certificate {
        certificate: Vec<u8>,
        key: Redacted<Vec<u8>>,
    },
}

impl ClusterAccess {
    /// The content of the file, as JSON, which every reader of YAML takes.
    pub fn kubeconfig(&self, identity: &Identity) -> Result<Redacted<Vec<u8>>, HelmError> {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": ENTRY, "cluster": self.cluster()}],
            "users": [{"name": ENTRY, "user": self.user(identity)}],
            "contexts": [{"name": ENTRY, "context": {"cluster": ENTRY, "user": ENTRY}}],
            "current-context": ENTRY,
        });
        serde_json::to_vec(&config).map(Redacted::new).map_err(HelmError::Kubeconfig)
    }

    fn cluster(&self) -> Map<String, Value> {
        let mut cluster = Map::new();
        cluster.insert("server".into(), json!(self.server));
        match &self.authority {
            _ if self.insecure => {
                cluster.insert("insecure-skip-tls-verify".into(), json!(true));
            }
            Some(Authority::Pem(pem)) => {
                cluster.insert("certificate-authority-data".into(), json!(STANDARD.encode(pem)));
            }
            Some(Authority::File(path)) => {
                cluster.insert("certificate-authority".into(), json!(path));
            }
            None => {}
        }
        if let Some(name) = &self.tls_server_name {
            cluster.insert("tls-server-name".into(), json!(name));
        }
        if let Some(url) = &self.proxy_url {
            cluster.insert("proxy-url".into(), json!(url.expose()));
        }
        cluster
    }

    fn user(&self, identity: &Identity) -> Map<String, Value> {
        let mut user = Map::new();
        match &self.auth {
            Auth::None => {}
            Auth::TokenFile(path) => {
                user.insert("tokenFile".into(), json!(path));
            }
            Auth::Certificate { certificate, key } => {
                user.insert("client-certificate-data".into(), json!(STANDARD.encode(certificate)));
                user.insert("client-key-data".into(), json!(STANDARD.encode(key.expose())));
            }
        }
        if let Some(Impersonated { user: name, groups }) = identity.impersonated() {
            user.insert("as".into(), json!(name));
            user.insert("as-groups".into(), json!(groups));
        }
        user
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Namespace;

    fn access(auth: Auth) -> ClusterAccess {
        ClusterAccess {
            server: "https://10.0.0.1".into(),
            authority: Some(Authority::Pem(b"ca".to_vec())),
            tls_server_name: None,
            auth,
            proxy_url: None,
            insecure: false,
        }
    }

    fn render(access: &ClusterAccess, identity: &Identity) -> Value {
        serde_json::from_slice(access.kubeconfig(identity).unwrap().expose()).unwrap()
    }

    #[test]
    fn service_account_is_impersonated_with_its_groups_and_the_token_stays_in_its_file() {
        let identity = Identity::ServiceAccount { namespace: Namespace::parse("team").unwrap(), name: "sa".into() };
        let config = render(&access(Auth::TokenFile("/run/token".into())), &identity);
        assert_eq!(
            config,
            json!({
                "apiVersion": "v1", "kind": "Config", "current-context": "release",
                "clusters": [{"name": "release", "cluster": {
                    "server": "https://10.0.0.1", "certificate-authority-data": "Y2E="}}],
                "contexts": [{"name": "release", "context": {"cluster": "release", "user": "release"}}],
                "users": [{"name": "release", "user": {
                    "tokenFile": "/run/token",
                    "as": "system:serviceaccount:team:sa",
                    "as-groups": ["system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"]}}],
            })
        );
    }

    #[test]
    fn own_identity_impersonates_nobody() {
        let key = Redacted::new(b"key".to_vec());
        let config = render(&access(Auth::Certificate { certificate: b"cert".to_vec(), key }), &Identity::Own);
        let user = &config["users"][0]["user"];
        assert_eq!(*user, json!({"client-certificate-data": "Y2VydA==", "client-key-data": "a2V5"}));
    }

    #[test]
    fn insecure_access_names_no_authority_and_a_proxy_is_kept() {
        let mut access = access(Auth::None);
        access.insecure = true;
        access.proxy_url = Some(Redacted::new("http://u:hunter2@proxy:3128".into()));
        access.tls_server_name = Some("kubernetes".into());
        let config = render(&access, &Identity::Own);
        assert_eq!(
            config["clusters"][0]["cluster"],
            json!({"server": "https://10.0.0.1", "insecure-skip-tls-verify": true,
                "tls-server-name": "kubernetes", "proxy-url": "http://u:hunter2@proxy:3128"})
        );
        assert!(!format!("{access:?}").contains("hunter2"));
    }
}
