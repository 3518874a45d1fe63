//! Addresses: of a repository, of what is fetched from it, and which of them may see its credentials.

use std::fmt;

use reqwest::Url;
use sha2::{Digest, Sha256};

use super::error::{SourceError, printable};
use crate::types::Redacted;

/// Longest repository URL, in characters; browsers and proxies stop at about the same length.
const URL_MAX_CHARS: usize = 2048;

/// Where a repository's `index.yaml` is: `https://host/path`, without credentials, query and fragment.
///
/// Two spellings of the same address are equal: host in lower case, no default port, no slash at the end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryUrl(Url);

impl RepositoryUrl {
    /// `allow_http` is the operator's setting; without it only `https://` passes.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, SourceError> {
        let invalid = |why: &str| SourceError::UrlInvalid { url: without_secrets(text), why: why.to_owned() };
        if text.chars().count() > URL_MAX_CHARS {
            return Err(invalid("it is longer than 2048 characters"));
        }
        let mut url = Url::parse(text.trim()).map_err(|error| invalid(&error.to_string()))?;
        match url.scheme() {
            "https" => {}
            "http" if allow_http => {}
            "http" => return Err(SourceError::HttpRefused { place: Place::of(&url) }),
            "oci" => return Err(SourceError::OciNotSupported { url: without_secrets(text) }),
            other => return Err(invalid(&format!("the scheme {:?} is not https", printable(other)))),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("it holds credentials, which belong into a Secret named in spec.chart.secretRef"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("a query or a fragment has no meaning for a repository"));
        }
        let path = url.path().trim_end_matches('/').trim_end_matches("/index.yaml").trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The index of the repository.
    pub(super) fn index(&self) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/index.yaml", self.0.path().trim_end_matches('/')));
        url
    }

    /// An archive as the index names it: absolute, or relative to the repository.
    pub(super) fn archive(&self, reference: &str) -> Result<Url, &'static str> {
        let mut base = self.0.clone();
        base.set_path(&format!("{}/", self.0.path().trim_end_matches('/')));
        let url = base.join(reference).map_err(|_| "is not a URL")?;
        match (self.0.scheme(), url.scheme()) {
            ("http", "http" | "https") | ("https", "https") => {}
            ("https", "http") => return Err("leaves TLS although the repository is reached by https"),
            (_, "oci") => return Err("is an oci:// reference, which this version does not support yet"),
            _ => return Err("is neither https nor http"),
        }
        if url.username().is_empty() && url.password().is_none() {
            Ok(url)
        } else {
            Err("holds credentials, which are taken from a Secret only")
        }
    }

    pub fn place(&self) -> Place {
        Place::of(&self.0)
    }

    /// Whether the credentials of this repository may be sent there: same scheme, host and port.
    pub(super) fn trusts(&self, url: &Url) -> bool {
        same_origin(&self.0, url)
    }
}

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

/// An address as it may be shown: without credentials and without the query, which can hold a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(Box<str>);

impl Place {
    pub(super) fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let path = url.path().trim_end_matches('/');
        Self(printable(&format!("{}://{host}{port}{path}", url.scheme())).into())
    }

    pub(super) fn of_file(path: &std::path::Path) -> Self {
        Self(printable(&path.display().to_string()).into())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that should have been a URL, cut down to what cannot be a secret.
fn without_secrets(text: &str) -> String {
    let text = text.trim();
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    // The last '@' of the whole rest, not of the host only: a password with a slash in it must not be shown either.
    let rest = rest.rsplit_once('@').map_or(rest, |(_credentials, rest)| rest);
    printable(&if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{rest}") })
}

/// Name and password for a repository (HTTP basic authentication).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    pub password: Redacted<String>,
}

/// Tells repositories read with different credentials apart without keeping the credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Access([u8; 32]);

impl Access {
    pub(super) fn to(repository: &RepositoryUrl, credentials: Option<&Credentials>) -> Self {
        let username = credentials.map(|c| c.username.as_str());
        let password = credentials.map(|c| c.password.expose().as_str());
        Self::hash(&[Some(repository.0.as_str()), username, password])
    }

    /// The same access, to one thing that is fetched through it.
    pub(super) fn and(self, what: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(what);
        Self(hash.finalize().into())
    }

    fn hash(parts: &[Option<&str>]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // Length first, so that no two lists of parts are the same bytes; absent differs from empty.
            hash.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
            hash.update(part.unwrap_or_default());
        }
        Self(hash.finalize().into())
    }
}
