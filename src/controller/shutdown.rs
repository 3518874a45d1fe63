//! The end in order: no new run, a bounded time for those that are under way, passes still running so that their
//! outcomes are recorded; then the loop stops.

use std::{sync::Arc, time::Duration};

use super::Context;

/// How often the drain looks whether the board is empty. Ends are recorded by passes, which nobody waits for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The last part of the drain: helm is told to end, and outcomes are still recorded.
const LAST_PART: Duration = Duration::from_secs(8);
/// After everything was ended: time to write down what came of it.
const RECORDING: Duration = Duration::from_secs(3);

/// Drains the board. Returns when nothing runs and everything that ended is recorded, or the time is over.
pub async fn drain(context: &Arc<Context>) {
    context.board.close();
    let all = context.settings.drain;
    let going_on = all.saturating_sub(LAST_PART);
    if empty_within(context, going_on).await {
        return;
    }
    tracing::info!(running = context.board.occupancy().running, "helm is told to end");
    context.board.halt(false);
    if empty_within(context, all.saturating_sub(going_on)).await {
        return;
    }
    tracing::warn!(running = context.board.occupancy().running, "helm is ended");
    context.board.halt(true);
    empty_within(context, RECORDING).await;
}

async fn empty_within(context: &Arc<Context>, limit: Duration) -> bool {
    let empty = async {
        loop {
            let occupancy = context.board.occupancy();
            if occupancy.running + occupancy.ended == 0 {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(limit, empty).await.is_ok()
}
