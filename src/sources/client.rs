//! One GET: who is asked, what is sent along, where a redirect may lead, and what the answer means.
//!
//! Redirects are followed by hand, because what decides is whether the credentials may go along.

use std::{error::Error as _, time::Duration};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::{Client, Response, Url};
use tokio::sync::OnceCell;

use super::{
    address::{Credentials, Place, RepositoryUrl, same_origin},
    error::{SourceError, printable},
    settings::SourceSettings,
};

/// Most redirects of one fetch. Release pages with a storage host behind them need two.
const REDIRECTS_MAX: usize = 5;
/// How long a connection may take to stand; the rest of the deadline is for the bytes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept: over the index and the archives of one pass, not over the quiet time.
const IDLE_CONNECTION_KEPT: Duration = Duration::from_secs(15);
/// Longest wait that a server can ask for; more would be a way to switch a release off.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// HTTP clients, made when the first repository of their kind is asked: root certificates cost a megabyte of memory,
/// which an installation without https repositories never pays.
#[derive(Debug)]
pub(super) struct Clients {
    user_agent: String,
    allow_http: bool,
    plain: OnceCell<Client>,
    secure: OnceCell<Client>,
}

/// What is asked for.
pub(super) struct Ask<'a> {
    pub(super) repository: &'a RepositoryUrl,
    pub(super) credentials: Option<&'a Credentials>,
    pub(super) url: Url,
    /// Conditions and preferences; never authorization.
    pub(super) headers: HeaderMap,
}

/// A 200 or a 304, and where it came from.
#[derive(Debug)]
pub(super) enum Answer {
    Body(Response),
    NotModified,
}

impl Clients {
    pub(super) fn new(settings: &SourceSettings) -> Self {
        Self {
            user_agent: settings.user_agent.clone(),
            allow_http: settings.allow_http,
            plain: OnceCell::new(),
            secure: OnceCell::new(),
        }
    }

    /// Asks, follows redirects, and tells a usable answer from an error. The deadline is the caller's.
    pub(super) async fn get(&self, ask: Ask<'_>) -> Result<Answer, SourceError> {
        let Ask { repository, credentials, mut url, headers } = ask;
        // Once another host was involved the credentials stay at home, also when it points back: what it points to
        // would be its choice.
        let mut credentials = credentials.filter(|_| repository.trusts(&url));
        for _ in 0..=REDIRECTS_MAX {
            self.check_scheme(&url)?;
            let mut request = self.client_for(&url).await?.get(url.clone()).headers(headers.clone());
            if let Some(Credentials { username, password }) = credentials {
                request = request.basic_auth(username, Some(password.expose()));
            }
            let response = request.send().await.map_err(|error| unreachable(&url, &error))?;
            let Some(next) = redirect(&url, &response)? else {
                return judge(&url, response, credentials.is_some());
            };
            if !same_origin(&url, &next) {
                credentials = None;
            }
            url = next;
        }
        Err(SourceError::RedirectRefused { place: Place::of(&url), why: "more than 5 redirects in a row" })
    }

    fn check_scheme(&self, url: &Url) -> Result<(), SourceError> {
        if url.scheme() == "https" || self.allow_http {
            Ok(())
        } else {
            Err(SourceError::HttpRefused { place: Place::of(url) })
        }
    }

    async fn client_for(&self, url: &Url) -> Result<&Client, SourceError> {
        if url.scheme() == "https" {
            self.secure.get_or_try_init(|| async { self.build(native_roots().await?) }).await
        } else {
            // No trust roots: this client cannot speak TLS with anyone, and is never asked to.
            self.plain.get_or_try_init(|| async { self.build(rustls::RootCertStore::empty()) }).await
        }
    }

