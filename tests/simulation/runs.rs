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
    helm::{Command, Given, Terms, execute},
    process::{By, Cut, Process, Who},
    records::TEST,
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
        let in_order = !matches!(command, Command::Rollback { .. } | Command::Uninstall { .. });
        let who = Who::Operator(self.operator);
        let mut process =
            Process::new(&self.world, who, release.clone(), stop.clone(), in_order, invocation.wall_clock);
        let terms = Terms { waits: invocation.wait_for_hooks, hooks: !invocation.skip_hooks, step: invocation.timeout };
        let end = execute(&mut process, &command, &terms).await;
        crate::ledger::ends(&self.world, &release, &command, &end, process.is_doomed());
        self.world.tell(format_args!("helm: {} {} ends: {end:?}", release.1, command.word()));
        let prefix = match command {
            Command::Install { .. } => "INSTALLATION FAILED: ",
            Command::Upgrade { .. } => "UPGRADE FAILED: ",
            Command::Rollback { .. } | Command::Test { .. } | Command::Uninstall { .. } => "",
        };
        match end {
            Ok(()) => ended(Exit::Code(0), ""),
            Err(Cut::Dead { by: By::Operator } | Cut::Told { clock: false }) => ended(Exit::Cancelled, ""),
            Err(Cut::Dead { by: By::Kernel }) => ended(Exit::Signal(9), ""),
            Err(Cut::Dead { by: By::Somebody }) => ended(Exit::Signal(15), ""),
            Err(Cut::Dead { by: By::Clock } | Cut::Told { clock: true }) => ended(Exit::TimedOut, ""),
            Err(Cut::Error { text, .. }) => ended(Exit::Code(1), &format!("Error: {prefix}{text}\n")),
        }
    }
}

fn command(invocation: &Invocation) -> Command {
    let history_max = invocation.history_max;
    let given = |inputs: &helm::Inputs, force, take| {
        let file = inputs.chart.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let version = file.rsplit('-').next().unwrap_or_default().to_owned();
        let config: Value = serde_json::from_slice(inputs.values.expose()).unwrap();
        Given { version, config, labels: inputs.labels.clone(), force, take, description: inputs.description.clone() }
    };
    match &invocation.command {
        helm::Command::Install { inputs, replace, create_namespace, take_ownership } => Command::Install {
            given: given(inputs, false, *take_ownership),
            replace: *replace,
            new_namespace: *create_namespace,
        },
        helm::Command::Upgrade { inputs, force_conflicts, take_ownership } => {
            Command::Upgrade { given: given(inputs, *force_conflicts, *take_ownership), history_max }
        }
        helm::Command::Rollback { to, force_conflicts } => {
            Command::Rollback { to: *to, history_max, force: *force_conflicts }
        }
        helm::Command::Test { except } => {
            Command::Test { within: invocation.timeout, except: except.iter().any(|name| &**name == TEST) }
        }
        helm::Command::Uninstall => Command::Uninstall { keep_history: false },
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
    let end = execute(&mut process, &command, &Terms::BY_HAND).await;
    crate::ledger::stranger_ends(&world, &release);
    world.tell(format_args!("stranger: helm {} ends: {end:?}", release.1));
}
