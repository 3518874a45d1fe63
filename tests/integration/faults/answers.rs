//! Answers that are no good, as API servers and what stands before them give them.

use sandbox::proxy::Action;
use serde_json::json;

/// What some proxies in front of an API server answer.
const PAGE: &str = "<html><body><h1>We will be back soon</h1></body></html>";

/// As the API server words it.
pub(crate) fn status(code: u16, reason: &str, message: &str) -> Action {
    Action::Reply { status: code, headers: json_type(), body: failure(code, reason, message).into() }
}

pub(crate) fn json_type() -> Vec<(String, String)> {
    vec![("content-type".to_owned(), "application/json".to_owned())]
}

fn failure(code: u16, reason: &str, message: &str) -> String {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": message });
    status.to_string()
}

pub(crate) fn conflict() -> Action {
    let message = "Operation cannot be fulfilled on the object: the object has been modified; please apply your changes \
        to the latest version and try again";
    status(409, "Conflict", message)
}

pub(crate) fn error() -> Action {
    status(500, "InternalError", "Internal error occurred: etcd is not well")
}

pub(crate) fn overload(retry_after: Option<&str>) -> Action {
    let mut headers = json_type();
    headers.extend(retry_after.map(|seconds| ("retry-after".to_owned(), seconds.to_owned())));
    Action::Reply { status: 429, headers, body: failure(429, "TooManyRequests", "Too many requests").into() }
}

pub(crate) fn page(code: u16) -> Action {
    Action::Reply { status: code, headers: vec![("content-type".into(), "text/html".into())], body: PAGE.into() }
}

/// The API server does it and says that it may not have.
pub(crate) fn too_late() -> Action {
    let message = "Timeout: request did not complete within requested timeout - context deadline exceeded";
    Action::ForwardThenReply { status: 504, headers: json_type(), body: failure(504, "Timeout", message).into() }
}

/// Whole as an answer and half as an object.
pub(crate) fn half() -> Action {
    Action::Reply { status: 200, headers: json_type(), body: r#"{"kind":"Secret","apiVersion":"v1","metada"#.into() }
}

/// Breaks off early in the body.
pub(crate) fn broken_off() -> Action {
    Action::TruncateBody(20)
}

/// An event that says that the version watched from is too old.
pub(crate) fn expired_event() -> Action {
    let message = "too old resource version";
    let event = json!({ "type": "ERROR", "object": { "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": 410, "reason": "Expired", "message": message } });
    Action::Reply { status: 200, headers: json_type(), body: format!("{event}\n").into() }
}
