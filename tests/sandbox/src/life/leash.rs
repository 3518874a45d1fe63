//! The leash: a step between the guardian and a component that ties the component's life to its starter's.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Pid, Signal};

use super::ROLE;

/// A command that runs the given program on a leash held by the calling thread.
///
/// Requires that [`super::guard`] is called in this executable's `main`.
pub(crate) fn leashed(program: impl Into<OsString>) -> Command {
    // The link also works when the executable was rebuilt or removed while it runs.
    let mut command = Command::new("/proc/self/exe");
    command.args([ROLE, "leash", &std::process::id().to_string()]).arg(program.into());
    command
}

/// Sets the parent-death signal and becomes the program; the arguments are the parent's id, the program and its own.
pub(super) fn run(arguments: &[OsString]) -> i32 {
    let [parent, program, rest @ ..] = arguments else {
        return 64;
    };
    let parent = parent.to_str().and_then(|text| text.parse().ok()).and_then(Pid::from_raw);
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        eprintln!("sandbox: cannot set the parent-death signal: {error}");
        return 70;
    }
    // A parent that died before the line above sends no signal any more.
    if rustix::process::getppid() != parent {
        return 70;
    }
    let error = Command::new(program).args(rest).exec();
    eprintln!("sandbox: cannot run {}: {error}", program.display());
    127
}
