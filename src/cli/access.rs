//! The operator's way to the API server in the form in which helm gets it.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::config::{AuthInfo, Cluster, Kubeconfig};
use secrecy::ExposeSecret as _;

use crate::{
    helm::{Auth, Authority, ClusterAccess},
    types::Redacted,
};

/// Where a pod finds its own credentials (Kubernetes: service account token volume).
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Why helm cannot be given what the operator itself uses.
#[derive(Debug, thiserror::Error)]
pub(super) enum AccessError {
    #[error("{path}: {source}; name a kubeconfig that is there with --kubeconfig")]
    Kubeconfig { path: PathBuf, source: Box<kube::config::KubeconfigError> },
    #[error("the kubeconfig has no {what} named {name:?}; choose a context that is complete with --context")]
    Incomplete { what: &'static str, name: String },
    #[error(
        "the kubeconfig user {0:?} gets credentials from a program or a password, which is not handed on to helm; use a token or a client certificate"
    )]
    Unusable(String),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{0} in the kubeconfig is not base64")]
    NotBase64(&'static str),
    #[error("neither --kubeconfig was given, nor is this a pod with a service account")]
    Nowhere,
}

/// As a pod finds its API server.
pub(super) fn in_cluster() -> Result<ClusterAccess, AccessError> {
    let host = std::env::var("KUBERNETES_SERVICE_HOST").map_err(|_| AccessError::Nowhere)?;
    let port = std::env::var("KUBERNETES_SERVICE_PORT").unwrap_or_else(|_| "443".into());
    // An IPv6 address has to stand in brackets in a URL.
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Ok(ClusterAccess {
        server: format!("https://{host}:{port}"),
        authority: Some(Authority::File(Path::new(SERVICE_ACCOUNT).join("ca.crt"))),
        tls_server_name: None,
        auth: Auth::TokenFile(Path::new(SERVICE_ACCOUNT).join("token")),
        proxy_url: None,
        insecure: false,
    })
}

/// As a kubeconfig says. `private` is a directory for a token that stands in the file itself: helm is given a file
/// with it, never the token.
pub(super) fn from_kubeconfig(
    path: &Path,
    context: Option<&str>,
    private: &Path,
) -> Result<ClusterAccess, AccessError> {
    let config = Kubeconfig::read_from(path)
        .map_err(|source| AccessError::Kubeconfig { path: path.to_owned(), source: Box::new(source) })?;
    let missing = |what, name: &str| AccessError::Incomplete { what, name: name.to_owned() };
    let name = context.or(config.current_context.as_deref()).unwrap_or_default();
    let context = config.contexts.iter().find(|named| named.name == name).and_then(|named| named.context.clone());
    let context = context.ok_or_else(|| missing("context", name))?;
    let cluster = config.clusters.iter().find(|named| named.name == context.cluster);
    let cluster =
        cluster.and_then(|named| named.cluster.clone()).ok_or_else(|| missing("cluster", &context.cluster))?;
    let user = context.user.clone().unwrap_or_default();
    let auth = config.auth_infos.iter().find(|named| named.name == user).and_then(|named| named.auth_info.clone());
    let server = cluster.server.clone().ok_or_else(|| missing("server for cluster", &context.cluster))?;
    Ok(ClusterAccess {
        server,
        authority: authority(&cluster)?,
        tls_server_name: cluster.tls_server_name.clone(),
        auth: credentials(auth.unwrap_or_default(), &user, private)?,
        proxy_url: cluster.proxy_url.map(Redacted::new),
        insecure: cluster.insecure_skip_tls_verify.unwrap_or(false),
    })
}

fn authority(cluster: &Cluster) -> Result<Option<Authority>, AccessError> {
    match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
        (Some(data), _) => decode("certificate-authority-data", data).map(|pem| Some(Authority::Pem(pem))),
        (None, Some(file)) => Ok(Some(Authority::File(file.into()))),
        (None, None) => Ok(None),
    }
}

fn credentials(auth: AuthInfo, user: &str, private: &Path) -> Result<Auth, AccessError> {
    if auth.exec.is_some() || auth.auth_provider.is_some() || auth.username.is_some() || auth.impersonate.is_some() {
        return Err(AccessError::Unusable(user.to_owned()));
    }
    // The order of client-go: what stands in the file wins over what it points at.
    if let Some(token) = auth.token {
        return keep(token.expose_secret(), private).map(Auth::TokenFile);
    }
    if let Some(file) = auth.token_file {
        return Ok(Auth::TokenFile(file.into()));
    }
    let certificate = match (auth.client_certificate_data, auth.client_certificate) {
        (Some(data), _) => Some(decode("client-certificate-data", &data)?),
        (None, Some(file)) => Some(read(&file)?),
        (None, None) => None,
    };
    let key = match (auth.client_key_data, auth.client_key) {
        (Some(data), _) => Some(decode("client-key-data", data.expose_secret())?),
        (None, Some(file)) => Some(read(&file)?),
        (None, None) => None,
    };
    Ok(match (certificate, key) {
        (Some(certificate), Some(key)) => Auth::Certificate { certificate, key: Redacted::new(key) },
        (None, _) | (_, None) => Auth::None,
    })
}

/// Writes a token to a file that only we can read.
fn keep(token: &str, private: &Path) -> Result<PathBuf, AccessError> {
    let path = private.join("token");
    let failed = |source| AccessError::File { path: path.clone(), source };
    let mut file = tempfile::NamedTempFile::new_in(private).map_err(failed)?;
    std::io::Write::write_all(&mut file, token.as_bytes()).map_err(failed)?;
    file.persist(&path).map_err(|error| failed(error.error))?;
    Ok(path)
}

fn read(file: &str) -> Result<Vec<u8>, AccessError> {
    std::fs::read(file).map_err(|source| AccessError::File { path: file.into(), source })
}

fn decode(what: &'static str, text: &str) -> Result<Vec<u8>, AccessError> {
    STANDARD.decode(text.trim()).map_err(|_| AccessError::NotBase64(what))
}
