//! One pass over one object: gather, plan, render, write, act. No waiting in it, and no choices.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    Context,
    act::{self, Followed},
    gather::{Gathered, gather, key_of},
    write,
};
use crate::{
    api::HelmRelease,
    cluster::ClusterError,
    plan::{Plan, Wake, check, plan},
    release::release_key,
    status::render,
};

/// A pass that was put off comes back by itself after this long at the latest.
const NOT_YET: Duration = Duration::from_secs(2);

/// A pass could not be completed: it comes back soon.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PassError(#[from] pub ClusterError);

/// Brings a release one step nearer to what its object asks for. Returns how soon the next pass is due if nothing
/// changes, if ever.
pub async fn pass(object: Arc<HelmRelease>, context: Arc<Context>) -> Result<Option<Duration>, PassError> {
    loop {
        if let (Followed::Later, due) = step(&object, &context).await? {
            return Ok(due);
        }
    }
}

async fn step(object: &Arc<HelmRelease>, context: &Arc<Context>) -> Result<(Followed, Option<Duration>), PassError> {
    let key = key_of(object);
    // Milliseconds are what people read and what the wire carries without loss.
    let now = context.clock.now();
    let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    context.beat(now);
    // The scheduler may hand over an older one than the store has by now.
    let object = context.main.get(&key).unwrap_or_else(|| Arc::clone(object));
    if let Ok(release) = release_key(&object) {
        context.names(&key, &release);
    }
    let gathered = gather(context, &object, now);
    context.learn(&key);
    let Gathered::Snapshot(snapshot, desired) = gathered else {
        return Ok((Followed::Later, Some(NOT_YET)));
    };
    let plan = plan(&snapshot);
    debug_assert_eq!(check(&snapshot, &plan), Vec::<String>::new(), "{snapshot:?}\n{plan:?}");
    let rendered = render(object.status.as_ref(), &snapshot, &plan);
    context.census.count(&key, &rendered);
    let object = write::write(context, &key, object, &snapshot, &plan, rendered).await?;
    let followed = act::act(context, &key, &object, &snapshot, desired, &plan).await?;
    let look_at_pods = context.judge(&key, &snapshot, &plan);
    context.passed(&key);
    tracing::debug!(object = %key, action = ?plan.action, "a pass was made");
    Ok((followed, due(&plan, now).into_iter().chain(look_at_pods).min()))
}

fn due(plan: &Plan, now: Timestamp) -> Option<Duration> {
    match plan.wake {
        Wake::Never => None,
        Wake::At(moment) => Some(Duration::try_from(moment.duration_since(now)).unwrap_or(Duration::ZERO)),
    }
}
