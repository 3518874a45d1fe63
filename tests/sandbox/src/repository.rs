//! A chart repository on loopback, correct by default and as bad as a test wants it.

mod behaviour;
mod index;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Request, Response, StatusCode};

pub use behaviour::Behaviour;

use crate::charts::Chart;
use crate::digest::sha256;
use crate::serve::{AnyBody, Fault, Server, full};
use index::Release;

/// The path of the index.
pub const INDEX: &str = "/index.yaml";

/// A request as the repository saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub path: String,
    pub user_agent: String,
    /// Whether the request carried credentials.
    pub authorized: bool,
    /// Whether the request asked only for news.
    pub conditional: bool,
    /// The status of the answer; none when the connection was closed or left without one.
    pub status: Option<u16>,
}

/// A running repository; dropping it breaks its connections.
pub struct Repository {
    server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By name and version, in the order of publication.
    versions: Vec<Release>,
    behaviours: BTreeMap<String, (Behaviour, Option<u64>)>,
    /// What the `Authorization` header must say.
    credentials: Option<String>,
    asked: Vec<Asked>,
}

impl Repository {
    /// Starts an empty repository.
    pub fn start() -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| serve(Arc::clone(&shared), request))?;
        Ok(Self { server, state })
    }

    /// The address to name as the repository.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Publishes the chart, in the place of one of the same name and version.
    pub fn publish(&self, chart: &Chart) {
        self.put(chart.name(), chart.version(), chart.says_app_version(), chart.package());
    }

    /// Publishes bytes that need not be a chart.
    pub fn publish_bytes(&self, name: &str, version: &str, bytes: impl Into<Bytes>) {
        self.put(name, version, None, bytes);
    }

    /// Publishes the chart as a version that it does not say it is: what a moved tag or a tampered archive looks like.
    pub fn replace(&self, name: &str, version: &str, chart: &Chart) {
        self.put(name, version, chart.says_app_version(), chart.package());
    }

    /// Takes a version out of the index and its archive away.
    pub fn remove(&self, name: &str, version: &str) {
        self.lock().versions.retain(|one| !one.is(name, version));
    }

    /// Makes the index name another digest than that of the archive.
    pub fn lie_about_digest(&self, name: &str, version: &str) {
        if let Some(one) = self.lock().versions.iter_mut().find(|one| one.is(name, version)) {
            one.digest = sha256([&b"something else"[..]]);
        }
    }

    /// Answers the path in this way from now on.
    pub fn behave(&self, path: &str, behaviour: Behaviour) {
        self.lock().behaviours.insert(path.to_owned(), (behaviour, None));
    }

    /// Answers the path in this way so often, and well after that.
    pub fn behave_times(&self, path: &str, behaviour: Behaviour, times: u64) {
        self.lock().behaviours.insert(path.to_owned(), (behaviour, Some(times)));
    }

    /// Answers everything well again.
    pub fn recover(&self) {
        self.lock().behaviours.clear();
    }

    /// Answers only those who send this name and password.
    pub fn require_basic(&self, user: &str, password: &str) {
        self.lock().credentials = Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
    }

    /// The path of an archive, for [`Self::behave`] and [`Self::count`].
    pub fn archive_path(name: &str, version: &str) -> String {
        format!("/{}", index::archive(name, version))
    }

    /// The digest that the index names for a version.
    pub fn digest(&self, name: &str, version: &str) -> Option<String> {
        self.lock().versions.iter().find(|one| one.is(name, version)).map(|one| one.digest.clone())
    }

    /// The requests so far, oldest first.
    pub fn asked(&self) -> Vec<Asked> {
        self.lock().asked.clone()
    }

    /// How often the path was asked for so far.
    pub fn count(&self, path: &str) -> usize {
        self.lock().asked.iter().filter(|one| one.path == path).count()
    }

    fn put(&self, name: &str, version: &str, app_version: Option<&str>, bytes: impl Into<Bytes>) {
        let version = Release::new(name, version, app_version, bytes.into());
        let mut state = self.lock();
        state.versions.retain(|one| !one.is(&version.name, &version.version));
        state.versions.push(version);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<AnyBody>, Fault> {
    let path = request.uri().path().to_owned();
    let (good, behaviour, place) = lock(&state).answer(&path, request.headers());
    let outcome = match behaviour {
        None => Ok(good?),
        Some(behaviour) => behaviour.apply(good?).await,
    };
    if let Ok(response) = &outcome {
        lock(&state).asked[place].status = Some(response.status().as_u16());
    }
    outcome
}

impl State {
    /// The right answer, the behaviour that disturbs it, and the place of the request in the record.
    fn answer(
        &mut self,
        path: &str,
        headers: &HeaderMap,
    ) -> (Result<Response<AnyBody>, hyper::http::Error>, Option<Behaviour>, usize) {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        self.asked.push(Asked {
            path: path.to_owned(),
            user_agent: text(header::USER_AGENT).unwrap_or_default().to_owned(),
            authorized: headers.contains_key(header::AUTHORIZATION),
            conditional: headers.contains_key(header::IF_NONE_MATCH),
            status: None,
        });
        let good = match &self.credentials {
            Some(wanted) if text(header::AUTHORIZATION) != Some(wanted) => Response::builder()
                .status(StatusCode::UNAUTHORIZED)
                .header(header::WWW_AUTHENTICATE, "Basic realm=\"sandbox\"")
                .body(full("credentials are missing or wrong\n")),
            _ => self.content(path, text(header::IF_NONE_MATCH)),
        };
        (good, self.behaviour(path), self.asked.len() - 1)
    }

    fn content(&self, path: &str, known: Option<&str>) -> Result<Response<AnyBody>, hyper::http::Error> {
        let content = match path {
            INDEX => Some(("application/yaml", Bytes::from(index::text(&self.versions)))),
            _ => self
                .versions
                .iter()
                .find(|one| Repository::archive_path(&one.name, &one.version) == path)
                .map(|one| ("application/gzip", one.bytes.clone())),
        };
        let Some((kind, bytes)) = content else {
            return Response::builder().status(StatusCode::NOT_FOUND).body(full("not published\n"));
        };
        let tag = format!("\"{}\"", sha256([&bytes[..]]));
        let response = Response::builder().header(header::ETAG, &tag).header(header::CONTENT_TYPE, kind);
        if known == Some(tag.as_str()) {
            return response.status(StatusCode::NOT_MODIFIED).body(full(Bytes::new()));
        }
        response.body(full(bytes))
    }

    fn behaviour(&mut self, path: &str) -> Option<Behaviour> {
        let (behaviour, left) = self.behaviours.get_mut(path)?;
        match left {
            Some(0) => return None,
            Some(left) => *left -= 1,
            None => {}
        }
        Some(behaviour.clone())
    }
}
