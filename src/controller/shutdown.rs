//! The end in order: no new run, a bounded time for those that are under way, passes still running so that their
//! outcomes are recorded; then the loop stops, and only then the lease is let go. And the end without leadership, in
//! which nothing is written any more.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout, timeout_at};

use super::Context;
use crate::cluster::Lost;

/// How often the drain looks whether the board is empty. Ends are recorded by passes, which nobody waits for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The last part of the drain: helm is told to end, and outcomes are still recorded.
const LAST_PART: Duration = Duration::from_secs(8);
/// After everything was ended: time to write down what came of it.
const RECORDING: Duration = Duration::from_secs(3);
/// From SIGKILL to the end of a process that is not stuck in the kernel.
const DYING: Duration = Duration::from_secs(2);
/// To let go of the lease: one request, and one more if the first had no answer.
const RELEASING: Duration = Duration::from_secs(5);

/// Drains the board. Returns when nothing runs and everything that ended is recorded, or the time is over.
pub async fn drain(context: &Arc<Context>) {
    context.board.close();
    let all = context.settings.drain;
    let going_on = all.saturating_sub(LAST_PART);
    if within(going_on, is_empty(context)).await {
        return;
    }
    tracing::info!(running = context.board.occupancy().running, "helm is told to end");
    context.board.halt(false);
    if within(all.saturating_sub(going_on), is_empty(context)).await {
        return;
    }
    tracing::warn!(running = context.board.occupancy().running, "helm is ended");
    context.board.halt(true);
    within(RECORDING, is_empty(context)).await;
}

/// Lets go of the lease, so that another operator need not wait for its end.
pub(super) async fn release(context: &Arc<Context>) {
    if !within(DYING, has_no_helm(context)).await {
        // It cannot be killed. Whoever comes next waits for the term, as after a crash.
        tracing::error!(helm = context.helm.processes().1, "helm is still there: the lease is not let go");
        return;
    }
    if !within(RELEASING, context.leadership.release()).await {
        tracing::warn!("the lease could not be let go");
    }
}

/// Ends all runs of an operator that does not lead any more. What came of them is found by whoever leads next, from
/// the intents.
pub(super) async fn abandon(context: &Arc<Context>, lost: Lost) {
    context.board.close();
    let running = context.board.occupancy().running;
    if lost == Lost::Expired && running > 0 {
        tracing::warn!(running, "helm is told to end, as leadership is lost");
        context.board.halt(false);
        let _ = timeout_at(context.leadership.run_until(), has_no_helm(context)).await;
    }
    context.board.halt(true);
    within(DYING, has_no_helm(context)).await;
}

async fn is_empty(context: &Arc<Context>) {
    loop {
        let occupancy = context.board.occupancy();
        if occupancy.running + occupancy.ended == 0 {
            return;
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn has_no_helm(context: &Arc<Context>) {
    while context.helm.processes().1 > 0 {
        sleep(LOOK_EVERY).await;
    }
}

async fn within(limit: Duration, end: impl Future<Output = ()>) -> bool {
    timeout(limit, end).await.is_ok()
}
