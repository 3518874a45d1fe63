//! What the tests of this room play with: a server on loopback, archives, and a room that talks to it.

use std::{
    convert::Infallible,
    io::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use futures::{StreamExt as _, stream};
use http::{HeaderMap, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Bytes, Frame},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;

use crate::{
    sources::{ChartRequest, Credentials, RepositoryUrl, SourceSettings, Sources},
    types::{ChartDigest, ChartName, Redacted, VersionRequest},
};

/// What a server answers.
pub(super) enum Reply {
    Status(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Bytes for as long as somebody reads.
    Endless,
    /// A first byte, and nothing after it.
    Stuck,
    /// Announces more than it sends.
    Cut,
}

impl Reply {
    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Status(200, Vec::new(), body.into())
    }

    pub(super) fn status(status: u16) -> Self {
        Self::Status(status, Vec::new(), Vec::new())
    }

    pub(super) fn redirect(to: &str) -> Self {
        Self::Status(302, vec![("location", to.to_owned())], Vec::new())
    }

    fn into_response(self) -> Response<BoxBody<Bytes, Infallible>> {
        let endless = |chunk: &'static [u8]| {
            BoxBody::new(StreamBody::new(stream::repeat(chunk).map(|chunk| Ok(Frame::data(Bytes::from_static(chunk))))))
        };
        let builder = Response::builder();
        match self {
            Self::Status(status, headers, body) => {
                let builder =
                    headers.into_iter().fold(builder.status(status), |b, (name, value)| b.header(name, value));
                builder.body(Full::new(Bytes::from(body)).boxed()).unwrap()
            }
            Self::Endless => builder.body(endless(&[b'a'; 4096])).unwrap(),
            Self::Stuck => {
                let first = stream::iter([Ok(Frame::data(Bytes::from_static(b"a")))]);
                builder.body(BoxBody::new(StreamBody::new(first.chain(stream::pending())))).unwrap()
            }
            Self::Cut => {
                builder.header("content-length", "100").body(Full::new(Bytes::from_static(b"a")).boxed()).unwrap()
            }
        }
    }
}

/// The deadline of a fetch: short only where it is what is tested, so that a busy machine changes no result.
pub(super) fn patience_for(reply: &Reply) -> Duration {
    if matches!(reply, Reply::Stuck) { Duration::from_millis(200) } else { Duration::from_secs(60) }
}

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
}

/// A server on loopback. It ends with the runtime of its test.
pub(super) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(super) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), Arc::clone(&seen));
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
                    let seen = Seen { path, headers: request.headers().clone() };
                    let reply = answer(&seen).into_response();
                    log.lock().unwrap().push(seen);
                    async move { Ok::<_, Infallible>(reply) }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, seen }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|seen| seen.path == path).count()
    }

    pub(super) fn repository(&self) -> RepositoryUrl {
        RepositoryUrl::parse(&self.url(), true).unwrap()
    }

    pub(super) fn request(&self, chart: &str, version: &str) -> ChartRequest {
        ChartRequest {
            repository: self.repository(),
            chart: ChartName::parse(chart).unwrap(),
            version: VersionRequest::parse(version).unwrap(),
            credentials: None,
            anew: false,
        }
    }
}

pub(super) fn credentials() -> Credentials {
    Credentials { username: "anna".to_owned(), password: Redacted::new("hunter2".to_owned()) }
}

/// The room with a directory of its own.
pub(super) fn room(change: impl FnOnce(&mut SourceSettings)) -> (Sources, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (room_in(&directory, change), directory)
}

pub(super) fn room_in(directory: &TempDir, change: impl FnOnce(&mut SourceSettings)) -> Sources {
    let mut settings = SourceSettings::new(directory.path().to_owned());
    settings.allow_http = true;
    change(&mut settings);
    Sources::new(settings).unwrap()
}

/// An entry of a hand-made archive.
pub(super) struct Member {
    path: Vec<u8>,
    kind: tar::EntryType,
    content: Vec<u8>,
}

pub(super) fn file(path: &str, content: impl Into<Vec<u8>>) -> Member {
    Member { path: path.into(), kind: tar::EntryType::Regular, content: content.into() }
}

pub(super) fn special(path: &str, kind: tar::EntryType, content: impl Into<Vec<u8>>) -> Member {
    Member { path: path.into(), kind, content: content.into() }
}

pub(super) fn chart_yaml(name: &str, version: &str) -> Member {
    file(&format!("{name}/Chart.yaml"), format!("apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: pink\n"))
}

/// A tar of the members with their paths as they are: the writer of the library would refuse what is tested.
pub(super) fn tgz(members: &[Member]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    for Member { path, kind, content } in members {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        gzip.write_all(header.as_bytes()).unwrap();
        gzip.write_all(content).unwrap();
        gzip.write_all(&vec![0; content.len().next_multiple_of(512) - content.len()]).unwrap();
    }
    gzip.write_all(&[0; 1024]).unwrap();
    gzip.finish().unwrap()
}

/// A good chart.
pub(super) fn unicorn(version: &str) -> Vec<u8> {
    tgz(&[chart_yaml("unicorn", version), file("unicorn/templates/a.yaml", "kind: ConfigMap")])
}

/// An index of one version; `digest` as it is written, empty for none.
pub(super) fn index_of(version: &str, digest: &str, url: &str) -> String {
    let digest = if digest.is_empty() { String::new() } else { format!("    digest: {digest}\n") };
    format!(
        "apiVersion: v1\nentries:\n  unicorn:\n  - version: {version}\n    appVersion: pink\n{digest}    urls: [{url}]\n"
    )
}

/// A repository with one good chart, whose archive is at `/unicorn.tgz`.
pub(super) fn good_repository(archive: Vec<u8>) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    let index = index_of("1.0.0", &ChartDigest::of(&archive).hex(), "unicorn.tgz");
    move |seen| match seen.path.as_str() {
        "/index.yaml" => Reply::ok(index.clone()),
        "/unicorn.tgz" => Reply::ok(archive.clone()),
        _ => Reply::status(404),
    }
}
