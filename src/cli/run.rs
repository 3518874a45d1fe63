//! `run`: from flags to a running operator, and its end.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    access,
    args::{ChartArgs, ClusterArgs, HelmArgs, RunArgs, ServingArgs},
    endpoints, logging,
};
use crate::{
    cluster::{self, Clock, Identities, LeaseSettings, Scope},
    controller::{self, Context, Parts, Program, Settings, Slots},
    helm::{ClusterAccess, RunnerSettings},
    metrics::{Metrics, MetricsError},
    release::SpecDefaults,
    sources::{SourceError, SourceSettings, Sources},
};

/// Threads that run passes. They compute little; helm's processes need the cores.
const WORKERS: usize = 2;
/// Where a pod finds the name of its namespace.
const POD_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("{0}")]
    Filter(#[from] logging::FilterError),
    #[error("{0}")]
    Access(#[from] access::AccessError),
    #[error("{0}")]
    Cluster(#[from] cluster::ClusterError),
    #[error("{0}")]
    Sources(#[from] SourceError),
    #[error("{0}")]
    Metrics(#[from] MetricsError),
    #[error("{what} {path}: {source}; choose another directory with --data-dir")]
    Directory { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
    #[error("{0}")]
    Deposed(#[from] controller::Deposed),
    #[error("{0}")]
    System(#[from] std::io::Error),
}

pub(super) fn main(args: RunArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(operate(args)),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "helm-release-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn operate(args: RunArgs) -> Result<(), RunError> {
    let RunArgs { cluster: to_cluster, helm, charts, serving } = args;
    let ServingArgs { listen, log_format, log_level } = serving;
    logging::start(log_format, &log_level)?;
    let ChartArgs { data_dir, default_repository, allow_http } = charts;
    let directories = Directories::make(&data_dir)?;
    let started = Timestamp::now();
    let (config, access) = reach(&to_cluster, &directories.private).await?;
    let lease = lease(&to_cluster, holder(started));
    let ClusterArgs { watch_namespaces, default_service_account, tenancy, drift_detection, .. } = to_cluster;
    let HelmArgs { helm, helm_slots, hook_slots, drain_seconds } = helm;
    let listener = endpoints::bind(listen).await.map_err(|source| RunError::Listen { address: listen, source })?;
    let address = listener.local_addr()?;
    let sources = SourceSettings { allow_http, ..SourceSettings::new(directories.charts) };
    let runner = RunnerSettings {
        leash_program: std::env::current_exe()?,
        base_dir: directories.runs,
        cache_dir: directories.cache,
        output_bytes_max: RunnerSettings::OUTPUT_BYTES_MAX,
        grace: RunnerSettings::GRACE,
    };
    let settings = Settings {
        defaults: SpecDefaults {
            repository: default_repository.map(Into::into),
            service_account: default_service_account.map(Into::into),
            drift: drift_detection.into(),
        },
        tenancy: tenancy.into(),
        allow_http,
        slots: Slots { computing: helm_slots.map_or_else(slots, usize::from), waiting: hook_slots.into() },
        drain: Duration::from_secs(drain_seconds.into()),
    };
    let scope = if watch_namespaces.is_empty() {
        Scope::Cluster
    } else {
        Scope::Namespaces(watch_namespaces.into_iter().map(Into::into).collect())
    };
    let assembled = controller::assemble(Parts {
        client: cluster::connect(config.clone())?,
        identities: Identities::new(config),
        clock: Clock::system(),
        scope: scope.clone(),
        settings,
        charts: Box::new(Sources::new(sources)?),
        helm: Box::new(Program::new(helm, runner)),
        access,
        metrics: Metrics::new()?,
        holder: holder(started),
        started,
        lease,
    });
    let context = Arc::clone(assembled.context());
    let stop = CancellationToken::new();
    let pulse: Arc<dyn endpoints::Pulse> = Arc::new(Beat(Arc::clone(&context)));
    let serving = tokio::spawn(endpoints::serve(listener, context.metrics.clone(), pulse, stop.clone()));
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), ?scope, "serving");
    let ended = controller::run(assembled, signalled()?).await;
    stop.cancel();
    // It ends at once: it only waits for its next connection.
    drop(serving.await);
    ended?;
    tracing::info!("ended");
    Ok(())
}

/// What is below the data directory.
struct Directories {
    charts: PathBuf,
    runs: PathBuf,
    cache: PathBuf,
    private: PathBuf,
}

impl Directories {
    fn make(data: &Path) -> Result<Self, RunError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let make = |name: &str| {
            let path = data.join(name);
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            match made {
                Ok(()) => Ok(path),
                Err(source) => Err(RunError::Directory { what: "cannot make the directory", path, source }),
            }
        };
        Ok(Self { charts: make("store")?, runs: make("runs")?, cache: make("cache")?, private: make("private")? })
    }
}

async fn reach(args: &ClusterArgs, private: &Path) -> Result<(kube::Config, ClusterAccess), RunError> {
    let suffix = args.user_agent_suffix.as_deref();
    let (from, access) = match &args.kubeconfig {
        Some(path) => {
            let access = access::from_kubeconfig(path, args.context.as_deref(), private)?;
            (cluster::Access::Kubeconfig { path: path.clone(), context: args.context.clone() }, access)
        }
        None => (cluster::Access::InCluster, access::in_cluster()?),
    };
    Ok((cluster::config(&from, suffix).await?, access))
}

fn lease(args: &ClusterArgs, holder: Box<str>) -> Option<LeaseSettings> {
    let pod = || std::fs::read_to_string(POD_NAMESPACE).ok().map(|text| text.trim().to_owned());
    // A kubeconfig may lead to another cluster than the pod's.
    let own = || if args.kubeconfig.is_none() { pod() } else { None };
    let namespace = args.lease_namespace.clone().or_else(own).filter(|name| !name.is_empty());
    args.leader_elect.then(|| LeaseSettings {
        namespace: namespace.unwrap_or_else(|| "default".to_owned()).into(),
        name: args.lease_name.as_str().into(),
        holder,
    })
}

/// One and a half helm processes for each core, rounded up: fewer leave a core idle, more make all of them slower.
fn slots() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores * 3).div_ceil(2)
}

/// Name of the machine, process and moment of start: unique among all operators that ever held an attempt.
fn holder(started: Timestamp) -> Box<str> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}/{}/{}", host.trim(), std::process::id(), started.as_millisecond()).into()
}

/// Ends with the first SIGTERM or Ctrl-C. A second one ends the process on the spot, as nobody listens any more.
fn signalled() -> std::io::Result<impl Future<Output = ()> + Send> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        let name = tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "told to end");
        tokio::spawn(async move {
            tokio::select! { _ = term.recv() => {}, _ = interrupt.recv() => {} }
            tracing::warn!("told to end again: ending at once");
            std::process::exit(1);
        });
    })
}

struct Beat(Arc<Context>);

impl endpoints::Pulse for Beat {
    fn is_alive(&self) -> bool {
        self.0.is_alive(Timestamp::now())
    }

    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    fn measure(&self, _: &Metrics) {
        self.0.measure();
    }
}
