//! Reads a record from the name and the labels of its Secret; anybody may have written either.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::super::watch::number;
use super::VersionedRecord;
use crate::release::{
    LABEL_ADOPTED, LABEL_CLEARED, LABEL_DIGEST, LABEL_OWNER, LABEL_REVISION, LABEL_VERIFIED, OwnerId,
    RECORD_NAME_PREFIX, Record, RecordStatus,
};
use crate::types::{Namespace, ReleaseDigest, ReleaseKey, ReleaseName};

/// Which record a Secret is by its name, which nobody can change.
pub(super) fn identity(meta: &ObjectMeta) -> Option<(ReleaseKey, u32)> {
    let name = meta.name.as_deref()?.strip_prefix(RECORD_NAME_PREFIX)?;
    let (name, revision) = name.rsplit_once(".v")?;
    let key = ReleaseKey {
        namespace: Namespace::parse(meta.namespace.as_deref()?).ok()?,
        name: ReleaseName::parse(name).ok()?,
    };
    Some((key, revision.parse().ok().filter(|revision| *revision > 0)?))
}

/// `None` where the labels do not say what the name says: helm goes by the labels, so that such a Secret is nobody's.
pub(in super::super) fn versioned_record(meta: &ObjectMeta) -> Option<VersionedRecord> {
    let (key, revision) = identity(meta)?;
    let labels = meta.labels.as_ref()?;
    let label = |name: &str| labels.get(name).map(String::as_str);
    if label("name") != Some(key.name.as_str()) || label("version")?.parse() != Ok(revision) {
        return None;
    }
    let record = Record {
        revision,
        status: RecordStatus::parse(label("status")?),
        digest: label(LABEL_DIGEST).and_then(|text| ReleaseDigest::parse(text).ok()),
        owner: label(LABEL_OWNER).map(OwnerId::from_label),
        stamp: label(LABEL_REVISION).and_then(|text| text.parse().ok()),
        verified: label(LABEL_VERIFIED).and_then(|text| text.parse().ok()),
        cleared: label(LABEL_CLEARED).and_then(|text| text.parse().ok()),
        adopted: label(LABEL_ADOPTED).and_then(|text| text.parse().ok()),
        written: written(meta),
    };
    Some(VersionedRecord { version: number(meta.resource_version.as_deref()), record })
}

/// A label of the operator's on a record. Anybody may have written into it; what cannot be read counts as not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnLabel {
    Digest,
    /// A digest that reads well, by a formula that this operator does not know: a later one made it.
    Formula,
    Owner,
    Revision,
    Verified,
    Cleared,
}

impl OwnLabel {
    pub const ALL: [Self; 6] =
        [Self::Digest, Self::Formula, Self::Owner, Self::Revision, Self::Verified, Self::Cleared];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::Formula => "formula",
            Self::Owner => "owner",
            Self::Revision => "revision",
            Self::Verified => "verified",
            Self::Cleared => "cleared",
        }
    }

    fn is_spoilt(self, text: &str) -> bool {
        match self {
            Self::Digest | Self::Owner => ReleaseDigest::parse(text).is_err(),
            Self::Formula => ReleaseDigest::parse(text).is_ok_and(|digest| !digest.is_of_known_formula()),
            Self::Revision | Self::Verified | Self::Cleared => text.parse::<u32>().is_err(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Digest | Self::Formula => LABEL_DIGEST,
            Self::Owner => LABEL_OWNER,
            Self::Revision => LABEL_REVISION,
            Self::Verified => LABEL_VERIFIED,
            Self::Cleared => LABEL_CLEARED,
        }
    }
}

/// The labels of a record that say nothing, because something else than the operator writes stands there.
pub(super) fn spoilt(meta: &ObjectMeta) -> impl Iterator<Item = OwnLabel> {
    let text = |label: OwnLabel| meta.labels.as_ref()?.get(label.name());
    OwnLabel::ALL.into_iter().filter(move |label| text(*label).is_some_and(|text| label.is_spoilt(text)))
}

/// When the Secret was last written, in seconds since 1970, as the API server says. helm's own label `modifiedAt` is not
/// it: helm 4.3 copies that to the next revision together with the user's labels, where it tells an earlier time.
fn written(meta: &ObjectMeta) -> i64 {
    let managers = meta.managed_fields.iter().flatten().filter_map(|fields| fields.time.as_ref());
    managers.chain(&meta.creation_timestamp).map(|time| time.0.as_second()).max().unwrap_or(0)
}
