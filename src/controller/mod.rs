//! The loop: what wakes a release, one pass over it, and the tasks that a pass starts.
//!
//! A pass never waits for helm, for health or for a download. Those are tasks; when one ends, it wakes its object, and
//! the next pass sees what has changed. So any number of releases can be waiting without holding a slot, a task or a
//! process, and a newer generation is seen at once.

mod act;
mod adoption;
mod aftermath;
mod ages;
mod board;
mod census;
mod definitions;
mod dependencies;
mod drift;
mod floor;
mod gather;
mod hooks;
mod inputs;
mod judging;
mod leftovers;
mod look;
#[cfg(test)]
mod mock;
mod offload;
mod operate;
mod order;
mod pass;
mod payloads;
mod prepare;
mod program;
mod rights;
mod run;
mod shutdown;
mod sight;
mod spoilt;
mod verdicts;
mod write;

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable as _};
use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use tokio::{runtime::Handle, sync::Semaphore};
use tokio_util::task::TaskTracker;

pub use board::{Board, Slots};
pub use look::{LookError, look};
pub use prepare::Charts;
pub use program::{NoHelm, Program, RunsHelm};
pub use run::{Assembled, Deposed, Parts, Started, assemble, attend, run, start};
pub use shutdown::drain;

use crate::{
    cluster::{
        Clock, ClusterError, Discovery, Events, Identities, Leadership, LiveIndex, MainIndex, RecordIndex, Ref,
        Requests, Standing, ValuesIndex, Wakes,
    },
    helm::ClusterAccess,
    metrics::Metrics,
    plan::Plan,
    release::{Identity, Records, Snapshot, SpecDefaults, Tenancy, View},
    types::{ObjectKey, ReleaseKey},
};
use ages::Ages;
use census::Census;
use drift::Drifts;
use inputs::InputsIndex;
use judging::Judging;
use leftovers::Clearing;
use payloads::Payloads;

/// The longest delay after passes that failed in a row.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// The first delay after a pass that failed.
const RETRY_FIRST: Duration = Duration::from_millis(500);
/// Pauses between reads of the records after helm's end, and how many there are: about half a minute in all, in which
/// an API server restarts.
const READ_AGAIN_FIRST: Duration = Duration::from_millis(200);
const READ_AGAIN_LONGEST: Duration = Duration::from_secs(5);
const READ_AGAIN_TIMES: usize = 9;
/// The loop counts as stuck when it had work and made no pass for this long.
const STUCK_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// In strict tenancy, where something would be done without a service account.
const OWN_RIGHTS: &str =
    "the operator lends its own rights to no release (--tenancy strict); set spec.serviceAccountName";

/// What an operator is told once.
#[derive(Debug, Clone)]
pub struct Settings {
    pub defaults: SpecDefaults,
    pub tenancy: Tenancy,
    pub allow_http: bool,
    pub slots: Slots,
    /// How long runs of helm may go on after the operator was told to end.
    pub drain: Duration,
}

/// Everything that a pass and its tasks need. Handed down, never global.
pub struct Context {
    pub settings: Settings,
    pub requests: Requests,
    pub records: Arc<RecordIndex>,
    pub values: Arc<ValuesIndex>,
    pub live: Arc<LiveIndex>,
    pub main: Arc<MainIndex>,
    pub discovery: Arc<Discovery>,
    client: Client,
    pub identities: Identities,
    pub clock: Clock,
    pub events: Arc<Events>,
    pub charts: Box<dyn Charts>,
    pub helm: Box<dyn RunsHelm>,
    pub access: ClusterAccess,
    pub metrics: Metrics,
    pub board: Board,
    /// Name of this process and when it started, as it stands in an intent.
    pub holder: Box<str>,
    pub leadership: Leadership,
    /// Milliseconds since 1970 from which on this operator looks after releases.
    since: AtomicI64,
    inputs: InputsIndex,
    payloads: Payloads,
    ages: Ages,
    judging: Judging,
    census: Census,
    clearing: Clearing,
    drifts: Drifts,
    helm_slots: Semaphore,
    hook_slots: Semaphore,
    learning: Mutex<HashSet<Ref>>,
    /// The release that each object named when it was looked at last.
    named: Mutex<HashMap<ObjectKey, ReleaseKey>>,
    wakes: Wakes<ObjectKey>,
    tasks: TaskTracker,
    failed_passes: Mutex<HashMap<ObjectKey, u32>>,
    /// Milliseconds since 1970 of the last pass.
    last_pass: AtomicI64,
}

