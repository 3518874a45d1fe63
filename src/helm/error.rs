//! What can go wrong around helm itself: the program, its workspace, its start. A failed release is not an error here.

use std::{io, path::PathBuf, time::Duration};

use super::version::HelmVersion;

/// Each message says what to do, because an operator without helm has nobody else to say it.
#[derive(Debug, thiserror::Error)]
pub enum HelmError {
    #[error("there is no helm at {}; name one with --helm", path.display())]
    Missing { path: PathBuf },
    #[error("helm at {} cannot be executed ({source}); make it executable or name another with --helm", path.display())]
    NotExecutable { path: PathBuf, source: io::Error },
    #[error(
        "helm at {} is {version}, at least v{}.{} or v{}.{} is needed; name another with --helm",
        path.display(), HelmVersion::OLDEST_3.major, HelmVersion::OLDEST_3.minor,
        HelmVersion::OLDEST_4.major, HelmVersion::OLDEST_4.minor
    )]
    TooOld { path: PathBuf, version: HelmVersion },
    #[error(
        "helm at {} is {version}, which this operator does not know yet; name a helm of version 4 or 3 with --helm",
        path.display()
    )]
    TooNew { path: PathBuf, version: HelmVersion },
    #[error("{} does not tell its version as helm does, it said {said:?}; name a helm with --helm", path.display())]
    NotHelm { path: PathBuf, said: String },
    #[error("helm at {} did not tell its version within {} s; is the node overloaded?", path.display(), limit.as_secs())]
    Silent { path: PathBuf, limit: Duration },
    #[error("the directory {} for runs of helm cannot be used: {source}; give the operator a writable volume", path.display())]
    Workspace { path: PathBuf, source: io::Error },
    #[error("{} could not be started: {source}", program.display())]
    Spawn { program: PathBuf, source: io::Error },
    #[error("the thread that starts helm is gone")]
    SpawnerGone,
    #[error("the kubeconfig for helm cannot be written as JSON: {0}")]
    Kubeconfig(serde_json::Error),
}
