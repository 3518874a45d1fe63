//! Plays one test: prepares its scenario, and tells a failure with the place and the objects.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering};

use libtest_mimic::{Completion, Failed};

use super::Scenario;
use crate::ground::{Ground, Land};

/// A story; it panics where it goes wrong.
pub(crate) type Test = fn(&Scenario<'_>);

/// The panic by which a story ends itself when something it needs is not there.
pub(crate) struct Skipped(pub(crate) String);

thread_local! {
    /// What the panic of this thread said, and where.
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Scenarios so far, which makes their names unique.
static COUNT: AtomicU32 = AtomicU32::new(1);

/// Keeps what panics say for the report of the test instead of printing it among the lines of other tests.
pub(crate) fn remember_panics() {
    panic::set_hook(Box::new(|info| {
        LAST_PANIC.with(|last| last.replace(info.to_string()));
    }));
}

/// Plays the story in a scenario of its own.
pub(crate) fn play(ground: &Ground, title: &str, test: impl Fn(&Scenario<'_>)) -> Result<Completion, Failed> {
    play_in(ground.land()?, namespace(title), test)
}

/// Plays the story in a scenario of that namespace.
pub(crate) fn play_in(land: &Land, namespace: String, test: impl Fn(&Scenario<'_>)) -> Result<Completion, Failed> {
    let scenario = Scenario::new(land, namespace)?;
    let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| test(&scenario))) else {
        return Ok(Completion::Completed);
    };
    if let Some(Skipped(reason)) = panic.downcast_ref() {
        return Ok(Completion::ignored_with(reason));
    }
    let said = LAST_PANIC.with(RefCell::take);
    Err(format!("{said}\n\n{}", scenario.describe()).into())
}

/// A namespace that tells the test, as short as a label.
fn namespace(title: &str) -> String {
    let room = title.split("::").next().unwrap_or_default();
    format!("{room}-{}", COUNT.fetch_add(1, Ordering::SeqCst))
}
