//! Puts an operator together, and runs its loop until it is told to end.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, atomic::AtomicI64},
    time::Duration,
};

use futures::{FutureExt as _, Stream, StreamExt as _, TryFutureExt as _, future::ready, stream, stream::BoxStream};
use jiff::Timestamp;
use kube::{
    Client,
    runtime::{
        controller::{Action as Requeue, Config, applier},
        reflector::ObjectRef,
    },
};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Board, Charts, Context, RunsHelm, Settings,
    pass::{PassError, pass},
    shutdown,
};
use crate::{
    api::HelmRelease,
    cluster::{
        Clock, Discovery, Election, Event, EventKind, Events, Identities, Leadership, LeaseSettings, LiveIndex, Lost,
        MainIndex, MainWakes, RecordIndex, Requests, Scope, ValuesIndex, Wakes,
    },
    helm::ClusterAccess,
    metrics::Metrics,
    status::{Reason, render_malformed},
    types::{ObjectKey, ReleaseKey},
};

/// Passes at a time. They wait only for their own requests, so this bounds requests, not work.
const PASSES_MAX: u16 = 64;

/// What an operator is put together from.
pub struct Parts {
    pub client: Client,
    pub identities: Identities,
    pub clock: Clock,
    pub scope: Scope,
    pub settings: Settings,
    pub charts: Box<dyn Charts>,
    pub helm: Box<dyn RunsHelm>,
    pub access: ClusterAccess,
    pub metrics: Metrics,
    pub holder: Box<str>,
    pub started: Timestamp,
    /// The lease to lead by; without one this operator is alone.
    pub lease: Option<LeaseSettings>,
}

/// Who is woken by what.
struct Ears {
    main: MainWakes,
    releases: Wakes<ReleaseKey>,
}

/// An operator that does not run yet.
pub struct Assembled {
    context: Arc<Context>,
    ears: Ears,
    election: Option<Election>,
}

/// Leadership was lost: nothing of ours runs any more, and the process has to end.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("leadership lost: {}", .0.as_str())]
pub struct Deposed(pub Lost);

impl Assembled {
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }
}

/// Puts an operator together. Nothing is asked for yet.
pub fn assemble(parts: Parts) -> Assembled {
    let Parts { client, identities, clock, scope, settings, charts, helm, access, metrics, holder, started, lease } =
        parts;
    let election = lease.map(|lease| Election::new(client.clone(), lease, clock.clone(), metrics.clone()));
    let leadership = election.as_ref().map_or_else(Leadership::unelected, Election::leadership);
    metrics.leader.set(i64::from(election.is_none()));
    let (main, releases, wakes) = (MainWakes::default(), Wakes::default(), Wakes::<ObjectKey>::default());
    let discovery = Arc::new(Discovery::default());
    let for_board = wakes.clone();
    let context = Context {
        requests: Requests::new(client.clone(), Arc::clone(&discovery)).led_by(leadership.clone()),
        records: Arc::new(RecordIndex::new(scope.clone(), releases.clone())),
        values: Arc::new(ValuesIndex::new(scope.clone(), wakes.clone())),
        live: Arc::new(LiveIndex::new(scope.clone(), started, releases.clone())),
        main: Arc::new(MainIndex::new(scope, main.clone())),
        discovery,
        client,
        identities,
        clock,
        events: Arc::new(Events::new(&holder)),
        charts,
        helm,
        access,
        metrics,
        board: Board::new(settings.slots, Box::new(move |key: &ObjectKey| for_board.wake(key.clone()))),
        helm_slots: Semaphore::new(settings.slots.computing),
        hook_slots: Semaphore::new(settings.slots.waiting),
        settings,
        holder,
        leadership,
        since: AtomicI64::new(started.as_millisecond()),
        inputs: super::inputs::InputsIndex::default(),
        payloads: super::payloads::Payloads::default(),
        ages: super::ages::Ages::default(),
        judging: super::judging::Judging::default(),
        census: super::census::Census::default(),
        clearing: super::leftovers::Clearing::default(),
        drifts: super::drift::Drifts::default(),
        learning: Mutex::default(),
        named: Mutex::default(),
        wakes,
        tasks: TaskTracker::new(),
        failed_passes: Mutex::default(),
        last_pass: AtomicI64::new(started.as_millisecond()),
    };
    Assembled { context: Arc::new(context), ears: Ears { main, releases }, election }
}

/// An operator whose indexes follow the API server, and that stands for election. What is left is to make passes.
pub struct Started {
    pub context: Arc<Context>,
    /// Objects to look at, in the order in which they were woken.
    pub queue: BoxStream<'static, ObjectKey>,
    /// The tasks behind the indexes and the election; they end when this is dropped.
    pub background: JoinSet<()>,
}

/// Starts to watch. To be called once the runtime is there.
pub fn start(assembled: Assembled) -> Started {
    let Assembled { context, ears, election } = assembled;
    let (queue, mut background) = (queue(Arc::clone(&context), &ears), watch(&context, &ears));
    if let Some(election) = election {
        background.spawn(election.run());
    }
    Started { context, queue: queue.boxed(), background }
}

/// Runs until `told_to_end`, then drains, lets go of the lease and ends; or until leadership is lost.
pub async fn run(assembled: Assembled, told_to_end: impl Future<Output = ()> + Send) -> Result<(), Deposed> {
    let Started { context, queue, background } = start(assembled);
    let stop = CancellationToken::new();
    let passes = passes(&context, queue, &stop);
    let ending = async {
        told_to_end.await;
        shutdown::drain(&context).await;
        stop.cancel();
    };
    let ended = tokio::select! {
        lost = context.leadership.lost() => {
            shutdown::abandon(&context, lost).await;
            Err(Deposed(lost))
        }
        _ = async { tokio::join!(passes, ending) } => {
            shutdown::release(&context).await;
            Ok(())
        }
    };
    context.tasks.close();
    drop(background);
    ended
}

