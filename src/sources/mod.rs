//! Where chart bytes come from: the index of a repository, one version out of it, its archive, checked and kept.
//!
//! helm is never given a repository, only a file from the store of this room. So an index is parsed once for all
//! releases instead of once for each helm process, credentials stay out of argv, every retry has the same bytes, and
//! the digest that the index promises is compared, which helm itself does not do.
//!
//! This room knows nothing of Kubernetes, of releases or of helm processes. It keeps no schedule: it does what it is
//! asked, and a caller that goes away takes its work with it.

mod address;
mod archive;
mod client;
mod content;
mod download;
mod error;
mod facts;
mod flight;
mod index;
mod repository;
mod resolution;
mod settings;
mod store;
#[cfg(test)]
mod tests;

use std::{fs::File, io::BufReader, sync::Arc};

use http::HeaderMap;
use tempfile::NamedTempFile;
use tokio::sync::Semaphore;

pub use address::{Credentials, Place, RepositoryUrl};
pub use error::SourceError;
pub use facts::{ChartFacts, CrdFile};
pub use resolution::{ChartRequest, ResolvedChart};
pub use settings::{
    ARCHIVE_BYTES_MAX, FILE_BYTES_MAX, FILES_MAX, INDEX_BYTES_MAX, INDEX_FRESH_FOR, STORE_BYTES_MAX, SourceSettings,
    TIMEOUT, UNPACKED_BYTES_MAX,
};
pub use store::StoredChart;

use address::Access;
use archive::{Allowance, Flaw};
use client::{Ask, Clients};
use download::{Bound, Fetched};
use flight::Flights;
use repository::Repositories;
use store::{Label, Store};

use crate::{release::ChartContent, types::ChartDigest};

/// Archives that are fetched and checked at a time. Each may take 20 MiB of disk beyond the limit of the store and one
/// thread for its check.
const FETCHES_MAX: usize = 8;

/// The charts that can be had. Clones share everything.
#[derive(Debug, Clone)]
pub struct Sources(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: SourceSettings,
    clients: Clients,
    repositories: Repositories,
    store: Arc<Store>,
    fetches: Flights<Access, StoredChart>,
    slots: Semaphore,
}

impl Sources {
    /// Opens the store; blocks for as long as its directory takes to read. Nothing is asked for yet, and certificates
    /// are not read before the first https repository is.
    pub fn new(settings: SourceSettings) -> Result<Self, SourceError> {
        let store = Arc::new(Store::open(&settings.cache_dir, settings.store_bytes_max)?);
        let clients = Clients::new(&settings);
        let repositories = Repositories::new();
        let slots = Semaphore::new(FETCHES_MAX);
        Ok(Self(Arc::new(Inner { settings, clients, repositories, store, fetches: Flights::default(), slots })))
    }

    /// Which version of the chart satisfies the request now; costs a request only if the index is not fresh.
    pub async fn resolve(&self, request: &ChartRequest) -> Result<ResolvedChart, SourceError> {
        let Inner { settings, clients, repositories, .. } = &*self.0;
        let entries = repositories.entries(clients, settings, request).await?;
        resolution::choose(request, &entries)
    }

    /// The archive of a resolved chart, checked and on disk; costs nothing if it is there already.
    pub async fn fetch(
        &self,
        chart: &ResolvedChart,
        credentials: Option<&Credentials>,
    ) -> Result<StoredChart, SourceError> {
        let key = Access::to(&chart.repository, credentials).and(&wanted_bytes(chart));
        let flight = self.0.fetches.to(key);
        flight
            .join(async {
                if let Some(stored) = self.at_hand(chart).await {
                    return Ok(stored);
                }
                // Never closed, so never an error.
                let _slot = self.0.slots.acquire().await;
                self.download(chart, credentials).await
            })
            .await
    }

    /// The archive with that digest, if it is in the store. Never a request.
    ///
    /// For callers who resolved the chart before; who may read which digest is not judged here.
    pub async fn stored(&self, digest: &ChartDigest) -> Option<StoredChart> {
        let digest = *digest;
        self.in_store(move |store| store.get(&digest)).await
    }

    /// The manifests under `crds/` of a stored chart and its subcharts.
    pub async fn crd_files(&self, chart: &StoredChart) -> Result<Vec<CrdFile>, SourceError> {
        self.read(chart, facts::crd_files).await
    }

    /// What a stored chart consists of.
    pub async fn content(&self, chart: &StoredChart) -> Result<ChartContent, SourceError> {
        self.read(chart, content::content).await
    }

