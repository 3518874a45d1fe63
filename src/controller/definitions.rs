//! The CustomResourceDefinitions of a chart: looked at with the inputs, put into effect before helm starts.

use super::{Context, offload::offload};
use crate::{
    api::CrdsPolicy,
    cluster::{ClusterError, Definition, DefinitionError, Differing, EstablishError, establish, read_definitions},
    release::{Failure, FailureClass, Identity},
    sources::{SourceError, StoredChart},
};

/// Why what a chart has under `crds/` cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnusableError {
    #[error("{0}")]
    Source(#[from] SourceError),
    #[error("chart {chart} is refused: {source}")]
    Refused { chart: Box<str>, source: DefinitionError },
}

/// The definitions that a chart brings.
pub(super) async fn read(context: &Context, chart: &StoredChart) -> Result<Vec<Definition>, UnusableError> {
    let files = context.charts.crd_files(chart).await?;
    let read = offload(move || read_definitions(files.iter().map(|file| (file.path.as_str(), &*file.content)))).await;
    read.map_err(|source| UnusableError::Refused { chart: chart.name.as_str().into(), source })
}

/// Puts the definitions of a chart into effect as the identity of its release. The names are of those that differ and
/// were left alone.
pub(super) async fn put_into_effect(
    context: &Context,
    chart: &StoredChart,
    policy: CrdsPolicy,
    identity: &Identity,
) -> Result<Vec<Box<str>>, Failure> {
    let differing = match policy {
        CrdsPolicy::Create => Differing::LeaveAlone,
        CrdsPolicy::CreateReplace => Differing::Replace,
        CrdsPolicy::Skip => return Ok(Vec::new()),
    };
    let failure = |class, message: String| Failure { class, message: message.into() };
    let definitions = read(context, chart).await.map_err(|error| failure(FailureClass::Invalid, error.to_string()))?;
    let requests = context.requests_as(identity).map_err(|error| failure(FailureClass::Other, error.to_string()))?;
    let established = establish(&requests, &definitions, differing).await;
    let established = established.map_err(|error| failure(class(&error), error.to_string()))?;
    if established.changed {
        context.live.look_for_kinds();
    }
    Ok(established.left_alone)
}

fn class(error: &EstablishError) -> FailureClass {
    match error {
        EstablishError::Request { source, .. } => match source {
            ClusterError::Forbidden(_) => FailureClass::Forbidden,
            ClusterError::Refused(_) => FailureClass::Invalid,
            ClusterError::Conflict(_) => FailureClass::Conflict,
            ClusterError::Unavailable(_)
            | ClusterError::Unreachable(_)
            | ClusterError::Timeout
            | ClusterError::NotLeading => FailureClass::Unreachable,
            ClusterError::NotFound(_) | ClusterError::Malformed(_) | ClusterError::Access(_) => FailureClass::Other,
        },
        EstablishError::Stored { .. } | EstablishError::NotAccepted { .. } => FailureClass::Invalid,
        EstablishError::Terminating(_) => FailureClass::Other,
        // The API server is behind with its work, which passes.
        EstablishError::NotServed(_) => FailureClass::Unreachable,
    }
}
