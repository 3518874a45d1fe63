//! The scenarios: real operators, real helm and a real API server, with pods that are simulated.
//!
//! One sandbox is shared by all scenarios and started by the first that needs it. Each scenario has its own namespace,
//! operator process, proxy and chart repository, so they run side by side and may kill and count as they like.

#[path = "../contract/mod.rs"]
mod contract;
mod ground;
mod scenario;
#[path = "../stage/mod.rs"]
mod stage;
#[allow(dead_code, reason = "a sample of the sweep is played here")]
#[path = "../crash_sweep/sweep/mod.rs"]
mod sweep;

mod accounts;
mod admission;
mod adopt;
mod budget;
mod charts;
#[path = "contract.rs"]
mod contracts;
mod crash;
mod crowd;
mod definitions;
mod deletion;
mod dependencies;
mod deployment;
mod drift;
mod explain;
mod faults;
mod helm3;
mod history;
mod idle;
mod install;
mod leftovers;
mod namespaces;
mod ownership;
mod poison;
mod program;
mod reaction;
mod remediation;
mod scope;
mod sources;
mod stale;
mod tenancy;
mod testing;
mod upgrade;
mod values;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use ground::Ground;
use scenario::Test;

/// Side by side as long as two cores keep up.
const THREADS: usize = 4;

/// A list of tests with their names, which are sentences.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        /// The tests of this file.
        pub(crate) const TESTS: &[(&str, $crate::scenario::Test)] = &[$((stringify!($name), $name)),*];
    };
}
pub(crate) use tests;

fn main() -> ExitCode {
    sandbox::guard();
    stage::play_role();
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    scenario::remember_panics();
    let ground = Arc::new(Ground::default());
    let conclusion = libtest_mimic::run(&arguments, trials(&ground));
    // Statics and leaked values are not dropped; this one ends every process of the sandbox.
    drop(ground);
    conclusion.exit_code()
}

fn trials(ground: &Arc<Ground>) -> Vec<Trial> {
    let rooms: &[(&str, &[(&str, Test)])] = &[
        // Those that wait longest begin first, and the others are played beside them.
        ("idle", idle::TESTS),
        ("faults", faults::hang::TESTS),
        ("faults", faults::lists::TESTS),
        ("faults", faults::TESTS),
        ("faults", faults::helm::TESTS),
        ("faults", faults::intents::TESTS),
        ("crowd", crowd::TESTS),
        ("install", install::TESTS),
        ("upgrade", upgrade::TESTS),
        ("values", values::TESTS),
        ("remediation", remediation::TESTS),
        ("leftovers", leftovers::TESTS),
        ("reaction", reaction::TESTS),
        ("testing", testing::TESTS),
        ("history", history::TESTS),
        ("deletion", deletion::TESTS),
        ("accounts", accounts::TESTS),
        ("namespaces", namespaces::TESTS),
        ("dependencies", dependencies::TESTS),
        ("deployment", deployment::TESTS),
        ("ownership", ownership::TESTS),
        ("adopt", adopt::TESTS),
        ("drift", drift::TESTS),
        ("poison", poison::TESTS),
        ("admission", admission::TESTS),
        ("sources", sources::TESTS),
        ("charts", charts::TESTS),
        ("crash", crash::TESTS),
        ("stale", stale::TESTS),
        ("tenancy", tenancy::TESTS),
        ("definitions", definitions::TESTS),
        ("scope", scope::TESTS),
        ("budget", budget::TESTS),
        ("program", program::TESTS),
        ("explain", explain::TESTS),
        ("helm3", helm3::TESTS),
    ];
    let trial = |room: &str, &(name, test): &(&str, Test)| {
        let ground = Arc::clone(ground);
        let name = format!("{room}::{name}");
        let title = name.clone();
        Trial::ignorable_test(name, move || scenario::play(&ground, &title, test))
    };
    let scenarios = rooms.iter().flat_map(|(room, tests)| tests.iter().map(|test| trial(room, test)));
    scenarios.chain(contracts::trials(ground)).chain(crash::sample(ground)).collect()
}
