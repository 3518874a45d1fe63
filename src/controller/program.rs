//! The helm program: found when it is first needed, looked for again when it was not there.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use futures::{FutureExt as _, TryFutureExt as _, future::BoxFuture};
use tokio::sync::Mutex;

use crate::{
    helm::{ClusterAccess, Helm, HelmError, Invocation, Run, Runner, RunnerSettings, Stop},
    release::Identity,
};

/// How long a failure to find a usable helm counts: a hundred releases do not start a hundred processes to find out
/// the same.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Why there is no helm, in the words of the first who found out.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct NoHelm(Box<str>);

/// Runs helm on a release.
pub trait RunsHelm: Send + Sync {
    /// Waits until it is known whether there is a helm to run. Where there is one, [`Self::run`] starts at once.
    fn find(&self) -> BoxFuture<'_, Result<(), NoHelm>>;

    /// From the start of a process to its end, however it ends.
    fn run<'a>(
        &'a self,
        invocation: &'a Invocation,
        access: &'a ClusterAccess,
        identity: &'a Identity,
        stop: &'a Stop,
    ) -> BoxFuture<'a, Result<Run, NoHelm>>;

    /// Processes started so far and running now.
    fn processes(&self) -> (u64, usize);
}

enum State {
    Unknown,
    Missing { why: NoHelm, since: Instant },
    Ready(Arc<Runner>),
}

/// The program and what runs it.
pub struct Program {
    binary: PathBuf,
    settings: RunnerSettings,
    // Held over the detection on purpose: whoever comes meanwhile waits for its answer instead of asking again.
    state: Mutex<State>,
    /// As in [`State::Ready`], for those who only count.
    found: OnceLock<Arc<Runner>>,
}

impl Program {
    pub fn new(binary: PathBuf, settings: RunnerSettings) -> Self {
        Self { binary, settings, state: Mutex::new(State::Unknown), found: OnceLock::new() }
    }

    /// Runs helm, once it is there.
    async fn runner(&self) -> Result<Arc<Runner>, NoHelm> {
        let mut state = self.state.lock().await;
        match &*state {
            State::Ready(runner) => return Ok(Arc::clone(runner)),
            State::Missing { why, since } if since.elapsed() < LOOK_AGAIN => return Err(why.clone()),
            State::Missing { .. } | State::Unknown => {}
        }
        match self.detect().await {
            Ok(runner) => {
                tracing::info!(helm = %runner.helm().version(), binary = %self.binary.display(), "helm found");
                let _ = self.found.set(Arc::clone(&runner));
                *state = State::Ready(Arc::clone(&runner));
                Ok(runner)
            }
            Err(error) => {
                let why = NoHelm(error.to_string().into());
                tracing::warn!(error = %why, "helm cannot be used");
                *state = State::Missing { why: why.clone(), since: Instant::now() };
                Err(why)
            }
        }
    }

    async fn detect(&self) -> Result<Arc<Runner>, HelmError> {
        let helm = Helm::detect(&self.binary).await?;
        Ok(Arc::new(Runner::new(helm, self.settings.clone())?))
    }
}

impl RunsHelm for Program {
    fn find(&self) -> BoxFuture<'_, Result<(), NoHelm>> {
        self.runner().map_ok(drop).boxed()
    }

    fn run<'a>(
        &'a self,
        invocation: &'a Invocation,
        access: &'a ClusterAccess,
        identity: &'a Identity,
        stop: &'a Stop,
    ) -> BoxFuture<'a, Result<Run, NoHelm>> {
        async move { Ok(self.runner().await?.run(invocation, access, identity, stop).await) }.boxed()
    }

    fn processes(&self) -> (u64, usize) {
        self.found.get().map_or((0, 0), |runner| (runner.started(), runner.running()))
    }
}
