//! A model of helm: the writes of each command in their order, and what every end in between leaves behind.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::{
    behaviours::Write,
    process::{Cut, Process, Who, error},
    records::{Phase, Record, history, prune},
    removal,
    scenario::{Behaviour, Test},
    workloads,
};

/// What an install or an upgrade is given.
#[derive(Debug, Clone)]
pub struct Given {
    pub version: String,
    pub config: Value,
    pub labels: BTreeMap<String, String>,
    /// Fields that others hold are taken.
    pub force: bool,
    /// Objects of others are taken.
    pub take: bool,
    pub description: String,
}

impl Given {
    /// As a person gives it.
    pub fn by_hand(version: String, config: Value) -> Self {
        let description = "complete".to_owned();
        Self { version, config, labels: BTreeMap::new(), force: false, take: false, description }
    }
}

/// What helm is asked for.
#[derive(Debug, Clone)]
pub enum Command {
    Install { given: Given, replace: bool, new_namespace: bool },
    Upgrade { given: Given, history_max: u32 },
    Rollback { to: u32, history_max: u32, force: bool },
    Test { within: Duration, except: bool },
    Uninstall { keep_history: bool },
}

impl Command {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Install { .. } => "Install",
            Self::Upgrade { .. } => "Upgrade",
            Self::Rollback { .. } => "Rollback",
            Self::Test { .. } => "Test",
            Self::Uninstall { .. } => "Uninstall",
        }
    }
}

/// How helm runs, whatever it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// It waits for objects.
    pub waits: bool,
    pub hooks: bool,
    /// Its own limit of each step.
    pub step: Duration,
}

impl Terms {
    pub const BY_HAND: Self = Self { waits: false, hooks: true, step: Duration::from_secs(300) };
}

/// Runs a command.
pub async fn execute(process: &mut Process, command: &Command, terms: &Terms) -> Result<(), Cut> {
    process.prepare().await?;
    match command {
        Command::Install { given, replace, new_namespace } => {
            // Whoever removes a release and makes it anew by hand looks whether it is gone.
            while process.who == Who::Stranger && workloads::leaving(&process.world, &process.release).is_some() {
                process.wait(Duration::from_secs(1)).await?;
            }
            let first = new_install(process, given, *replace, *new_namespace)?;
            deploy(process, given, (first, None), 0, terms).await
        }
        Command::Upgrade { given, history_max } => {
            let (next, current) = new_upgrade(process, given)?;
            deploy(process, given, (next, Some(current)), *history_max, terms).await
        }
        Command::Rollback { to, history_max, force } => {
            removal::roll_back(process, *to, *history_max, *force, terms).await
        }
        Command::Test { within, except } => test(process, *within, *except).await,
        Command::Uninstall { keep_history } => removal::uninstall(process, *keep_history, terms).await,
    }
}

fn rendered(process: &Process, version: &str) -> Result<(), Cut> {
    match process.world.settings.behaviour(version) {
        Behaviour::Refused { words } => error(words),
        _ => Ok(()),
    }
}

fn fresh(process: &Process, revision: u32, given: &Given, labels: BTreeMap<String, String>) -> Record {
    let Given { version, config, .. } = given;
    let behaviour = process.world.settings.behaviour(version);
    Record {
        revision,
        status: String::new(),
        description: String::new(),
        version: version.clone(),
        config: config.clone(),
        hook: behaviour.has_hooks().then_some(Phase::Unknown),
        test: (process.world.settings.test(version) != Test::Absent).then_some(Phase::Unknown),
        labels,
        objects: workloads::objects(&process.world, &process.release.1, version),
    }
}

fn new_install(process: &Process, given: &Given, replace: bool, new_namespace: bool) -> Result<Record, Cut> {
    let (world, release) = (&process.world, &process.release);
    let records = history(world, release);
    let last = records.last();
    let over = last.is_some_and(|last| matches!(&*last.status, "failed" | "uninstalled"));
    if last.is_some() && !(replace && over) {
        return error("cannot reuse a name that is still in use");
    }
    rendered(process, &given.version)?;
    let next = fresh(process, last.map_or(1, |last| last.revision + 1), given, given.labels.clone());
    workloads::belongs_to_nobody(process, &next, &[], given.take)?;
    if new_namespace {
        world.make_namespace();
    }
    if let Some(last) = last.filter(|last| last.status == "uninstalled") {
        last.clone().update(world, release, "superseded", "superseded by new release");
    }
    Ok(next)
}

/// The next revision, and the one that helm compares with.
fn new_upgrade(process: &Process, given: &Given) -> Result<(Record, Record), Cut> {
    let records = history(&process.world, &process.release);
    let Some(last) = records.last() else {
        return error(format!("\"{}\" has no deployed releases", process.release.1));
    };
    if last.is_pending() {
        return error("another operation (install/upgrade/rollback) is in progress");
    }
    let deployed = records.iter().rev().find(|record| record.status == "deployed");
    let usable = matches!(&*last.status, "failed" | "superseded");
    let current = match deployed {
        Some(deployed) => deployed,
        None if usable => last,
        None => return error(format!("\"{}\" has no deployed releases", process.release.1)),
    };
    rendered(process, &given.version)?;
    let mut merged = last.labels.clone();
    merged.extend(given.labels.clone());
    let next = fresh(process, last.revision + 1, given, merged);
    workloads::belongs_to_nobody(process, &next, &current.objects, given.take)?;
    Ok((next, current.clone()))
}

