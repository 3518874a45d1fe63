//! What bounds the fetching of charts: one place for every limit, its unit and its reason.

use std::{path::PathBuf, time::Duration};

/// Largest index, in bytes, as it is sent and after a content encoding is undone. The largest public ones have 26 MB.
pub const INDEX_BYTES_MAX: u64 = 64 << 20;
/// Largest chart archive, in bytes. A chart is stored in a Secret of at most 1 MiB after the release, so even a
/// generous chart with nested ones is far below.
pub const ARCHIVE_BYTES_MAX: u64 = 20 << 20;
/// Most bytes that one archive may unpack to, nested archives included: helm's own limit, so that what passes here is
/// not refused there.
pub const UNPACKED_BYTES_MAX: u64 = 100 << 20;
/// Largest file in an archive, in bytes: helm's own limit.
pub const FILE_BYTES_MAX: u64 = 5 << 20;
/// Most entries in an archive, nested archives included. The largest public charts have fewer than 1,000.
pub const FILES_MAX: usize = 10_000;
/// Most bytes of archives in the store. What is in use is never removed, so the disk should have room for more.
pub const STORE_BYTES_MAX: u64 = 1 << 30;
/// How long one index or one archive may take from the first byte sent to the last byte received.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// How long an index counts as fresh. Releases that share a repository and are looked at together share one request.
pub const INDEX_FRESH_FOR: Duration = Duration::from_secs(30);

/// How `Sources` works; the defaults are the constants of this file.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// Where archives are kept. A restart finds them again, an empty directory is filled again.
    pub cache_dir: PathBuf,
    /// Whether repositories may be reached without TLS. Then anyone on the way can read what is sent, credentials too.
    pub allow_http: bool,
    pub index_bytes_max: u64,
    pub archive_bytes_max: u64,
    pub unpacked_bytes_max: u64,
    pub file_bytes_max: u64,
    pub files_max: usize,
    pub store_bytes_max: u64,
    pub timeout: Duration,
    pub index_fresh_for: Duration,
    /// What repositories see of us in their logs.
    pub user_agent: String,
}

impl SourceSettings {
    pub fn new(cache_dir: PathBuf) -> Self {
        Self {
            cache_dir,
            allow_http: false,
            index_bytes_max: INDEX_BYTES_MAX,
            archive_bytes_max: ARCHIVE_BYTES_MAX,
            unpacked_bytes_max: UNPACKED_BYTES_MAX,
            file_bytes_max: FILE_BYTES_MAX,
            files_max: FILES_MAX,
            store_bytes_max: STORE_BYTES_MAX,
            timeout: TIMEOUT,
            index_fresh_for: INDEX_FRESH_FOR,
            user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}
