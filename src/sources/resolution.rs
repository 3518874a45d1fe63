//! From a request for a chart to one version of it.

use semver::Version;

use reqwest::Url;

use super::{
    address::{Credentials, RepositoryUrl},
    error::{SourceError, printable},
    index::{Entry, NamedDigest},
};
use crate::types::{ChartDigest, ChartName, VersionRequest};

/// Versions that the message about a missing one names.
const NEWEST_NAMED: usize = 3;

/// Which chart a release wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartRequest {
    pub repository: RepositoryUrl,
    pub chart: ChartName,
    pub version: VersionRequest,
    pub credentials: Option<Credentials>,
    /// Asks the repository even if its answer is fresh: a person wants to know what is there now.
    pub anew: bool,
}

/// One version of one chart, found in the index of a repository by somebody who may read that.
///
/// Only `Sources::resolve` makes one: having it is what entitles to the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedChart {
    pub(super) repository: RepositoryUrl,
    pub(super) name: ChartName,
    pub(super) version: Version,
    pub(super) app_version: Box<str>,
    pub(super) index_digest: Option<ChartDigest>,
    pub(super) url: Url,
}

impl ResolvedChart {
    pub fn repository(&self) -> &RepositoryUrl {
        &self.repository
    }

    pub fn name(&self) -> &ChartName {
        &self.name
    }

    pub fn version(&self) -> &Version {
        &self.version
    }

    /// As the index says; empty if it says nothing.
    pub fn app_version(&self) -> &str {
        &self.app_version
    }

    /// Absent where the repository publishes none. Then the bytes are not known before they are fetched, and are
    /// fetched each time.
    pub fn index_digest(&self) -> Option<&ChartDigest> {
        self.index_digest.as_ref()
    }
}

/// The entry that satisfies the request, if it can be used.
pub(super) fn choose(request: &ChartRequest, entries: &[Entry]) -> Result<ResolvedChart, SourceError> {
    let ChartRequest { repository, chart, version: wanted, credentials: _, anew: _ } = request;
    if entries.is_empty() {
        return Err(SourceError::ChartAbsent { place: repository.place(), chart: chart.clone() });
    }
    let Some(version) = wanted.choose(entries.iter().map(|entry| (&entry.version, &*entry.app_version))) else {
        return Err(SourceError::VersionAbsent {
            place: repository.place(),
            chart: chart.clone(),
            wanted: printable(&wanted.to_string()),
            newest: newest(entries),
        });
    };
    let unusable = |why: String| SourceError::EntryUnusable {
        place: repository.place(),
        chart: chart.clone(),
        version: version.to_string(),
        why,
    };
    let mut same = entries.iter().filter(|entry| entry.version == *version);
    let Some(entry) = same.next() else {
        return Err(unusable("it is not there".to_owned()));
    };
    if same.any(|other| other.digest != entry.digest) {
        return Err(unusable("it is listed twice with different digests".to_owned()));
    }
    let index_digest = match entry.digest {
        NamedDigest::Absent => None,
        NamedDigest::Is(digest) => Some(digest),
        NamedDigest::Malformed => return Err(unusable("its digest is not a SHA-256".to_owned())),
    };
    if entry.url.is_empty() {
        return Err(unusable("it has no URL".to_owned()));
    }
    let url = repository.archive(&entry.url).map_err(|why| unusable(format!("its URL {why}")))?;
    Ok(ResolvedChart {
        repository: repository.clone(),
        name: chart.clone(),
        version: version.clone(),
        app_version: entry.app_version.clone(),
        index_digest,
        url,
    })
}

/// Stable versions first: a nightly build is rarely what somebody mistyped.
fn newest(entries: &[Entry]) -> Vec<String> {
    let mut versions: Vec<_> = entries.iter().map(|entry| &entry.version).collect();
    versions.sort_by_key(|version| std::cmp::Reverse((version.pre.is_empty(), *version)));
    versions.dedup();
    versions.into_iter().take(NEWEST_NAMED).map(ToString::to_string).collect()
}
