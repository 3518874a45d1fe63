//! Why something cannot be compared, in the operator's words: those of the API server may quote a value.

use super::super::error::{ClusterError, NOT_IMPERSONATED, UNAUTHENTICATED};
use crate::{release::Member, types::ReleaseKey};

/// How the API server begins to say, with the code of a failure of its own, that what is applied is not of its schema,
/// such as a list that names one item twice.
const UNTYPED: &str = "failed to create typed patch object";

/// How the API server says, within a refusal, that a webhook which has effects of its own would have to be asked.
const NO_DRY_RUN: &str = "does not support dry run";

/// How it says that somebody lacks a right, and not that admission denies what is stated.
const LACKS: [&str; 2] = ["cannot get resource", "cannot patch resource"];

/// Another version in each request.
pub(super) const CHANGES: &str = "it changes all the time";

const STATED: &str = "the API server, or an admission webhook, refuses what the chart states";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub why: Box<str>,
    /// It may be well the next time with nobody doing anything.
    pub passes: bool,
}

/// What the API server was asked for.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
    /// The record of a release.
    Record(&'a ReleaseKey),
    /// An object as it is.
    Object(&'a Member),
    /// An object as it would be.
    Applied(&'a Member),
}

impl Refusal {
    pub fn passing(why: impl Into<Box<str>>) -> Self {
        Self { why: why.into(), passes: true }
    }

    pub fn lasting(why: impl Into<Box<str>>) -> Self {
        Self { why: why.into(), passes: false }
    }

    pub fn of(error: &ClusterError, asked: Asked<'_>) -> Self {
        let why = match error {
            ClusterError::Forbidden(message) => return Self::lasting(forbidden(message, asked)),
            ClusterError::Conflict(_) => CHANGES,
            ClusterError::NotFound(_) => match asked {
                Asked::Record(_) => "the record of the release is gone",
                Asked::Object(_) | Asked::Applied(_) => "its kind is not there",
            },
            ClusterError::Refused(message) if message.contains(NO_DRY_RUN) => {
                "an admission webhook does not support dry run, by which objects are compared"
            }
            ClusterError::Refused(_) => match asked {
                Asked::Record(_) | Asked::Object(_) => "the API server refuses the request",
                Asked::Applied(_) => STATED,
            },
            ClusterError::Malformed(_) => "the answer was not understood",
            ClusterError::Access(_) => "the access to the cluster is not usable",
            ClusterError::Unavailable(message) if message.starts_with(UNTYPED) => {
                return Self::lasting("the API server cannot apply what the chart states");
            }
            ClusterError::Unavailable(_) => match asked {
                Asked::Record(_) | Asked::Object(_) => "the API server is unavailable",
                Asked::Applied(_) => "the API server, or an admission webhook, is unavailable",
            },
            ClusterError::Unreachable(_) => "the API server cannot be reached",
            ClusterError::Timeout => "the API server did not answer in time",
            ClusterError::NotLeading => "this operator does not lead",
        };
        Self { why: why.into(), passes: error.is_transient() }
    }
}

/// Who lacks which right, as far as it is about a right.
fn forbidden(message: &str, asked: Asked<'_>) -> Box<str> {
    let lacks = LACKS.iter().any(|lacks| message.contains(lacks));
    match asked {
        _ if message.starts_with(UNAUTHENTICATED) => {
            "the API server does not accept the credentials of the operator".into()
        }
        _ if message.contains(NOT_IMPERSONATED) => {
            "the operator may not act as the identity of the release; it needs the right to impersonate it".into()
        }
        Asked::Record(ReleaseKey { namespace, .. }) if lacks => {
            format!("the identity of the release needs the right to get Secrets in namespace {namespace}").into()
        }
        Asked::Object(Member { api_version, kind, .. }) | Asked::Applied(Member { api_version, kind, .. }) if lacks => {
            format!("the identity of the release needs the rights to get and to patch {kind} of {api_version}").into()
        }
        Asked::Record(_) => "the API server does not let the identity of the release get its record".into(),
        Asked::Object(_) => "the API server does not let the identity of the release get it".into(),
        Asked::Applied(_) => STATED.into(),
    }
}