/// Asks through a short absence of the API server: what helm left behind is not known by any other way, and the watches
/// may still tell of the time before.
async fn persistently<T, F>(ask: impl FnMut() -> F) -> Result<T, ClusterError>
where
    F: Future<Output = Result<T, ClusterError>>,
{
    let pauses = ExponentialBuilder::default()
        .with_min_delay(READ_AGAIN_FIRST)
        .with_max_delay(READ_AGAIN_LONGEST)
        .with_max_times(READ_AGAIN_TIMES);
    ask.retry(pauses).when(ClusterError::is_transient).await
}

/// A defect of ours in the middle of a task. What the task panicked with stays out, for it may quote values.
#[derive(Debug, thiserror::Error)]
#[error("a defect of the operator ended it; its standard error output names the place")]
struct Defect;

/// A panic as an error: what a task has begun would count as under way until the operator starts anew.
async fn guarded<T>(task: impl Future<Output = T>) -> Result<T, Defect> {
    AssertUnwindSafe(task).catch_unwind().await.map_err(|_| Defect)
}

/// Soon, and later each time; `failed` times in a row before.
fn pause_after(failed: u32) -> Duration {
    RETRY_FIRST.saturating_mul(2_u32.saturating_pow(failed)).min(RETRY_MAX)
}

impl Context {
    /// Brings a pass over an object soon.
    pub fn wake(&self, key: &ObjectKey) {
        self.wakes.wake(key.clone());
    }

    /// Requests with the rights of an identity.
    fn requests_as(&self, identity: &Identity) -> Result<Requests, ClusterError> {
        let client = match (identity, self.settings.tenancy) {
            (Identity::Own, Tenancy::Trusted) => self.client.clone(),
            (Identity::Own, Tenancy::Strict) => return Err(ClusterError::Forbidden(OWN_RIGHTS.into())),
            (Identity::ServiceAccount { .. }, Tenancy::Trusted | Tenancy::Strict) => {
                self.identities.client(identity)?
            }
        };
        Ok(Requests::new(client, Arc::clone(&self.discovery)).led_by(self.leadership.clone()))
    }

    /// Reads for a release: in strict tenancy with its rights, so that it is the API server that decides what its
    /// object may learn, and at each read anew.
    ///
    /// Not for the records of releases: they are the operator's own storage, by which it knows whose a release is, and
    /// what it tells of those of others are labels ([`adoption::record_of_others`] reads more). Nor for views: a watch
    /// is shared by all releases, and those of values tell only that something has changed, upon which it is read.
    fn reads_for(&self, identity: &Identity) -> Result<Requests, ClusterError> {
        match self.settings.tenancy {
            Tenancy::Trusted => Ok(self.requests.clone()),
            Tenancy::Strict => self.requests_as(identity),
        }
    }

    /// Reads the records of a release with a quorum, and lets the index know what was seen.
    async fn read_records(&self, release: &ReleaseKey) -> Result<Records, ClusterError> {
        let read = self.requests.read_records(release).await?;
        self.records.observe(release, &read);
        Ok(read.records())
    }

    /// As [`Self::read_records`], as often as it takes.
    async fn read_records_again(&self, release: &ReleaseKey) -> Result<Records, ClusterError> {
        persistently(|| self.read_records(release)).await
    }

    /// Whether objects of a kind live in namespaces. Almost all do, so that is the answer where the API server has
    /// none: then the object is not found, and that is said.
    async fn is_namespaced(&self, api_version: &str, kind: &str) -> Result<bool, ClusterError> {
        match self.discovery.resolve(&self.client, api_version, kind).await {
            Ok(found) => Ok(found.namespaced),
            Err(error) if error.is_transient() => Err(error),
            Err(_) => Ok(true),
        }
    }

