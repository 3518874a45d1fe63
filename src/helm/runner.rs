//! Runs helm: puts workspace, environment, arguments and leash together.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sha2::{Digest as _, Sha256};

use super::{
    ClusterAccess, Exit, Helm, HelmError, Invocation, Run, Stop,
    environment::environment,
    leash::{EXIT_NOT_STARTED, leash_arguments},
    message,
    process::{Order, Prepare, Spawner},
    run::{self, Limits},
    workspace::{self, Workspaces},
};
use crate::release::{Failure, FailureClass, Identity};

/// Bytes of a server's digest in the name of its cache directory: as unlikely to collide as need be.
const CACHE_NAME_BYTES: usize = 8;

/// What a runner is told once.
#[derive(Debug, Clone)]
pub struct RunnerSettings {
    /// The operator's own program, whose subcommand [`super::SUBCOMMAND`] becomes helm.
    pub leash_program: PathBuf,
    /// For the private directories of runs. Best in memory: kubeconfigs with client keys are written there.
    pub base_dir: PathBuf,
    /// For what client-go remembers of API servers; shared by all runs.
    pub cache_dir: PathBuf,
    /// Kept of each of stdout and stderr.
    pub output_bytes_max: usize,
    /// Between SIGTERM and SIGKILL. helm needs it for one write to the API server.
    pub grace: Duration,
}

impl RunnerSettings {
    /// The end of stderr is what a failure is read from; no error of helm's is longer.
    pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;
    /// One write to an API server under load. Where less time is left, [`Stop::now`] cuts it short.
    pub const GRACE: Duration = Duration::from_secs(10);
}

/// Starts helm processes and stays with them. There is one for the life of the operator: children die with it.
#[derive(Debug)]
pub struct Runner {
    helm: Helm,
    settings: RunnerSettings,
    spawner: Spawner,
    workspaces: Arc<Workspaces>,
}

impl Runner {
    /// Makes the directories, and removes what dead operators left in them.
    pub fn new(helm: Helm, settings: RunnerSettings) -> Result<Self, HelmError> {
        let workspaces = Arc::new(Workspaces::open(&settings.base_dir)?);
        workspace::private_directories(&settings.cache_dir)
            .map_err(|source| HelmError::Workspace { path: settings.cache_dir.clone(), source })?;
        Ok(Self { helm, settings, spawner: Spawner::start()?, workspaces })
    }

    pub fn helm(&self) -> &Helm {
        &self.helm
    }

    /// Processes started since the beginning.
    pub fn started(&self) -> u64 {
        self.spawner.started()
    }

    /// Processes that are there now, also those whose future was dropped and that are still dying.
    pub fn running(&self) -> usize {
        self.spawner.running()
    }

    /// Runs helm to its end. Dropping the future kills it at once, which may leave a pending record behind.
    pub async fn run(&self, invocation: &Invocation, access: &ClusterAccess, identity: &Identity, stop: &Stop) -> Run {
        if stop.is_asked() {
            return Run::without_process(Exit::Cancelled);
        }
        let started = match self.prepare(invocation, access, identity) {
            Ok(prepare) => self.spawner.spawn(prepare).await,
            Err(error) => Err(error),
        };
        let started = match started {
            Ok(started) => started,
            Err(error) => return Run::without_process(not_started(&error.to_string())),
        };
        let limits = Limits {
            output_bytes: self.settings.output_bytes_max,
            wall_clock: invocation.wall_clock,
            grace: self.settings.grace,
            ends_in_order: invocation.command.ends_in_order(),
        };
        let values = invocation.command.inputs().map(|inputs| inputs.values.expose().as_slice());
        let mut run = run::attend(started, values, &limits, stop).await;
        if run.exit == Exit::Code(EXIT_NOT_STARTED.into()) {
            run.exit = not_started(run.stderr_tail.expose());
        }
        run
    }

    /// All that needs no file is done here; the rest is done by the spawner's thread.
    fn prepare(
        &self,
        invocation: &Invocation,
        access: &ClusterAccess,
        identity: &Identity,
    ) -> Result<Prepare, HelmError> {
        let kubeconfig = access.kubeconfig(identity)?;
        let arguments = invocation.arguments(self.helm.version());
        let args = leash_arguments(std::process::id(), self.helm.binary().as_os_str(), arguments);
        let program = self.settings.leash_program.clone();
        let cache = self.settings.cache_dir.join(cache_name(&access.server));
        let workspaces = Arc::clone(&self.workspaces);
        let fed = invocation.command.inputs().is_some();
        Ok(Box::new(move || {
            make_cache(&cache)?;
            let workspace = workspaces.create(kubeconfig.expose())?;
            let environment = environment(&workspace, &cache);
            let order = Order { program, args, environment, directory: Some(workspace.work()), fed };
            Ok((order, Some(workspace)))
        }))
    }
}

fn make_cache(cache: &Path) -> Result<(), HelmError> {
    workspace::private_directories(cache).map_err(|source| HelmError::Workspace { path: cache.to_owned(), source })
}

/// One directory per API server: client-go names its entries by host only in part.
fn cache_name(server: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(server).iter().take(CACHE_NAME_BYTES).fold(String::new(), |mut name, byte| {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

fn not_started(why: &str) -> Exit {
    Exit::NotStarted(Failure { class: FailureClass::HelmUnavailable, message: message::clean(why).into() })
}

#[cfg(test)]
mod tests;