/// From the record on: hooks, objects, waiting, and the last writes.
async fn deploy(
    process: &mut Process,
    given: &Given,
    (mut next, current): (Record, Option<Record>),
    history_max: u32,
    terms: &Terms,
) -> Result<(), Cut> {
    let release = process.release.clone();
    let installs = current.is_none();
    if installs { "pending-install" } else { "pending-upgrade" }.clone_into(&mut next.status);
    "under way".clone_into(&mut next.description);
    begin(process, &next, history_max)?;
    match body(process, given, &mut next, current.as_ref(), terms).await {
        Ok(()) => {}
        Err(cut @ (Cut::Dead { .. } | Cut::Error { silent: true, .. })) => return Err(cut),
        Err(other) => {
            let text = match &other {
                Cut::Error { text, .. } => text.clone(),
                _ => "context canceled".to_owned(),
            };
            // Whether that is written, helm does not ask.
            let description = format!("Release {:?} failed: {text}", release.1);
            let _ = process.write(Write::Own, &mut next, "failed", &description);
            return Err(other);
        }
    }
    // Also where it had failed; whether that is written, helm does not ask.
    if let Some(mut current) = current {
        let description = current.description.clone();
        let _ = process.write(Write::Superseding, &mut current, "superseded", &description);
        process.deaf(1, 40).await?;
    }
    let written = process.write(Write::Own, &mut next, "deployed", &given.description);
    // helm says so and, for an install, calls it a success all the same.
    if installs { Ok(()) } else { written }
}

/// Makes room, and creates the record of the new revision.
pub fn begin(process: &Process, next: &Record, history_max: u32) -> Result<(), Cut> {
    let (world, release) = (&process.world, &process.release);
    if history_max > 0 {
        let gone = prune(world, release, history_max);
        crate::ledger::pruned(world, release, process.who, &gone);
    }
    process.create(next)
}

async fn body(
    process: &mut Process,
    given: &Given,
    next: &mut Record,
    current: Option<&Record>,
    terms: &Terms,
) -> Result<(), Cut> {
    let behaviour = process.world.settings.behaviour(&next.version);
    if current.is_none() {
        crate::ledger::installs(&process.world, &process.release, process.who);
    }
    if terms.hooks && behaviour.has_hooks() && behaviour != Behaviour::WayBackFails {
        let done = hook(process, next, behaviour, terms.step).await;
        // Of a run that is told to end, helm does not know how the hook stands.
        next.hook = Some(match &done {
            Ok(()) => Phase::Succeeded,
            Err(Cut::Error { .. }) => Phase::Failed,
            Err(Cut::Dead { .. } | Cut::Told { .. }) => Phase::Unknown,
        });
        done?;
    }
    process.work(50, 400).await?;
    let takes = if given.force || given.take { workloads::Takes::Fields } else { workloads::Takes::Nothing };
    workloads::apply(process, next, current, takes)?;
    if behaviour == Behaviour::Invalid {
        return error("Deployment.apps \"unicorn\" is invalid: spec.replicas: Invalid value");
    }
    process.work(20, 200).await?;
    if terms.waits && terms.hooks { ready(process, terms.step).await } else { Ok(()) }
}

async fn hook(process: &mut Process, next: &mut Record, behaviour: Behaviour, step: Duration) -> Result<(), Cut> {
    next.note_hook(&process.world, &process.release, Phase::Running);
    if behaviour == Behaviour::HookHangs {
        process.wait(step).await?;
        return error("pre-upgrade hooks failed: timed out waiting for the condition");
    }
    process.work(500, 4000).await?;
    if behaviour == Behaviour::HookFails {
        return error("pre-upgrade hooks failed: 1 error occurred:\n\t* job migrate failed: BackoffLimitExceeded");
    }
    Ok(())
}

/// Waits for the objects to become ready.
pub async fn ready(process: &mut Process, limit: Duration) -> Result<(), Cut> {
    let until = tokio::time::Instant::now() + limit;
    while !workloads::is_healthy(&process.world, &process.release) {
        if tokio::time::Instant::now() >= until {
            return error("context deadline exceeded");
        }
        process.wait(Duration::from_secs(1)).await?;
    }
    Ok(())
}

/// Runs the test of the newest revision. The record is written before and after, as it was when it was read; told to
/// end, helm dies on the spot.
async fn test(process: &mut Process, within: Duration, except: bool) -> Result<(), Cut> {
    let (world, release) = (std::sync::Arc::clone(&process.world), process.release.clone());
    let Some(mut last) = history(&world, &release).pop() else { return error("release: not found") };
    if except || last.test.is_none() {
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
