//! What can go wrong between a request for a chart and its bytes on disk. A closed vocabulary.

use std::{io, time::Duration};

use super::address::Place;
use crate::types::{ChartDigest, ChartName};

/// Most characters of foreign text that one message repeats.
const HINT_MAX_CHARS: usize = 160;

/// Why a chart cannot be had. One line each: what is wrong, where, and what helps.
///
/// `Clone`, because callers who wait for the same fetch share its failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("{url} is not the URL of a chart repository: {why}")]
    UrlInvalid { url: String, why: String },
    #[error(
        "{url}: oci:// repositories are not supported yet by this version; \
         use the https:// repository of the chart"
    )]
    OciNotSupported { url: String },
    #[error("{place} is reached without TLS; use https://, or allow it for the whole operator with --allow-http")]
    HttpRefused { place: Place },
    #[error("{place} cannot be reached: {why}; it is tried again")]
    Unreachable { place: Place, why: String },
    #[error("{place} gave no complete answer within {}s; it is tried again", after.as_secs_f32())]
    Timeout { place: Place, after: Duration },
    #[error("{place} answered 429: it has had too many requests; it is tried again later")]
    Throttled { place: Place, retry_after: Option<Duration> },
    #[error("{place} answered {status}: the repository is in trouble; it is tried again")]
    ServerError { place: Place, status: u16, retry_after: Option<Duration> },
    #[error("{place} answered {status}: {}", refused(*status, *with_credentials))]
    Unauthorized { place: Place, status: u16, with_credentials: bool },
    #[error(
        "{place} answered {status}: there is nothing; check the URL of the repository and whether \
         the chart was removed"
    )]
    NotFound { place: Place, status: u16 },
    #[error("{place} answered {status}, which a chart repository should not; check the URL of the repository")]
    UnexpectedAnswer { place: Place, status: u16 },
    #[error("{place} redirects where it is not followed: {why}; name the final address in spec.chart.repository")]
    RedirectRefused { place: Place, why: &'static str },
    #[error(
        "{place} sends more than {limit} bytes, the limit for {what}; make it smaller or raise the \
         limit of the operator"
    )]
    TooLarge { place: Place, what: &'static str, limit: u64 },
    #[error("{place} is not the index of a chart repository: {why}; check the URL of the repository")]
    NotAnIndex { place: Place, why: String },
    #[error("{place} has no chart {chart}; check spec.chart.name and the repository")]
    ChartAbsent { place: Place, chart: ChartName },
    #[error("{place} has no version of {chart} that matches {wanted:?}; {}", there(newest))]
    VersionAbsent { place: Place, chart: ChartName, wanted: String, newest: Vec<String> },
    #[error(
        "{place} lists {chart} {version} in a way that cannot be used: {why}; whoever publishes the chart \
         has to mend the index"
    )]
    EntryUnusable { place: Place, chart: ChartName, version: String, why: String },
    #[error(
        "{place} has other bytes than its index names ({actual} instead of {expected}); nothing is installed from it, \
         publish the chart under a new version or mend the index"
    )]
    DigestMismatch { place: Place, expected: ChartDigest, actual: ChartDigest },
    #[error("{place} is not an archive of {chart} {version}: {why}; whoever publishes the chart has to mend it")]
    BadArchive { place: Place, chart: ChartName, version: String, why: String },
    #[error(
        "the chart store at {path} cannot be used ({kind}): check the directory, its permissions and the space \
         on its disk"
    )]
    Store { path: String, kind: io::ErrorKind },
    #[error("no TLS client can be made: {why}; mount CA certificates or name them in SSL_CERT_FILE")]
    Tls { why: String },
}

impl SourceError {
    /// The label of metrics and the short form in logs; never changes its meaning.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UrlInvalid { .. } => "url_invalid",
            Self::OciNotSupported { .. } => "oci_not_supported",
            Self::HttpRefused { .. } => "http_refused",
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Throttled { .. } => "throttled",
            Self::ServerError { .. } => "server_error",
            Self::Unauthorized { .. } => "unauthorized",
            Self::NotFound { .. } => "not_found",
            Self::UnexpectedAnswer { .. } => "unexpected_answer",
            Self::RedirectRefused { .. } => "redirect_refused",
            Self::TooLarge { .. } => "too_large",
            Self::NotAnIndex { .. } => "not_an_index",
            Self::ChartAbsent { .. } => "chart_absent",
            Self::VersionAbsent { .. } => "version_absent",
            Self::EntryUnusable { .. } => "entry_unusable",
            Self::DigestMismatch { .. } => "digest_mismatch",
            Self::BadArchive { .. } => "bad_archive",
            Self::Store { .. } => "store",
            Self::Tls { .. } => "tls",
        }
    }

    /// Whether waiting can help: the cause is outside of what the user declared and of what the chart is.
    ///
    /// A store that cannot be written counts: a full disk says nothing about the release.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Throttled { .. }
            | Self::ServerError { .. }
            | Self::Store { .. }
            | Self::Tls { .. } => true,
            Self::UrlInvalid { .. }
            | Self::OciNotSupported { .. }
            | Self::HttpRefused { .. }
            | Self::Unauthorized { .. }
            | Self::NotFound { .. }
            | Self::UnexpectedAnswer { .. }
            | Self::RedirectRefused { .. }
            | Self::TooLarge { .. }
            | Self::NotAnIndex { .. }
            | Self::ChartAbsent { .. }
            | Self::VersionAbsent { .. }
            | Self::EntryUnusable { .. }
            | Self::DigestMismatch { .. }
            | Self::BadArchive { .. } => false,
        }
    }

    /// How long the server asked to be left alone, at most an hour.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::ServerError { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(super) fn store(path: &std::path::Path, error: &io::Error) -> Self {
        Self::Store { path: printable(&path.display().to_string()), kind: error.kind() }
    }
}

fn refused(status: u16, with_credentials: bool) -> &'static str {
    match (status, with_credentials) {
        (_, true) => {
            "the repository does not accept the credentials of spec.chart.secretRef; check username and password there"
        }
        (401, false) => {
            "the repository wants credentials; name a Secret with username and password in spec.chart.secretRef"
        }
        (_, false) => {
            "the repository forbids it; if it wants credentials, name a Secret with username and password in \
             spec.chart.secretRef"
        }
    }
}

fn there(newest: &[String]) -> String {
    if newest.is_empty() {
        "it lists no usable version of it at all".to_owned()
    } else {
        format!("the newest there: {}", newest.join(", "))
    }
}

/// Foreign text made fit for a message: one line, no control characters, bounded.
///
/// Control characters go because messages end up in terminals, and bidirectional marks because they reorder a line.
pub(super) fn printable(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    // Zero-width characters, bidirectional marks and the byte order mark.
    let invisible =
        ['\u{200b}'..='\u{200f}', '\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}', '\u{feff}'..='\u{feff}'];
    let visible = |c: &char| !invisible.iter().any(|range| range.contains(c));
    let mut shown: String = line.chars().filter(visible).take(HINT_MAX_CHARS + 1).collect();
    if let Some((end, _)) = shown.char_indices().nth(HINT_MAX_CHARS) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}
