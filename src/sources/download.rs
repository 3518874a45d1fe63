//! A body on its way to a file: bounded, hashed, and with one deadline over everything.

use std::{fs::File, io, path::Path, time::Duration};

use reqwest::{Response, Url};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::{
    address::Place,
    client::{Answer, Ask, Clients, unreachable},
    error::SourceError,
};
use crate::types::ChartDigest;

/// How much of one kind of thing is fetched at most, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    /// As the error message calls it.
    pub(super) what: &'static str,
    pub(super) bytes: u64,
    pub(super) timeout: Duration,
}

/// What came.
pub(super) struct Fetched {
    /// SHA-256 of the bytes as they were sent.
    pub(super) digest: ChartDigest,
    pub(super) bytes: u64,
    pub(super) headers: http::HeaderMap,
}

/// Fetches into `file`; `None` when the condition of the request holds and there is nothing new.
///
/// What was written before an error stays in the file: the caller drops it. `directory` is where the file lives, for
/// the message when the disk refuses.
pub(super) async fn fetch(
    clients: &Clients,
    ask: Ask<'_>,
    bound: Bound,
    file: File,
    directory: &Path,
) -> Result<Option<Fetched>, SourceError> {
    let url = ask.url.clone();
    let whole = async {
        match clients.get(ask).await? {
            Answer::NotModified => Ok(None),
            Answer::Body(response) => receive(&url, response, bound, file, directory).await.map(Some),
        }
    };
    tokio::time::timeout(bound.timeout, whole)
        .await
        .unwrap_or_else(|_| Err(SourceError::Timeout { place: Place::of(&url), after: bound.timeout }))
}

async fn receive(
    url: &Url,
    mut response: Response,
    bound: Bound,
    file: File,
    directory: &Path,
) -> Result<Fetched, SourceError> {
    let too_large = || SourceError::TooLarge { place: Place::of(url), what: bound.what, limit: bound.bytes };
    if response.content_length().is_some_and(|announced| announced > bound.bytes) {
        return Err(too_large());
    }
    let disk = |error: io::Error| SourceError::store(directory, &error);
    let headers = response.headers().clone();
    let mut file = tokio::fs::File::from_std(file);
    let mut hash = Sha256::new();
    let mut bytes = 0_u64;
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(url, &error))? {
        bytes = bytes.saturating_add(chunk.len() as u64);
        if bytes > bound.bytes {
            return Err(too_large());
        }
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(disk)?;
    }
    // Writes go through another thread; an error of the last one shows only here.
    file.flush().await.map_err(disk)?;
    Ok(Fetched { digest: ChartDigest::finish(hash), bytes, headers })
}
