//! Whether an object in the cluster is as a manifest states it: the API server is asked what it would be if it were
//! applied again, and the two are compared. So defaults, quantities and merges of lists are the server's own.
//!
//! That holds for what helm 3 has applied from the client too: an apply takes every field that the manifest states, and
//! nothing else. What a manifest does not state any more is a matter of the upgrade that left it out.

mod compare;
mod owners;
mod refusal;
#[cfg(test)]
mod tests;

pub use refusal::{Asked, Refusal};
use serde_json::Value;

use super::live::Print;
use super::requests::Requests;
use crate::release::{Deviation, IgnoreRule, Member};

/// Times that an object may change between the two requests before it is left for later.
const RACES_MAX: u32 = 3;

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
            Err(error) => return ComparedObject::Refused(Refusal::of(&error, Asked::Object(member))),
        };
        let print = Print::of(&live);
        // What is going is told of when it is gone.
        let is_going = live.pointer("/metadata/deletionTimestamp").is_some();
        if is_going || rules.iter().any(|rule| rule.is_for_all_of_it()) {
            return ComparedObject::Read { print, deviation: None };
        }
        let foretold = match requests.foretell(member, stated).await {
            Ok(foretold) => foretold,
            Err(error) => return ComparedObject::Refused(Refusal::of(&error, Asked::Applied(member))),
        };
        let version = |object: &Value| object.pointer("/metadata/resourceVersion").cloned();
        if version(&live) == version(&foretold) {
            let paths = compare::differences(&live, &foretold, &rules);
            let deviation = (!paths.is_empty()).then(|| Deviation::fields(paths));
            return ComparedObject::Read { print, deviation };
        }
    }
    ComparedObject::Refused(Refusal::passing(refusal::CHANGES))
}
