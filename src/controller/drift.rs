//! Compares the objects of good releases with what their manifests state, as the identity of the release: once when a
//! release was found good, and whenever somebody has changed an object since.
//!
//! What is kept of each object is the state in which it was compared. The watches tell that state too, so a change is
//! known without a request, and what a read has seen already is not compared again when its watch comes to tell of it.

mod kept;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{error::Elapsed, timeout};

pub use kept::Drifts;
use kept::Task;

use super::{Context, Defect, guarded, offload::offload, operate::identity};
use crate::{
    cluster::{self, Asked, ClusterError, ComparedObject, LivePrint, Refusal},
    helm,
    release::{Claim, Desired, DriftMode, DriftView, Member, Memory, Records, Snapshot, View, digest_of_rules},
    types::{ObjectKey, ReleaseKey},
};

/// Releases that are compared at the same time. After a start of the operator all of them are due at once; more would
/// take the API server's places from what somebody waits for.
const COMPARISONS_MAX: usize = 4;
/// Objects of one release that are asked for at the same time: so one slow answer does not hold the others up, and all
/// comparisons together still make no more than sixteen requests at once.
const OBJECTS_AT_ONCE: usize = 4;
/// For the comparison of one release, waiting for its turn not counted. Two requests for each object are milliseconds;
/// where they are seconds, what is left over is the first of the next time, and other releases have their turn before.
const COMPARISON_DEADLINE: Duration = Duration::from_secs(60);
/// Between the end of a comparison and the next one of the same release, at least; and what it grows to where each one
/// is wanted as soon as it may be.
const PAUSE_FIRST: Duration = Duration::from_secs(2);
const PAUSE_LONGEST: Duration = Duration::from_secs(300);

/// What is known of drift, for a snapshot. Where nobody wants to know, nothing is kept; whoever does not own the release
/// has no say in it.
pub(super) fn look(
    context: &Context,
    desired: Option<&Desired>,
    claim: &Claim,
    memory: &Memory,
    records: &View<Records>,
    now: Timestamp,
) -> DriftView {
    let Some(desired) = desired.filter(|_| *claim == Claim::Ours) else { return DriftView::Unseen };
    let release = desired.policy.key();
    let wanted = desired.policy.drift != DriftMode::Off;
    context.live.attend(&release, wanted);
    if !wanted {
        context.drifts.forget(&release);
        return DriftView::Unseen;
    }
    let newest = records.is().and_then(Records::newest).filter(|newest| newest.is_verified());
    let inventory = memory.inventory.as_ref();
    let inventory = inventory.filter(|found| newest.is_some_and(|newest| newest.revision == found.revision));
    let Some(inventory) = inventory else { return DriftView::Unseen };
    let Some(prints) = context.live.prints(&inventory.members) else { return DriftView::Unseen };
    let basis = (inventory.revision, digest_of_rules(&desired.drift_ignore));
    context.drifts.look(&release, basis, &inventory.members, &prints, now)
}

/// Starts to compare the objects that have to be, unless that is under way.
pub(super) fn detect(context: &Arc<Context>, key: &ObjectKey, desired: Option<Box<Desired>>, snapshot: &Snapshot) {
    let (Some(desired), Some(inventory)) = (desired, &snapshot.memory.inventory) else { return };
    let release = desired.policy.key();
    let Some(prints) = context.live.prints(&inventory.members) else { return };
    let Some(task) = context.drifts.begin(&release, &inventory.members, &prints, snapshot.now) else { return };
    let records = snapshot.records.is();
    let may_be_gone = inventory
        .members
        .iter()
        .zip(&prints)
        .filter(|(member, print)| **print == LivePrint::Finished || snapshot.memory.may_be_gone(member, records));
    let may_be_gone: HashSet<Member> = may_be_gone.map(|(member, _)| member.clone()).collect();
    tracing::debug!(object = %key, %release, revision = task.revision, objects = ?task.members, "objects are compared");
    let (context, key) = (Arc::clone(context), key.clone());
    let tracker = context.tasks.clone();
    tracker.spawn(async move { run(&context, &key, &desired, task, &may_be_gone).await });
}

