//! The private folder of a sandbox, and the folders that sandboxes left which were killed with their guardians.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;

const PREFIX: &str = "helm-sandbox-";

/// Held by a sandbox while it lives; the kernel releases it however the holder ends.
const LOCK: &str = "holder.lock";

/// A folder this young may be one whose holder is about to take the lock.
const YOUNG: Duration = Duration::from_secs(60);

/// A private folder with its lock.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes a folder that only this user reads, after removing those that nobody holds any more.
    pub(super) fn make() -> io::Result<Self> {
        let place = std::env::temp_dir();
        sweep(&place);
        // Not removed by a destructor: the guardian does it, also when this process cannot.
        let path = tempfile::Builder::new().prefix(PREFIX).tempdir_in(place)?.keep();
        let lock = File::create(path.join(LOCK))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
        Ok(Self { path, _lock: lock })
    }
}

/// Removes the folders of the place that nobody holds; what cannot be looked at belongs to somebody else.
fn sweep(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if named && abandoned(&entry.path()).unwrap_or(false) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn abandoned(folder: &Path) -> io::Result<bool> {
    let lock = File::open(folder.join(LOCK))?;
    let young = lock.metadata()?.modified()?.elapsed().map_or(true, |age| age < YOUNG);
    Ok(!young && rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok())
}
