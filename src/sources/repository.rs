//! What is known of the repositories in use: one index each, fetched by one caller at a time, kept slim.
//!
//! The body of an index stays on disk, in a file without a name, so that a chart that was not asked for before costs a
//! parse and no request. In memory are only the versions of the charts that are asked for.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::sync::Semaphore;

use super::{
    address::{Access, Place},
    client::{Ask, Clients},
    download::{self, Bound},
    error::SourceError,
    flight::Flight,
    index::{self, Charts, Entry},
    resolution::ChartRequest,
    settings::SourceSettings,
};
use crate::types::ChartName;

/// How long a repository or a chart that nobody asks for is remembered. Longer than most resolution intervals, so that
/// validators save the transfer; after it, memory and the file are given back.
const IDLE_KEPT: Duration = Duration::from_secs(3600);
/// Indexes parsed at a time. Parsing is what costs CPU here, and must not take it from everything else.
const PARSES_MAX: usize = 2;

/// The repositories in use, each as seen with one set of credentials.
#[derive(Debug)]
pub(super) struct Repositories {
    slots: Mutex<HashMap<Access, Arc<Slot>>>,
    parses: Semaphore,
}

/// One repository as seen with one set of credentials.
#[derive(Debug)]
struct Slot {
    flight: Flight<()>,
    wanted: Mutex<Wanted>,
    known: Mutex<Known>,
}

/// Which charts are asked for, and when each was last.
#[derive(Debug)]
struct Wanted {
    charts: HashMap<ChartName, Instant>,
    last: Instant,
}

#[derive(Debug, Default)]
struct Known {
    charts: Charts,
    body: Option<Body>,
}

#[derive(Debug, Clone)]
struct Body {
    file: Arc<File>,
    /// Conditions of the next request.
    validators: HeaderMap,
    /// When the repository last said that this is its index.
    confirmed: Instant,
}

impl Repositories {
    pub(super) fn new() -> Self {
        Self { slots: Mutex::default(), parses: Semaphore::new(PARSES_MAX) }
    }

    /// The versions of the chart, at most `index_fresh_for` old.
    pub(super) async fn entries(
        &self,
        clients: &Clients,
        settings: &SourceSettings,
        request: &ChartRequest,
    ) -> Result<Arc<[Entry]>, SourceError> {
        let slot = self.slot(request);
        let asked = Instant::now();
        // Whoever asks anew is content with an answer that was confirmed since.
        let fresh_for = || if request.anew { asked.elapsed() } else { settings.index_fresh_for };
        if let Some(entries) = slot.fresh(&request.chart, fresh_for()) {
            return Ok(entries);
        }
        // Twice: the flight that is shared may have begun to parse before this chart was wanted. The next one knows.
        for _ in 0..2 {
            let refresh = async {
                if slot.fresh(&request.chart, fresh_for()).is_some() {
                    return Ok(());
                }
                self.refresh(&slot, clients, settings, request, fresh_for()).await
            };
            slot.flight.join(refresh).await?;
            if let Some(entries) = slot.entries(&request.chart) {
                return Ok(entries);
            }
        }
        Ok(Arc::default())
    }

