//! One look at one release, for a person: gathers as a pass does, plans, and does nothing.

use std::time::Duration;

use super::{
    gather::{Gathered, gather},
    run::{Assembled, watch_only},
};
use crate::{
    plan::{Plan, plan},
    release::{Snapshot, View},
    types::ObjectKey,
};

/// How long the first lists may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks whether they are complete.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error("there is no HelmRelease {0}; check name and --namespace")]
    NoObject(ObjectKey),
    #[error("HelmRelease {key} cannot be read: {error}")]
    Malformed { key: ObjectKey, error: Box<str> },
    #[error("HelmReleases cannot be watched: {0}")]
    Refused(Box<str>),
    #[error("the API server did not tell everything within {}s", PATIENCE.as_secs())]
    TooLong,
}

/// What the operator would decide now, and from what.
pub async fn look(assembled: &Assembled, key: &ObjectKey) -> Result<(Box<Snapshot>, Plan), LookError> {
    let context = assembled.context();
    let tasks = watch_only(context);
    let looked = tokio::time::timeout(PATIENCE, async {
        loop {
            match context.main.standing() {
                View::Refused(why) => return Err(LookError::Refused(why)),
                View::Pending => {}
                View::Is(()) => {
                    if let Some(object) = context.main.get(key) {
                        let gathered = gather(context, &object, context.clock.now());
                        context.learn(key);
                        if let Gathered::Snapshot(snapshot, _) = gathered {
                            let plan = plan(&snapshot);
                            return Ok((snapshot, plan));
                        }
                    } else if let Some(malformed) = context.main.malformed(key) {
                        return Err(LookError::Malformed { key: key.clone(), error: malformed.error });
                    } else {
                        return Err(LookError::NoObject(key.clone()));
                    }
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })
    .await;
    drop(tasks);
    looked.unwrap_or(Err(LookError::TooLong))
}
