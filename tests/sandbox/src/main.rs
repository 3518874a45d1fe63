//! The `sandbox` program: gets the tools, or holds a control plane until it is interrupted.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sandbox::tools::{self, Progress, Tool};
use sandbox::{Options, Sandbox};

/// A throw-away Kubernetes control plane on loopback, with pods that are simulated.
///
/// The programs it needs (etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok, helm) are taken from
/// variables such as `SANDBOX_ETCD`, from PATH where the version fits, or built once with Go into
/// ~/.cache/helm-release-operator/tools (elsewhere by `SANDBOX_CACHE`).
#[derive(Parser)]
#[command(name = "sandbox")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Finds or builds the tools and prints where they are; minutes the first time, nothing later.
    Tools {
        /// Also helm 3, which only compatibility tests use.
        #[arg(long)]
        helm3: bool,
    },
    /// Starts a control plane with one ready node, prints how to use it and runs until Ctrl-C.
    Up,
}

fn main() -> ExitCode {
    sandbox::guard();
    let outcome = match Cli::parse().command {
        Command::Tools { helm3 } => print_tools(helm3),
        Command::Up => hold(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_tools(helm3: bool) -> Result<(), Box<dyn std::error::Error>> {
    let mut wanted = Tool::CLUSTER.to_vec();
    wanted.push(Tool::Helm4);
    wanted.extend(helm3.then_some(Tool::Helm3));
    for (tool, path) in tools::ensure(&wanted, &Progress::stderr())? {
        println!("{}={}", tool.variable(), path.display());
    }
    Ok(())
}

fn hold() -> Result<(), Box<dyn std::error::Error>> {
    let sandbox = Sandbox::start(Options::default())?;
    eprintln!("sandbox: ready in {:.1} s; Ctrl-C ends it", sandbox.started_in().as_secs_f32());
    println!("export KUBECONFIG={}", sandbox.kubeconfig_path().display());
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(ended())?;
    drop(sandbox);
    Ok(())
}

/// Waits for the signals that end a program by request.
async fn ended() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome,
        _ = terminate.recv() => Ok(()),
    }
}
