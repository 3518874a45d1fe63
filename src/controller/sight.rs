//! What may be seen of the objects that a release names.
//!
//! They are told by its records, and a record is a Secret: who may write Secrets may write one that names any object of
//! the cluster. The operator sees all of them, and would tell in status how they are. So in strict tenancy an object
//! beyond the namespace of the HelmRelease belongs to the release only if the service account may get it. It is asked
//! by getting it, once for each revision that is looked at: idle releases cost nothing, and a right that is taken away
//! later shows with the next revision. The HelmRelease's own namespace is open, because whoever may write one there has
//! the rights of any service account that is there.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use super::{Context, operate::identity};
use crate::{
    cluster::{ClusterError, Requests},
    release::{Member, Tenancy},
    types::ObjectKey,
};

/// Objects of one release that are asked for at the same time. One after the other, hundreds of them would hold up a
/// verdict for seconds; more at once, after each of many runs of helm, would take the API server's places from others.
pub(super) const READS_AT_ONCE: usize = 8;

/// Whose eyes a release is looked at with.
pub(super) struct Sight {
    requests: Requests,
    /// The one namespace that is open; `None` where all are.
    open: Option<Box<str>>,
}

impl Sight {
    pub(super) fn of(context: &Context, key: &ObjectKey, service_account: Option<&str>) -> Result<Self, ClusterError> {
        let requests = context.reads_for(&identity(key, service_account, context))?;
        let open = match context.settings.tenancy {
            Tenancy::Trusted => None,
            Tenancy::Strict => Some(key.namespace.clone()),
        };
        Ok(Self { requests, open })
    }

    /// The object, as [`Requests::read_member`] has it.
    pub(super) async fn read(&self, member: &Member) -> Result<Option<Value>, ClusterError> {
        self.requests.read_member(member).await
    }

    /// Those of the members that may be looked at, in their order.
    pub(super) async fn reach(&self, members: Vec<Member>) -> Result<Vec<Member>, ClusterError> {
        let Some(open) = &self.open else { return Ok(members) };
        let asked = stream::iter(members).map(|member| async move {
            if member.namespace == *open {
                return Ok(Some(member));
            }
            match self.read(&member).await {
                Err(ClusterError::Forbidden(why)) => {
                    tracing::warn!(%member, %why, "an object is out of reach of the service account and is not looked at");
                    Ok(None)
                }
                Err(error) if error.is_transient() => Err(error),
                // Not there, or of a kind that is not: that may be said.
                Ok(_) | Err(_) => Ok(Some(member)),
            }
        });
        asked.buffered(READS_AT_ONCE).try_filter_map(|member| async move { Ok(member) }).try_collect().await
    }
}
