//! A model of helm: the writes of each command in their order, and what every end in between leaves behind.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::{
    process::{Cut, Process, Who, error},
    records::{Phase, Record, history, prune},
    scenario::{Behaviour, Test},
    workloads,
};

/// What helm is asked for.
#[derive(Debug, Clone)]
pub enum Command {
    Install { version: String, config: Value, labels: BTreeMap<String, String>, replace: bool },
    Upgrade { version: String, config: Value, labels: BTreeMap<String, String>, history_max: u32 },
    Rollback { to: u32, history_max: u32 },
    Test { within: Duration },
    Uninstall,
}

impl Command {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Install { .. } => "Install",
            Self::Upgrade { .. } => "Upgrade",
            Self::Rollback { .. } => "Rollback",
            Self::Test { .. } => "Test",
            Self::Uninstall => "Uninstall",
        }
    }
}

/// Runs a command; `wait` is how long helm itself waits for objects, where it does.
pub async fn execute(process: &mut Process, command: &Command, wait: Option<Duration>) -> Result<(), Cut> {
    process.work(50, 600).await?;
    match command {
        Command::Install { version, config, labels, replace } => {
            // Whoever removes a release and makes it anew by hand looks whether it is gone.
            while process.who == Who::Stranger && workloads::leaving(&process.world, &process.release).is_some() {
                process.wait(Duration::from_secs(1)).await?;
            }
            let first = new_install(process, version, config, labels, *replace)?;
            deploy(process, first, None, "pending-install", 0, wait).await
        }
        Command::Upgrade { version, config, labels, history_max } => {
            let (next, current) = new_upgrade(process, version, config, labels)?;
            deploy(process, next, Some(current), "pending-upgrade", *history_max, wait).await
        }
        Command::Rollback { to, history_max } => roll_back(process, *to, *history_max).await,
        Command::Test { within } => test(process, *within).await,
        Command::Uninstall => uninstall(process).await,
    }
}

fn rendered(process: &Process, version: &str) -> Result<(), Cut> {
    if process.world.settings.behaviour(version) == Behaviour::Template {
        return error("execution error at (unicorn/templates/page.yaml:3:4): colour is not a colour");
    }
    Ok(())
}

fn fresh(process: &Process, revision: u32, version: &str, config: &Value, labels: BTreeMap<String, String>) -> Record {
    let behaviour = process.world.settings.behaviour(version);
    Record {
        revision,
        status: String::new(),
        description: String::new(),
        version: version.to_owned(),
        config: config.clone(),
        hooks: behaviour.has_hooks(),
        test: (process.world.settings.test(version) != Test::Absent).then_some(Phase::Unknown),
        labels,
        objects: workloads::objects(&process.release.1, version),
    }
}

fn new_install(
    process: &Process,
    version: &str,
    config: &Value,
    labels: &BTreeMap<String, String>,
    replace: bool,
) -> Result<Record, Cut> {
    let records = history(&process.world, &process.release);
    let last = records.last();
    let over = last.is_some_and(|last| matches!(&*last.status, "failed" | "uninstalled"));
    if last.is_some() && !(replace && over) {
        return error("INSTALLATION FAILED: cannot reuse a name that is still in use");
    }
    rendered(process, version)?;
    if let Some(last) = last.filter(|last| last.status == "uninstalled") {
        last.clone().update(&process.world, &process.release, "superseded", "superseded by new release");
    }
    Ok(fresh(process, last.map_or(1, |last| last.revision + 1), version, config, labels.clone()))
}

/// The next revision, and the one that helm compares with.
fn new_upgrade(
    process: &Process,
    version: &str,
    config: &Value,
    labels: &BTreeMap<String, String>,
) -> Result<(Record, Record), Cut> {
    let records = history(&process.world, &process.release);
    let Some(last) = records.last() else {
        return error(format!("UPGRADE FAILED: \"{}\" has no deployed releases", process.release.1));
    };
    if last.is_pending() {
        return error("UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress");
    }
    let deployed = records.iter().rev().find(|record| record.status == "deployed");
    let usable = matches!(&*last.status, "failed" | "superseded");
    let current = match deployed {
        Some(deployed) => deployed,
        None if usable => last,
        None => return error(format!("UPGRADE FAILED: \"{}\" has no deployed releases", process.release.1)),
    };
    rendered(process, version)?;
    let mut merged = last.labels.clone();
    merged.extend(labels.clone());
    Ok((fresh(process, last.revision + 1, version, config, merged), current.clone()))
}

/// From the record on: hooks, objects, waiting, and the last writes.
async fn deploy(
    process: &mut Process,
    mut next: Record,
    current: Option<Record>,
    pending: &str,
    history_max: u32,
    wait: Option<Duration>,
) -> Result<(), Cut> {
    let (world, release) = (std::sync::Arc::clone(&process.world), process.release.clone());
    if current.is_some() && history_max > 0 {
        let gone = prune(&world, &release, history_max);
        crate::ledger::pruned(&world, &release, process.who, &gone);
    }
    pending.clone_into(&mut next.status);
    "under way".clone_into(&mut next.description);
    if next.create(&world, &release).is_err() {
        return error("release: already exists");
    }
    let end = body(process, &next, current.as_ref(), wait).await;
    match end {
        Ok(()) => {}
        Err(Cut::Dead { ours }) => return Err(Cut::Dead { ours }),
        Err(Cut::Error { text, silent: true }) => return Err(Cut::Error { text, silent: true }),
        Err(other) => {
            let text = match &other {
                Cut::Error { text, .. } => text.clone(),
                _ => "context canceled".to_owned(),
            };
            next.update(&world, &release, "failed", &format!("Release {:?} failed: {text}", release.1));
            return Err(other);
        }
    }
    // Also where it had failed.
    if let Some(mut current) = current {
        current.update(&world, &release, "superseded", "Upgrade complete");
        process.work(1, 40).await.map_err(|cut| match cut {
            Cut::Told { .. } => Cut::Dead { ours: true },
            other => other,
        })?;
    }
    if process.last_write_fails() {
        // helm says so and, for an install, calls it a success all the same.
        return if pending == "pending-install" { Ok(()) } else { error("etcdserver: request timed out") };
    }
    next.update(&world, &release, "deployed", "complete");
    Ok(())
}