    /// Asks once for the versions of objects that were not referred to when the watch went past them.
    fn learn(self: &Arc<Self>, key: &ObjectKey) {
        for reference in self.values.unlearned(key) {
            if !self.learning.lock().unwrap_or_else(PoisonError::into_inner).insert(reference.clone()) {
                continue;
            }
            let context = Arc::clone(self);
            let key = key.clone();
            self.tasks.spawn(async move {
                let learnt = guarded(context.values.learn(&context.requests, &reference)).await;
                let failed = match learnt {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => {
                        Some((error.to_string(), if error.is_transient() { RETRY_FIRST } else { RETRY_MAX }))
                    }
                    Err(defect) => Some((defect.to_string(), RETRY_MAX)),
                };
                if let Some((error, pause)) = failed {
                    let name = &reference.name;
                    tracing::warn!(object = %key, %error, %name, "an object with values cannot be looked at");
                    // The pass that follows looks again.
                    tokio::time::sleep(pause).await;
                }
                context.learning.lock().unwrap_or_else(PoisonError::into_inner).remove(&reference);
                context.wake(&key);
            });
        }
    }

    fn beat(&self, now: Timestamp) {
        self.last_pass.store(now.as_millisecond(), Ordering::Relaxed);
    }

    /// When this operator began to look after releases: when it started, or when it came to lead.
    pub fn since(&self) -> Timestamp {
        Timestamp::from_millisecond(self.since.load(Ordering::Relaxed)).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// From now on releases are looked after; what was not seen before proves nothing.
    fn look_from(&self, now: Timestamp) {
        self.since.store(now.as_millisecond(), Ordering::Relaxed);
        self.live.look_from(now);
        self.beat(now);
    }

    /// Whether the loop makes progress: work in hand and no pass for long means that it does not. Without the task
    /// that renews the lease nothing will ever be done again.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        if matches!(self.leadership.standing(), Standing::Lost(_)) {
            return false;
        }
        let occupancy = self.board.occupancy();
        let last = Timestamp::from_millisecond(self.last_pass.load(Ordering::Relaxed)).unwrap_or(now);
        occupancy.ended + occupancy.granted == 0 || now.duration_since(last) < STUCK_AFTER
    }

    /// Whether the views that every decision needs are live, and it is known who leads: a standby is ready too.
    pub fn is_ready(&self) -> bool {
        self.leadership.standing() != Standing::Looking
            && self.main.standing() == View::Is(())
            && self.records.standing() == View::Is(())
    }

    fn judge(&self, key: &ObjectKey, snapshot: &Snapshot, plan: &Plan) -> Option<Duration> {
        self.judging.follow(&self.live, key, snapshot, plan)
    }

    /// Brings the gauges up to date.
    pub fn measure(&self) {
        let occupancy = self.board.occupancy();
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.queued.set(gauge(occupancy.queued));
        self.metrics.running.set(gauge(occupancy.running));
        let (started, running) = self.helm.processes();
        self.metrics.helm_started.inc_by(started.saturating_sub(self.metrics.helm_started.get()));
        self.metrics.helm_running.set(gauge(running));
        self.metrics.tasks.set(gauge(self.tasks.len()));
        if let Ok(runtime) = Handle::try_current() {
            self.metrics.tasks_alive.set(gauge(runtime.metrics().num_alive_tasks()));
        }
        let malformed = self.records.malformed();
        self.metrics.malformed_records.inc_by(malformed.saturating_sub(self.metrics.malformed_records.get()));
        for (label, seen) in self.records.spoilt_labels() {
            let counter = self.metrics.malformed_labels.with_label_values(&[label.as_str()]);
            counter.inc_by(seen.saturating_sub(counter.get()));
        }
        let dropped = self.events.dropped();
        self.metrics.events_dropped.inc_by(dropped.saturating_sub(self.metrics.events_dropped.get()));
        self.census.tell(&self.metrics);
    }

    fn passed(&self, key: &ObjectKey) {
        self.failed_passes.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// When a pass that failed comes back: soon, and later each time.
    fn comes_back(&self, key: &ObjectKey) -> Duration {
        let mut failed = self.failed_passes.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failed.entry(key.clone()).or_default();
        let delay = pause_after(*count);
        *count = count.saturating_add(1);
        delay
    }

    /// Remembers which release an object names, to let go of that with the object.
    fn names(&self, key: &ObjectKey, release: &ReleaseKey) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.get(key) == Some(release) {
            return;
        }
        let before = named.insert(key.clone(), release.clone());
        drop(named);
        // The object was made anew before its end was heard of, and names another one.
        if let Some(before) = before {
            self.forget_unclaimed(&before);
        }
    }

    /// Lets go of an object that is gone, and of its release where no other object names that. Not before it is gone:
    /// a pass meanwhile would remember it again.
    fn bury(&self, key: &ObjectKey) {
        self.forget(key);
        let release = self.named.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        if let Some(release) = release {
            self.forget_unclaimed(&release);
        }
    }

    /// Lets go of what is remembered of a release that no object names any more. Also at the end of a task that has
    /// looked at it: its object may be gone by then, and what was remembered with it.
    fn forget_unclaimed(&self, release: &ReleaseKey) {
        if !self.main.claimants(release).is_empty() {
            return;
        }
        self.payloads.give_up(release);
        self.ages.forget(release);
        self.clearing.end(release);
        self.drifts.forget(release);
        self.live.forget(release);
    }

    /// Lets go of what is remembered of an object alone.
    fn forget(&self, key: &ObjectKey) {
        self.inputs.forget(key);
        self.values.refer(key, Vec::new());
        self.board.forget(key);
        self.judging.forget(key);
        self.census.forget(key);
        self.passed(key);
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::core::PartialObjectMeta;
    use mock::Repository;

    use super::*;
    use crate::{api::ValuesKind, cluster::Change, release::Payload};

    #[tokio::test]
    async fn a_release_is_forgotten_with_the_last_object_that_names_it() {
        let (context, _) = mock::context(Repository { breaks: true }, |asked| panic!("{asked:?}"));
        let release = mock::desired(&context).policy.key();
        let (key, other) = (ObjectKey::new("apps", "unicorn"), ObjectKey::new("apps", "other"));
        context.payloads.put(&release, Payload::left(Vec::new()), 0);
        for key in [&key, &other] {
            context.names(key, &release);
        }
        context.main.observe(mock::object());
        context.bury(&other);
        assert!(context.payloads.get(&release, None).is_some(), "unicorn is there and names it");
        let (context, _) = mock::context(Repository { breaks: true }, |asked| panic!("{asked:?}"));
        context.payloads.put(&release, Payload::left(Vec::new()), 0);
        context.names(&key, &release);
        context.bury(&key);
        assert!(context.payloads.get(&release, None).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_defect_while_an_object_with_values_is_looked_at_does_not_keep_it_from_being_looked_at_again() {
        let (context, _) = mock::context(Repository { breaks: true }, |asked| panic!("{asked:?}"));
        let (key, kind) = (ObjectKey::new("apps", "unicorn"), ValuesKind::ConfigMap);
        let complete = Change::<PartialObjectMeta<ConfigMap>>::Complete { at: Timestamp::UNIX_EPOCH, version: 9 };
        for change in [Change::Begin, complete] {
            context.values.fold(kind, 0, &change);
        }
        // The watch went past it before.
        context.values.refer(&key, vec![Ref { kind, namespace: "apps".into(), name: "settings".into() }]);
        let begun = tokio::time::Instant::now();
        context.learn(&key);
        context.tasks.close();
        context.tasks.wait().await;
        assert_eq!(begun.elapsed(), RETRY_MAX, "not at once: the defect is most likely there again");
        assert_eq!(context.values.unlearned(&key).len(), 1);
        assert!(context.learning.lock().unwrap().is_empty());
    }
}
