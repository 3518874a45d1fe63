//! The hidden subcommand that ties helm to the life of the operator.
//!
//! A child cannot be given a parent-death signal from outside without unsafe code between fork and exec. So the child
//! is this program first: it asks the kernel for the signal, makes sure that the parent has not died before that, and
//! turns into helm. The signal survives exec; it would not if helm were set-user-ID.

use std::{
    convert::Infallible,
    ffi::{OsStr, OsString},
    io,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// Exit code for "helm was not started". helm itself ends with 0 or 1.
pub const EXIT_NOT_STARTED: u8 = 125;
/// The name of the subcommand.
pub const SUBCOMMAND: &str = "leash";

/// Why helm was not started.
#[derive(Debug, thiserror::Error)]
pub enum LeashError {
    #[error("leash is for the operator's own use: leash PARENT_PID -- PROGRAM [ARGUMENT...]")]
    Usage,
    #[error("the parent died before helm was started")]
    Orphaned,
    #[error("the parent-death signal cannot be set: {0}")]
    Signal(io::Error),
    #[error("helm cannot be executed: {0}")]
    Exec(io::Error),
}

/// Turns this process into `program`, to be killed when the thread that started it ends. Returns only on failure.
pub fn leash(
    parent: u32,
    program: &OsStr,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<Infallible, LeashError> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|errno| LeashError::Signal(errno.into()))?;
    // After the signal is set, never before: a parent that dies in between would leave helm alone.
    let current = getppid().map(|pid| pid.as_raw_nonzero().get());
    if current != i32::try_from(parent).ok() {
        return Err(LeashError::Orphaned);
    }
    Err(LeashError::Exec(Command::new(program).args(args).exec()))
}

/// The subcommand's arguments, as [`leash_arguments`] makes them, carried out.
pub fn leash_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Err(error) = follow(args.into_iter());
    eprintln!("{SUBCOMMAND}: {error}");
    ExitCode::from(EXIT_NOT_STARTED)
}

fn follow(mut args: impl Iterator<Item = OsString>) -> Result<Infallible, LeashError> {
    let parent = args.next().and_then(|pid| pid.to_str()?.parse().ok()).ok_or(LeashError::Usage)?;
    args.next().filter(|dashes| dashes == "--").ok_or(LeashError::Usage)?;
    let program = args.next().ok_or(LeashError::Usage)?;
    leash(parent, &program, args)
}

/// What the operator starts itself with, to run `program` on a leash held by process `parent`.
pub(super) fn leash_arguments(parent: u32, program: &OsStr, args: Vec<OsString>) -> Vec<OsString> {
    let mut list = Vec::with_capacity(args.len() + 4);
    list.push(SUBCOMMAND.into());
    list.push(parent.to_string().into());
    list.push("--".into());
    list.push(program.into());
    list.extend(args);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(args: &[&str]) -> LeashError {
        let Err(error) = follow(args.iter().map(OsString::from));
        error
    }

    // The order of events after that (signal, exec, death) needs a process of its own: see the integration tests.
    #[test]
    fn malformed_orders_are_refused_before_anything_is_done() {
        for args in [&[][..], &["x", "--", "helm"], &["1", "helm"], &["1", "--"], &["1"]] {
            assert!(matches!(error(args), LeashError::Usage), "{args:?}");
        }
    }

    #[test]
    fn arguments_read_back_as_the_subcommand_expects() {
        let args = leash_arguments(7, OsStr::new("/bin/helm"), vec!["version".into()]);
        assert_eq!(args, ["leash", "7", "--", "/bin/helm", "version"]);
    }
}
