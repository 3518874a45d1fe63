//! CustomResourceDefinitions that charts bring: read from the chart, put into the cluster, never taken out again.
//!
//! helm is not asked to do it: one major leaves a definition that exists as it is, the other changes it. Here it is
//! done before helm starts, with the rights of the release and not of the operator, and it is over when the API server
//! serves the kinds: a chart whose objects are of its own kinds is installed in one go.

mod compare;
mod manifest;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::error::ClusterError;
use super::requests::Requests;
use compare::is_as_stated;
pub use manifest::{Definition, DefinitionError, read_definitions};

/// Until all kinds of a chart are served. It takes a moment, and some seconds where several API servers have to agree.
const SERVED_DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at a definition that is not served yet; doubled up to the second.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);
/// Looks at a definition that others create or change at the same moment.
const RACES_MAX: u32 = 5;

/// What is done about a definition that exists and is not as the chart states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Differing {
    LeaveAlone,
    Replace,
}

/// What was found and done.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Established {
    /// Names of definitions that differ from the chart's.
    pub left_alone: Vec<Box<str>>,
    /// Something was written: kinds may be served that were not before.
    pub changed: bool,
}

/// Why the definitions of a chart are not in effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EstablishError {
    #[error("CustomResourceDefinition {name}: {source}")]
    Request { name: Box<str>, source: ClusterError },
    #[error("CustomResourceDefinition {0} is being deleted; it can be created again when it is gone")]
    Terminating(Box<str>),
    #[error(
        "CustomResourceDefinition {name} of the chart lacks the version {version}, in which objects are still stored; \
         store them in another version first, and take it out of status.storedVersions"
    )]
    Stored { name: Box<str>, version: Box<str> },
    #[error("CustomResourceDefinition {name} is not accepted: {why}")]
    NotAccepted { name: Box<str>, why: Box<str> },
    #[error("CustomResourceDefinition {0} is not served after {max} s", max = SERVED_DEADLINE.as_secs())]
    NotServed(Box<str>),
}

/// A definition as the cluster has it.
struct Live {
    object: Value,
    written: bool,
}

/// Puts the definitions into effect as whoever `requests` acts.
pub async fn establish(
    requests: &Requests,
    definitions: &[Definition],
    differing: Differing,
) -> Result<Established, EstablishError> {
    let mut established = Established::default();
    let mut waiting = Vec::new();
    for definition in definitions {
        let live = put(requests, definition, differing).await?;
        established.changed |= live.written;
        if !live.written && !is_as_stated(definition.spec(), live.object.get("spec")) {
            established.left_alone.push(definition.name().into());
        }
        // What was in effect before is served.
        if live.written || !is_established(&live.object) {
            waiting.push((definition, live.object));
        }
    }
    let deadline = Instant::now() + SERVED_DEADLINE;
    for (definition, object) in waiting {
        served(requests, definition.name(), object, deadline).await?;
    }
    Ok(established)
}

async fn put(requests: &Requests, definition: &Definition, differing: Differing) -> Result<Live, EstablishError> {
    let name = definition.name();
    let failed = |source| EstablishError::Request { name: name.into(), source };
    let mut races = 0;
    loop {
        let written = match requests.read_definition(name).await.map_err(failed)? {
            None => requests.create_definition(definition.object()).await,
            Some(object) if object.pointer("/metadata/deletionTimestamp").is_some() => {
                return Err(EstablishError::Terminating(name.into()));
            }
            Some(object) => match differing {
                Differing::LeaveAlone => return Ok(Live { object, written: false }),
                Differing::Replace => {
                    keeps_stored_versions(definition, &object)?;
                    requests.apply_definition(name, definition.object()).await
                }
            },
        };
        match written {
            Ok(object) => return Ok(Live { object, written: true }),
            // Another release brings the same one at the same moment: what is there now is what counts.
            Err(ClusterError::Conflict(_)) if races < RACES_MAX => races += 1,
            Err(source) => return Err(failed(source)),
        }
    }
}

/// The API server refuses it too, in words that name no way out.
fn keeps_stored_versions(definition: &Definition, live: &Value) -> Result<(), EstablishError> {
    let stored = live.pointer("/status/storedVersions").and_then(Value::as_array);
    let lost = stored.into_iter().flatten().filter_map(Value::as_str).find(|version| !definition.has_version(version));
    match lost {
        Some(version) => Err(EstablishError::Stored { name: definition.name().into(), version: version.into() }),
        None => Ok(()),
    }
}

/// Waits until the API server serves the kind.
async fn served(requests: &Requests, name: &str, mut object: Value, deadline: Instant) -> Result<(), EstablishError> {
    let failed = |source| EstablishError::Request { name: name.into(), source };
    let mut pause = PAUSE_FIRST;
    loop {
        if let Some(why) = refusal(&object) {
            return Err(EstablishError::NotAccepted { name: name.into(), why });
        }
        // Established is said a little before the kind is found by those who ask for it.
        if is_established(&object) && is_found(requests, &object).await.map_err(failed)? {
            return Ok(());
        }
        if Instant::now() + pause > deadline {
            return Err(EstablishError::NotServed(name.into()));
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_LONGEST);
        match requests.read_definition(name).await {
            Ok(Some(now)) => object = now,
            Ok(None) => return Err(EstablishError::Terminating(name.into())),
            Err(error) if error.is_transient() => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

async fn is_found(requests: &Requests, definition: &Value) -> Result<bool, ClusterError> {
    let text = |path: &str| definition.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
    let served = versions.into_iter().flatten().filter(|version| version["served"] == true);
    for version in served.filter_map(|version| version["name"].as_str()) {
        let api_version = format!("{}/{version}", text("/spec/group"));
        match requests.is_served(&api_version, text("/spec/names/kind")).await {
            // Without the right to ask, helm finds out.
            Ok(true) | Err(ClusterError::Forbidden(_)) => {}
            Ok(false) => return Ok(false),
            Err(error) if error.is_transient() => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn condition<'a>(definition: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = definition.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)
}

fn is_established(definition: &Value) -> bool {
    condition(definition, "Established").is_some_and(|condition| condition["status"] == "True")
}

/// Why the API server will not serve the kind: its names belong to another definition.
fn refusal(definition: &Value) -> Option<Box<str>> {
    let accepted = condition(definition, "NamesAccepted").filter(|condition| condition["status"] == "False")?;
    Some(accepted["message"].as_str().unwrap_or("its names are taken").into())
}
