//! What there is after helm's end: the record that it wrote, the objects of the revision, and what an uninstall left.

use futures::{StreamExt as _, TryStreamExt as _, future::ready, stream};

use super::{
    Context,
    leftovers::is_of,
    offload::{decoded, offload},
    operate::Attempt,
    persistently, rights,
    sight::{READS_AT_ONCE, Sight},
    spoilt, verdicts,
};
use crate::{
    api::{INVENTORY_MAX, OperationKind},
    cluster::{ClusterError, RecordData},
    health::has_health,
    helm::{self, Hook, HookPhase},
    release::{
        Ended, FailureClass, ForeignAction, Health, Identity, Member, Operation, Outcome, OwnerId, Payload, Record,
        Records, Why, record_name,
    },
    types::{Duration, ReleaseKey},
};

/// Reads what there is after helm's end.
pub(super) async fn look(context: &Context, attempt: &Attempt, before: Records, ended: Ended) -> Outcome {
    let outcome = Outcome {
        operation: attempt.operation.id.clone(),
        ended,
        waited: Duration::ZERO,
        records: None,
        payload: None,
        awaited: None,
        left_over: None,
        definitions: Box::default(),
        tests: None,
    };
    // helm was run as the same identity, so this does not fail.
    match Sight::of(context, &attempt.key, attempt.service_account.as_deref()) {
        Ok(sight) => look_as(context, attempt, &sight, before, outcome).await,
        Err(error) => {
            tracing::warn!(object = %attempt.key, %error, "what helm left behind cannot be looked at");
            Outcome { records: context.read_records_again(&attempt.policy.key()).await.ok(), ..outcome }
        }
    }
}

async fn look_as(context: &Context, attempt: &Attempt, sight: &Sight, before: Records, outcome: Outcome) -> Outcome {
    let release = attempt.policy.key();
    let Operation { kind, revision, .. } = &attempt.operation;
    if *kind == OperationKind::Uninstall {
        let records = context.read_records_again(&release).await.ok();
        let left_over = left_over(sight, &release, &attempt.members).await.ok();
        return Outcome { records, left_over, ..outcome };
    }
    // helm writes one new record, so reading that one tells everything, and with its payload. Where it is not there,
    // the list says what is.
    let written = persistently(|| context.requests.read_record_data(&release, *revision)).await;
    let Ok(Some(written)) = written else {
        let records = context.read_records_again(&release).await.ok();
        let ended = match records.as_ref().and_then(Records::newest) {
            Some(newest) => spoilt::explained(context, &release, newest.revision, outcome.ended).await,
            None => outcome.ended,
        };
        return Outcome { ended, records, ..outcome };
    };
    if written.record.is_none() && spoilt::may_be_told_by(&outcome.ended) {
        let ended = Ended::Failed(spoilt::in_the_way(&release, *revision));
        return Outcome { ended, records: context.read_records_again(&release).await.ok(), ..outcome };
    }
    let tests = match kind {
        OperationKind::Test => verdicts::look(sight, &attempt.policy, &written).await,
        OperationKind::Install | OperationKind::Upgrade | OperationKind::Rollback | OperationKind::Uninstall => None,
    };
    let payload = payload(context, &release, *revision, &written).await.ok();
    let mut records: Vec<Record> = before.iter().filter(|record| record.revision != *revision).cloned().collect();
    if let Some(versioned) = &written.record {
        context.records.observe_record(&release, versioned.clone());
        records.push(versioned.record.clone());
    }
    let records = Records::new(records);
    prune(context, attempt, &records).await;
    // Without its objects as they are now, the revision is not to be judged: the planner asks for them again.
    let payload = match payload {
        Some(payload) => brought_into_view(context, sight, &release, payload).await.ok(),
        None => None,
    };
    let late = payload.as_ref().filter(|_| ran_out_of_time(&outcome.ended));
    let awaited = match late {
        Some(payload) => awaited(context, &written, payload).await.map(Box::new),
        None => None,
    };
    if let Some(payload) = &payload {
        context.payloads.put(&release, payload.clone(), written.version());
    }
    Outcome { records: Some(records), payload: payload.map(Box::new), awaited, tests, ..outcome }
}

fn ran_out_of_time(ended: &Ended) -> bool {
    match ended {
        Ended::TimedOut => true,
        Ended::Failed(failure) => failure.class == FailureClass::NotReady,
        Ended::Succeeded | Ended::Cancelled | Ended::Killed { .. } | Ended::NotStarted(_) => false,
    }
}