    fn build(&self, roots: rustls::RootCertStore) -> Result<Client, SourceError> {
        let broken = |error: &dyn std::error::Error| SourceError::Tls { why: printable(&error.to_string()) };
        // The provider is named here and not installed for the process: a library decides nothing for its users.
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| broken(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .http1_only()
            .user_agent(&self.user_agent)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_CONNECTION_KEPT)
            .pool_max_idle_per_host(1)
            .build()
            .map_err(|error| broken(&error))
    }
}

/// The certificates that the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
async fn native_roots() -> Result<rustls::RootCertStore, SourceError> {
    let loaded = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
        .await
        .map_err(|_| SourceError::Tls { why: "the certificates could not be read".to_owned() })?;
    let mut roots = rustls::RootCertStore::empty();
    // Single certificates that cannot be read are common in system stores and harm nobody.
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() {
        return Err(SourceError::Tls { why: "there are no CA certificates on this system".to_owned() });
    }
    Ok(roots)
}

/// Where the answer points, if it is a redirect.
fn redirect(from: &Url, response: &Response) -> Result<Option<Url>, SourceError> {
    let status = response.status();
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let refused = |why| SourceError::RedirectRefused { place: Place::of(from), why };
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let next =
        location.and_then(|location| from.join(location).ok()).ok_or_else(|| refused("it does not say where"))?;
    if from.scheme() == "https" && next.scheme() != "https" {
        return Err(refused("from https to an address without TLS"));
    }
    if !matches!(next.scheme(), "https" | "http") {
        return Err(refused("to an address that is neither https nor http"));
    }
    if !next.username().is_empty() || next.password().is_some() {
        return Err(refused("to an address with credentials in it"));
    }
    Ok(Some(next))
}

fn judge(url: &Url, response: Response, with_credentials: bool) -> Result<Answer, SourceError> {
    let place = Place::of(url);
    let status = response.status();
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(retry_after);
    match status {
        StatusCode::OK => Ok(Answer::Body(response)),
        StatusCode::NOT_MODIFIED => Ok(Answer::NotModified),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(SourceError::Unauthorized { place, status: status.as_u16(), with_credentials })
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(SourceError::NotFound { place, status: status.as_u16() }),
        StatusCode::TOO_MANY_REQUESTS => Err(SourceError::Throttled { place, retry_after }),
        // 408 is what some proxies answer when they are what is slow.
        StatusCode::REQUEST_TIMEOUT => Err(SourceError::ServerError { place, status: 408, retry_after }),
        _ if status.is_server_error() => Err(SourceError::ServerError { place, status: status.as_u16(), retry_after }),
        _ => Err(SourceError::UnexpectedAnswer { place, status: status.as_u16() }),
    }
}

/// Seconds, or a date.
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Duration::try_from(at.duration_since(jiff::Timestamp::now())).unwrap_or_default()
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// The innermost cause says what a user can act on ("connection refused", "certificate has expired"); the outer ones
/// repeat the URL, which may hold a signature.
pub(super) fn unreachable(url: &Url, error: &reqwest::Error) -> SourceError {
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    let why = cause.map_or_else(|| "the connection failed".to_owned(), |cause| printable(&cause.to_string()));
    SourceError::Unreachable { place: Place::of(url), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Building the client panics if it has to look for a provider of the process.
    #[tokio::test]
    async fn tls_needs_nothing_installed_and_trusts_nobody_by_itself() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://{}/charts", listener.local_addr().unwrap());
        tokio::spawn(async move {
            use tokio::io::AsyncWriteExt as _;
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        });
        let clients = Clients::new(&SourceSettings::new("unused".into()));
        clients.secure.set(clients.build(rustls::RootCertStore::empty()).unwrap()).unwrap();
        let repository = RepositoryUrl::parse(&url, false).unwrap();
        let ask =
            Ask { repository: &repository, credentials: None, url: repository.index(), headers: HeaderMap::new() };
        let error = clients.get(ask).await.unwrap_err();
        assert_eq!(error.reason(), "unreachable", "{error}");
    }
}