    async fn read<T: Send + 'static>(
        &self,
        chart: &StoredChart,
        reader: fn(BufReader<File>, Allowance) -> Result<T, Flaw>,
    ) -> Result<T, SourceError> {
        let allowance = Allowance::of(&self.0.settings);
        // A clone, so that the file stays for as long as it is read.
        let held = chart.clone();
        let StoredChart { name, version, path, .. } = chart.clone();
        let read = tokio::task::spawn_blocking(move || {
            let file = File::open(&held.path).map_err(|error| SourceError::store(&held.path, &error))?;
            Ok(reader(BufReader::new(file), allowance))
        });
        match read.await {
            Ok(Ok(Ok(found))) => Ok(found),
            Ok(Ok(Err(Flaw(why)))) => Err(SourceError::BadArchive {
                place: Place::of_file(&path),
                chart: name,
                version: version.to_string(),
                why,
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(SourceError::store(&path, &std::io::ErrorKind::Interrupted.into())),
        }
    }

    async fn at_hand(&self, chart: &ResolvedChart) -> Option<StoredChart> {
        let digest = chart.index_digest?;
        let origin = chart.repository.to_string();
        let found = self.in_store(move |store| store.get_from(&digest, &origin)).await?;
        // The bytes of another chart: the index names the wrong digest. Fetching finds the words for it.
        (found.name == chart.name && found.version == chart.version).then_some(found)
    }

    async fn in_store<T: Send + 'static>(&self, look: impl FnOnce(&Store) -> Option<T> + Send + 'static) -> Option<T> {
        let store = Arc::clone(&self.0.store);
        tokio::task::spawn_blocking(move || look(&store)).await.ok().flatten()
    }

    async fn download(
        &self,
        chart: &ResolvedChart,
        credentials: Option<&Credentials>,
    ) -> Result<StoredChart, SourceError> {
        let Inner { settings, clients, store, .. } = &*self.0;
        let part = store.part()?;
        let writer = part.as_file().try_clone().map_err(|error| SourceError::store(store.directory(), &error))?;
        let ask = Ask { repository: &chart.repository, credentials, url: chart.url.clone(), headers: HeaderMap::new() };
        let bound = Bound { what: "a chart archive", bytes: settings.archive_bytes_max, timeout: settings.timeout };
        let place = Place::of(&chart.url);
        let Some(fetched) = download::fetch(clients, ask, bound, writer, store.directory()).await? else {
            // 304 to a request without a condition.
            return Err(SourceError::UnexpectedAnswer { place, status: 304 });
        };
        let actual = fetched.digest;
        if let Some(expected) = chart.index_digest.filter(|expected| *expected != actual) {
            return Err(SourceError::DigestMismatch { place, expected, actual });
        }
        let (store, chart) = (Arc::clone(store), chart.clone());
        let allowance = Allowance::of(settings);
        let checked = tokio::task::spawn_blocking(move || admit(&store, part, &fetched, &chart, allowance)).await;
        checked.unwrap_or_else(|_| {
            Err(SourceError::store(self.0.store.directory(), &std::io::ErrorKind::Interrupted.into()))
        })
    }
}

/// What a fetch is known by before its bytes are: the digest that is promised, else the address.
fn wanted_bytes(chart: &ResolvedChart) -> String {
    let ResolvedChart { name, version, index_digest, url, .. } = chart;
    index_digest.map_or_else(|| format!("{name} {version} {url}"), |digest| format!("{name} {version} {digest}"))
}

/// Checks what was fetched and puts it into the store.
fn admit(
    store: &Store,
    part: NamedTempFile,
    fetched: &Fetched,
    chart: &ResolvedChart,
    allowance: Allowance,
) -> Result<StoredChart, SourceError> {
    let bad = |Flaw(why)| SourceError::BadArchive {
        place: Place::of(&chart.url),
        chart: chart.name.clone(),
        version: chart.version.to_string(),
        why,
    };
    let archive = part.reopen().map_err(|error| SourceError::store(store.directory(), &error))?;
    let archive = BufReader::new(archive);
    let inspected = facts::inspect(archive, allowance, &chart.name, &chart.version).map_err(bad)?;
    let label = Label::new(
        chart.name.clone(),
        chart.version.clone(),
        inspected.app_version,
        inspected.facts,
        chart.repository.to_string(),
    );
    store.keep(part, fetched.digest, fetched.bytes, label)
}
