//! The runtime of the in-process servers and clients, so that the interface needs no runtime of its caller.

use std::future::Future;
use std::sync::{LazyLock, mpsc};

use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("sandbox")
        .enable_all()
        .build()
        .expect("a process that cannot start threads cannot run the sandbox either")
});

/// Runs a future in the background.
pub(crate) fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    RUNTIME.spawn(future)
}

/// Enters the runtime, which sockets need when they are registered.
pub(crate) fn enter() -> tokio::runtime::EnterGuard<'static> {
    RUNTIME.enter()
}

/// Runs a future and blocks the calling thread, also one of another runtime, until it is done.
pub(crate) fn wait<F>(future: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let (sender, receiver) = mpsc::sync_channel(1);
    spawn(async move {
        let _ = sender.send(future.await);
    });
    receiver.recv().expect("the task does not panic and the runtime is never shut down")
}
