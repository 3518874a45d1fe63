//! What status remembers between passes and across restarts, in types.

mod wire;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Drift, LeftAlone, Member, Operation, Payload, Record, Records, Tested};
use crate::{
    api::{self, HISTORY_MAX, HelmReleaseStatus, HistoryResult, INVENTORY_MAX, OperationKind, QUARANTINE_MAX},
    types::{ChartDigest, ReleaseDigest},
};

/// What the spec resolves to: everything that helm is given, as digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inputs {
    pub chart: Box<str>,
    pub version: Box<str>,
    #[serde(default)]
    pub app_version: Box<str>,
    pub chart_digest: ChartDigest,
    pub digest: ReleaseDigest,
    /// Generation of the object that this was resolved for; set when it is remembered, like the cause.
    #[serde(default)]
    pub generation: i64,
    /// Digest of the generation and of the versions of the objects that hold values: while it is the same, so is
    /// `digest`, and nothing has to be read again.
    pub fingerprint: Box<str>,
    /// Digest of how the inputs are tried and judged; see [`Desired::terms`](super::Desired::terms). `None` in a status that an operator
    /// without them wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<ReleaseDigest>,
    /// What made the digest differ from the one before.
    #[serde(default)]
    pub cause: Cause,
}

/// What an attempt is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Cause {
    /// The object changed, or is new.
    #[default]
    Spec,
    /// An object that holds values changed.
    Values,
    /// The repository has another chart for the same request.
    Chart,
    /// An attempt before failed.
    Retry,
    /// Somebody else changed or removed the release.
    External,
    /// The object was deleted.
    Deletion,
    /// What somebody else made was taken over.
    Adoption,
    /// Objects in the cluster are not as the chart states them.
    Drift,
}

impl Cause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::Values => "values",
            Self::Chart => "chart",
            Self::Retry => "retry",
            Self::External => "external",
            Self::Deletion => "deletion",
            Self::Adoption => "adoption",
            Self::Drift => "drift",
        }
    }

    /// Reads what status holds; an unknown word counts as a change of the spec.
    pub fn parse(text: &str) -> Self {
        [Self::Values, Self::Chart, Self::Retry, Self::External, Self::Deletion, Self::Adoption, Self::Drift]
            .into_iter()
            .find(|cause| cause.as_str() == text)
            .unwrap_or_default()
    }
}

impl Inputs {
    /// The version as a person names it: `1.2.0 (green)`.
    pub fn label(&self) -> String {
        version_label(&self.version, &self.app_version)
    }
}

/// `1.2.0 (green)`, or `1.2.0` where both are the same or one is absent.
pub fn version_label(version: &str, app_version: &str) -> String {
    if app_version.is_empty() || app_version == version {
        version.to_owned()
    } else {
        format!("{version} ({app_version})")
    }
}

/// The revision that was last judged good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    pub revision: u32,
    pub chart: Box<str>,
    pub version: Box<str>,
    pub app_version: Box<str>,
    pub digest: Option<ReleaseDigest>,
    pub since: Timestamp,
}

impl HistoryEntry {
    /// An attempt of ours that made a revision. The others are told to people, and nothing is decided from them.
    fn is_attempt(&self) -> bool {
        self.revision > 0 && self.result != HistoryResult::External
    }

    /// Nothing was left of the release: after it revisions may begin anew.
    fn is_removal(&self) -> bool {
        self.action == OperationKind::Uninstall
            && matches!(self.result, HistoryResult::Succeeded | HistoryResult::External)
    }
}

impl Deployed {
    pub fn label(&self) -> String {
        version_label(&self.version, &self.app_version)
    }
}

/// Failed attempts at the present inputs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failures {
    pub count: u32,
    /// Those of them that were the version's own fault; only they use up its attempts.
    pub own: u32,
    /// Rollbacks in a row that helm could not complete.
    pub rollbacks: u32,
    /// Times in a row that something which passes by itself kept helm from working.
    pub hindered: u32,
    pub not_before: Option<Timestamp>,
    pub last: Option<api::LastFailure>,
}

/// A digest that is not tried again until inputs change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    pub digest: ReleaseDigest,
    pub version: Box<str>,
    pub reason: Box<str>,
    pub message: Box<str>,
    pub since: Timestamp,
}

impl Quarantined {
    /// The reason of a quarantine that a person imposed.
    pub const BY_USER: &str = "RolledBackByUser";

    pub fn is_by_user(&self) -> bool {
        &*self.reason == Self::BY_USER
    }
}

/// The members of one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// 0 where these are what is left of a release that is gone.
    pub revision: u32,
    /// False when there are more members than are kept.
    pub complete: bool,
    pub members: Vec<Member>,
    /// Those of them that the cluster removes when they are done: Jobs with a time to live. In the order of `members`.
    pub short_lived: Vec<Member>,
}

impl Inventory {
    pub fn of(payload: &Payload) -> Self {
        let mut inventory = Self::new(payload.revision, payload.members.clone());
        let short_lived = inventory.members.iter().filter(|member| payload.short_lived.contains(member));
        inventory.short_lived = short_lived.cloned().collect();
        inventory
    }

    pub fn new(revision: u32, mut members: Vec<Member>) -> Self {
        let complete = members.len() <= INVENTORY_MAX;
        members.truncate(INVENTORY_MAX);
        Self { revision, complete, members, short_lived: Vec::new() }
    }
}

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// 0 where helm refused before it wrote a revision.
    pub revision: u32,
    pub action: OperationKind,
    pub chart: Box<str>,
    pub version: Box<str>,
    pub digest: Option<ReleaseDigest>,
    pub cause: Cause,
    pub result: HistoryResult,
    pub start: Timestamp,
    pub end: Timestamp,
}