async fn body(
    process: &mut Process,
    next: &Record,
    current: Option<&Record>,
    wait: Option<Duration>,
) -> Result<(), Cut> {
    let behaviour = process.world.settings.behaviour(&next.version);
    if current.is_none() {
        crate::ledger::installs(&process.world, &process.release, process.who);
    }
    if next.hooks {
        process.work(500, 4000).await?;
        if behaviour == Behaviour::HookFails {
            return error("pre-upgrade hooks failed: 1 error occurred:\n\t* job migrate failed: BackoffLimitExceeded");
        }
    }
    process.work(50, 400).await?;
    if behaviour == Behaviour::Invalid {
        return error("Deployment.apps \"unicorn\" is invalid: spec.replicas: Invalid value");
    }
    workloads::apply(&process.world, &process.release, next, current);
    process.work(20, 200).await?;
    let Some(limit) = wait else { return Ok(()) };
    let until = tokio::time::Instant::now() + limit;
    while !workloads::is_healthy(&process.world, &process.release) {
        if tokio::time::Instant::now() >= until {
            return error("context deadline exceeded");
        }
        process.wait(Duration::from_secs(1)).await?;
    }
    Ok(())
}

async fn roll_back(process: &mut Process, to: u32, history_max: u32) -> Result<(), Cut> {
    let (world, release) = (std::sync::Arc::clone(&process.world), process.release.clone());
    let records = history(&world, &release);
    let Some(last) = records.last() else { return error("release: not found") };
    let Some(target) = records.iter().find(|record| record.revision == to) else {
        return error(format!("release has no {to} version"));
    };
    let mut next = target.clone();
    next.revision = last.revision + 1;
    "pending-rollback".clone_into(&mut next.status);
    next.description = format!("Rollback to {to}");
    if history_max > 0 {
        let gone = prune(&world, &release, history_max);
        crate::ledger::pruned(&world, &release, process.who, &gone);
    }
    if next.create(&world, &release).is_err() {
        return error("release: already exists");
    }
    way_back_hooks(process, &next, "pre-rollback").await?;
    process.work(50, 400).await?;
    workloads::apply(&world, &release, &next, Some(last));
    process.work(20, 200).await?;
    for mut record in history(&world, &release).into_iter().filter(|record| record.status == "deployed") {
        record.update(&world, &release, "superseded", "superseded by rollback");
    }
    process.work(1, 40).await?;
    if process.last_write_fails() {
        return error("etcdserver: request timed out");
    }
    let description = next.description.clone();
    next.update(&world, &release, "deployed", &description);
    Ok(())
}

/// Runs the test of the newest revision. The record is written before and after, as it was when it was read; told to
/// end, helm dies on the spot.
async fn test(process: &mut Process, within: Duration) -> Result<(), Cut> {
    let (world, release) = (std::sync::Arc::clone(&process.world), process.release.clone());
    let Some(mut last) = history(&world, &release).pop() else { return error("release: not found") };
    if last.test.is_none() {
        return process.work(50, 300).await;
    }
    last.note(&world, &release, Phase::Running);
    match trial(process, &last.version, within).await {
        Ok(()) => last.note(&world, &release, Phase::Succeeded),
        Err(Cut::Error { text, silent }) => {
            if !silent {
                last.note(&world, &release, Phase::Failed);
            }
            return Err(Cut::Error { text, silent });
        }
        Err(cut @ (Cut::Dead { .. } | Cut::Told { .. })) => return Err(cut),
    }
    Ok(())
}

async fn trial(process: &mut Process, version: &str, within: Duration) -> Result<(), Cut> {
    let test = process.world.settings.test(version);
    if test == Test::Hangs {
        process.wait(within).await?;
        return error("timed out waiting for the condition");
    }
    process.work(300, 9000).await?;
    let first = process.world.lock().ledger.tested(&process.release, version);
    if test == Test::Fails || (test == Test::FailsOnce && first) {
        return error("pod check failed");
    }
    Ok(())
}

/// The hooks before a rollback to a revision, or before its removal. Where one fails, helm leaves the record as it is.
async fn way_back_hooks(process: &mut Process, record: &Record, which: &str) -> Result<(), Cut> {
    if process.world.settings.behaviour(&record.version) != Behaviour::WayBackFails {
        return Ok(());
    }
    process.work(500, 4000).await?;
    error(format!("{which} hooks failed: 1 error occurred:\n\t* job way-back failed: BackoffLimitExceeded"))
}

async fn uninstall(process: &mut Process) -> Result<(), Cut> {
    let (world, release) = (std::sync::Arc::clone(&process.world), process.release.clone());
    let mut records = history(&world, &release);
    let Some(last) = records.last_mut() else { return error("uninstall: Release not loaded: release: not found") };
    last.update(&world, &release, "uninstalling", "Deletion in progress (or silently failed)");
    let last = last.clone();
    way_back_hooks(process, &last, "pre-delete").await?;
    process.work(50, 300).await?;
    crate::ledger::removes(&world, &release, &last);
    workloads::remove(&world, &release, &last);
    process.work(50, 300).await?;
    for record in &records {
        record.remove(&world, &release);
        process.work(1, 20).await?;
    }
    world.tell(format_args!("helm: {} is gone", release.1));
    Ok(())
}
