//! Who runs helm: the operator through its own seam, and strangers.

use std::{sync::Arc, time::Duration};

use futures::{
    FutureExt as _,
    future::{BoxFuture, ready},
};
use helm_release_operator::{
    controller::{NoHelm, RunsHelm},
    helm::{self, ClusterAccess, Exit, Invocation, Run, Stop},
    release::Identity,
    types::Redacted,
};
use serde_json::Value;

use crate::{
    helm::{Command, execute},
    process::{Cut, Process, Who},
    world::{Name, World},
};

/// helm as one life of the operator runs it.
pub struct SimulatedHelm {
    pub world: Arc<World>,
    pub operator: u64,
}

impl RunsHelm for SimulatedHelm {
    fn find(&self) -> BoxFuture<'_, Result<(), NoHelm>> {
        ready(Ok(())).boxed()
    }

    fn run<'a>(
        &'a self,
        invocation: &'a Invocation,
        _: &'a ClusterAccess,
        _: &'a Identity,
        stop: &'a Stop,
    ) -> BoxFuture<'a, Result<Run, NoHelm>> {
        async move { Ok(self.attend(invocation, stop).await) }.boxed()
    }

    fn processes(&self) -> (u64, usize) {
        (0, 0)
    }
}

impl SimulatedHelm {
    async fn attend(&self, invocation: &Invocation, stop: &Stop) -> Run {
        self.world.with_operator(self.operator).await;
        if stop.now.is_cancelled() || stop.gently.is_cancelled() {
            return ended(Exit::Cancelled, "");
        }
        let release = (invocation.release.namespace.to_string(), invocation.release.name.to_string());
        let command = command(invocation);
        self.world.tell(format_args!("helm: {} {command:?} begins", release.1));
        crate::ledger::begins(&self.world, self.operator, &release, &command);
        let in_order = !matches!(command, Command::Rollback { .. } | Command::Uninstall);
        let who = Who::Operator(self.operator);
        let mut process =
            Process::new(&self.world, who, release.clone(), stop.clone(), in_order, invocation.wall_clock);
        let wait = invocation.wait_for_hooks.then_some(invocation.timeout);
        let end = execute(&mut process, &command, wait).await;
        crate::ledger::ends(&self.world, &release, &command, &end, process.is_doomed());
        self.world.tell(format_args!("helm: {} {} ends: {end:?}", release.1, command.word()));
        let prefix = match command {
            Command::Install { .. } => "INSTALLATION FAILED: ",
            Command::Upgrade { .. } => "UPGRADE FAILED: ",
            Command::Rollback { .. } | Command::Test { .. } | Command::Uninstall => "",
        };
        match end {
            Ok(()) => ended(Exit::Code(0), ""),
            Err(Cut::Dead { ours: true } | Cut::Told { clock: false }) => ended(Exit::Cancelled, ""),
            Err(Cut::Dead { ours: false }) => ended(Exit::Signal(9), ""),
            Err(Cut::Told { clock: true }) => ended(Exit::TimedOut, ""),
            Err(Cut::Error { text, .. }) => ended(Exit::Code(1), &format!("Error: {prefix}{text}\n")),
        }
    }
}

fn command(invocation: &Invocation) -> Command {
    let history_max = invocation.history_max;
    let inputs = |inputs: &helm::Inputs| {
        let file = inputs.chart.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let version = file.rsplit('-').next().unwrap_or_default().to_owned();
        let config: Value = serde_json::from_slice(inputs.values.expose()).unwrap();
        (version, config, inputs.labels.clone())
    };
    match &invocation.command {
        helm::Command::Install { inputs: given, replace, .. } => {
            let (version, config, labels) = inputs(given);
            Command::Install { version, config, labels, replace: *replace }
        }
        helm::Command::Upgrade { inputs: given, .. } => {
            let (version, config, labels) = inputs(given);
            Command::Upgrade { version, config, labels, history_max }
        }
        helm::Command::Rollback { to, .. } => Command::Rollback { to: *to, history_max },
        helm::Command::Test { .. } => Command::Test { within: invocation.timeout },
        helm::Command::Uninstall => Command::Uninstall,
    }
}

fn ended(exit: Exit, stderr: &str) -> Run {
    Run {
        exit,
        stdout_tail: Redacted::new(String::new()),
        stderr_tail: Redacted::new(stderr.to_owned()),
        dropped_bytes: 0,
        wall: Duration::ZERO,
        cpu: None,
        peak_rss_bytes: None,
    }
}

/// Somebody runs helm by hand.
pub async fn stranger(world: Arc<World>, release: Name, command: Command) {
    world.tell(format_args!("stranger: helm {} {command:?}", release.1));
    crate::ledger::meddled(&world, &release, &command);
    let in_order = matches!(command, Command::Install { .. } | Command::Upgrade { .. });
    let day = Duration::from_secs(86_400);
    let mut process = Process::new(&world, Who::Stranger, release.clone(), Stop::default(), in_order, day);
    let end = execute(&mut process, &command, None).await;
    crate::ledger::stranger_ends(&world, &release);
    world.tell(format_args!("stranger: helm {} ends: {end:?}", release.1));
}
