//! Asks what an object would become if it were applied again, without a write.

use kube::api::{GetParams, Patch, PatchParams};
use serde_json::Value;

use super::super::error::ClusterError;
use super::Requests;
use crate::release::Member;

/// As whom helm applies. Under another name its fields would have two owners, and what the chart does not state any more
/// would stay.
const HELM: &str = "helm";

impl Requests {
    /// The whole object, whatever its kind; `None` where there is none.
    pub(in super::super) async fn read_whole(&self, member: &Member) -> Result<Option<Value>, ClusterError> {
        let params = GetParams::default();
        match self.text_of(member, |objects| objects.get(&member.name, &params)).await {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| ClusterError::malformed(&error)),
            Err(ClusterError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The object as it would be after helm has applied `stated` over whoever holds its fields.
    pub(in super::super) async fn foretell(&self, member: &Member, stated: &Value) -> Result<Value, ClusterError> {
        let params = PatchParams { dry_run: true, ..PatchParams::apply(HELM).force() };
        let text = self.text_of(member, |objects| objects.patch(&member.name, &params, &Patch::Apply(stated))).await?;
        serde_json::from_str(&text).map_err(|error| ClusterError::malformed(&error))
    }
}