/// One pass over an object that is there; returns how soon the next is due, as [`run`] has it.
pub async fn attend(context: &Arc<Context>, key: &ObjectKey) -> Option<Duration> {
    let object = context.main.get(key)?;
    match pass(object, Arc::clone(context)).await {
        Ok(due) => due,
        Err(error) => Some(again(key, &error, context)),
    }
}

/// All passes, until told to stop.
async fn passes(context: &Arc<Context>, queue: BoxStream<'static, ObjectKey>, stop: &CancellationToken) {
    let queue = queue
        .map(|key| Ok::<_, Infallible>(ObjectRef::<HelmRelease>::new(&key.name).within(&key.namespace)))
        .take_until(stop.clone().cancelled_owned());
    // The first lists are complete before the first pass, so that a restart does not say of every release that it is
    // not seen yet.
    let store = context.main.store();
    let reconcile = |object: Arc<HelmRelease>, context: Arc<Context>| pass(object, context).map_ok(requeue).boxed();
    let failed = |object: Arc<HelmRelease>, error: &PassError, context: Arc<Context>| {
        Requeue::requeue(again(&super::gather::key_of(&object), error, &context))
    };
    let config = Config::default().concurrency(PASSES_MAX);
    applier(reconcile, failed, Arc::clone(context), store, queue, config)
        .for_each(|done| {
            if let Err(error) = done {
                tracing::debug!(%error, "pass");
            }
            ready(())
        })
        .await;
}

fn requeue(due: Option<Duration>) -> Requeue {
    due.map_or_else(Requeue::await_change, Requeue::requeue)
}

fn again(key: &ObjectKey, error: &PassError, context: &Context) -> Duration {
    let delay = context.comes_back(key);
    tracing::warn!(object = %key, %error, again_in_ms = delay.as_millis(), "a pass was not completed");
    delay
}

/// Starts the tasks behind the indexes, and those that speak.
fn watch(context: &Arc<Context>, ears: &Ears) -> JoinSet<()> {
    let mut tasks = watch_only(context);
    let (client, clock) = (context.client.clone(), context.clock.clone());
    tasks.spawn(Arc::clone(&context.events).run(client, clock, context.leadership.clone()));
    tasks.spawn(bury(Arc::clone(context), ears.main.gone.clone()));
    tasks.spawn(say_malformed(Arc::clone(context), ears.main.malformed.clone()));
    tasks
}

/// Starts the tasks behind the indexes.
pub(super) fn watch_only(context: &Arc<Context>) -> JoinSet<()> {
    let client = || context.client.clone();
    let clock = || context.clock.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&context.main).run(client(), clock()));
    tasks.spawn(Arc::clone(&context.live).run(client(), clock(), Arc::clone(&context.discovery)));
    tasks.spawn(Arc::clone(&context.records).run(client(), clock()));
    tasks.spawn(Arc::clone(&context.values).run(client(), clock()));
    tasks
}

/// Objects to look at: changed ones, those that a task or an index woke, and the claimants of releases that changed.
/// While standing by there are none; whoever comes to lead looks at all of them.
fn queue(context: Arc<Context>, ears: &Ears) -> impl Stream<Item = ObjectKey> + Send + use<> {
    let woken = context.wakes.clone();
    let (led, gained) = (Arc::clone(&context), Arc::clone(&context));
    let claimants = ears.releases.clone().flat_map(move |release| {
        stream::iter(context.main.claimants(&release).into_iter().map(|claimant| claimant.object))
    });
    let woken = stream::select(stream::select(ears.main.changed.clone(), woken), claimants)
        .filter(move |_| ready(led.leadership.may_act()));
    let all = async move {
        gained.leadership.gained().await;
        gained.look_from(gained.clock.now());
        stream::iter(gained.main.store().state().into_iter().map(|object| super::gather::key_of(&object)))
    };
    stream::select(all.flatten_stream(), woken)
}

/// Lets go of what is remembered of objects that are gone.
async fn bury(context: Arc<Context>, mut gone: Wakes<ObjectKey>) {
    while let Some(key) = gone.next().await {
        context.bury(&key);
    }
}

/// Says of objects that cannot be read what is wrong with them.
async fn say_malformed(context: Arc<Context>, mut malformed: Wakes<ObjectKey>) {
    context.leadership.gained().await;
    while let Some(key) = malformed.next().await {
        let Some(object) = context.main.malformed(&key) else { continue };
        context.metrics.malformed.inc();
        let status = render_malformed(None, object.generation, &object.error, context.clock.now());
        if let Err(error) = context.requests.write_status_unread(&object.target, &status).await {
            tracing::warn!(object = %key, %error, "a malformed object cannot be told so");
            if !error.is_transient() {
                // A rule of its schema cannot be evaluated over it, so that no status can be written; an event can.
                let (reason, action) = (Reason::InvalidSpec.as_str().into(), "Reconcile".into());
                let note = format!("the object cannot be read: {}", object.error).into();
                context.events.say(Event { about: object.target, kind: EventKind::Warning, reason, action, note });
                continue;
            }
            let (context, malformed, key) = (Arc::clone(&context), malformed.clone(), key.clone());
            let delay = context.comes_back(&key);
            context.tasks.clone().spawn(async move {
                tokio::time::sleep(delay.max(Duration::from_secs(1))).await;
                malformed.wake(key);
            });
        }
    }
}
