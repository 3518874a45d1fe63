//! What can go wrong with a request.

/// Bytes of a message of the API server that are kept: enough for its sentence, not for an object it quotes.
const MESSAGE_MAX_BYTES: usize = 512;

/// Why a request had no good answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// The object was changed by somebody else since it was read.
    #[error("the object has changed: {0}")]
    Conflict(Box<str>),
    #[error("not found: {0}")]
    NotFound(Box<str>),
    #[error("forbidden: {0}")]
    Forbidden(Box<str>),
    /// Asked in vain; asking again would be in vain too.
    #[error("refused: {0}")]
    Refused(Box<str>),
    /// The API server is there and can not answer for the moment.
    #[error("the API server is unavailable: {0}")]
    Unavailable(Box<str>),
    #[error("the API server can not be reached: {0}")]
    Unreachable(Box<str>),
    /// Nobody knows whether a write was done.
    #[error("the API server did not answer in time")]
    Timeout,
    /// The answer is not what was asked for.
    #[error("the answer was not understood: {0}")]
    Malformed(Box<str>),
    /// A write that was not made: another operator may be leading by now.
    #[error("this operator does not lead")]
    NotLeading,
    /// There is no usable way to a cluster.
    #[error("the access to the cluster is not usable: {0}")]
    Access(Box<str>),
}

impl ClusterError {
    /// A closed vocabulary, for metrics and events.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Conflict(_) => "Conflict",
            Self::NotFound(_) => "NotFound",
            Self::Forbidden(_) => "Forbidden",
            Self::Refused(_) => "Refused",
            Self::Unavailable(_) => "Unavailable",
            Self::Unreachable(_) => "Unreachable",
            Self::Timeout => "Timeout",
            Self::Malformed(_) => "Malformed",
            Self::NotLeading => "NotLeading",
            Self::Access(_) => "Access",
        }
    }

    /// It may be well the next time with nobody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::Unavailable(_) | Self::Unreachable(_) | Self::Timeout)
    }

    /// Of JSON that was not understood only the place is told: its text may be a value.
    pub(super) fn malformed(error: &serde_json::Error) -> Self {
        Self::Malformed(format!("line {} column {}", error.line(), error.column()).into())
    }
}

impl From<kube::Error> for ClusterError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let message = cut(&status.message, MESSAGE_MAX_BYTES).into();
                match status.code {
                    404 | 410 => Self::NotFound(message),
                    409 => Self::Conflict(message),
                    401 | 403 => Self::Forbidden(message),
                    // Without a code it is the word of something on the way to the API server.
                    0 | 429 | 500.. => Self::Unavailable(message),
                    _ => Self::Refused(message),
                }
            }
            kube::Error::SerdeError(error) => Self::malformed(&error),
            kube::Error::FromUtf8(_) => Self::Malformed("not UTF-8".into()),
            kube::Error::BuildRequest(error) => Self::Refused(cut(&error.to_string(), MESSAGE_MAX_BYTES).into()),
            kube::Error::Auth(error) => Self::Access(cut(&error.to_string(), MESSAGE_MAX_BYTES).into()),
            other => Self::Unreachable(cut(&chain(&other), MESSAGE_MAX_BYTES).into()),
        }
    }
}

/// How the API server says that it is the operator that lacks a right, and not whom it acts for.
pub const NOT_IMPERSONATED: &str = "cannot impersonate resource";

/// How the API server begins to say that it does not know who asks.
pub const UNAUTHENTICATED: &str = "Unauthorized";

/// An error and what it comes from: hyper says the cause only in its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The beginning of a text, cut between characters.
pub(super) fn cut(text: &str, max_bytes: usize) -> &str {
    let end = (0..=max_bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn error_reason_follows_the_code_of_the_answer() {
        for (code, reason) in [
            (0, "Unavailable"),
            (400, "Refused"),
            (403, "Forbidden"),
            (404, "NotFound"),
            (409, "Conflict"),
            (422, "Refused"),
            (429, "Unavailable"),
            (500, "Unavailable"),
            (503, "Unavailable"),
        ] {
            let status = Status::failure("says why", "").with_code(code).boxed();
            assert_eq!(ClusterError::from(kube::Error::Api(status)).reason(), reason, "{code}");
        }
    }

    #[test]
    fn cut_never_splits_a_character() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 9), "aé");
    }
}
