//! Archives on disk, named by their digest: written once, never changed, removed when they were not used for longest.
//!
//! Beside each archive lies a small file that says what it is, so that a restart neither downloads nor unpacks again.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File},
    io::{self, BufReader, Read},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use semver::Version;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::{error::SourceError, facts::ChartFacts};
use crate::types::{ChartDigest, ChartName};

/// Version of the file beside an archive. One of another version is read as absent, and the archive fetched again.
const LABEL_FORMAT: u32 = 1;
/// How the names of unfinished files begin.
const PART_PREFIX: &str = ".part-";
/// Age at which an unfinished file belongs to a process that is gone. Fetches end within minutes.
const PART_ABANDONED_AFTER: Duration = Duration::from_secs(3600);
/// Repositories that one archive remembers having come from; a mirror or two is what occurs.
const ORIGINS_MAX: usize = 16;
/// Bytes that are read at once while a file is hashed.
const HASH_BUFFER_BYTES: usize = 64 << 10;

/// An archive in the store. While a clone of it lives, the file stays.
#[derive(Debug, Clone)]
pub struct StoredChart {
    pub digest: ChartDigest,
    /// Absolute; ends in `.tgz`.
    pub path: PathBuf,
    pub name: ChartName,
    pub version: Version,
    /// As Chart.yaml says; empty if it says nothing.
    pub app_version: Box<str>,
    pub facts: ChartFacts,
    _pin: Arc<()>,
}

impl StoredChart {
    /// An archive that no store looks after.
    pub fn unmanaged(digest: ChartDigest, path: PathBuf, name: ChartName, version: Version, facts: ChartFacts) -> Self {
        Self { digest, path, name, version, app_version: "".into(), facts, _pin: Arc::default() }
    }
}

/// What is written beside an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Label {
    format: u32,
    pub(super) name: ChartName,
    pub(super) version: Version,
    pub(super) app_version: Box<str>,
    pub(super) facts: ChartFacts,
    /// Repositories that have served these bytes. Only who may read one of them gets the archive without a request:
    /// else naming the digest of somebody's private chart in an index of one's own would be enough to have it.
    pub(super) origins: Vec<String>,
}

impl Label {
    pub(super) fn new(
        name: ChartName,
        version: Version,
        app_version: String,
        facts: ChartFacts,
        origin: String,
    ) -> Self {
        Self { format: LABEL_FORMAT, name, version, app_version: app_version.into(), facts, origins: vec![origin] }
    }
}

#[derive(Debug)]
struct Kept {
    bytes: u64,
    /// When it was last asked for, and when it was put here, both as numbers that only grow.
    used: u64,
    put: u64,
    label: Arc<Label>,
    pin: Arc<()>,
    /// The content was compared with the digest by this process. A power cut can leave a file of the right name with
    /// other content, because writing waits for no disk.
    verified: bool,
}

#[derive(Debug, Default)]
struct Shelf {
    kept: HashMap<ChartDigest, Kept>,
    uses: u64,
}

/// The store: a directory and what is known of it.
#[derive(Debug)]
pub(super) struct Store {
    directory: PathBuf,
    bytes_max: u64,
    shelf: Mutex<Shelf>,
}

impl Store {
    /// Opens or makes the directory, and takes over what an earlier process left there.
    pub(super) fn open(cache_dir: &Path, bytes_max: u64) -> Result<Self, SourceError> {
        let wrong = |error| SourceError::store(cache_dir, &error);
        let directory = std::path::absolute(cache_dir).map_err(wrong)?.join("charts").join("sha256");
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(wrong)?;
        let store = Self { directory, bytes_max, shelf: Mutex::default() };
        store.take_over().map_err(|error| SourceError::store(&store.directory, &error))?;
        store.make_room();
        Ok(store)
    }

    fn take_over(&self) -> io::Result<()> {
        let mut found = Vec::new();
        for file in fs::read_dir(&self.directory)? {
            let file = file?;
            let path = file.path();
            let name = file.file_name();
            let Some(name) = name.to_str() else { continue };
            // One that vanished or cannot be looked at is left alone.
            let Ok(meta) = file.metadata() else { continue };
            let changed = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if name.starts_with(PART_PREFIX) {
                if changed.elapsed().is_ok_and(|age| age > PART_ABANDONED_AFTER) {
                    remove(&path);
                }
            } else if let Some(digest) = name.strip_suffix(".tgz").and_then(|hex| ChartDigest::parse(hex).ok()) {
                match self.read_label(&digest) {
                    Some(label) => found.push((changed, digest, meta.len(), label)),
                    None => remove(&path),
                }
            }
        }
        found.sort_by_key(|(changed, ..)| *changed);
        let mut contents = self.lock();
        for (_, digest, bytes, label) in found {
            contents.put(digest, bytes, label, false);
        }
        Ok(())
    }

    /// The archive, if it is here. Hashes it the first time after a start: blocks for that long.
    pub(super) fn get(&self, digest: &ChartDigest) -> Option<StoredChart> {
        self.get_if(digest, |_| true)
    }

    /// The archive, if it is here and came from that repository.
    pub(super) fn get_from(&self, digest: &ChartDigest, origin: &str) -> Option<StoredChart> {
        self.get_if(digest, |label| label.origins.iter().any(|known| known == origin))
    }

