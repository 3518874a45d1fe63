//! The tests of the sandbox itself: one control plane is shared, and ended before the conclusion is told.

mod cluster;
mod http;
mod life;
mod proxy;
mod repository;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use sandbox::{Options, Sandbox};

fn main() -> ExitCode {
    sandbox::guard();
    if std::env::args().nth(1).as_deref() == Some(life::HOLDER) {
        return life::hold();
    }
    let arguments = Arguments::from_args();
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(None)).exit_code();
    }
    let sandbox = match Sandbox::start(Options::default()) {
        Ok(sandbox) => Arc::new(sandbox),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    eprintln!("the sandbox started in {:.1} s", sandbox.started_in().as_secs_f32());
    let conclusion = libtest_mimic::run(&arguments, trials(Some(&sandbox)));
    drop(sandbox);
    conclusion.exit_code()
}

type Test = fn(&Sandbox) -> Result<(), Failed>;

/// All tests; without a sandbox they can only be listed.
fn trials(sandbox: Option<&Arc<Sandbox>>) -> Vec<Trial> {
    let rooms: [&[(&str, Test)]; 4] = [cluster::TESTS, life::TESTS, proxy::TESTS, repository::TESTS];
    let trial = |&(name, test): &(&'static str, Test)| {
        let sandbox = sandbox.map(Arc::clone);
        Trial::test(name, move || sandbox.map_or(Ok(()), |sandbox| test(&sandbox)))
    };
    rooms.into_iter().flatten().map(trial).collect()
}
