//! Small requests: each has its own deadline and is made once. Whoever asks decides whether to ask again.
//!
//! Answers are decoded here and not by kube, which writes an answer that it does not understand to the log as it is:
//! it may be a Secret.

mod definitions;
mod drift;
mod members;
mod object;
mod records;
#[cfg(test)]
mod tests;
mod values;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use kube::Client;
use kube::api::PatchParams;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

pub use object::Target;
pub use records::RecordData;
pub use values::ValuesData;

use super::FIELD_MANAGER;
use super::discovery::Discovery;
use super::error::ClusterError;
use super::lease::Leadership;

/// A request, or why it can not be made.
type Built = Result<Request<Vec<u8>>, kube::core::request::Error>;

/// For every request of a pass: longer than any healthy answer, shorter than anybody's patience.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(5);

/// Asks and writes with the identity of the operator.
#[derive(Clone)]
pub struct Requests {
    client: Client,
    discovery: Arc<Discovery>,
    leadership: Leadership,
}

impl Requests {
    pub fn new(client: Client, discovery: Arc<Discovery>) -> Self {
        Self { client, discovery, leadership: Leadership::unelected() }
    }

    /// The same requests, of which only a leader's write.
    #[must_use]
    pub fn led_by(self, leadership: Leadership) -> Self {
        Self { leadership, ..self }
    }

    async fn text(&self, request: Built) -> Result<String, ClusterError> {
        let request = request.map_err(kube::Error::BuildRequest)?;
        // The one place that every write goes past: a leader that was is found out here at the latest.
        if request.method() != Method::GET && !self.leadership.may_act() {
            return Err(ClusterError::NotLeading);
        }
        let answer = timeout(REQUEST_DEADLINE, self.client.request_text(request)).await;
        Ok(answer.map_err(|_| ClusterError::Timeout)??)
    }

    async fn send<T: DeserializeOwned>(&self, request: Built) -> Result<T, ClusterError> {
        serde_json::from_str(&self.text(request).await?).map_err(|error| ClusterError::malformed(&error))
    }

    /// As [`Self::send`]; `None` where there is no such object.
    async fn send_opt<T: DeserializeOwned>(&self, request: Built) -> Result<Option<T>, ClusterError> {
        match self.send(request).await {
            Ok(found) => Ok(Some(found)),
            Err(ClusterError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// For merge patches; the name shows in `managedFields`.
fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}
