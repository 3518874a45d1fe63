//! The life of the component processes: nothing of them outlives the process that holds the sandbox.
//!
//! Three processes take part. The **holder** (a test harness, the demo) re-executes itself as a **guardian** in a
//! session of its own, so that Ctrl-C on the terminal reaches the holder alone. The guardian starts every component
//! through a **leash**, again the same executable, which ties the component to the guardian by the kernel's
//! parent-death signal and then becomes the component. When the holder ends, however it ends, the guardian reads the
//! end of its standard input, ends the components and removes their directory; when the guardian itself is killed,
//! the leashes hold.

mod guardian;
mod holder;
mod leash;

use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use holder::{Guardian, Process};
pub(crate) use leash::leashed;

/// The first argument that turns a harness into a guardian or a leash; no harness takes it for its own.
const ROLE: &str = "__sandbox-role";

static GUARDED: AtomicBool = AtomicBool::new(false);

/// Plays the guardian or the leash when this process was started as one, and returns at once otherwise.
///
/// Every harness that starts a [`crate::Sandbox`] calls it before anything else in `main`, while the process has one
/// thread: the parent-death signal follows the thread that starts a component.
pub fn guard() {
    GUARDED.store(true, Ordering::SeqCst);
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if arguments.first().is_none_or(|first| first != ROLE) {
        return;
    }
    let code = match arguments.get(1).and_then(|role| role.to_str()) {
        Some("guardian") => guardian::run(&arguments[2..]),
        Some("leash") => leash::run(&arguments[2..]),
        _ => 64,
    };
    std::process::exit(code);
}

/// Tells whether `guard` was called, without which a re-execution would run the harness again.
pub(crate) fn guarded() -> bool {
    GUARDED.load(Ordering::SeqCst)
}
