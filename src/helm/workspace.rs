//! A fresh private directory for each run, removed at its end; and the removal of what dead operators left behind.
//!
//! Each operator process holds a lock on a directory of its own below the base. The kernel lets go of the lock when
//! the process dies, so leftovers are told from living work without trusting process ids, which start anew in every
//! container.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::HelmError;

/// Nobody else may even list what a run works with.
const PRIVATE_DIRECTORY: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;
/// Name of a lock file, of the base and of each process's directory.
const LOCK: &str = "lock";
/// Names of processes' directories begin so; nothing else in the base is touched.
const PROCESS_PREFIX: &str = "operator-";

/// The directory of this process, in which its runs have theirs.
#[derive(Debug)]
pub(super) struct Workspaces {
    directory: PathBuf,
    next: AtomicU64,
    _lock: File,
}

impl Workspaces {
    /// Removes what dead processes left below `base`, and makes a directory for this one.
    pub(super) fn open(base: &Path) -> Result<Self, HelmError> {
        Self::try_open(base).map_err(|source| HelmError::Workspace { path: base.to_owned(), source })
    }

    fn try_open(base: &Path) -> io::Result<Self> {
        private_directories(base)?;
        // Held while looking and making, so that no half-made directory is taken for a dead one.
        let gate = lock_file(base)?;
        gate.lock()?;
        sweep(base)?;
        let private = Permissions::from_mode(PRIVATE_DIRECTORY);
        let directory = tempfile::Builder::new().prefix(PROCESS_PREFIX).permissions(private).tempdir_in(base)?.keep();
        let lock = lock_file(&directory)?;
        lock.lock()?;
        Ok(Self { directory, next: AtomicU64::new(0), _lock: lock })
    }

    /// A fresh directory for one run.
    pub(super) fn create(self: &Arc<Self>, kubeconfig: &[u8]) -> Result<Workspace, HelmError> {
        let directory = self.directory.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        // Made first: its drop removes what the rest managed to write.
        let workspace = Workspace { directory, _parent: Arc::clone(self) };
        workspace
            .fill(kubeconfig)
            .map_err(|source| HelmError::Workspace { path: workspace.directory.clone(), source })?;
        Ok(workspace)
    }
}

impl Drop for Workspaces {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the sweep of the next process.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Directories of one run, all private and all empty at first.
#[derive(Debug)]
pub(super) struct Workspace {
    directory: PathBuf,
    _parent: Arc<Workspaces>,
}

impl Workspace {
    const SUBDIRECTORIES: [&str; 7] = ["home", "cache", "config", "data", "empty", "tmp", "work"];

    fn fill(&self, kubeconfig: &[u8]) -> io::Result<()> {
        private_directory(&self.directory)?;
        for name in Self::SUBDIRECTORIES {
            private_directory(&self.directory.join(name))?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE).open(self.kubeconfig())?;
        file.write_all(kubeconfig)
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.directory.join("kubeconfig")
    }

    pub(super) fn home(&self) -> PathBuf {
        self.directory.join("home")
    }

    pub(super) fn cache(&self) -> PathBuf {
        self.directory.join("cache")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.directory.join("config")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Where nothing is to be found: plugins, Docker's credentials, programs.
    pub(super) fn empty(&self) -> PathBuf {
        self.directory.join("empty")
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.directory.join("tmp")
    }

    /// Where helm runs: empty, since helm takes a directory of a chart's name for that chart.
    pub(super) fn work(&self) -> PathBuf {
        self.directory.join("work")
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What cannot be removed now goes with the directory of the process.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Makes `path` and what is missing above it. An existing directory keeps its mode: it is the administrator's.
pub(super) fn private_directories(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_DIRECTORY).create(path)
}

fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(PRIVATE_DIRECTORY).create(path)
}

fn lock_file(directory: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(PRIVATE_FILE).open(directory.join(LOCK))
}

/// Removes the directories of processes that are no more. The caller holds the base's lock.
fn sweep(base: &Path) -> io::Result<()> {
    for entry in fs::read_dir(base)? {
        let entry = entry?;
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PROCESS_PREFIX));
        if !ours || !entry.file_type()?.is_dir() {
            continue;
        }
        if lock_file(&entry.path())?.try_lock().is_ok() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn workspace_is_private_and_goes_with_its_value() {
        let base = tempfile::tempdir().unwrap();
        let workspaces = Arc::new(Workspaces::open(&base.path().join("runs")).unwrap());
        let workspace = workspaces.create(b"{}").unwrap();
        let directory = workspace.directory.clone();
        assert_eq!((mode(&workspaces.directory), mode(&directory)), (0o700, 0o700));
        assert_eq!(mode(&workspace.kubeconfig()), 0o600);
        for name in Workspace::SUBDIRECTORIES {
            assert_eq!(mode(&directory.join(name)), 0o700, "{name}");
            assert_eq!(fs::read_dir(directory.join(name)).unwrap().count(), 0, "{name}");
        }
        drop(workspace);
        assert!(!directory.exists());
        let process = workspaces.directory.clone();
        drop(workspaces);
        assert!(!process.exists());
    }

    #[test]
    fn leftovers_of_the_dead_are_removed_and_the_living_are_left_alone() {
        let base = tempfile::tempdir().unwrap();
        let living = Arc::new(Workspaces::open(base.path()).unwrap());
        let working = living.create(b"{}").unwrap();
        let dead = base.path().join("operator-dead");
        fs::create_dir_all(dead.join("3/home")).unwrap();
        fs::write(dead.join("3/kubeconfig"), "secret").unwrap();
        let foreign = base.path().join("something-else");
        fs::create_dir(&foreign).unwrap();

        let _next = Workspaces::open(base.path()).unwrap();
        assert!(!dead.exists());
        assert!(working.directory.exists() && foreign.exists());
    }
}
