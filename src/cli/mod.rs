//! Flags to settings, endpoints, subcommands. The only room that reads the environment or writes to the terminal.

mod access;
mod args;
mod endpoints;
mod explain;
mod logging;
mod run;
mod tables;

use std::{ffi::OsString, io::Write as _, process::ExitCode};

use clap::Parser as _;

pub use tables::{reasons, rules};

use crate::{api, helm};
use args::{Cli, Command};

/// The program.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    // Not a command of the user interface: this is how the operator starts helm.
    if args.get(1).is_some_and(|first| first == helm::SUBCOMMAND) {
        return helm::leash_main(args.into_iter().skip(2));
    }
    match Cli::parse_from(args).command {
        Command::Run(args) => run::main(*args),
        Command::Explain(args) => explain::main(*args),
        Command::Crd => print(&api::crd_yaml()),
        Command::Rules => print(&rules()),
        Command::Reasons => print(&reasons()),
    }
}

/// A reader that goes away early, such as `head`, is no failure.
fn print(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}
