//! What all scenarios share: one sandbox and a client, brought up by the first that needs them.

use std::path::PathBuf;
use std::sync::OnceLock;

use sandbox::{Options, Sandbox};

use crate::stage::{Cluster, Failure};

/// The shared sandbox; dropping it ends every process of it.
#[derive(Default)]
pub(crate) struct Ground(OnceLock<Result<Land, String>>);

/// A control plane that serves the operator's definitions.
pub(crate) struct Land {
    pub(crate) sandbox: Sandbox,
    pub(crate) cluster: Cluster,
    pub(crate) helm: PathBuf,
}

impl Ground {
    /// The sandbox, started at the first call; a start that failed is told to every scenario.
    pub(crate) fn land(&self) -> Result<&Land, String> {
        let land = self.0.get_or_init(|| Land::new().map_err(|error| error.to_string()));
        land.as_ref().map_err(Clone::clone)
    }
}

impl Land {
    pub(crate) fn new() -> Result<Self, Failure> {
        let sandbox = Sandbox::start(Options::default())?;
        eprintln!("the sandbox started in {:.1} s", sandbox.started_in().as_secs_f32());
        let cluster = Cluster::connect(&sandbox.kubeconfig_path())?;
        cluster.apply_definitions()?;
        let helm = sandbox.helm4()?;
        Ok(Self { sandbox, cluster, helm })
    }
}
