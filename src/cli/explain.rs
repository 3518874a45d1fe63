//! `explain`: what the operator would do next, why, and from what it would decide.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use jiff::Timestamp;

use super::{access, args::ExplainArgs};
use crate::{
    cluster::{self, Clock, Identities, Scope},
    controller::{self, LookError, Parts, Program, Settings, Slots},
    helm::RunnerSettings,
    metrics::{Metrics, MetricsError},
    plan::{Case, Plan, Wake},
    release::{InputsView, Snapshot, View},
    sources::{SourceError, SourceSettings, Sources},
    status::render,
    types::ObjectKey,
};

#[derive(Debug, thiserror::Error)]
enum ExplainError {
    #[error("name a kubeconfig with --kubeconfig")]
    NoKubeconfig,
    #[error("{0}")]
    Access(#[from] access::AccessError),
    #[error("{0}")]
    Cluster(#[from] cluster::ClusterError),
    #[error("{0}")]
    Look(#[from] LookError),
    #[error("{0}")]
    Sources(#[from] SourceError),
    #[error("{0}")]
    Metrics(#[from] MetricsError),
    #[error("{path}: {source}")]
    Save { path: PathBuf, source: std::io::Error },
    #[error("the case cannot be written as YAML: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
    #[error("{0}")]
    System(#[from] std::io::Error),
}

pub(super) fn main(args: ExplainArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let explained = match runtime {
        Ok(runtime) => runtime.block_on(explain(args)),
        Err(error) => Err(error.into()),
    };
    match explained {
        Ok(text) => super::print(&text),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "helm-release-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn explain(args: ExplainArgs) -> Result<String, ExplainError> {
    let ExplainArgs {
        name,
        namespace,
        kubeconfig,
        context,
        default_repository,
        default_service_account,
        tenancy,
        drift_detection,
        save,
    } = args;
    let path = kubeconfig.ok_or(ExplainError::NoKubeconfig)?;
    let private = tempfile::tempdir()?;
    let access = access::from_kubeconfig(&path, context.as_deref(), private.path())?;
    let config = cluster::config(&cluster::Access::Kubeconfig { path, context }, Some("explain")).await?;
    let started = Timestamp::now();
    let place = |name: &str| private.path().join(name);
    let assembled = controller::assemble(Parts {
        client: cluster::connect(config.clone())?,
        identities: Identities::new(config),
        clock: Clock::system(),
        scope: Scope::Namespaces(vec![namespace.as_str().into()]),
        settings: Settings {
            defaults: crate::release::SpecDefaults {
                repository: default_repository.map(Into::into),
                service_account: default_service_account.map(Into::into),
                drift: drift_detection.into(),
            },
            tenancy: tenancy.into(),
            allow_http: true,
            slots: Slots { computing: 1, waiting: 1 },
            drain: std::time::Duration::ZERO,
        },
        charts: Box::new(Sources::new(SourceSettings::new(place("store")))?),
        helm: Box::new(Program::new(
            place("helm"),
            RunnerSettings {
                leash_program: place("leash"),
                base_dir: place("runs"),
                cache_dir: place("cache"),
                output_bytes_max: RunnerSettings::OUTPUT_BYTES_MAX,
                grace: RunnerSettings::GRACE,
            },
        )),
        access,
        metrics: Metrics::new()?,
        holder: "explain".into(),
        started,
        lease: None,
    });
    let (snapshot, plan) = controller::look(&assembled, &ObjectKey::new(&namespace, &name)).await?;
    let mut text = tell(&snapshot, &plan);
    if let Some(file) = save {
        keep(&file, &snapshot)?;
        let _ = writeln!(text, "\nWritten to {}; it holds no values.", file.display());
    }
    Ok(text)
}

fn keep(file: &Path, snapshot: &Snapshot) -> Result<(), ExplainError> {
    let yaml = serde_saphyr::to_string(&Case::of(snapshot))?;
    std::fs::write(file, yaml).map_err(|source| ExplainError::Save { path: file.to_owned(), source })
}

/// At most 100 columns, except where a message is longer.
fn tell(snapshot: &Snapshot, plan: &Plan) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<10}{value}");
    };
    let rendered = render(None, snapshot, plan);
    if let Some(ready) = rendered.status.conditions.first() {
        line("Ready", &format!("{} {}", ready.status, ready.reason));
        line("Why", &ready.message);
    }
    line("Next", &format!("{:?}", plan.action));
    match plan.wake {
        Wake::Never => line("Then", "when something changes"),
        Wake::At(moment) => line("Then", &format!("at {}", moment.strftime("%Y-%m-%dT%H:%M:%SZ"))),
    }
    match &snapshot.records {
        View::Is(records) => {
            for record in records.iter() {
                let marks = [(record.is_verified(), "verified"), (record.stamp == Some(record.revision), "ours")];
                let marks: Vec<&str> = marks.iter().filter(|(holds, _)| *holds).map(|(_, mark)| *mark).collect();
                let digest = record.digest.as_ref().map_or("no digest", |digest| digest.as_str());
                line("Revision", &format!("{:<4}{:<16}{digest}  {}", record.revision, record.status, marks.join(", ")));
            }
        }
        View::Pending => line("Revision", "not in view"),
        View::Refused(why) => line("Revision", why),
    }
    match &snapshot.inputs {
        InputsView::Known { inputs, .. } => {
            line("Desired", &format!("{} {} {}", inputs.chart, inputs.label(), inputs.digest));
        }
        InputsView::Stale => line("Desired", "has to be looked up: the spec or the values changed"),
        InputsView::Underway => line("Desired", "is being looked up"),
        InputsView::Failed { problem, .. } => line("Desired", &problem.message),
    }
    for entry in &plan.memory.quarantined {
        line("Held", &format!("{} {}: {}", entry.version, entry.digest, entry.message));
    }
    line("Health", &format!("{:?}", snapshot.health.health));
    text
}
