//! What a request to the API server asks, read from its method, path and headers.

use hyper::header::USER_AGENT;
use hyper::{Method, Request};

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
    pub name: Option<String>,
    pub subresource: Option<String>,
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
            n_write: None,
            n_write_of_agent: None,
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            user_agent: user_agent.to_owned(),
        }
    }

    /// Tells whether the request is one that can change something.
    pub fn is_write(&self) -> bool {
        matches!(self.method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
    }
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
}
