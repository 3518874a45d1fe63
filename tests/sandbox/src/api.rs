//! A small client of the API server, for the start of a sandbox and for looking at objects in tests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::cluster::Certificates;
use crate::runtime;

/// Long enough for a server under load, short enough that a start does not hang on one request.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// Why a request to the API server failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("the sandbox's own certificates are refused: {0}")]
    Tls(#[from] rustls::Error),
    #[error("{path}: {source}")]
    Transport { path: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{path}: no answer in {} s", REQUEST_LIMIT.as_secs())]
    Timeout { path: String },
    #[error("{path}: {status}: {message}")]
    Refused { path: String, status: StatusCode, message: String },
}

pub(crate) type HttpsClient<B> = Client<HttpsConnector<HttpConnector>, B>;

/// A client with the rights of an administrator.
pub(crate) struct Api {
    url: String,
    client: HttpsClient<Full<Bytes>>,
}

/// A connection pool that presents the administrator's certificate.
pub(crate) fn https_client<B>(certificates: &Certificates) -> Result<HttpsClient<B>, ApiError>
where
    B: hyper::body::Body<Data: Send> + Send + Unpin + 'static,
{
    let malformed = |error| rustls::Error::General(format!("{error}"));
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(certificates.authority.as_bytes()).map_err(malformed)?;
    roots.add(authority)?;
    let certificate = CertificateDer::from_pem_slice(certificates.admin.certificate.as_bytes()).map_err(malformed)?;
    let key = PrivateKeyDer::from_pem_slice(certificates.admin.key.as_bytes()).map_err(malformed)?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)?;
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

impl Api {
    pub(crate) fn connect(url: &str, certificates: &Certificates) -> Result<Self, ApiError> {
        Ok(Self { url: url.to_owned(), client: https_client(certificates)? })
    }

    /// Succeeds when the server says that it is ready.
    pub(crate) fn ready(&self) -> Result<(), String> {
        self.request(Method::GET, "/readyz", None).map(|_| ()).map_err(|error| error.to_string())
    }

    /// Succeeds when the object exists.
    pub(crate) fn exists(&self, path: &str) -> Result<(), String> {
        match self.get(path) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(format!("{path} does not exist")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Reads JSON; none when the path is not found.
    pub(crate) fn get(&self, path: &str) -> Result<Option<Value>, ApiError> {
        match self.request(Method::GET, path, None) {
            Ok(body) => Ok(serde_json::from_slice(&body).ok()),
            Err(ApiError::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates an object in the collection of the path.
    pub(crate) fn create(&self, path: &str, object: &Value) -> Result<(), ApiError> {
        self.request(Method::POST, path, Some(object)).map(|_| ())
    }

    fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Bytes, ApiError> {
        let transport =
            |source: Box<dyn std::error::Error + Send + Sync>| ApiError::Transport { path: path.to_owned(), source };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .header("user-agent", "sandbox")
            .body(Full::from(body.map(Value::to_string).unwrap_or_default()))
            .map_err(|error| transport(error.into()))?;
        let answer = self.client.request(request);
        let outcome = runtime::wait(async move {
            let exchange = async {
                let response = answer.await?;
                let status = response.status();
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>((
                    status,
                    response.into_body().collect().await?.to_bytes(),
                ))
            };
            tokio::time::timeout(REQUEST_LIMIT, exchange).await
        });
        let (status, body) = outcome.map_err(|_| ApiError::Timeout { path: path.to_owned() })?.map_err(transport)?;
        if status.is_success() {
            return Ok(body);
        }
        let message = serde_json::from_slice::<Value>(&body).ok();
        let message = message.and_then(|value| value["message"].as_str().map(str::to_owned));
        let message = message.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
        Err(ApiError::Refused { path: path.to_owned(), status, message })
    }
}