/// The part of status that decisions are made from. Conditions are not in it: they are said, never read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "HelmReleaseStatus", into = "HelmReleaseStatus")]
pub struct Memory {
    /// Generation that the last written status speaks of.
    pub observed_generation: i64,
    pub desired: Option<Inputs>,
    pub deployed: Option<Deployed>,
    pub operation: Option<Operation>,
    pub failures: Failures,
    pub quarantined: Vec<Quarantined>,
    pub inventory: Option<Inventory>,
    pub tested: Option<Tested>,
    pub drift: Option<Drift>,
    pub history: Vec<HistoryEntry>,
    pub definitions: Option<LeftAlone>,
    pub handled: api::Handled,
}

impl Memory {
    pub fn quarantine_of(&self, digest: &ReleaseDigest) -> Option<&Quarantined> {
        self.quarantined.iter().find(|entry| entry.digest == *digest)
    }

    pub fn quarantine(&mut self, entry: Quarantined) {
        self.quarantined.retain(|other| other.digest != entry.digest);
        self.quarantined.push(entry);
        let over = self.quarantined.len().saturating_sub(QUARANTINE_MAX);
        self.quarantined.drain(..over);
    }

    /// Attempts of ours that made a revision, oldest first: what decisions are made from.
    pub fn attempts(&self) -> impl DoubleEndedIterator<Item = &HistoryEntry> {
        self.history.iter().filter(|entry| entry.is_attempt())
    }

    /// Whether a revision is the one that was last judged good, or its record says that it was.
    fn was_good(&self, revision: u32, records: Option<&Records>) -> bool {
        self.deployed.as_ref().is_some_and(|good| good.revision == revision)
            || records.and_then(|records| records.get(revision)).is_some_and(Record::is_verified)
    }

    /// Whether a member of the inventory that is not there has gone as it may, as far as status and records tell; what
    /// was seen of it before is not asked here.
    ///
    /// A Job with a time to live goes only after it has finished, so a gone one counts as done, also while its attempt
    /// is open. Whether it failed is seen by whoever watches. Where nobody did, for all the time between its failure and
    /// its removal, the failure is lost: that is the lesser evil, since the other way round each restart of the operator
    /// would roll good versions back. Any other Job may be tidied away by a person once its revision was good.
    pub fn may_be_gone(&self, member: &Member, records: Option<&Records>) -> bool {
        self.inventory.as_ref().is_some_and(|inventory| {
            let job = &*member.kind == "Job" && member.api_version.starts_with("batch/");
            inventory.short_lived.contains(member) || (job && self.was_good(inventory.revision, records))
        })
    }

    /// Adds to the history. Of failures of the same thing in a row the last two revisions stay, and what is only told
    /// goes first, so that neither pushes out the attempts that decisions are made from. Two, because the last try may
    /// have written nothing: then the one before it tells whose the newest record is.
    pub fn remember(&mut self, entry: HistoryEntry) {
        let repeats = |other: &&HistoryEntry| {
            other.action == entry.action
                && other.result != HistoryResult::Succeeded
                && other.digest == entry.digest
                && other.is_attempt() == entry.is_attempt()
        };
        if matches!(entry.result, HistoryResult::Failed | HistoryResult::Abandoned) {
            let failures = self.history.iter().rev().take_while(repeats).count();
            let same = self.history.last().is_some_and(|last| last.revision == entry.revision);
            match failures {
                1.. if same => drop(self.history.pop()),
                2.. => drop(self.history.remove(self.history.len() - 2)),
                _ => {}
            }
        }
        self.history.push(entry);
        while self.history.len() > HISTORY_MAX {
            // A removal stays as long as what it divides from the rest: it goes as the oldest.
            let told = self.history.iter().position(|entry| !entry.is_attempt() && !entry.is_removal());
            self.history.remove(told.unwrap_or(0));
        }
    }

    /// The way back from a bad revision: the newest one before it that was judged good, that no person has rolled away
    /// from, and whose record is not among those that helm cannot read.
    pub fn way_back<'r>(&self, records: &'r Records, below: u32, spoilt: &[u32]) -> Option<&'r Record> {
        let refused = |record: &Record| {
            let entry = record.digest.as_ref().and_then(|digest| self.quarantine_of(digest));
            entry.is_some_and(Quarantined::is_by_user)
        };
        records.iter().rev().find(|record| {
            record.revision < below && record.is_verified() && !refused(record) && !spoilt.contains(&record.revision)
        })
    }

    /// Attempts of ours at the release that is there, newest first. No clock is asked: that of the API server, which
    /// dates records, is another one than ours.
    pub fn attempts_since_removal(&self) -> impl Iterator<Item = &HistoryEntry> {
        self.history.iter().rev().take_while(|entry| !entry.is_removal()).filter(|entry| entry.is_attempt())
    }

    /// The last attempt that made a record: the same number may have been given to something else before, or since.
    pub fn entry_of(&self, record: &Record) -> Option<&HistoryEntry> {
        self.attempts_since_removal()
            .find(|entry| entry.revision == record.revision)
            .filter(|entry| entry.digest == record.digest)
    }

    /// The last uninstall of ours that nobody saw the end of, where it is the last thing that was done.
    pub fn open_removal(&mut self) -> Option<&mut HistoryEntry> {
        let last = self.history.iter_mut().rev().find(|entry| entry.is_attempt())?;
        (last.action == OperationKind::Uninstall && !last.is_removal()).then_some(last)
    }
}
