//! Takes over a release of somebody else: compares its newest record with what is declared, and labels it.
//!
//! Both as the identity of the release. Who may not read a record learns nothing of it, and who may not write one takes
//! nothing over.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{Context, aftermath, inputs::Prepared, operate::identity, prepare, sight::Sight};
use crate::{
    cluster::{ClusterError, RecordData, Requests},
    helm,
    release::{
        Compared, Comparison, Desired, Difference, ForeignAction, LABEL_ADOPTED, LABEL_DIGEST, LABEL_OWNER,
        LABEL_REVISION, OwnerId, Payload, digest_of_values,
    },
    types::{ObjectKey, ReleaseDigest},
};

/// When a comparison that could not be made is made again: what it needs (a chart that was in the store a moment ago, a
/// record, the API server) is missing for a while, and nobody tells when it is back.
const COMPARE_AGAIN: Duration = Duration::from_secs(10);

/// Starts to compare a revision with what is declared, unless that is under way.
pub(super) fn compare(context: &Arc<Context>, key: &ObjectKey, desired: Option<Box<Desired>>, revision: u32) {
    let Some(desired) = desired else { return };
    let release = desired.policy.key();
    if !context.payloads.begin(&release, revision) {
        return;
    }
    let (context, key) = (Arc::clone(context), key.clone());
    let tracker = context.tasks.clone();
    tracker.spawn(async move {
        match look(&context, &key, &desired, revision).await {
            Ok(Some((payload, version))) => context.payloads.put(&release, payload, version),
            Ok(None) => context.payloads.give_up(&release),
            Err(why) => {
                tracing::warn!(object = %key, %release, revision, %why, "a release of somebody else cannot be compared yet");
                tokio::time::sleep(COMPARE_AGAIN).await;
                context.payloads.give_up(&release);
            }
        }
        context.wake(&key);
    });
}

/// What the record tells, with the comparison and the version of the record; `None` where it is not there any more.
async fn look(
    context: &Context,
    key: &ObjectKey,
    desired: &Desired,
    revision: u32,
) -> Result<Option<(Payload, u64)>, Box<str>> {
    let said = |error: &dyn std::error::Error| error.to_string().into();
    let release = desired.policy.key();
    let prepared = prepare::at_hand(context, key, desired, context.inputs.prepared(key)).await;
    let prepared = prepared.map_err(|found| found.message)?;
    let digest = prepared.inputs.digest.clone();
    let record = as_release(context, key, desired).map_err(|error| said(&error))?;
    let record = match record.read_record_data(&release, revision).await {
        Ok(Some(record)) => record,
        Ok(None) => {
            context.read_records(&release).await.map_err(|error| said(&error))?;
            return Ok(None);
        }
        Err(ClusterError::Forbidden(why)) => {
            return Ok(Some((refused(context, revision, digest, &why), 0)));
        }
        Err(error) => return Err(said(&error)),
    };
    let sight = Sight::of(context, key, desired.service_account.as_deref()).map_err(|error| said(&error))?;
    let payload = aftermath::payload_in_view(context, &sight, &release, revision, &record).await;
    let payload = payload.map_err(|error| said(&error))?;
    let (resource_version, version) = (record.resource_version.clone(), record.version());
    let result = match payload.action {
        ForeignAction::Unreadable => Compared::Differs(Vec::new()),
        ForeignAction::Upgrade | ForeignAction::Rollback { .. } => compared(context, &prepared, record).await?,
    };
    let comparison = Some(Box::new(Comparison { digest, resource_version, result }));
    Ok(Some((Payload { comparison, ..payload }, version)))
}

fn as_release(context: &Context, key: &ObjectKey, desired: &Desired) -> Result<Requests, ClusterError> {
    context.requests_as(&identity(key, desired.service_account.as_deref(), context))
}

fn refused(context: &Context, revision: u32, digest: ReleaseDigest, why: &str) -> Payload {
    let result = Compared::Refused { why: why.into(), at: context.clock.now() };
    let comparison = Some(Box::new(Comparison { digest, resource_version: "".into(), result }));
    // Nothing is known of it, and above all not that it is damaged.
    Payload { action: ForeignAction::Upgrade, comparison, ..Payload::unreadable(revision) }
}

async fn compared(context: &Context, prepared: &Prepared, record: RecordData) -> Result<Compared, Box<str>> {
    // An object that is gone has left it: its digest tells more than the record, which has no subcharts.
    let left = record.record.as_ref().map(|found| &found.record);
    if left
        .is_some_and(|left| left.stamp == Some(left.revision) && left.digest.as_ref() == Some(&prepared.inputs.digest))
    {
        return Ok(Compared::Equal);
    }
    let chart = context.charts.content(&prepared.chart).await.map_err(|error| error.to_string())?;
    let values: Value = serde_json::from_slice(prepared.values.expose()).map_err(|_| "the values are not JSON")?;
    // Some megabytes of JSON, which no pass should wait for.
    let read = tokio::task::spawn_blocking(move || helm::content(&record.bytes));
    let Ok(found) = read.await.map_err(|_| "the record was not read to the end")? else {
        return Ok(Compared::Differs(vec![Difference::Chart]));
    };
    let mut differs = chart.differences(&found.chart);
    if found.values != digest_of_values(&values) {
        differs.push(Difference::Values);
    }
    Ok(if differs.is_empty() { Compared::Equal } else { Compared::Differs(differs) })
}

/// Makes the object the owner of a revision, if that is still the newest, and what it was when it was compared.
pub(super) async fn adopt(
    context: &Context,
    key: &ObjectKey,
    desired: Option<Box<Desired>>,
    (revision, resource_version): (u32, &str),
    digest: Option<&ReleaseDigest>,
) -> Result<(), ClusterError> {
    let Some(desired) = desired else { return Ok(()) };
    let release = desired.policy.key();
    let records = context.read_records(&release).await?;
    if records.newest().is_none_or(|newest| newest.revision != revision) {
        context.payloads.give_up(&release);
        context.wake(key);
        return Ok(());
    }
    let (number, owner) = (revision.to_string(), OwnerId::of(key));
    let labels = [
        (LABEL_OWNER, Some(owner.as_str())),
        (LABEL_REVISION, Some(&*number)),
        (LABEL_ADOPTED, Some(&*number)),
        // One that an earlier owner left is not what is declared now.
        (LABEL_DIGEST, digest.map(ReleaseDigest::as_str)),
    ];
    match as_release(context, key, &desired)?.mark_unchanged(&release, revision, resource_version, &labels).await {
        Ok(written) => {
            if let Some(record) = written {
                context.records.observe_record(&release, record);
            }
            tracing::info!(object = %key, %release, revision, equal = digest.is_some(), "a release was taken over");
        }
        Err(ClusterError::Conflict(_) | ClusterError::NotFound(_)) => {
            context.payloads.give_up(&release);
            context.read_records(&release).await?;
        }
        Err(ClusterError::Forbidden(why)) => {
            let declared = context.inputs.prepared(key).map(|prepared| prepared.inputs.digest.clone());
            match declared.or_else(|| digest.cloned()) {
                Some(declared) => context.payloads.put(&release, refused(context, revision, declared, &why), 0),
                None => return Err(ClusterError::Forbidden(why)),
            }
        }
        Err(error) => return Err(error),
    }
    context.wake(key);
    Ok(())
}
