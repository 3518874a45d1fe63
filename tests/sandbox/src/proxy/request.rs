//! What a request to the API server asks, read from its method, path and headers.

use bytes::Bytes;
use hyper::header::USER_AGENT;
use hyper::{Method, Request};
use serde_json::Value;

/// What an object in protobuf begins with.
const PROTOBUF: &[u8] = b"k8s\0";
/// The fields on the way to the name: the envelope's object, its metadata, the name.
const NAME_IN_PROTOBUF: [u64; 3] = [2, 1, 1];

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
}

/// A request as rules and counts see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo {
    /// The number of this write among all writes through the proxy, from one; none for a read.
    pub n_write: Option<u64>,
    /// The number of this write among those of the same user agent, from one; none for a read.
    pub n_write_of_agent: Option<u64>,
    pub method: Method,
    pub path: String,
    pub query: String,
    pub user_agent: String,
    pub verb: Verb,
    /// The plural name of the resource; `discovery`, `openapi` or the first part of the path where there is none.
    pub resource: String,
    pub namespace: Option<String>,
    /// That of the object for a create; none where the object has none yet.
    pub name: Option<String>,
    pub subresource: Option<String>,
    /// What a create or a patch brings; empty for other requests, and for those of the past.
    pub body: Bytes,
}

impl RequestInfo {
    /// Reads the request; the numbers of a write are filled in when it is recorded.
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let path = request.uri().path();
        let query = request.uri().query().unwrap_or_default();
        let target = Target::of(path);
        let method = request.method().clone();
        Self {
            verb: verb(&method, query, target.resource.is_some() && target.name.is_none()),
            resource: target.resource.unwrap_or_else(|| target.group.to_owned()),
            namespace: target.namespace,
            name: target.name,
            subresource: target.subresource,
            body: Bytes::new(),
            n_write: None,
            n_write_of_agent: None,
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            user_agent: user_agent.to_owned(),
        }
    }

    /// Whether the body is read before the request is sent on. The path of a create has no name: it is in the object.
    pub(super) fn takes_body(&self) -> bool {
        matches!(self.verb, Verb::Create | Verb::Patch)
    }

    /// Takes the body, and from that of a create the name of the object.
    pub(super) fn take(&mut self, body: Bytes) {
        if self.verb == Verb::Create && self.name.is_none() {
            self.name = name_in(&body);
        }
        self.body = body;
    }

    /// Tells whether the request is one that can change something.
    pub fn is_write(&self) -> bool {
        matches!(self.method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
    }
}

/// The name of an object.
fn name_in(body: &[u8]) -> Option<String> {
    if let Some(message) = body.strip_prefix(PROTOBUF) {
        let name = NAME_IN_PROTOBUF.iter().try_fold(message, |message, number| field(message, *number));
        name.and_then(|name| str::from_utf8(name).ok()).map(ToOwned::to_owned)
    } else {
        let object: Value = serde_json::from_slice(body).unwrap_or_default();
        object["metadata"]["name"].as_str().map(ToOwned::to_owned)
    }
}

/// The bytes of a field of a message in protobuf, if it comes before any field that is no bytes.
fn field(mut message: &[u8], number: u64) -> Option<&[u8]> {
    loop {
        let key = varint(&mut message)?;
        if key & 7 != 2 {
            return None;
        }
        let length = usize::try_from(varint(&mut message)?).ok()?;
        let (value, rest) = message.split_at_checked(length)?;
        if key >> 3 == number {
            return Some(value);
        }
        message = rest;
    }
}

/// Takes a number off the front, seven bits of it in each byte.
fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn verb(method: &Method, query: &str, collection: bool) -> Verb {
    match *method {
        Method::POST => Verb::Create,
        Method::PUT => Verb::Update,
        Method::PATCH => Verb::Patch,
        Method::DELETE => Verb::Delete,
        _ if query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1" | "watch")) => Verb::Watch,
        _ if collection => Verb::List,
        _ => Verb::Get,
    }
}

/// The object or collection that a path names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Target<'a> {
    /// What to call a path without a resource.
    group: &'a str,
    resource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    subresource: Option<String>,
}

impl<'a> Target<'a> {
    fn of(path: &'a str) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, rest) = match parts[..] {
            ["api", _, ref rest @ ..] | ["apis", _, _, ref rest @ ..] => ("discovery", rest),
            ["api" | "apis", ..] | [] => ("discovery", &[][..]),
            [first, ..] => (first, &[][..]),
        };
        let owned = |part: &&str| Some((*part).to_owned());
        let (namespace, rest) = match rest {
            // The namespace itself and its own subresources, against what is inside of it.
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] => (owned(namespace), rest),
            _ => (None, rest),
        };
        let mut rest = rest.iter();
        let mut next = || rest.next().and_then(owned);
        Self { group, namespace, resource: next(), name: next(), subresource: next() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: Method, uri: &str) -> String {
        let request = Request::builder().method(method).uri(uri).body(()).expect("a request");
        let RequestInfo { verb, resource, namespace, name, subresource, .. } = RequestInfo::of(&request);
        let show = |part: Option<String>| part.unwrap_or_else(|| "-".to_owned());
        format!("{verb:?} {resource} {} {} {}", show(namespace), show(name), show(subresource))
    }

    #[test]
    fn paths_are_read_as_the_api_server_reads_them() {
        let cases = [
            (Method::GET, "/api/v1/namespaces/a/secrets?limit=5", "List secrets a - -"),
            (Method::GET, "/api/v1/secrets?watch=true&resourceVersion=1", "Watch secrets - - -"),
            (Method::GET, "/api/v1/namespaces/a/pods/b/log", "Get pods a b log"),
            (
                Method::PATCH,
                "/apis/x.example/v1/namespaces/a/helmreleases/b/status?force=true",
                "Patch helmreleases a b status",
            ),
            (Method::POST, "/api/v1/namespaces", "Create namespaces - - -"),
            (Method::DELETE, "/api/v1/namespaces/a", "Delete namespaces - a -"),
            (Method::PUT, "/api/v1/namespaces/a/finalize", "Update namespaces - a finalize"),
            (Method::GET, "/apis/apps/v1", "Get discovery - - -"),
            (Method::GET, "/apis", "Get discovery - - -"),
            (Method::GET, "/openapi/v3/apis/apps/v1", "Get openapi - - -"),
            (Method::GET, "/version", "Get version - - -"),
        ];
        for (method, uri, expected) in cases {
            assert_eq!(read(method, uri), expected, "{uri}");
        }
    }
    #[test]
    fn created_objects_are_named_in_both_encodings() {
        let name = |body: &[u8]| {
            let request = Request::builder().method(Method::POST).uri("/api/v1/namespaces/a/secrets").body(());
            let mut info = RequestInfo::of(&request.expect("a request"));
            info.take(Bytes::copy_from_slice(body));
            info.name
        };
        assert_eq!(name(br#"{"kind":"Secret","metadata":{"name":"web"}}"#).as_deref(), Some("web"));
        assert_eq!(name(br#"{"metadata":{"generateName":"web-"}}"#), None);
        let secret = b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x07\x0a\x05\x0a\x03web";
        assert_eq!(name(secret).as_deref(), Some("web"));
        (4..secret.len()).for_each(|end| assert_eq!(name(&secret[..end]), None, "cut off at {end}"));
        assert_eq!(name(b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }
}
