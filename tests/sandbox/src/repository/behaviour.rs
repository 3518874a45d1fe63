//! How an answer of a repository is made worse.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use crate::serve::{AnyBody, Fault, Repeated, Shape, Shaped, full};

/// A way of answering badly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Another status, with headers such as `retry-after`.
    Status { code: u16, headers: Vec<(String, String)> },
    /// The right answer with headers added or replaced.
    Headers(Vec<(String, String)>),
    /// The right answer in pieces of so many bytes, one in each such time.
    Drip { bytes: usize, every: Duration },
    /// Text without an end.
    Endless,
    /// Another body, for example one that is no index.
    Body(Bytes),
    /// The right answer, broken off after so many bytes although the length of the whole is announced.
    BrokenOff(usize),
    /// The first so many bytes of the right answer, as if they were all.
    Shortened(usize),
    /// A redirection.
    Redirect(String),
    /// The connection is closed without an answer.
    Drop,
    /// No answer at all until the client gives up.
    Hang,
}

impl Behaviour {
    /// A status without further headers.
    pub fn status(code: u16) -> Self {
        Self::Status { code, headers: Vec::new() }
    }

    /// Makes the answer worse.
    pub(super) async fn apply(self, good: Response<AnyBody>) -> Result<Response<AnyBody>, Fault> {
        let (mut parts, body) = good.into_parts();
        let body = match self {
            Self::Status { code, headers } => {
                parts.status = StatusCode::from_u16(code)?;
                put_all(&mut parts.headers, &headers)?;
                full(format!("{}\n", parts.status))
            }
            Self::Headers(headers) => {
                put_all(&mut parts.headers, &headers)?;
                body
            }
            Self::Drip { bytes, every } => {
                let whole = body.collect().await?.to_bytes();
                let pieces: Vec<Bytes> = whole.chunks(bytes.max(1)).map(Bytes::copy_from_slice).collect();
                Repeated::new(pieces, false, every).boxed()
            }
            Self::Endless => {
                let line = Bytes::from("# and so on\n".repeat(1024));
                Repeated::new([line], true, Duration::ZERO).boxed()
            }
            Self::Body(bytes) => full(bytes),
            Self::BrokenOff(bytes) => {
                let whole = body.collect().await?.to_bytes();
                parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
                Shaped::new(full(whole), Shape::Truncated(bytes), ()).boxed()
            }
            Self::Shortened(bytes) => {
                let whole = body.collect().await?.to_bytes();
                full(whole.slice(..bytes.min(whole.len())))
            }
            Self::Redirect(target) => {
                parts.status = StatusCode::FOUND;
                parts.headers.insert(header::LOCATION, HeaderValue::from_str(&target)?);
                full(Bytes::new())
            }
            Self::Drop => return Err("dropped on purpose".into()),
            Self::Hang => std::future::pending().await,
        };
        Ok(Response::from_parts(parts, body))
    }
}

fn put_all(headers: &mut hyper::HeaderMap, added: &[(String, String)]) -> Result<(), Fault> {
    for (name, value) in added {
        headers.insert(HeaderName::try_from(name.as_str())?, HeaderValue::from_str(value)?);
    }
    Ok(())
}
