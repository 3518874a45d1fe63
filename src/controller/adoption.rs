//! Takes over a release of somebody else: compares its newest record with what is declared, and labels it.
//!
//! Both as the identity of the release. Who may not read a record learns nothing of it, and who may not write one takes
//! nothing over.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Context, Defect, aftermath, guarded, inputs::Prepared, offload::offload, operate::identity, prepare, rights,
    sight::Sight,
};
use crate::{
    cluster::{ClusterError, RecordData, Requests},
    helm,
    release::{
        ChartContent, Compared, Comparison, Desired, Difference, ForeignAction, InputsProblem, InputsView,
        LABEL_ADOPTED, LABEL_DIGEST, LABEL_OWNER, LABEL_REVISION, OwnerId, Payload, digest_of_values,
    },
    sources::SourceError,
    types::{ObjectKey, ReleaseDigest},
};

/// Why a comparison could not be made. It is made again: what it needs may be missing for a while only, and nobody
/// tells when it is back.
#[derive(Debug, thiserror::Error)]
enum CompareError {
    #[error("the record and the objects of somebody else's release cannot be read to compare them: {0}")]
    Cluster(#[from] ClusterError),
    #[error("somebody else's release cannot be compared with what is declared: {}", .0.message)]
    Inputs(InputsProblem),
    #[error("the declared chart cannot be read to compare somebody else's release with it: {0}")]
    Chart(#[from] SourceError),
    #[error(
        "somebody else's release cannot be compared: the declared values are not JSON at line {} column {}",
        .0.line(), .0.column()
    )]
    Values(#[from] serde_json::Error),
    #[error("somebody else's release was not compared: {0}")]
    Defect(#[from] Defect),
}

impl CompareError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Cluster(error) => error.is_transient(),
            Self::Inputs(problem) => problem.transient,
            Self::Chart(error) => error.is_transient(),
            Self::Values(_) => false,
            Self::Defect(_) => true,
        }
    }
}

/// Starts to compare a revision with what is declared, unless that is under way.
pub(super) fn compare(
    context: &Arc<Context>,
    key: &ObjectKey,
    desired: Option<Box<Desired>>,
    planned_on: &InputsView,
    revision: u32,
) {
    let (Some(desired), InputsView::Known { inputs, .. }) = (desired, planned_on) else { return };
    let digest = inputs.digest.clone();
    let release = desired.policy.key();
    if !context.payloads.begin(&release, revision) {
        return;
    }
    let (context, key) = (Arc::clone(context), key.clone());
    let tracker = context.tasks.clone();
    tracker.spawn(async move {
        let looked = guarded(look(&context, &key, &desired, &digest, revision)).await;
        match looked.unwrap_or_else(|defect| Err(defect.into())) {
            Ok(Some((payload, version))) => context.payloads.put(&release, payload, version),
            Ok(None) => context.payloads.give_up(&release),
            Err(error) => {
                tracing::warn!(object = %key, %release, revision, %error, "a release of somebody else cannot be compared yet");
                context.payloads.fail(&release, revision, (&error, error.is_transient()), context.clock.now());
            }
        }
        context.forget_unclaimed(&release);
        context.wake(&key);
    });
}

/// What the record tells, with the comparison and the version of the record; `None` where it is not there any more, or
/// where what is declared is not what the comparison was planned for.
async fn look(
    context: &Context,
    key: &ObjectKey,
    desired: &Desired,
    digest: &ReleaseDigest,
    revision: u32,
) -> Result<Option<(Payload, u64)>, CompareError> {
    let release = desired.policy.key();
    let prepared = prepare::at_hand(context, key, desired, context.inputs.prepared(key), None).await;
    let prepared = prepared.map_err(|problem| {
        context.inputs.fail(key, digest, problem.clone(), context.clock.now());
        CompareError::Inputs(problem)
    })?;
    if prepared.inputs.digest != *digest {
        // A range has moved since: compared with that, it would be compared again and again.
        context.inputs.outdate(key, digest);
        return Ok(None);
    }
    let Some(record) = record_of_others(context, key, desired, revision).await? else {
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
    let comparison = Some(Box::new(Comparison { digest: digest.clone(), resource_version, result }));
    Ok(Some((Payload { comparison, ..payload }, version)))
}

/// A record of somebody else's release: what is in it is for who may read it.
pub(super) async fn record_of_others(
    context: &Context,
    key: &ObjectKey,
    desired: &Desired,
    revision: u32,
) -> Result<Option<RecordData>, ClusterError> {
    let (release, reader) = (desired.policy.key(), identity(key, desired.service_account.as_deref(), context));
    let read = context.requests_as(&reader)?.read_record_data(&release, revision).await;
    read.map_err(|error| rights::to_read_records(error, &reader, &release))
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
    let values = prepared.values.clone();
    let differs = offload(move || differences(&chart, values.expose(), &record.bytes)).await?;
    Ok(if differs.is_empty() { Compared::Equal } else { Compared::Differs(differs) })
}

fn differences(chart: &ChartContent, values: &[u8], record: &[u8]) -> Result<Vec<Difference>, serde_json::Error> {
    let values: Value = serde_json::from_slice(values)?;
    let Ok(found) = helm::content(record) else { return Ok(vec![Difference::Chart]) };
    let mut differs = chart.differences(&found.chart);
    if found.values != digest_of_values(&values) {
        differs.push(Difference::Values);
    }
    Ok(differs)
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
            let writer = identity(key, desired.service_account.as_deref(), context);
            let remedy = rights::remedy(&error.to_string(), &writer, "get and update", &release);
            let why = format!("revision {revision} may not be taken over: {error}; {remedy}");
            // Where the version is no number, the refusal holds until it is over.
            let version = resource_version.parse().unwrap_or(u64::MAX);
            context.payloads.refuse(&release, (revision, version), &why, context.clock.now());
        }
        Err(error) => return Err(error),
    }
    context.wake(key);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::mock::{self, Repository};

    async fn compared_to_its_end(context: &Arc<Context>, desired: Desired) {
        let known = InputsView::Known { inputs: mock::inputs("blue"), look_again: None, passed_over: None };
        compare(context, &ObjectKey::new("apps", "unicorn"), Some(Box::new(desired)), &known, 1);
        context.tasks.close();
        context.tasks.wait().await;
    }

    #[tokio::test]
    async fn a_defect_in_a_comparison_is_said_and_the_comparison_made_again() {
        let (context, _) = mock::context(Repository { breaks: true }, |asked| panic!("{asked:?}"));
        let desired = mock::desired(&context);
        let release = desired.policy.key();
        context.main.observe(mock::object());
        compared_to_its_end(&context, desired).await;
        let unread = context.payloads.unread(&release, (1, 0)).unwrap();
        assert!(unread.transient && unread.why.contains("defect of the operator"), "{unread:?}");
        assert!(context.payloads.begin(&release, 1));
    }

    #[tokio::test]
    async fn a_comparison_that_outlives_its_object_leaves_nothing_of_the_release() {
        let (context, _) = mock::context(Repository { breaks: true }, |asked| panic!("{asked:?}"));
        let desired = mock::desired(&context);
        let release = desired.policy.key();
        compared_to_its_end(&context, desired).await;
        assert_eq!(context.payloads.unread(&release, (1, 0)), None);
    }
}
