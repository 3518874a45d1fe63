//! Puts an operator together, and runs its loop until it is told to end.

use std::{
    sync::{Arc, Mutex, atomic::AtomicI64},
    time::Duration,
};

use futures::{FutureExt as _, Stream, StreamExt as _, future::ready, stream};
use jiff::Timestamp;
use kube::{
    Client,
    runtime::{
        controller::{Action as Requeue, Config, applier},
        reflector::ObjectRef,
    },
};
use tokio::{sync::Semaphore, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Board, Context, Program, Settings,
    pass::{PassError, pass},
    shutdown,
};
use crate::{
    api::HelmRelease,
    cluster::{
        Discovery, Election, Events, Leadership, LeaseSettings, LiveIndex, Lost, MainIndex, MainWakes, RecordIndex,
        Requests, Scope, ValuesIndex, Wakes,
    },
    helm::ClusterAccess,
    metrics::Metrics,
    sources::Sources,
    status::render_malformed,
    types::{ObjectKey, ReleaseKey},
};

/// Passes at a time. They wait only for their own requests, so this bounds requests, not work.
const PASSES_MAX: u16 = 64;

/// What an operator is put together from.
pub struct Parts {
    pub client: Client,
    pub scope: Scope,
    pub settings: Settings,
    pub sources: Sources,
    pub helm: Program,
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
    let Parts { client, scope, settings, sources, helm, access, metrics, holder, started, lease } = parts;
    let election = lease.map(|lease| Election::new(client.clone(), lease, metrics.clone()));
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
        events: Arc::new(Events::new(&holder)),
        sources,
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
        judging: super::judging::Judging::default(),
        learning: Mutex::default(),
        wakes,
        tasks: TaskTracker::new(),
        failed_passes: Mutex::default(),
        last_pass: AtomicI64::new(started.as_millisecond()),
    };
    Assembled { context: Arc::new(context), ears: Ears { main, releases }, election }
}

/// Runs until `told_to_end`, then drains, lets go of the lease and ends; or until leadership is lost.
pub async fn run(assembled: Assembled, told_to_end: impl Future<Output = ()> + Send) -> Result<(), Deposed> {
    let Assembled { context, ears, election } = assembled;
    let mut background = watch(&context, &ears);
    background.extend(election.map(|election| tokio::spawn(election.run())));
    let stop = CancellationToken::new();
    let passes = passes(&context, &ears, &stop);
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
    for task in background {
        task.abort();
    }
    ended
}

/// All passes, until told to stop.
async fn passes(context: &Arc<Context>, ears: &Ears, stop: &CancellationToken) {
    let queue = queue(Arc::clone(context), ears).take_until(stop.clone().cancelled_owned());
    // The first lists are complete before the first pass, so that a restart does not say of every release that it is
    // not seen yet.
    let store = context.main.store();
    let reconcile = |object: Arc<HelmRelease>, context: Arc<Context>| Box::pin(pass(object, context));
    let failed =
        |object: Arc<HelmRelease>, error: &PassError, context: Arc<Context>| on_error(&object, error, &context);
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

fn on_error(object: &HelmRelease, error: &PassError, context: &Context) -> Requeue {
    let key = super::gather::key_of(object);
    let delay = context.comes_back(&key);
    tracing::warn!(object = %key, %error, again_in_ms = delay.as_millis(), "a pass was not completed");
    Requeue::requeue(delay)
}

/// Starts the tasks behind the indexes, and those that speak.
fn watch(context: &Arc<Context>, ears: &Ears) -> Vec<JoinHandle<()>> {
    let mut tasks = watch_only(context);
    tasks.push(tokio::spawn(Arc::clone(&context.events).run(context.client.clone())));
    tasks.push(tokio::spawn(bury(Arc::clone(context), ears.main.gone.clone())));
    tasks.push(tokio::spawn(say_malformed(Arc::clone(context), ears.main.malformed.clone())));
    tasks
}

/// Starts the tasks behind the indexes.
pub(super) fn watch_only(context: &Arc<Context>) -> Vec<JoinHandle<()>> {
    let client = || context.client.clone();
    vec![
        tokio::spawn(Arc::clone(&context.main).run(client())),
        tokio::spawn(Arc::clone(&context.live).run(client(), Arc::clone(&context.discovery))),
        tokio::spawn(Arc::clone(&context.records).run(client())),
        tokio::spawn(Arc::clone(&context.values).run(client())),
    ]
}

/// Objects to look at: changed ones, those that a task or an index woke, and the claimants of releases that changed.
/// While standing by there are none; whoever comes to lead looks at all of them.
fn queue(
    context: Arc<Context>,
    ears: &Ears,
) -> impl Stream<Item = Result<ObjectRef<HelmRelease>, std::convert::Infallible>> + use<> {
    let woken = context.wakes.clone();
    let (led, gained) = (Arc::clone(&context), Arc::clone(&context));
    let claimants = ears.releases.clone().flat_map(move |release| {
        stream::iter(context.main.claimants(&release).into_iter().map(|claimant| claimant.object))
    });
    let woken = stream::select(stream::select(ears.main.changed.clone(), woken), claimants)
        .filter(move |_| ready(led.leadership.may_act()))
        .map(|key| ObjectRef::new(&key.name).within(&key.namespace));
    let all = async move {
        gained.leadership.gained().await;
        gained.look_from(Timestamp::now());
        stream::iter(gained.main.store().state().into_iter().map(|object| ObjectRef::from_obj(&*object)))
    };
    stream::select(all.flatten_stream(), woken).map(Ok)
}

/// Lets go of what is remembered of objects that are gone.
async fn bury(context: Arc<Context>, mut gone: Wakes<ObjectKey>) {
    while let Some(key) = gone.next().await {
        context.forget(&key, None);
    }
}

/// Says of objects that cannot be read what is wrong with them.
async fn say_malformed(context: Arc<Context>, mut malformed: Wakes<ObjectKey>) {
    context.leadership.gained().await;
    while let Some(key) = malformed.next().await {
        let Some(object) = context.main.malformed(&key) else { continue };
        context.metrics.malformed.inc();
        let status = render_malformed(None, object.generation, &object.error, Timestamp::now());
        if let Err(error) = context.requests.write_status_unread(&object.target, &status).await {
            tracing::warn!(object = %key, %error, "a malformed object cannot be told so");
            let (context, malformed, key) = (Arc::clone(&context), malformed.clone(), key.clone());
            let delay = context.comes_back(&key);
            context.tasks.clone().spawn(async move {
                tokio::time::sleep(delay.max(Duration::from_secs(1))).await;
                malformed.wake(key);
            });
        }
    }
}
