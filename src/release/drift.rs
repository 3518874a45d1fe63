//! Drift: objects in the cluster that are not as the manifest of the deployed revision states them.
//!
//! Fields are named by JSON pointers and never by what they hold: an object may be a Secret.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Member;
use crate::{
    api::{self, DRIFTED_MAX, DRIFTED_PATHS_MAX},
    types::ReleaseDigest,
};

/// A difference that is meant. An empty part matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct IgnoreRule {
    api_version: Option<Box<str>>,
    kind: Option<Box<str>>,
    name: Option<Box<str>>,
    pub paths: Vec<Box<str>>,
    pub managers: Vec<Box<str>>,
}

impl From<&api::DriftIgnore> for IgnoreRule {
    fn from(wire: &api::DriftIgnore) -> Self {
        let target = wire.target.clone().unwrap_or_default();
        let texts = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
        Self {
            api_version: target.api_version.map(Into::into),
            kind: target.kind.map(Into::into),
            name: target.name.map(Into::into),
            paths: texts(&wire.paths),
            managers: texts(&wire.managers),
        }
    }
}

impl IgnoreRule {
    /// Whether the rule is for that object.
    pub fn is_for(&self, member: &Member) -> bool {
        let fits = |wanted: &Option<Box<str>>, has: &str| wanted.as_deref().is_none_or(|wanted| wanted == has);
        fits(&self.api_version, &member.api_version) && fits(&self.kind, &member.kind) && fits(&self.name, &member.name)
    }

    /// Nothing of its objects counts, not even that they are there.
    pub fn is_for_all_of_it(&self) -> bool {
        self.paths.is_empty() && self.managers.is_empty()
    }
}

/// Digest of rules: what was compared by other ones is compared anew.
pub fn digest_of_rules(rules: &[IgnoreRule]) -> ReleaseDigest {
    // Plain texts: there is nothing in them that JSON cannot say.
    ReleaseDigest::v1(&[&serde_json::to_vec(rules).unwrap_or_default()])
}

/// One object that is not as stated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drifted {
    pub member: Member,
    pub what: Deviation,
}

/// In what an object is not as stated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deviation {
    /// It is not there.
    Missing,
    /// Fields that differ, as JSON pointers, and how many more there are.
    Fields { paths: Vec<Box<str>>, more: u32 },
}

impl Deviation {
    /// Of all fields that differ; only the first are named.
    pub fn fields(mut paths: Vec<Box<str>>) -> Self {
        let more = count(paths.len().saturating_sub(DRIFTED_PATHS_MAX));
        paths.truncate(DRIFTED_PATHS_MAX);
        Self::Fields { paths, more }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl fmt::Display for Drifted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            Deviation::Missing => write!(f, "{} is missing", self.member),
            Deviation::Fields { paths, more } => {
                write!(f, "{} differs at {}", self.member, paths.join(", "))?;
                if *more > 0 { write!(f, " and {more} more") } else { Ok(()) }
            }
        }
    }
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Finding {
    pub objects: Vec<Drifted>,
    /// The named ones included.
    pub count: u32,
    /// What could not be compared, and why.
    pub unseen: Option<Box<str>>,
}

impl Finding {
    pub fn new(drifted: impl IntoIterator<Item = Drifted>, unseen: Option<Box<str>>) -> Self {
        let mut objects = Vec::new();
        let mut all = 0_usize;
        for one in drifted {
            all += 1;
            if objects.len() < DRIFTED_MAX {
                objects.push(one);
            }
        }
        Self { objects, count: count(all), unseen }
    }
}

/// What is known of drift at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DriftView {
    /// Nothing: nobody wants to know, or the objects are not in view.
    #[default]
    Unseen,
    /// An object changed, or was not compared so far; not compared before then.
    Due { at: Timestamp },
    /// A task compares.
    Underway,
    /// As it was found, and nothing has changed since. What could not be compared is tried again then; where that is all
    /// that deviates, as far as is known, it is not `certain`.
    Is {
        finding: Finding,
        #[serde(default = "certain")]
        certain: bool,
        again: Option<Timestamp>,
    },
}

fn certain() -> bool {
    true
}

/// What status remembers of drift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    pub revision: u32,
    pub since: Timestamp,
    pub finding: Finding,
    /// Corrections in a row after which it came back, or might.
    pub corrections: u32,
    pub not_before: Option<Timestamp>,
    /// Since when there is none any more.
    pub gone: Option<Timestamp>,
    /// Why the last correction failed.
    pub failure: Option<Box<str>>,
}

impl From<api::Drift> for Drift {
    fn from(wire: api::Drift) -> Self {
        let text = |text: String| Some(Box::<str>::from(text)).filter(|text| !text.is_empty());
        Self {
            revision: wire.revision,
            since: wire.since,
            finding: Finding {
                objects: wire.objects.into_iter().map(Drifted::from).collect(),
                count: wire.count,
                unseen: text(wire.unseen),
            },
            corrections: wire.corrections,
            not_before: wire.not_before,
            gone: wire.gone,
            failure: text(wire.failure),
        }
    }
}

impl From<Drift> for api::Drift {
    fn from(drift: Drift) -> Self {
        let Drift { revision, since, finding, corrections, not_before, gone, failure } = drift;
        Self {
            revision,
            since,
            count: finding.count,
            objects: finding.objects.into_iter().map(Into::into).collect(),
            unseen: finding.unseen.map(String::from).unwrap_or_default(),
            corrections,
            not_before,
            gone,
            failure: failure.map(String::from).unwrap_or_default(),
        }
    }
}

impl From<api::DriftedObject> for Drifted {
    fn from(wire: api::DriftedObject) -> Self {
        let what = if wire.missing {
            Deviation::Missing
        } else {
            Deviation::Fields { paths: wire.paths.into_iter().map(Into::into).collect(), more: wire.more }
        };
        let member = Member {
            api_version: wire.api_version.into(),
            kind: wire.kind.into(),
            namespace: wire.namespace.into(),
            name: wire.name.into(),
        };
        Self { member, what }
    }
}

impl From<Drifted> for api::DriftedObject {
    fn from(drifted: Drifted) -> Self {
        let Drifted { member: Member { api_version, kind, namespace, name }, what } = drifted;
        let (missing, paths, more) = match what {
            Deviation::Missing => (true, Vec::new(), 0),
            Deviation::Fields { paths, more } => (false, paths.into_iter().map(String::from).collect(), more),
        };
        Self {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
            missing,
            paths,
            more,
        }
    }
}