/// What a run whose time ran out waited for, if that was the release: a hook, by the record, or the objects. Where an
/// object is not there at all helm has not come to wait for any.
async fn awaited(context: &Context, written: &RecordData, payload: &Payload) -> Option<Why> {
    let decoded = decoded(written).await.ok()?;
    let begun = |hook: &&Hook| !hook.is_test() && matches!(hook.phase, HookPhase::Running | HookPhase::Failed);
    if let Some(hook) = decoded.hooks.iter().find(begun) {
        return Some(Why::own(format!("hook {} {} did not end", hook.kind, hook.name)));
    }
    let view = context.live.health_of(&payload.members, |member| payload.short_lived.contains(member));
    let told = |member: &Member, why: &Why| Why { fault: why.fault, text: format!("{member}: {}", why.text).into() };
    match &view.health {
        Health::Failed { member, why } => Some(told(member, why)),
        Health::Progressing { member, why } if view.missing.is_none() => Some(told(member, why)),
        Health::Progressing { .. } | Health::Healthy | Health::Unknown { .. } => None,
    }
}

/// Deletes what helm leaves of tries that failed again and again: installs have no limit of its own, and a rollback
/// makes room back to its target.
async fn prune(context: &Context, attempt: &Attempt, records: &Records) {
    let release = attempt.policy.key();
    for revision in records.surplus(attempt.policy.max_history, &OwnerId::of(&attempt.key)) {
        if let Err(error) = context.requests.delete_record(&release, revision).await {
            tracing::warn!(%release, revision, %error, "an old record cannot be deleted");
            return;
        }
    }
}

