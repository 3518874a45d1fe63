//! Takes over a release of somebody else: compares its newest record with what is declared, and labels it.
//!
//! Both as the identity of the release. Who may not read a record learns nothing of it, and who may not write one takes
//! nothing over.

use std::sync::Arc;

use serde_json::Value;

use super::{Context, aftermath, inputs::Prepared, operate::identity, prepare, sight::Sight};
use crate::{
    cluster::{ClusterError, RecordData, Requests},
    helm,
    release::{
        Compared, Comparison, Desired, Difference, ForeignAction, InputsProblem, LABEL_ADOPTED, LABEL_DIGEST,
        LABEL_OWNER, LABEL_REVISION, OwnerId, Payload, digest_of_values,
    },
    sources::SourceError,
    types::{ObjectKey, ReleaseDigest},
};

/// Why a comparison could not be made. It is made again: what it needs may be missing for a while only, and nobody
/// tells when it is back.
#[derive(Debug, thiserror::Error)]
enum CompareError {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("{}", .0.message)]
    Inputs(InputsProblem),
    #[error("its chart cannot be compared: {0}")]
    Chart(#[from] SourceError),
    #[error("the declared values are not JSON: {0}")]
    Values(#[from] serde_json::Error),
    #[error("the record was not read to the end")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl CompareError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Cluster(error) => error.is_transient(),
            Self::Inputs(problem) => problem.transient,
            Self::Chart(error) => error.is_transient(),
            Self::Values(_) => false,
            Self::Interrupted(_) => true,
        }
    }
}

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
            Err(error) => {
                tracing::warn!(object = %key, %release, revision, %error, "a release of somebody else cannot be compared yet");
                context.payloads.fail(&release, revision, (&error, error.is_transient()), context.clock.now());
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
) -> Result<Option<(Payload, u64)>, CompareError> {
    let release = desired.policy.key();
    let prepared = prepare::at_hand(context, key, desired, context.inputs.prepared(key), None).await;
    let prepared = prepared.map_err(CompareError::Inputs)?;
    let digest = prepared.inputs.digest.clone();
    let Some(record) = as_release(context, key, desired)?.read_record_data(&release, revision).await? else {
        context.read_records(&release).await?;
        return Ok(None);
    };
    let sight = Sight::of(context, key, desired.service_account.as_deref())?;
    let payload = aftermath::payload_in_view(context, &sight, &release, revision, &record).await?;
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

async fn compared(context: &Context, prepared: &Prepared, record: RecordData) -> Result<Compared, CompareError> {
    // An object that is gone has left it: its digest tells more than the record, which has no subcharts.
    let left = record.record.as_ref().map(|found| &found.record);
    if left
        .is_some_and(|left| left.stamp == Some(left.revision) && left.digest.as_ref() == Some(&prepared.inputs.digest))
    {
        return Ok(Compared::Equal);
    }
    let chart = context.charts.content(&prepared.chart).await?;
    let values: Value = serde_json::from_slice(prepared.values.expose())?;
    // Some megabytes of JSON, which no pass should wait for.
    let read = tokio::task::spawn_blocking(move || helm::content(&record.bytes));
    let Ok(found) = read.await? else {
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
        Err(error @ ClusterError::Forbidden(_)) => {
            context.payloads.refuse(&release, revision, &error, context.clock.now());
        }
        Err(error) => return Err(error),
    }
    context.wake(key);
    Ok(())
}
