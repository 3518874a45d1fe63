//! What can be said on the command line, with the help that teaches it.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::release::{DriftMode, Tenancy};

/// Keeps Helm releases as declared by HelmRelease objects: installs, upgrades, and rolls back what fails.
#[derive(Debug, Parser)]
#[command(name = "helm-release-operator", version, max_term_width = 100)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the operator until SIGTERM or Ctrl-C
    ///
    /// Needs the CustomResourceDefinition in the cluster: `helm-release-operator crd | kubectl apply -f -`
    Run(Box<RunArgs>),
    /// Say what the operator would do next for one HelmRelease, and why
    ///
    /// Looks at the cluster as the operator does, decides by the same rules, and does nothing.
    Explain(Box<ExplainArgs>),
    /// Print the CustomResourceDefinition as YAML
    Crd,
    /// Print the table of situations and actions, as Markdown
    Rules,
    /// Print the catalogue of reasons and what to do, as Markdown
    Reasons,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) helm: HelmArgs,
    #[command(flatten)]
    pub(super) charts: ChartArgs,
    #[command(flatten)]
    pub(super) serving: ServingArgs,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Name of the HelmRelease
    pub(super) name: String,
    /// Namespace of the HelmRelease
    #[arg(long, short, default_value = "default", value_name = "NAMESPACE")]
    pub(super) namespace: String,
    /// Kubeconfig file
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Context in the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,
    /// Chart repository for releases that name none, as the operator has it
    #[arg(long, value_name = "URL")]
    pub(super) default_repository: Option<String>,
    /// Service account for releases that name none, as the operator has it
    #[arg(long, value_name = "NAME")]
    pub(super) default_service_account: Option<String>,
    /// How far tenants are trusted, as the operator has it
    #[arg(long, default_value = "trusted", value_name = "MODE")]
    pub(super) tenancy: TenancyMode,
    /// What becomes of objects that somebody else changed or deleted, as the operator has it
    #[arg(long, value_enum, default_value_t = DriftDetection::Off, value_name = "MODE")]
    pub(super) drift_detection: DriftDetection,
    /// Write what the decision was made from to this file, without values: it is a test case of the planner
    #[arg(long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct ClusterArgs {
    /// Kubeconfig file [default: the service account of the pod]
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Context in the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,
    /// Watch only this namespace; can be given several times [default: all namespaces]
    #[arg(long = "watch-namespace", value_name = "NAMESPACE")]
    pub(super) watch_namespaces: Vec<String>,
    /// Service account, in the namespace of each object, for releases that name none
    #[arg(long, value_name = "NAME")]
    pub(super) default_service_account: Option<String>,
    /// How far those who may write HelmReleases are trusted
    #[arg(long, default_value = "trusted", value_name = "MODE")]
    pub(super) tenancy: TenancyMode,
    /// Act only while holding a lease, so that several operators can stand by for each other
    #[arg(long)]
    pub(super) leader_elect: bool,
    /// Name of the lease; operators that watch different namespaces need different ones
    #[arg(long, default_value = "helm-release-operator", value_name = "NAME")]
    pub(super) lease_name: String,
    /// Namespace of the lease [default: that of the pod, else `default`]
    #[arg(long, value_name = "NAMESPACE")]
    pub(super) lease_namespace: Option<String>,
    /// What becomes of objects that somebody else changed or deleted, for releases that do not say it
    #[arg(long, value_enum, default_value_t = DriftDetection::Off, value_name = "MODE")]
    pub(super) drift_detection: DriftDetection,
    /// Added to the user agent, to tell this operator's requests apart
    #[arg(long, value_name = "TEXT", hide = true)]
    pub(super) user_agent_suffix: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "helm")]
pub(super) struct HelmArgs {
    /// helm program, 4.2 or newer or 3.18 or newer
    #[arg(long, default_value = "helm", value_name = "PROGRAM")]
    pub(super) helm: PathBuf,
    /// helm processes at a time for charts without hooks [default: one and a half for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) helm_slots: Option<u16>,
    /// helm processes at a time for charts with hooks; they wait more than they compute, and take up to 100 MB each
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) hook_slots: u16,
    /// How long runs of helm may go on after SIGTERM before they are ended, in seconds
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub(super) drain_seconds: u16,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Charts")]
pub(super) struct ChartArgs {
    /// Directory for charts, helm's caches and the private files of its runs
    #[arg(long, default_value = "/var/lib/helm-release-operator", value_name = "DIRECTORY")]
    pub(super) data_dir: PathBuf,
    /// Chart repository for releases that name none
    #[arg(long, value_name = "URL")]
    pub(super) default_repository: Option<String>,
    /// Allow chart repositories without TLS
    #[arg(long)]
    pub(super) allow_http: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Serving")]
pub(super) struct ServingArgs {
    /// Address for /metrics, /healthz and /readyz; port 0 takes a free one, which the log names
    #[arg(long, default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    pub(super) listen: SocketAddr,
    /// Form of the log on stderr
    #[arg(long, default_value = "json", value_name = "FORM")]
    pub(super) log_format: LogFormat,
    /// What is logged, as in `info` or `info,helm_release_operator=debug`
    #[arg(long, default_value = "info", env = "LOG_LEVEL", value_name = "FILTER")]
    pub(super) log_level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DriftDetection {
    /// Objects are not compared
    Off,
    /// What differs from the chart is named
    Warn,
    /// What differs from the chart is put back
    Correct,
}

impl From<DriftDetection> for DriftMode {
    fn from(said: DriftDetection) -> Self {
        match said {
            DriftDetection::Off => Self::Off,
            DriftDetection::Warn => Self::Warn,
            DriftDetection::Correct => Self::Correct,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Json,
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TenancyMode {
    /// A release without a service account is made with the operator's own rights, and the operator reads for any
    /// release what its object names
    Trusted,
    /// Everything is done and read as the service account of the release; an object without one is refused, and no
    /// release waits for one of another namespace
    Strict,
}

impl From<TenancyMode> for Tenancy {
    fn from(mode: TenancyMode) -> Self {
        match mode {
            TenancyMode::Trusted => Self::Trusted,
            TenancyMode::Strict => Self::Strict,
        }
    }
}
