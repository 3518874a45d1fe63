//! What is known of one revision of a Helm release from the metadata of its record, without its payload.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::types::{ObjectKey, ReleaseDigest, ReleaseName};

/// What the name of every record begins with: helm's storage, first version, a release.
pub const RECORD_NAME_PREFIX: &str = "sh.helm.release.v1.";

/// The name of the Secret that holds a revision.
pub fn record_name(release: &ReleaseName, revision: u32) -> String {
    format!("{RECORD_NAME_PREFIX}{release}.v{revision}")
}

/// Label: the digest of what helm was given for this revision.
pub const LABEL_DIGEST: &str = "helmrelease.dev/digest";
/// Label: the object that owns the release.
pub const LABEL_OWNER: &str = "helmrelease.dev/owner";
/// Label: the revision that the labelled run was going to create. helm copies labels from revision to revision, so
/// a record whose own number differs was written by somebody else.
pub const LABEL_REVISION: &str = "helmrelease.dev/revision";
/// Label: set to the record's own number after the revision was judged good.
pub const LABEL_VERIFIED: &str = "helmrelease.dev/verified";
/// Put on the record of a revision that never became good once what it left behind is removed; its value is the number
/// of the revision, because helm copies labels.
pub const LABEL_CLEARED: &str = "helmrelease.dev/cleared";
/// Label: set to the record's own number when an object took over a revision that somebody else made. On the revisions
/// after it, to which helm copies it, it tells that the release began with somebody else.
pub const LABEL_ADOPTED: &str = "helmrelease.dev/adopted";

/// The state of a revision, as helm 3 and 4 write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordStatus {
    Unknown,
    Deployed,
    Uninstalled,
    Superseded,
    Failed,
    Uninstalling,
    PendingInstall,
    PendingUpgrade,
    PendingRollback,
}

impl RecordStatus {
    /// Reads helm's text; a text of a later helm is `Unknown`, never an error.
    pub fn parse(text: &str) -> Self {
        match text {
            "deployed" => Self::Deployed,
            "uninstalled" => Self::Uninstalled,
            "superseded" => Self::Superseded,
            "failed" => Self::Failed,
            "uninstalling" => Self::Uninstalling,
            "pending-install" => Self::PendingInstall,
            "pending-upgrade" => Self::PendingUpgrade,
            "pending-rollback" => Self::PendingRollback,
            _ => Self::Unknown,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Deployed => "deployed",
            Self::Uninstalled => "uninstalled",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Uninstalling => "uninstalling",
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
        }
    }

    /// A helm process is at work, or one has died at it.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback)
    }
}

impl fmt::Display for RecordStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The owner of a release, as short as a label needs it: a digest of the object's namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnerId(Box<str>);

impl OwnerId {
    pub fn of(object: &ObjectKey) -> Self {
        let digest = ReleaseDigest::v1(&[object.namespace.as_bytes(), object.name.as_bytes()]);
        Self(digest.as_str().into())
    }

    /// From a label, whose text may be anybody's.
    pub fn from_label(text: &str) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One revision, as its record's labels tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    pub revision: u32,
    pub status: RecordStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<ReleaseDigest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerId>,
    /// The value of [`LABEL_REVISION`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<u32>,
    /// The value of [`LABEL_VERIFIED`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<u32>,
    /// The value of [`LABEL_CLEARED`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<u32>,
    /// The value of [`LABEL_ADOPTED`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<u32>,
    /// When helm last wrote the record, in seconds since 1970.
    #[serde(default)]
    pub written: i64,
}

impl Record {
    /// Written by a run of ours for `owner`: its stamp is its own number. A copied label does not count.
    pub fn is_stamped_by(&self, owner: &OwnerId) -> bool {
        self.stamp == Some(self.revision) && self.owner.as_ref() == Some(owner)
    }

    /// Judged good once. A mark copied from another revision does not count.
    pub fn is_verified(&self) -> bool {
        self.verified == Some(self.revision)
    }

    /// Made by somebody else, and taken over by its owner as it was. A mark copied from another revision does not count.
    pub fn is_adopted(&self) -> bool {
        self.adopted == Some(self.revision)
    }

    /// What it left behind was removed. A mark copied from another revision does not count.
    pub fn is_cleared(&self) -> bool {
        self.cleared == Some(self.revision)
    }
}

/// All revisions of one release that are there, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Records(Vec<Record>);