    fn get_if(&self, digest: &ChartDigest, wanted: impl Fn(&Label) -> bool) -> Option<StoredChart> {
        let path = self.archive(digest);
        let (chart, verified, put) = {
            let mut contents = self.lock();
            let uses = contents.uses + 1;
            let kept = contents.kept.get_mut(digest).filter(|kept| wanted(&kept.label))?;
            kept.used = uses;
            let hit = (stored(digest, path.clone(), kept), kept.verified, kept.put);
            contents.uses = uses;
            hit
        };
        // A file can be gone, too: somebody tidied up the directory.
        let good = if verified { path.is_file() } else { hash(&path).is_ok_and(|found| found == *digest) };
        let mut contents = self.lock();
        let kept = contents.kept.get_mut(digest);
        if good {
            if let Some(kept) = kept {
                kept.verified = true;
            }
            return Some(chart);
        }
        // Unless somebody has put a good one here in the meantime.
        if kept.is_some_and(|kept| kept.put == put) {
            tracing::warn!(%digest, "an archive in the store is damaged or gone, it is fetched again");
            contents.kept.remove(digest);
            remove(&path);
        }
        None
    }

    /// A file to write an archive to, in the directory where it will stay.
    pub(super) fn part(&self) -> Result<NamedTempFile, SourceError> {
        tempfile::Builder::new()
            .prefix(PART_PREFIX)
            .tempfile_in(&self.directory)
            .map_err(|error| SourceError::store(&self.directory, &error))
    }

    /// Puts a checked archive on the shelf, and takes others away if there are too many.
    pub(super) fn keep(
        &self,
        part: NamedTempFile,
        digest: ChartDigest,
        bytes: u64,
        mut label: Label,
    ) -> Result<StoredChart, SourceError> {
        let wrong = |error: &io::Error| SourceError::store(&self.directory, error);
        if let Some(before) = self.read_label(&digest) {
            let others =
                before.origins.into_iter().filter(|origin| !label.origins.contains(origin)).collect::<Vec<_>>();
            label.origins.extend(others);
            label.origins.truncate(ORIGINS_MAX);
        }
        let mut beside = self.part()?;
        serde_json::to_writer(beside.as_file_mut(), &label).map_err(|error| wrong(&error.into()))?;
        let path = self.archive(&digest);
        let chart = {
            // Locked while the names change: else an archive of this digest that is being removed takes the new file
            // with it.
            let mut contents = self.lock();
            // The label first: an archive without one is not believed, a label without an archive harms nobody.
            beside.persist(self.label(&digest)).map_err(|error| wrong(&error.error))?;
            part.persist(&path).map_err(|error| wrong(&error.error))?;
            stored(&digest, path, contents.put(digest, bytes, label, true))
        };
        self.make_room();
        Ok(chart)
    }

    /// Removes what was not used for longest until the rest fits. What somebody holds stays, even beyond the limit.
    fn make_room(&self) {
        let mut contents = self.lock();
        let mut bytes: u64 = contents.kept.values().map(|kept| kept.bytes).sum();
        while bytes > self.bytes_max {
            // A count of one is the shelf's own; it cannot rise while the shelf is locked.
            let free = contents.kept.iter().filter(|(_, kept)| Arc::strong_count(&kept.pin) == 1);
            let Some(digest) = free.min_by_key(|(_, kept)| kept.used).map(|(digest, _)| *digest) else {
                tracing::warn!(
                    bytes,
                    limit = self.bytes_max,
                    "the chart store is over its limit and everything in it is in use"
                );
                return;
            };
            bytes -= contents.kept.remove(&digest).map_or(0, |kept| kept.bytes);
            remove(&self.archive(&digest));
            remove(&self.label(&digest));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    fn archive(&self, digest: &ChartDigest) -> PathBuf {
        self.directory.join(format!("{}.tgz", digest.hex()))
    }

    fn label(&self, digest: &ChartDigest) -> PathBuf {
        self.directory.join(format!("{}.json", digest.hex()))
    }

    fn read_label(&self, digest: &ChartDigest) -> Option<Label> {
        let label: Label = serde_json::from_slice(&fs::read(self.label(digest)).ok()?).ok()?;
        (label.format == LABEL_FORMAT).then_some(label)
    }
}

impl Shelf {
    fn put(&mut self, digest: ChartDigest, bytes: u64, label: Label, verified: bool) -> &Kept {
        self.uses += 1;
        // The pin of before is kept: whoever holds it holds this file.
        let pin = self.kept.remove(&digest).map(|kept| kept.pin).unwrap_or_default();
        let kept = Kept { bytes, used: self.uses, put: self.uses, label: Arc::new(label), pin, verified };
        self.kept.entry(digest).insert_entry(kept).into_mut()
    }
}

fn stored(digest: &ChartDigest, path: PathBuf, kept: &Kept) -> StoredChart {
    let Label { name, version, app_version, facts, .. } = &*kept.label;
    StoredChart {
        digest: *digest,
        path,
        name: name.clone(),
        version: version.clone(),
        app_version: app_version.clone(),
        facts: *facts,
        _pin: Arc::clone(&kept.pin),
    }
}

fn hash(path: &Path) -> io::Result<ChartDigest> {
    let mut file = BufReader::with_capacity(HASH_BUFFER_BYTES, File::open(path)?);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; HASH_BUFFER_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(ChartDigest::finish(hash)),
            count => hash.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

/// What cannot be removed is found again at the next start.
fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a file in the chart store cannot be removed");
    }
}
