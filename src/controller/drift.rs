//! Compares the objects of good releases with what their manifests state, as the identity of the release: once when a
//! release was found good, and whenever somebody has changed an object since.
//!
//! What is kept of each object is the state in which it was compared. The watches tell that state too, so a change is
//! known without a request, and what a read has seen already is not compared again when its watch comes to tell of it.

mod kept;

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

pub use kept::Drifts;
use kept::Task;

use super::{Context, operate::identity};
use crate::{
    cluster::{self, ClusterError, Compared},
    helm,
    release::{
        Claim, Desired, DriftMode, DriftView, IgnoreRule, Member, Memory, Records, Snapshot, View, digest_of_rules,
    },
    types::{ObjectKey, ReleaseKey},
};

/// Releases that are compared at the same time. After a start of the operator all of them are due at once; more would
/// take the API server's places from what somebody waits for.
const COMPARISONS_MAX: usize = 4;
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
    let may_be_gone = |member: &Member| memory.may_be_gone(member, records.is());
    let Some(prints) = context.live.prints(&inventory.members, may_be_gone) else { return DriftView::Unseen };
    let basis = (inventory.revision, digest_of_rules(&desired.drift_ignore));
    context.drifts.look(&release, basis, &inventory.members, &prints, now)
}

/// Starts to compare the objects that have to be, unless that is under way.
pub(super) fn detect(context: &Arc<Context>, key: &ObjectKey, desired: Option<Box<Desired>>, snapshot: &Snapshot) {
    let (Some(desired), Some(inventory)) = (desired, &snapshot.memory.inventory) else { return };
    let release = desired.policy.key();
    let may_be_gone = |member: &Member| snapshot.memory.may_be_gone(member, snapshot.records.is());
    let Some(prints) = context.live.prints(&inventory.members, may_be_gone) else { return };
    let Some(task) = context.drifts.begin(&release, &inventory.members, &prints, snapshot.now) else { return };
    let may_be_gone: HashSet<Member> = task.members.iter().filter(|member| may_be_gone(member)).cloned().collect();
    tracing::debug!(object = %key, %release, revision = task.revision, objects = ?task.members, "objects are compared");
    let (context, key) = (Arc::clone(context), key.clone());
    let tracker = context.tasks.clone();
    tracker.spawn(async move {
        let slot = context.drifts.slots.acquire().await;
        let ended = compare(&context, &key, &desired, &task, &may_be_gone).await;
        drop(slot);
        let result = match &ended {
            Ok(found) => kept::result(found),
            Err((_, error)) => {
                tracing::info!(object = %key, %release, reason = error.reason(), "objects cannot be compared yet");
                "error"
            }
        };
        context.metrics.comparisons.with_label_values(&[result]).inc();
        let (found, failed) = match ended {
            Ok(found) => (found, false),
            Err((found, _)) => (found, true),
        };
        context.drifts.end(&release, task, found, failed, context.clock.now());
        context.wake(&key);
    });
}

/// What was found of each object, in the order of the task. What was found before an error counts all the same.
async fn compare(
    context: &Context,
    key: &ObjectKey,
    desired: &Desired,
    task: &Task,
    may_be_gone: &HashSet<Member>,
) -> Result<Vec<Compared>, (Vec<Compared>, ClusterError)> {
    let failed = |error| (Vec::new(), error);
    let release = desired.policy.key();
    let requests = context.requests_as(&identity(key, desired.service_account.as_deref(), context)).map_err(failed)?;
    let record = match requests.read_record_data(&release, task.revision).await {
        Ok(Some(record)) => record,
        Ok(None) => return Err(failed(ClusterError::NotFound("the record is gone".into()))),
        Err(ClusterError::Forbidden(_)) => return Ok(task.refused("its record may not be read")),
        Err(error) => return Err(failed(error)),
    };
    let stated = stated(context, &release, task, record.bytes).await.map_err(failed)?;
    let Some(stated) = stated else { return Ok(task.refused("its record cannot be read")) };
    let rules: &[IgnoreRule] = &desired.drift_ignore;
    let mut found = Vec::new();
    for (member, stated) in task.members.iter().zip(&stated) {
        let Some(stated) = stated else {
            // A name that is generated, or a kind that another manifest version names: there is nothing to compare with.
            found.push(Compared::MayBeGone);
            continue;
        };
        match cluster::compare(&requests, (member, may_be_gone.contains(member)), stated, rules).await {
            Ok(compared) => found.push(compared),
            Err(error) => return Err((found, error)),
        }
    }
    Ok(found)
}

/// What the record states of each object of the task; `None` where it cannot be read.
async fn stated(
    context: &Context,
    release: &ReleaseKey,
    task: &Task,
    record: Vec<u8>,
) -> Result<Option<Vec<Option<Value>>>, ClusterError> {
    let names: HashSet<(Box<str>, Box<str>)> =
        task.members.iter().map(|member| (member.kind.clone(), member.name.clone())).collect();
    let of = release.clone();
    // Some megabytes of YAML, which no pass should wait for.
    let read = tokio::task::spawn_blocking(move || {
        helm::declared(&record, &of, |kind, name| names.contains(&(kind.into(), name.into())))
    });
    let Ok(Ok(objects)) = read.await else { return Ok(None) };
    let mut stated: Vec<Option<Value>> = vec![None; task.members.len()];
    for declared in objects {
        let namespaced = context.is_namespaced(&declared.object.api_version, &declared.object.kind).await?;
        let member: Member = declared.object.member(namespaced, &release.namespace);
        if let Some(place) = task.members.iter().position(|one| *one == member) {
            let mut object = declared.content;
            if namespaced && let Some(metadata) = object.get_mut("metadata").and_then(|found| found.as_object_mut()) {
                metadata.insert("namespace".to_owned(), (&*member.namespace).into());
            }
            stated[place] = Some(object);
        }
    }
    Ok(Some(stated))
}