impl Records {
    pub fn new(mut records: Vec<Record>) -> Self {
        records.sort_by_key(|record| record.revision);
        Self(records)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn newest(&self) -> Option<&Record> {
        self.0.last()
    }

    pub fn get(&self, revision: u32) -> Option<&Record> {
        self.0.iter().find(|record| record.revision == revision)
    }

    /// The revision that helm would call deployed: the newest of that status.
    pub fn deployed(&self) -> Option<&Record> {
        self.0.iter().rev().find(|record| record.status == RecordStatus::Deployed)
    }

    /// Whether the release is an object's: it made, or adopted, one of the revisions, and no other object has since.
    /// Where nobody's stamp is left, the labels that helm copies to everybody's revisions tell.
    pub fn belong_to(&self, owner: &OwnerId) -> bool {
        let names = |record: &Record| record.owner.as_ref() == Some(owner);
        let stamped = |record: &&Record| record.owner.is_some() && record.stamp == Some(record.revision);
        self.0.iter().rev().find(stamped).map_or_else(|| self.0.iter().any(names), names)
    }

    /// Whether an object took the release over from somebody else, as long as a record of that time or of one that helm
    /// made from it is there.
    pub fn were_adopted(&self) -> bool {
        self.0.iter().any(|record| record.adopted.is_some())
    }

    /// The number that helm's next run creates.
    pub fn next_revision(&self) -> u32 {
        self.newest().map_or(1, |record| record.revision.saturating_add(1))
    }

    /// `--history-max` for the next run: the user's wish, or more where pruning would take the newest verified
    /// revision or the way back, which may be older. helm prunes the oldest before it creates, whatever their worth.
    pub fn history_max(&self, wanted: u32, way_back: Option<u32>) -> u32 {
        let newest = self.0.iter().rev().find(|record| record.is_verified()).map(|record| record.revision);
        let deployed = self.deployed().map(|record| record.revision);
        let room = |keep: Option<u32>| {
            // helm itself never prunes the revision that it calls deployed, so failures on top of it need no room.
            let keep = keep.filter(|keep| Some(*keep) != deployed)?;
            let since = self.0.iter().filter(|record| record.revision >= keep).count();
            // That one takes a place although it is older, and so does the revision that the run creates.
            let older = u32::from(deployed.is_some_and(|deployed| deployed < keep));
            Some(u32::try_from(since).unwrap_or(u32::MAX).saturating_add(1 + older))
        };
        wanted.max(room(newest).unwrap_or(0)).max(room(way_back).unwrap_or(0))
    }

    /// What nobody misses where more than `wanted` are there: revisions of `owner` that failed and never were good. helm
    /// leaves them where it makes room back to something older, and an install has no limit at all. Rollbacks go first,
    /// known by the labels of their target: they have nothing that their target has not.
    pub fn surplus(&self, wanted: u32, owner: &OwnerId) -> Vec<u32> {
        let newest = self.newest().map(|record| record.revision);
        let missed = |record: &&Record| {
            record.status != RecordStatus::Failed
                || record.is_verified()
                || record.owner.as_ref() != Some(owner)
                || Some(record.revision) == newest
        };
        let (stamped, rollbacks): (Vec<_>, Vec<_>) =
            self.0.iter().filter(|record| !missed(record)).partition(|record| record.is_stamped_by(owner));
        let over = self.0.len().saturating_sub(wanted as usize);
        rollbacks.into_iter().chain(stamped).map(|record| record.revision).take(over).collect()
    }
}

/// What a look into the payload of a foreign record told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForeignAction {
    /// An install or upgrade by somebody else.
    Upgrade,
    /// A rollback by somebody else, to this revision.
    Rollback { to: u32 },
    /// The payload could not be read.
    Unreadable,
}

/// helm's words for a rollback, which is all that helm 3, and helm 4 before 4.3, tell of it.
const ROLLBACK_TO: &str = "Rollback to ";
/// What comes between those words and ours on a record that was unlocked.
const AND_THEN: &str = "; ";

/// The revision that a record goes back to, where its description says so in helm's words.
pub fn rollback_told_by(description: &str) -> Option<u32> {
    let rest = description.strip_prefix(ROLLBACK_TO)?;
    rest.split_once(AND_THEN).map_or(rest, |(to, _)| to).parse().ok()
}

