//! One watch: lists, then watches from there, for ever, and says what changed and how far that can be trusted.
//!
//! kube's own `watcher` is not used because it hides what the indexes need to know: that a watch is open again after a
//! break (it says nothing until the next object changes), the bookmarks (the only sign of life of a quiet kind), and
//! the version of a list (which decides between the list and a read of our own). It has no deadlines either.

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::runtime::watcher::DefaultBackoff;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use super::clock::Clock;
use super::error::ClusterError;

/// Objects in a page of a list: what client-go asks for. Smaller pages cost time, larger ones memory.
const PAGE_OBJECTS: u32 = 500;
/// Seconds until the API server ends a watch by itself; below the five minutes at which proxies cut connections.
const WATCH_SECONDS: u32 = 290;
/// Silence, bookmarks included, after which a connection counts as dead.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 5);
/// For one page of a list; a page of whole objects may be some megabytes from a busy server.
const PAGE_DEADLINE: Duration = Duration::from_secs(30);
/// For the headers of the answer to a watch.
const OPEN_DEADLINE: Duration = Duration::from_secs(10);
/// A watch that is lost for so long has nothing to say any more. Long enough for an API server to be replaced.
const DARK_AFTER: Duration = Duration::from_secs(30);
/// Between two attempts at what stays refused: a grant of rights is found without asking all the time.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
/// Refusals in a row that are followed by a short pause: an API server that has just started refuses everybody until it
/// has read its roles.
const REFUSALS_SHORT: u32 = 4;
/// Between two attempts at a kind that the operator can not do without: somebody is installing it.
const MISSING_PAUSE: Duration = Duration::from_secs(10);
/// A watch that ends sooner than this is followed by a pause, or a broken proxy could make us spin.
const TOO_SHORT: Duration = Duration::from_secs(1);

/// What a watch has to say.
#[derive(Debug, Clone, PartialEq)]
pub enum Change<K> {
    /// A list begins; it is asked for after this was said.
    Begin,
    Listed(K),
    /// The list of this version is complete: what it did not name is gone.
    Complete {
        at: Timestamp,
        version: u64,
    },
    Applied(K),
    /// As it was when it went; the version is that of the deletion.
    Deleted(K),
    /// The watch is open, with nothing missed since the list.
    Opened {
        at: Timestamp,
    },
    Lost,
    /// Lost for [`DARK_AFTER`].
    Dark,
    /// The API server does not let us look, or has no such kind; says why.
    Refused(Box<str>),
}

impl<K> Change<K> {
    pub(super) fn map<T>(self, object: impl FnOnce(K) -> T) -> Change<T> {
        match self {
            Self::Begin => Change::Begin,
            Self::Listed(one) => Change::Listed(object(one)),
            Self::Complete { at, version } => Change::Complete { at, version },
            Self::Applied(one) => Change::Applied(object(one)),
            Self::Deleted(one) => Change::Deleted(object(one)),
            Self::Opened { at } => Change::Opened { at },
            Self::Lost => Change::Lost,
            Self::Dark => Change::Dark,
            Self::Refused(why) => Change::Refused(why),
        }
    }
}

/// When a watch last heard anything, bookmarks included.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<AtomicI64>);

impl Pulse {
    fn beat(&self, now: Timestamp) {
        self.0.store(now.as_millisecond(), Ordering::Relaxed);
    }

    /// `None` before the first sign of life.
    pub fn age(&self, now: Timestamp) -> Option<SignedDuration> {
        let last = self.0.load(Ordering::Relaxed);
        let last = if last == 0 { None } else { Timestamp::from_millisecond(last).ok() };
        last.map(|last| now.duration_since(last))
    }
}

/// Why a round of watching ended.
enum End {
    /// As agreed with the API server.
    Over,
    /// The version we watch from is too old, or an answer was not understood: a new list is needed.
    Expired,
    Broken(ClusterError),
    Refused(Box<str>),
    /// There is no such kind.
    Missing(Box<str>),
}

/// Follows one API until its kind is gone from the API server; that alone ends it, after a last `Refused`.
pub(super) async fn follow<K>(
    api: Api<K>,
    labels: Option<&str>,
    pulse: Pulse,
    clock: &Clock,
    fold: impl FnMut(Change<K>),
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    follow_selected(api, (labels, None), pulse, clock, fold).await;
}

/// As [`follow`], selected by labels and by fields.
async fn follow_selected<K>(
    api: Api<K>,
    (labels, fields): (Option<&str>, Option<&str>),
    pulse: Pulse,
    clock: &Clock,
    mut fold: impl FnMut(Change<K>),
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut backoff = DefaultBackoff::default();
    let mut follower = Follower { api, labels, fields, pulse, clock, version: None, lost: None };
    let mut refusals = 0;
    loop {
        let began = Instant::now();
        let end = follower.round(&mut fold).await;
        refusals = if matches!(end, End::Refused(_)) { refusals + 1 } else { 0 };
        let pause = match end {
            End::Over if began.elapsed() >= TOO_SHORT => Duration::ZERO,
            End::Refused(_) if refusals > REFUSALS_SHORT => REFUSED_PAUSE,
            _ => backoff.next().unwrap_or(REFUSED_PAUSE),
        };
        match end {
            End::Over => {}
            End::Expired => {
                follower.version = None;
                follower.lose(&mut fold);
            }
            End::Broken(error) => {
                tracing::debug!(url = follower.api.resource_url(), %error, "watch lost");
                follower.lose(&mut fold);
            }
            End::Refused(why) => {
                tracing::warn!(url = follower.api.resource_url(), %why, "watch refused");
                follower.version = None;
                fold(Change::Refused(why));
            }
            End::Missing(why) => {
                fold(Change::Refused(why));
                return;
            }
        }
        sleep(pause).await;
    }
}

