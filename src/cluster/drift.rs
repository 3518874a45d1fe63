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

/// What came of the comparison of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// Where it is not as stated, and the state in which it was read; `None` where it is as stated, or may be as it is.
    Read {
        print: Print,
        deviation: Option<Deviation>,
    },
    Missing,
    /// It may be gone.
    MayBeGone,
    /// The API server does not say what it would be; why, without its words, which may quote a value.
    Refused(&'static str),
}

/// Compares one object with what is stated of it; where it may be gone, its absence is no difference. An error is one
/// that may pass by itself.
pub async fn compare(
    requests: &Requests,
    (member, may_be_gone): (&Member, bool),
    stated: &Value,
    rules: &[IgnoreRule],
) -> Result<Compared, ClusterError> {
    let rules: Vec<&IgnoreRule> = rules.iter().filter(|rule| rule.is_for(member)).collect();
    for _ in 0..RACES_MAX {
        let live = match requests.read_whole(member).await {
            Ok(Some(live)) => live,
            Ok(None) if may_be_gone || rules.iter().any(|rule| rule.is_for_all_of_it()) => {
                return Ok(Compared::MayBeGone);
            }
            Ok(None) => return Ok(Compared::Missing),
            Err(error) => return refused(error),
        };
        let print = Print::of(&live);
        // What is going is told of when it is gone.
        let is_going = live.pointer("/metadata/deletionTimestamp").is_some();
        if is_going || rules.iter().any(|rule| rule.is_for_all_of_it()) {
            return Ok(Compared::Read { print, deviation: None });
        }
        let foretold = match requests.foretell(member, stated).await {
            Ok(foretold) => foretold,
            Err(error) => return refused(error),
        };
        let version = |object: &Value| object.pointer("/metadata/resourceVersion").cloned();
        if version(&live) == version(&foretold) {
            let paths = compare::differences(&live, &foretold, &rules);
            let deviation = (!paths.is_empty()).then(|| Deviation::fields(paths));
            return Ok(Compared::Read { print, deviation });
        }
    }
    Err(ClusterError::Conflict("it changes all the time".into()))
}

fn refused(error: ClusterError) -> Result<Compared, ClusterError> {
    match &error {
        ClusterError::Forbidden(_) => Ok(Compared::Refused("the rights of the release do not allow it")),
        ClusterError::NotFound(_) => Ok(Compared::Refused("its kind is not there")),
        ClusterError::Refused(_) => Ok(Compared::Refused("the API server refuses what the chart states")),
        ClusterError::Malformed(_) => Ok(Compared::Refused("the answer was not understood")),
        ClusterError::Access(_) => Ok(Compared::Refused("the access to the cluster is not usable")),
        ClusterError::Unavailable(message) if message.starts_with(UNTYPED) => {
            Ok(Compared::Refused("the API server cannot apply what the chart states"))
        }
        ClusterError::Conflict(_)
        | ClusterError::Unavailable(_)
        | ClusterError::Unreachable(_)
        | ClusterError::Timeout
        | ClusterError::NotLeading => Err(error),
    }
}