/// The description of a record that is unlocked. That it was a rollback stays told: nothing else may tell it, and a
/// rollback by a person that died half-way is none to be put back.
pub fn unlocked_description(before: &str, why: &str) -> String {
    match rollback_told_by(before) {
        Some(to) => format!("{ROLLBACK_TO}{to}{AND_THEN}{why}"),
        None => why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(revision: u32, verified: bool) -> Record {
        Record {
            revision,
            status: RecordStatus::Superseded,
            digest: None,
            owner: None,
            stamp: Some(revision),
            verified: verified.then_some(revision),
            cleared: None,
            adopted: None,
            written: 0,
        }
    }

    #[test]
    fn history_max_keeps_the_newest_verified_revision_through_the_next_run() {
        let records = Records::new(vec![record(1, true), record(2, false), record(3, false), record(4, false)]);
        assert_eq!(records.history_max(3, None), 5);
        assert_eq!(records.history_max(9, None), 9);
        assert_eq!(Records::default().history_max(3, None), 3);
        let records = Records::new(vec![record(1, true), record(2, false), record(3, true), record(4, false)]);
        assert_eq!(records.history_max(3, None), 3);
        assert_eq!(records.history_max(3, Some(1)), 5);
        let mut deployed = records.0.clone();
        deployed[0].status = RecordStatus::Deployed;
        assert_eq!(Records::new(deployed).history_max(3, Some(1)), 4);
    }

    /// What helm leaves when it makes room for one more: its own loop, over all that is there, oldest first.
    fn pruned(records: &Records, max: u32) -> Vec<u32> {
        let deployed = records.deployed().map(|record| record.revision);
        let mut left: Vec<u32> = records.iter().map(|record| record.revision).collect();
        for record in records.iter() {
            if left.len() < max as usize {
                break;
            }
            if Some(record.revision) != deployed {
                left.retain(|revision| *revision != record.revision);
            }
        }
        left
    }

    #[test]
    fn history_max_keeps_the_way_back_whatever_is_deployed() {
        for sort in 0..4_u32.pow(4) {
            let kind = |revision: u32| sort / 4_u32.pow(revision - 1) % 4;
            let made = |revision| {
                let mut made = record(revision, kind(revision) % 2 == 1);
                made.status = if kind(revision) > 1 { RecordStatus::Deployed } else { RecordStatus::Superseded };
                made
            };
            let records = Records::new((1..=4).map(made).collect());
            for way_back in 1..=4 {
                let left = pruned(&records, records.history_max(2, Some(way_back)));
                let newest = records.iter().rev().find(|record| record.is_verified());
                assert!(left.contains(&way_back), "{way_back} of {records:?}: {left:?}");
                assert!(newest.is_none_or(|newest| left.contains(&newest.revision)), "{records:?}: {left:?}");
            }
        }
    }

    #[test]
    fn of_surplus_records_failed_rollbacks_go_first_and_nothing_that_was_good() {
        let owner = OwnerId::of(&ObjectKey::new("a", "b"));
        let made = |revision, status, stamp, verified| Record {
            status,
            stamp: Some(stamp),
            owner: Some(owner.clone()),
            ..record(revision, verified)
        };
        let failed = |revision, stamp| made(revision, RecordStatus::Failed, stamp, false);
        let good = made(1, RecordStatus::Superseded, 1, true);
        let stranger = Record { owner: None, ..failed(2, 2) };
        let records = Records::new(vec![good, stranger, failed(3, 3), failed(4, 1), failed(5, 1), failed(6, 1)]);
        assert_eq!(records.surplus(6, &owner), [0; 0]);
        assert_eq!(records.surplus(5, &owner), [4]);
        assert_eq!(records.surplus(2, &owner), [4, 5, 3]);
    }

    #[test]
    fn a_record_that_is_unlocked_still_says_that_it_was_a_rollback() {
        for (before, to) in [("Rollback to 12", Some(12)), ("Rollback to 1.2 of the app", None), ("Upgrade", None)] {
            assert_eq!(rollback_told_by(before), to);
            let once = unlocked_description(before, "helm died");
            assert_eq!(rollback_told_by(&once), to);
            assert_eq!(unlocked_description(&once, "helm died"), once);
        }
        assert_eq!(unlocked_description("Rollback to 12", "helm died"), "Rollback to 12; helm died");
    }

    #[test]
    fn copied_labels_do_not_count() {
        let owner = OwnerId::of(&ObjectKey::new("a", "b"));
        let mut copy = record(3, true);
        copy.owner = Some(owner.clone());
        assert!(copy.is_stamped_by(&owner) && copy.is_verified());
        copy.revision = 4;
        assert!(!copy.is_stamped_by(&owner) && !copy.is_verified());
    }

    #[test]
    fn a_release_belongs_to_whoever_stamped_it_last() {
        let [mine, theirs] = ["mine", "theirs"].map(|name| OwnerId::of(&ObjectKey::new("apps", name)));
        let of = |revision, owner: &OwnerId, stamp| Record {
            owner: Some(owner.clone()),
            stamp: Some(stamp),
            ..record(revision, false)
        };
        let bare = Record { stamp: None, ..record(1, false) };
        assert!(!Records::default().belong_to(&mine) && !Records::new(vec![bare.clone()]).belong_to(&mine));
        let records = Records::new(vec![bare, of(2, &mine, 2), of(3, &mine, 2)]);
        assert!(records.belong_to(&mine) && !records.belong_to(&theirs));
        let records = Records::new(vec![of(2, &mine, 2), of(3, &theirs, 3), of(4, &theirs, 3)]);
        assert!(!records.belong_to(&mine) && records.belong_to(&theirs), "another object has taken it over");
        let records = Records::new(vec![of(5, &mine, 2), of(6, &mine, 2)]);
        assert!(records.belong_to(&mine), "all that it stamped was pruned");
    }
}