/// As [`follow_builtin`], for the one object of that name.
pub(super) async fn follow_named<K>(
    api: Api<K>,
    name: &str,
    pulse: Pulse,
    clock: &Clock,
    mut fold: impl FnMut(Change<K>),
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let fields = format!("metadata.name={name}");
    loop {
        follow_selected(api.clone(), (None, Some(&fields)), pulse.clone(), clock, &mut fold).await;
        sleep(MISSING_PAUSE).await;
    }
}

/// As [`follow`], for a kind that is or will be there; never ends.
pub(super) async fn follow_builtin<K>(
    api: Api<K>,
    labels: Option<&str>,
    pulse: Pulse,
    clock: &Clock,
    mut fold: impl FnMut(Change<K>),
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    loop {
        follow(api.clone(), labels, pulse.clone(), clock, &mut fold).await;
        sleep(MISSING_PAUSE).await;
    }
}

struct Follower<'a, K> {
    api: Api<K>,
    labels: Option<&'a str>,
    fields: Option<&'a str>,
    pulse: Pulse,
    clock: &'a Clock,
    /// Where to watch from; `None` when a list is needed.
    version: Option<String>,
    lost: Option<Instant>,
}

impl<K> Follower<'_, K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    fn lose(&mut self, fold: &mut impl FnMut(Change<K>)) {
        let lost = *self.lost.get_or_insert_with(Instant::now);
        fold(if lost.elapsed() >= DARK_AFTER { Change::Dark } else { Change::Lost });
    }

    async fn round(&mut self, fold: &mut impl FnMut(Change<K>)) -> End {
        let version = match self.version.clone() {
            Some(version) => version,
            None => match self.list(fold).await {
                Ok(version) => version,
                Err(end) => return end,
            },
        };
        self.version = Some(version.clone());
        self.watch(&version, fold).await
    }

    async fn list(&mut self, fold: &mut impl FnMut(Change<K>)) -> Result<String, End> {
        fold(Change::Begin);
        let mut page = ListParams::default().limit(PAGE_OBJECTS);
        page.label_selector = self.labels.map(ToOwned::to_owned);
        page.field_selector = self.fields.map(ToOwned::to_owned);
        loop {
            let list =
                timeout(PAGE_DEADLINE, self.api.list(&page)).await.map_err(|_| End::Broken(ClusterError::Timeout))?;
            let list = list.map_err(failure)?;
            self.pulse.beat(self.clock.now());
            list.items.into_iter().for_each(|item| fold(Change::Listed(item)));
            page.continue_token = list.metadata.continue_.filter(|token| !token.is_empty());
            if page.continue_token.is_some() {
                continue;
            }
            let version = list.metadata.resource_version.filter(|version| !version.is_empty());
            let version = version.ok_or(End::Refused("its list has no resource version".into()))?;
            self.lost = None;
            fold(Change::Complete { at: self.clock.now(), version: number(Some(&version)) });
            return Ok(version);
        }
    }

    async fn watch(&mut self, version: &str, fold: &mut impl FnMut(Change<K>)) -> End {
        let mut params = WatchParams::default().timeout(WATCH_SECONDS);
        params.label_selector = self.labels.map(ToOwned::to_owned);
        params.field_selector = self.fields.map(ToOwned::to_owned);
        let events = match timeout(OPEN_DEADLINE, self.api.watch(&params, version)).await {
            Ok(Ok(events)) => events,
            Ok(Err(error)) => return failure(error),
            Err(_) => return End::Broken(ClusterError::Timeout),
        };
        self.pulse.beat(self.clock.now());
        self.lost = None;
        fold(Change::Opened { at: self.clock.now() });
        let mut events = pin!(events);
        loop {
            let event = match timeout(SILENCE, events.next()).await {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(error))) => return failure(error),
                Ok(None) => return End::Over,
                Err(_) => return End::Broken(ClusterError::Timeout),
            };
            self.pulse.beat(self.clock.now());
            let (change, version) = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    let version = object.meta().resource_version.clone();
                    (Some(Change::Applied(object)), version)
                }
                WatchEvent::Deleted(object) => {
                    let version = object.meta().resource_version.clone();
                    (Some(Change::Deleted(object)), version)
                }
                WatchEvent::Bookmark(bookmark) => (None, Some(bookmark.metadata.resource_version)),
                WatchEvent::Error(status) => return failure(kube::Error::Api(status)),
            };
            let Some(version) = version.filter(|version| !version.is_empty()) else { return End::Expired };
            self.version = Some(version);
            if let Some(change) = change {
                fold(change);
            }
        }
    }
}

fn failure(error: kube::Error) -> End {
    if matches!(error, kube::Error::SerdeError(_)) {
        // The same event would come again; a list goes past it.
        return End::Expired;
    }
    if let kube::Error::Api(status) = &error {
        match status.code {
            // kube takes a line of a watch that it can not read for a status without anything in it.
            0 | 410 => return End::Expired,
            404 => return End::Missing(status.message.as_str().into()),
            403 | 405 => return End::Refused(status.message.as_str().into()),
            _ => {}
        }
    }
    End::Broken(ClusterError::from(error))
}

/// A resource version as the number that it is; 0, which is older than everything, for what is none.
pub(super) fn number(version: Option<&str>) -> u64 {
    version.and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// Runs a future for each watch of an index; none of them waits for another.
pub(super) async fn side_by_side<F: Future<Output = ()>>(watches: impl IntoIterator<Item = F>) {
    futures::future::join_all(watches).map(drop).await;
}
