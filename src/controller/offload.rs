//! Work on some megabytes, which no pass and no request should wait for: records, manifests, values.

use std::panic::resume_unwind;

use futures::future::pending;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::spawn_blocking;

use crate::{
    cluster::RecordData,
    helm::{self, Payload, RecordError},
};

/// Runs it on a thread of its own. A panic goes on in who waits for it.
///
/// A runtime of one thread runs it in place: whoever has chosen one has a clock and an order of events of its own, and
/// the result of another thread would come in between at any moment.
pub(super) async fn offload<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return work();
    }
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime ends, and with it who waits.
            Err(_) => pending().await,
        },
    }
}

/// What is in a record.
pub(super) async fn decoded(record: &RecordData) -> Result<Payload, RecordError> {
    let bytes = record.bytes.clone();
    offload(move || helm::decode(&bytes)).await
}