/// Objects that are still there after an uninstall, and on their way out: helm has deleted them, or still says that
/// they are the release's. What another release has taken over, or somebody has made anew, is passed by by helm as well
/// (from 4.3 on, with exit code 0), and would be waited for for ever.
async fn left_over(sight: &Sight, release: &ReleaseKey, members: &[Member]) -> Result<Vec<Member>, ClusterError> {
    let mut left = Vec::new();
    for member in members {
        match persistently(|| sight.read(member)).await {
            Ok(Some(object)) if !keeps(&object) && (is_of(&object, release) || is_leaving(&object)) => {
                left.push(member.clone());
            }
            Err(error) if error.is_transient() => return Err(error),
            // What may not be read is not known to be there: it must not hold the object for ever.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(left)
}

/// Those of the objects that are deleted and still there. Somebody else removed the release, or nobody heard the end of
/// ours: what merely is there may be kept, or another's by now, and is not waited for.
pub(super) async fn leaving(
    context: &Context,
    sight: &Sight,
    release: &ReleaseKey,
    members: Vec<Member>,
) -> Result<Vec<Member>, ClusterError> {
    context.live.want(release, &members, context.clock.now());
    let looks = stream::iter(members).map(|member| async move {
        match persistently(|| sight.read(&member)).await {
            // A watch that is late may not have heard of it at all.
            Ok(Some(object)) if is_leaving(&object) => {
                context.live.observe(&object);
                Ok(Some(member))
            }
            Err(error) if error.is_transient() => Err(error),
            // As after a removal of ours: what may not be read must not hold the release for ever.
            Ok(_) | Err(_) => Ok(None),
        }
    });
    looks.buffered(READS_AT_ONCE).try_filter_map(|found| ready(Ok(found))).try_collect().await
}

fn is_leaving(object: &serde_json::Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

/// `helm.sh/resource-policy: keep`: helm leaves it, and so does the wait for the end.
pub(super) fn keeps(object: &serde_json::Value) -> bool {
    let policy = object.pointer("/metadata/annotations/helm.sh~1resource-policy");
    policy.and_then(serde_json::Value::as_str).is_some_and(|policy| policy.trim().eq_ignore_ascii_case("keep"))
}

/// Watches the members, and reads those with a health of their own once: a watch may lag behind helm's end. All of them
/// that are judged are read, so that no verdict rests on a view from before that; see [`payload`] for which those are.
async fn observe(context: &Context, release: &ReleaseKey, members: &[Member]) -> Result<(), ClusterError> {
    context.live.want(release, members, context.clock.now());
    let judged = members.iter().take(INVENTORY_MAX).filter(|member| needs_reading(member)).map(Ok);
    stream::iter(judged)
        .try_for_each_concurrent(READS_AT_ONCE, |member| async move {
            match persistently(|| context.requests.read_member(member)).await {
                Ok(Some(object)) => context.live.observe(&object),
                Err(error) if error.is_transient() => return Err(error),
                // What may not be read may not be watched either, and the index says so.
                Ok(None) | Err(_) => {}
            }
            Ok(())
        })
        .await
}

/// Whether a view from before helm's end could take the old state of an object for the new one. What has no health, and
/// what is good as soon as it is there, cannot be mistaken that way.
fn needs_reading(member: &Member) -> bool {
    let simple =
        &*member.api_version == "v1" && matches!(&*member.kind, "Service" | "PersistentVolumeClaim" | "Namespace");
    !simple && has_health(&member.api_version, &member.kind)
}

/// What the record of a revision tells beyond its labels, with its objects in view as they are now; and the version of
/// the record.
pub(super) async fn read_payload(
    context: &Context,
    sight: &Sight,
    release: &ReleaseKey,
    revision: u32,
) -> Result<(Payload, u64), ClusterError> {
    let record = context.requests.read_record_data(release, revision).await;
    let record = record.map_err(|error| rights::to_read_records(error, &Identity::Own, release))?;
    let record = record.ok_or_else(|| ClusterError::NotFound(record_name(&release.name, revision).into()))?;
    Ok((payload_in_view(context, sight, release, revision, &record).await?, record.version()))
}

/// The same for a record that was read already.
pub(super) async fn payload_in_view(
    context: &Context,
    sight: &Sight,
    release: &ReleaseKey,
    revision: u32,
    record: &RecordData,
) -> Result<Payload, ClusterError> {
    let payload = payload(context, release, revision, record).await?;
    brought_into_view(context, sight, release, payload).await
}

/// What a record told, with those of its objects that are in reach, and these in view as they are now.
async fn brought_into_view(
    context: &Context,
    sight: &Sight,
    release: &ReleaseKey,
    payload: Payload,
) -> Result<Payload, ClusterError> {
    let members = sight.reach(payload.members).await?;
    observe(context, release, &members).await?;
    Ok(Payload { members, ..payload })
}

/// The objects of a revision, in reach or not; `None` when its record is gone or cannot be read.
pub(super) async fn members(
    context: &Context,
    release: &ReleaseKey,
    revision: u32,
) -> Result<Option<Vec<Member>>, ClusterError> {
    let Some(record) = context.requests.read_record_data(release, revision).await? else { return Ok(None) };
    let payload = payload(context, release, revision, &record).await?;
    Ok((payload.action != ForeignAction::Unreadable).then_some(payload.members))
}

pub(super) async fn payload(
    context: &Context,
    release: &ReleaseKey,
    revision: u32,
    record: &RecordData,
) -> Result<Payload, ClusterError> {
    let bytes = record.bytes.clone();
    let read = offload(move || {
        let decoded = helm::decode(&bytes).map_err(|error| error.to_string())?;
        let objects = helm::manifest_objects(&decoded.manifest).map_err(|error| error.to_string())?;
        Ok::<_, String>((decoded, objects))
    });
    let (decoded, objects) = match read.await {
        Ok(read) => read,
        Err(error) => {
            context.metrics.malformed_payloads.inc();
            tracing::warn!(%release, revision, %error, "a record cannot be read");
            return Ok(Payload::unreadable(revision));
        }
    };
    let (mut members, mut short_lived) = (Vec::with_capacity(objects.len()), Vec::new());
    for object in &objects {
        let namespaced = context.is_namespaced(&object.api_version, &object.kind).await?;
        let member = object.member(namespaced, &release.namespace);
        short_lived.extend(object.short_lived.then(|| member.clone()));
        members.push(member);
    }
    // The inventory has no room for all of them: what can be bad is judged before what cannot.
    if members.len() > INVENTORY_MAX {
        members.sort_by_key(|member| !has_health(&member.api_version, &member.kind));
    }
    Ok(Payload {
        revision,
        action: helm::foreign_action(&decoded),
        chart: decoded.chart_name.clone(),
        version: decoded.chart_version.clone(),
        app_version: decoded.app_version.clone(),
        members,
        short_lived,
        comparison: None,
    })
}
