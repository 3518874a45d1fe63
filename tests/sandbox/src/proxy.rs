//! A loopback proxy in front of the API server: it counts what clients ask and plays the faults that a test orders.
//!
//! Towards the API server it has the rights of an administrator, so a client needs no certificate; a client that
//! impersonates a user keeps that user's rights. Protocol upgrades (exec, port-forward) do not pass.

mod counts;
mod request;
mod rules;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri};

pub use counts::{CountKey, Counts};
pub use request::{RequestInfo, Verb};
pub use rules::{Action, Rule, RuleHandle};

use crate::api::{HttpsClient, https_client};
use crate::cluster::{Sandbox, SandboxError, kubeconfig};
pub use crate::gate::Gate;
use crate::serve::{AnyBody, Fault, Server, Shape, Shaped, full};
use rules::Rules;

/// How many of the last requests are kept for a look after a failed test.
const RECENT: usize = 500;

/// A running proxy; dropping it breaks its connections.
pub struct Proxy {
    server: Server,
    board: Arc<Board>,
}

/// What the connections share.
struct Board {
    upstream: String,
    client: HttpsClient<AnyBody>,
    rules: Mutex<Rules>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counts: Counts,
    /// Writes so far, of all clients under the empty name and of each user agent.
    writes: BTreeMap<String, u64>,
    open_watches: BTreeMap<String, usize>,
    recent: VecDeque<RequestInfo>,
}

impl Proxy {
    /// Starts a proxy of the sandbox's API server on a port of its own.
    pub fn start(sandbox: &Sandbox) -> Result<Self, SandboxError> {
        let board = Arc::new(Board {
            upstream: sandbox.url(),
            client: https_client(sandbox.certificates())?,
            rules: Mutex::default(),
            state: Mutex::default(),
        });
        let shared = Arc::clone(&board);
        let server = Server::start(move |request| Arc::clone(&shared).serve(request))
            .map_err(|source| SandboxError::Io { what: "the proxy cannot listen", source })?;
        Ok(Self { server, board })
    }

    /// The address of the proxy, without TLS.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Writes a kubeconfig that goes through the proxy with the rights of an administrator.
    pub fn write_kubeconfig(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, kubeconfig(&self.url(), None, None))
    }

    /// Writes a kubeconfig that goes through the proxy on behalf of a user, with that user's rights.
    pub fn write_kubeconfig_as(&self, path: &Path, user: &str) -> io::Result<()> {
        std::fs::write(path, kubeconfig(&self.url(), None, Some(user)))
    }

    /// Adds a rule; of those that match a request, the one added first acts.
    pub fn rule(&self, rule: Rule) -> RuleHandle {
        lock(&self.board.rules).add(rule)
    }

    /// Removes all rules.
    pub fn clear_rules(&self) {
        lock(&self.board.rules).clear();
    }

    /// The requests so far; the difference of two snapshots is [`Counts::since`].
    pub fn snapshot(&self) -> Counts {
        lock(&self.board.state).counts.clone()
    }

    /// The number of requests so far whose key satisfies the condition.
    pub fn counts(&self, condition: impl Fn(&CountKey) -> bool) -> u64 {
        lock(&self.board.state).counts.total(condition)
    }

    /// The watches that are open now, by user agent.
    pub fn open_watches(&self) -> BTreeMap<String, usize> {
        lock(&self.board.state).open_watches.clone()
    }

    /// The last requests, oldest first, for the message of a test that fails.
    pub fn recent(&self) -> Vec<RequestInfo> {
        lock(&self.board.state).recent.iter().cloned().collect()
    }

    /// Begins to number writes from one again.
    pub fn reset_writes(&self) {
        lock(&self.board.state).writes.clear();
    }

    /// Breaks every connection that is open, as a restart of the API server does.
    pub fn cut(&self) {
        self.server.cut();
    }
}

impl Board {
    /// Serves one request as the rules say; an error closes the connection.
    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<AnyBody>, Fault> {
        let mut info = RequestInfo::of(&request);
        let request = with_body(request, &mut info).await?;
        self.record(&mut info);
        let action = lock(&self.rules).act_on(&info);
        match action {
            None => self.forward(request, &info, Shape::Plain).await,
            Some(Action::Delay(time)) => {
                tokio::time::sleep(time).await;
                self.forward(request, &info, Shape::Plain).await
            }
            Some(Action::Reply { status, headers, body }) => reply(status, &headers, body),
            Some(Action::ForwardThenReply { status, headers, body }) => {
                self.forward_and_lose(request, &info).await?;
                reply(status, &headers, body)
            }
            Some(Action::Drop) => Err("dropped by a rule".into()),
            Some(Action::ForwardThenDrop) => {
                self.forward_and_lose(request, &info).await?;
                Err("the answer was dropped by a rule".into())
            }
            Some(Action::Hang) => std::future::pending().await,
            Some(Action::TruncateBody(bytes)) => self.forward(request, &info, Shape::Truncated(bytes)).await,
            Some(Action::HoldWatch(time)) => self.forward(request, &info, Shape::Held(time)).await,
            Some(Action::GateWatch(gate)) => self.forward(request, &info, Shape::Gated(gate)).await,
            Some(Action::HoldBack(gate)) => {
                std::future::poll_fn(|context| gate.poll_passage(context)).await;
                self.forward(request, &info, Shape::Plain).await
            }
            Some(Action::KillBefore(call)) => {
                tokio::task::spawn_blocking(move || call(&info)).await?;
                Err("dropped by a rule".into())
            }
            Some(Action::KillAfter(call)) => {
                let done = self.forward_and_lose(request, &info).await;
                tokio::task::spawn_blocking(move || call(&info)).await?;
                done?;
                Err("the answer was dropped by a rule".into())
            }
        }
    }

