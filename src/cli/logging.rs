//! The log on stderr.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::args::LogFormat;

/// The filter is not one.
#[derive(Debug, thiserror::Error)]
#[error("--log-level {filter:?} is not a filter such as info or info,helm_release_operator=debug: {source}")]
pub(super) struct FilterError {
    filter: String,
    source: tracing_subscriber::filter::ParseError,
}

pub(super) fn start(format: LogFormat, filter: &str) -> Result<(), FilterError> {
    let parsed = EnvFilter::try_new(filter).map_err(|source| FilterError { filter: filter.to_owned(), source })?;
    let registry = tracing_subscriber::registry().with(parsed);
    let started = match format {
        LogFormat::Json => {
            let layer = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
            registry.with(layer.with_writer(std::io::stderr)).try_init()
        }
        LogFormat::Text => {
            let layer = fmt::layer().with_ansi(std::io::stderr().is_terminal());
            registry.with(layer.with_writer(std::io::stderr)).try_init()
        }
    };
    // A log that somebody else has set up already, as a test may, is as good.
    drop(started);
    Ok(())
}
