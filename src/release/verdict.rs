//! The judgement of an object's or a release's health, and whose fault it is when it is bad.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::api;

/// Whose fault a failure is: decides between quarantine and trying again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fault {
    /// The release's own: a crash loop, a failed Job, an image tag that does not exist, not ready by the deadline.
    Own,
    /// Outside: unschedulable, quota, registry unreachable, admission webhook or API server down, node not ready.
    Outside,
}

/// Identity of an object in a cluster, as a member of a release.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub api_version: Box<str>,
    pub kind: Box<str>,
    /// Empty for an object of the cluster itself.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub namespace: Box<str>,
    pub name: Box<str>,
}

impl Member {
    /// Whether both name one object: the API server has it in all versions of its group, and helm too takes it for the
    /// same when a chart moves on to another version.
    #[must_use]
    pub fn is_same_object(&self, other: &Self) -> bool {
        (self.group(), &self.kind, &self.namespace, &self.name)
            == (other.group(), &other.kind, &other.namespace, &other.name)
    }

    fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

impl From<api::InventoryObject> for Member {
    fn from(wire: api::InventoryObject) -> Self {
        Self {
            api_version: wire.api_version.into(),
            kind: wire.kind.into(),
            namespace: wire.namespace.into(),
            name: wire.name.into(),
        }
    }
}

impl From<Member> for api::InventoryObject {
    fn from(member: Member) -> Self {
        Self {
            api_version: member.api_version.into(),
            kind: member.kind.into(),
            namespace: member.namespace.into(),
            name: member.name.into(),
            short_lived: false,
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Why something is not healthy, in words for a person; never holds a secret value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    pub fault: Fault,
    /// A fragment without final period, such as `1 of 2 replicas are ready`.
    pub text: Box<str>,
}

impl Why {
    pub fn own(text: impl Into<Box<str>>) -> Self {
        Self { fault: Fault::Own, text: text.into() }
    }

    pub fn outside(text: impl Into<Box<str>>) -> Self {
        Self { fault: Fault::Outside, text: text.into() }
    }
}

/// The health of one object, by its own rules alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    Healthy,
    /// On its way, and may still arrive. Says what is missing, and the cause as far as it is known.
    Progressing(Why),
    /// By the object's own rules it will not arrive: ends a judgement before the deadline.
    Failed(Why),
}

/// The health of the newest revision of a release: of all its members together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// Nothing can be said: a view is missing or was refused. Never taken for good or bad.
    Unknown {
        why: Box<str>,
        /// All that can be seen is well, and the rest may not be watched.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refused: bool,
    },
    /// At least one member is not there yet; the first in the order of the manifest is named.
    Progressing {
        member: Member,
        why: Why,
    },
    Healthy,
    Failed {
        member: Member,
        why: Why,
    },
}