/// Why a comparison did not come as far as all objects.
#[derive(Debug, thiserror::Error)]
enum Unfinished {
    #[error("{}", .0.why)]
    Refused(Refusal),
    #[error("there was no time for it within {} s", COMPARISON_DEADLINE.as_secs())]
    NoTime(#[from] Elapsed),
    #[error(transparent)]
    Defect(#[from] Defect),
}

impl From<Refusal> for Unfinished {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Compares when it is its turn, and keeps what was found.
async fn run(context: &Context, key: &ObjectKey, desired: &Desired, mut task: Task, may_be_gone: &HashSet<Member>) {
    let release = desired.policy.key();
    let slot = context.drifts.slots.acquire().await;
    let ended = compare_in_time(context, key, desired, &mut task, may_be_gone).await;
    drop(slot);
    if let Err(unfinished) = ended {
        let why = unfinished.to_string();
        match unfinished {
            Unfinished::Defect(_) => {
                tracing::error!(object = %key, %release, why, "objects cannot be compared");
                task.refuse(Refusal::lasting(why));
            }
            Unfinished::NoTime(_) => task.refuse(Refusal::passing(why)),
            Unfinished::Refused(refusal) => {
                tracing::info!(object = %key, %release, why, "objects cannot be compared yet");
                // What passes is tried again soon, and is not worth a word in status.
                if !refusal.passes {
                    task.refuse(refusal);
                }
            }
        }
    }
    context.metrics.comparisons.with_label_values(&[task.result()]).inc();
    context.drifts.end(&release, task, context.clock.now());
    context.wake(key);
}

/// Ends in time, and also where the comparison panics: while a task is not told to have ended, its release is not
/// compared again.
async fn compare_in_time(
    context: &Context,
    key: &ObjectKey,
    desired: &Desired,
    task: &mut Task,
    may_be_gone: &HashSet<Member>,
) -> Result<(), Unfinished> {
    let compared = timeout(COMPARISON_DEADLINE, compare(context, key, desired, task, may_be_gone));
    Ok(guarded(compared).await???)
}

/// Puts into the task what is found of each object. A refusal is one of all of them.
async fn compare(
    context: &Context,
    key: &ObjectKey,
    desired: &Desired,
    task: &mut Task,
    may_be_gone: &HashSet<Member>,
) -> Result<(), Refusal> {
    let release = desired.policy.key();
    let refused = |error: ClusterError| Refusal::of(&error, Asked::Record(&release));
    let requests = context.requests_as(&identity(key, desired.service_account.as_deref(), context));
    let requests = requests.map_err(|error| match error {
        // In our own words.
        ClusterError::Forbidden(why) => Refusal::lasting(why),
        error => refused(error),
    })?;
    let record = requests.read_record_data(&release, task.revision).await.map_err(refused)?;
    let record = record.ok_or_else(|| Refusal::lasting("the record of the release is gone"))?;
    let members = task.members.clone();
    let stated = offload(move || stated(&record.bytes, &release, &members)).await;
    let stated =
        stated.map_err(|error| Refusal::lasting(format!("the record of the release cannot be read: {error}")))?;
    let Task { members, found, .. } = task;
    let (requests, rules) = (&requests, &*desired.drift_ignore);
    let looks = members.iter().zip(stated).zip(found).map(|((member, stated), found)| async move {
        let compared = match stated {
            Some(stated) => cluster::compare(requests, (member, may_be_gone.contains(member)), &stated, rules).await,
            // A name that is generated, or a kind that another manifest version names: there is nothing to compare with.
            None => ComparedObject::MayBeGone,
        };
        *found = Some(compared);
    });
    let looks: Vec<_> = looks.collect();
    stream::iter(looks).buffer_unordered(OBJECTS_AT_ONCE).collect::<()>().await;
    Ok(())
}

/// What a record states of each of these objects. Whether a kind lives in namespaces is told by the members.
fn stated(record: &[u8], release: &ReleaseKey, members: &[Member]) -> Result<Vec<Option<Value>>, helm::DeclaredError> {
    let names: HashSet<(&str, &str)> = members.iter().map(|member| (&*member.kind, &*member.name)).collect();
    let mut stated: Vec<Option<Value>> = vec![None; members.len()];
    for declared in helm::declared(record, release, |kind, name| names.contains(&(kind, name)))? {
        let Some(at) = members.iter().position(|member| declared.is(member, release)) else { continue };
        let mut object = declared.content;
        let namespace = &*members[at].namespace;
        let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
        if let Some(metadata) = metadata.filter(|_| !namespace.is_empty()) {
            metadata.insert("namespace".to_owned(), namespace.into());
        }
        stated[at] = Some(object);
    }
    Ok(stated)
}