    /// The slot of the request, in which its chart is wanted from now on.
    fn slot(&self, request: &ChartRequest) -> Arc<Slot> {
        let now = Instant::now();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.idle(now) < IDLE_KEPT);
        let access = Access::to(&request.repository, request.credentials.as_ref());
        let slot = slots.entry(access).or_insert_with(|| {
            Arc::new(Slot {
                flight: Flight::default(),
                wanted: Mutex::new(Wanted { charts: HashMap::new(), last: now }),
                known: Mutex::default(),
            })
        });
        slot.want(&request.chart, now);
        Arc::clone(slot)
    }

    /// Asks the repository unless its answer is fresh, and parses what is not parsed yet.
    async fn refresh(
        &self,
        slot: &Slot,
        clients: &Clients,
        settings: &SourceSettings,
        request: &ChartRequest,
        fresh_for: Duration,
    ) -> Result<(), SourceError> {
        let body = slot.lock().body.clone();
        let file = match body {
            Some(body) if body.confirmed.elapsed() < fresh_for => body.file,
            body => match (ask(clients, settings, request, body.as_ref()).await?, body) {
                (Some(new), _) => {
                    // Parsed first: a body that is no index does not take the place of one that was.
                    let charts = self.parse(&new.file, slot.wanted(), settings, request).await?;
                    *slot.lock() = Known { charts, body: Some(new) };
                    return Ok(());
                }
                (None, Some(_)) if slot.confirm() => return Ok(()),
                (None, Some(old)) => old.file,
                (None, None) => {
                    return Err(SourceError::UnexpectedAnswer { place: request.repository.place(), status: 304 });
                }
            },
        };
        let charts = self.parse(&file, slot.wanted(), settings, request).await?;
        slot.lock().charts = charts;
        Ok(())
    }

    async fn parse(
        &self,
        file: &Arc<File>,
        wanted: HashSet<ChartName>,
        settings: &SourceSettings,
        request: &ChartRequest,
    ) -> Result<Charts, SourceError> {
        let file = Arc::clone(file);
        let bytes_max = settings.index_bytes_max;
        // The semaphore is never closed; were it, parsing without a permit is only less polite.
        let _permit = self.parses.acquire().await;
        let parsed = tokio::task::spawn_blocking(move || index::read(file, wanted, bytes_max)).await;
        let not_an_index = |why| SourceError::NotAnIndex { place: Place::of(&request.repository.index()), why };
        match parsed {
            Ok(Ok(charts)) => Ok(charts),
            Ok(Err(index::NotAnIndex(why))) => Err(not_an_index(why)),
            Err(_) => Err(not_an_index("its parser stopped half way".to_owned())),
        }
    }
}

impl Slot {
    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn want(&self, chart: &ChartName, now: Instant) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.last = now;
        wanted.charts.insert(chart.clone(), now);
    }

    fn wanted(&self) -> HashSet<ChartName> {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.charts.retain(|_, last| last.elapsed() < IDLE_KEPT);
        wanted.charts.keys().cloned().collect()
    }

    fn idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.wanted.lock().unwrap_or_else(PoisonError::into_inner).last)
    }

    fn fresh(&self, chart: &ChartName, fresh_for: Duration) -> Option<Arc<[Entry]>> {
        let known = self.lock();
        known.body.as_ref().filter(|body| body.confirmed.elapsed() < fresh_for)?;
        known.charts.get(chart).cloned()
    }

    fn entries(&self, chart: &ChartName) -> Option<Arc<[Entry]>> {
        self.lock().charts.get(chart).cloned()
    }

    /// The repository says that nothing changed; whether everything wanted is parsed already.
    fn confirm(&self) -> bool {
        let wanted = self.wanted();
        let mut known = self.lock();
        if let Some(body) = &mut known.body {
            body.confirmed = Instant::now();
        }
        wanted.iter().all(|chart| known.charts.contains_key(chart))
    }
}

/// The index; `None` if the one at hand is still it.
async fn ask(
    clients: &Clients,
    settings: &SourceSettings,
    request: &ChartRequest,
    at_hand: Option<&Body>,
) -> Result<Option<Body>, SourceError> {
    let directory = &settings.cache_dir;
    let disk = |error: std::io::Error| SourceError::store(directory, &error);
    // Without a name: nothing is left behind, however this process ends.
    let file = tempfile::tempfile_in(directory).map_err(disk)?;
    let writer = file.try_clone().map_err(disk)?;
    let mut headers = at_hand.map(|body| body.validators.clone()).unwrap_or_default();
    // Indexes shrink to a tenth; inflating is done while parsing.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let ask = Ask {
        repository: &request.repository,
        credentials: request.credentials.as_ref(),
        url: request.repository.index(),
        headers,
    };
    let bound = Bound { what: "an index", bytes: settings.index_bytes_max, timeout: settings.timeout };
    let fetched = download::fetch(clients, ask, bound, writer, directory).await?;
    Ok(fetched.map(|fetched| Body {
        file: Arc::new(file),
        validators: validators_of(&fetched.headers),
        confirmed: Instant::now(),
    }))
}

/// The conditions of the next request.
fn validators_of(headers: &HeaderMap) -> HeaderMap {
    let pairs: [(HeaderName, HeaderName); 2] =
        [(header::ETAG, header::IF_NONE_MATCH), (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE)];
    let pairs = pairs.into_iter();
    pairs.filter_map(|(from, to)| headers.get(from).map(|value| (to, value.clone()))).collect()
}
