//! Whether an object in the cluster is as a manifest states it: the API server is asked what it would be if it were
//! applied again, and the two are compared. So defaults, quantities and merges of lists are the server's own.
//!
//! That holds for what helm 3 has applied from the client too: an apply takes every field that the manifest states, and
//! nothing else. What a manifest does not state any more is a matter of the upgrade that left it out.

mod compare;
mod owners;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::error::ClusterError;
use super::live::Print;
use super::requests::Requests;
use crate::release::{Deviation, IgnoreRule, Member};

/// Times that an object may change between the two requests before it is left for later.
const RACES_MAX: u32 = 3;

/// How the API server begins to say, with the code of a failure of its own, that what is applied is not of its schema,
/// such as a list that names one item twice.
const UNTYPED: &str = "failed to create typed patch object";

/// How the API server says, within a refusal, that a webhook which has effects of its own would have to be asked.
const NO_DRY_RUN: &str = "does not support dry run";

/// How it says that somebody lacks a right, and not that admission denies what is stated.
const LACKS: [&str; 2] = ["cannot get resource", "cannot patch resource"];

/// What came of the comparison of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComparedObject {
    /// Where it is not as stated, and the state in which it was read; `None` where it is as stated, or may be as it is.
    Read {
        print: Print,
        deviation: Option<Deviation>,
    },
    Missing,
    /// It may be gone.
    MayBeGone,
    /// The API server does not say what it would be.
    Refused(Refusal),
}

/// Why something cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Without the words of the API server, which may quote a value.
    pub why: Box<str>,
    /// It may be well the next time with nobody doing anything.
    pub passes: bool,
}

impl Refusal {
    pub fn passing(why: impl Into<Box<str>>) -> Self {
        Self { why: why.into(), passes: true }
    }

    pub fn lasting(why: impl Into<Box<str>>) -> Self {
        Self { why: why.into(), passes: false }
    }
}

/// Compares one object with what is stated of it; where it may be gone, its absence is no difference.
pub async fn compare(
    requests: &Requests,
    (member, may_be_gone): (&Member, bool),
    stated: &Value,
    rules: &[IgnoreRule],
) -> ComparedObject {
    let rules: Vec<&IgnoreRule> = rules.iter().filter(|rule| rule.is_for(member)).collect();
    for _ in 0..RACES_MAX {
        let live = match requests.read_whole(member).await {
            Ok(Some(live)) => live,
            Ok(None) if may_be_gone || rules.iter().any(|rule| rule.is_for_all_of_it()) => {
                return ComparedObject::MayBeGone;
            }
            Ok(None) => return ComparedObject::Missing,
            Err(error) => return refused(member, &error),
        };
        let print = Print::of(&live);
        // What is going is told of when it is gone.
        let is_going = live.pointer("/metadata/deletionTimestamp").is_some();
        if is_going || rules.iter().any(|rule| rule.is_for_all_of_it()) {
            return ComparedObject::Read { print, deviation: None };
        }
        let foretold = match requests.foretell(member, stated).await {
            Ok(foretold) => foretold,
            Err(error) => return refused(member, &error),
        };
        let version = |object: &Value| object.pointer("/metadata/resourceVersion").cloned();
        if version(&live) == version(&foretold) {
            let paths = compare::differences(&live, &foretold, &rules);
            let deviation = (!paths.is_empty()).then(|| Deviation::fields(paths));
            return ComparedObject::Read { print, deviation };
        }
    }
    refused(member, &ClusterError::Conflict("two requests in a row saw another version".into()))
}

/// Why an object cannot be compared, without the words of the API server.
fn refused(member: &Member, error: &ClusterError) -> ComparedObject {
    let why = match error {
        ClusterError::Conflict(_) => "it changes all the time",
        ClusterError::Forbidden(message) if LACKS.iter().any(|lacks| message.contains(lacks)) => {
            let Member { api_version, kind, .. } = member;
            let why =
                format!("the identity of the release needs the rights to get and to patch {kind} of {api_version}");
            return ComparedObject::Refused(Refusal::lasting(why));
        }
        ClusterError::NotFound(_) => "its kind is not there",
        ClusterError::Refused(message) if message.contains(NO_DRY_RUN) => {
            "an admission webhook does not support dry run, by which objects are compared"
        }
        ClusterError::Refused(_) | ClusterError::Forbidden(_) => {
            "the API server, or an admission webhook, refuses what the chart states"
        }
        ClusterError::Malformed(_) => "the answer was not understood",
        ClusterError::Access(_) => "the access to the cluster is not usable",
        ClusterError::Unavailable(message) if message.starts_with(UNTYPED) => {
            "the API server cannot apply what the chart states"
        }
        ClusterError::Unavailable(_) => "the API server, or an admission webhook, is unavailable",
        ClusterError::Unreachable(_) => "the API server cannot be reached",
        ClusterError::Timeout => "the API server did not answer in time",
        ClusterError::NotLeading => "this operator does not lead",
    };
    let untyped = matches!(error, ClusterError::Unavailable(message) if message.starts_with(UNTYPED));
    ComparedObject::Refused(Refusal { why: why.into(), passes: error.is_transient() && !untyped })
}
