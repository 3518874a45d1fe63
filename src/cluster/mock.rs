//! An API server for tests: answers requests by a closure, and remembers them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::locked::locked;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) content_type: String,
    pub(crate) accept: String,
    pub(crate) body: Value,
}

/// All requests so far.
pub(crate) type Log = Arc<Mutex<Vec<Asked>>>;

pub(crate) fn log_of(log: &Log) -> Vec<Asked> {
    locked(log).clone()
}

/// A client whose requests are answered with a code and a body.
pub(crate) fn client(answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static) -> (Client, Log) {
    let _in_a_runtime = Handle::current();
    let log = Log::default();
    let (answer, inner) = (Arc::new(answer), Arc::clone(&log));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (answer, log) = (Arc::clone(&answer), Arc::clone(&inner));
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let header = |name| parts.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
            let asked = Asked {
                method: parts.method.to_string(),
                path: parts.uri.path().to_owned(),
                query: parts.uri.query().unwrap_or_default().to_owned(),
                content_type: header(http::header::CONTENT_TYPE),
                accept: header(http::header::ACCEPT),
                body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            };
            let (code, text) = answer(&asked);
            locked(&log).push(asked);
            let answer = Response::builder().status(code).body(Full::new(Bytes::from(text))).unwrap();
            Ok::<_, Infallible>(answer)
        }
    });
    (Client::new(service, "default"), log)
}

/// A refusal as the API server writes it.
pub(crate) fn failure(code: u16, reason: &str, message: &str) -> (u16, String) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": message});
    (code, status.to_string())
}