    fn record(&self, info: &mut RequestInfo) {
        let mut state = lock(&self.state);
        state.counts.add(CountKey::of(info));
        if info.is_write() {
            let mut next = |name: &str| {
                let count = state.writes.entry(name.to_owned()).or_default();
                *count += 1;
                Some(*count)
            };
            info.n_write = next("");
            info.n_write_of_agent = next(&info.user_agent);
        }
        // Records of helm are large.
        state.recent.push_back(RequestInfo { body: Bytes::new(), ..info.clone() });
        if state.recent.len() > RECENT {
            state.recent.pop_front();
        }
    }

    /// Lets the API server do it, and keeps the answer from the client.
    async fn forward_and_lose(&self, request: Request<AnyBody>, info: &RequestInfo) -> Result<(), Fault> {
        let request = self.upstream_request(request)?;
        let response = self.client.request(request).await?;
        if info.verb != Verb::Watch {
            response.into_body().collect().await?;
        }
        Ok(())
    }

    async fn forward(
        self: &Arc<Self>,
        request: Request<AnyBody>,
        info: &RequestInfo,
        shape: Shape,
    ) -> Result<Response<AnyBody>, Fault> {
        let request = self.upstream_request(request)?;
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) => {
                let body = full(format!("the API server of the sandbox does not answer: {error}\n"));
                return Ok(Response::builder().status(StatusCode::BAD_GATEWAY).body(body)?);
            }
        };
        let (mut parts, body) = response.into_parts();
        parts.headers.remove(header::CONNECTION);
        let watch = (info.verb == Verb::Watch).then(|| OpenWatch::begin(self, &info.user_agent));
        Ok(Response::from_parts(parts, Shaped::new(body, shape, watch).boxed()))
    }

    /// The same request for the API server; the client's credentials go, the proxy has its own.
    fn upstream_request(&self, request: Request<AnyBody>) -> Result<Request<AnyBody>, Fault> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = format!("{}{path}", self.upstream).parse::<Uri>()?;
        let host = parts.uri.authority().map(|authority| HeaderValue::from_str(authority.as_str())).transpose()?;
        host.map(|host| parts.headers.insert(header::HOST, host));
        for name in [header::CONNECTION, header::AUTHORIZATION] {
            parts.headers.remove(name);
        }
        Ok(Request::from_parts(parts, body))
    }
}

/// Reads the body where rules may ask for it.
async fn with_body(request: Request<Incoming>, info: &mut RequestInfo) -> Result<Request<AnyBody>, Fault> {
    let (parts, body) = request.into_parts();
    if !info.takes_body() {
        return Ok(Request::from_parts(parts, body.map_err(Into::into).boxed()));
    }
    let body = body.collect().await?.to_bytes();
    info.take(body.clone());
    Ok(Request::from_parts(parts, full(body)))
}

/// An answer of the proxy's own.
fn reply(status: u16, headers: &[(String, String)], body: Bytes) -> Result<Response<AnyBody>, Fault> {
    let builder = headers.iter().fold(Response::builder().status(status), |builder, (name, value)| {
        builder.header(name.as_str(), value.as_str())
    });
    Ok(builder.body(full(body))?)
}

/// Counts a watch as open while its body lives.
struct OpenWatch {
    board: Arc<Board>,
    user_agent: String,
}

impl OpenWatch {
    fn begin(board: &Arc<Board>, user_agent: &str) -> Self {
        *lock(&board.state).open_watches.entry(user_agent.to_owned()).or_default() += 1;
        Self { board: Arc::clone(board), user_agent: user_agent.to_owned() }
    }
}

impl Drop for OpenWatch {
    fn drop(&mut self) {
        let mut state = lock(&self.board.state);
        if let Some(count) = state.open_watches.get_mut(&self.user_agent) {
            *count -= 1;
            if *count == 0 {
                state.open_watches.remove(&self.user_agent);
            }
        }
    }
}

/// A panic in a test's callback must not hide the test's own failure behind a poisoned lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
