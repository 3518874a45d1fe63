//! Lives of the operator: each begins with nothing in memory, and ends in order or at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use helm_release_operator::{
    cluster::{Identities, Scope},
    controller::{Parts, Settings, Slots, Started, assemble, attend, drain, start},
    helm::{Auth, ClusterAccess},
    metrics::Metrics,
    release::{SpecDefaults, Tenancy},
    types::ObjectKey,
};
use http::Uri;
use kube::Config;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{charts::SimulatedCharts, runs::SimulatedHelm, server, world::World};

const SERVER: &str = "https://10.0.0.1:443";

/// One life.
pub struct Operator {
    task: JoinHandle<()>,
    told_to_end: CancellationToken,
}

impl Operator {
    pub fn start(world: &Arc<World>) -> Self {
        let number = {
            let mut state = world.lock();
            state.operator += 1;
            state.operator
        };
        world.tell(format_args!("operator {number} starts"));
        let assembled = assemble(Parts {
            client: server::client(world, number),
            identities: Identities::new(Config::new(Uri::from_static(SERVER))),
            clock: world.clock(),
            scope: Scope::Cluster,
            settings: Settings {
                defaults: SpecDefaults { repository: Some("https://charts.example".into()), ..SpecDefaults::default() },
                tenancy: Tenancy::Trusted,
                allow_http: false,
                slots: Slots { computing: 2, waiting: 2 },
                drain: Duration::from_secs(20),
            },
            charts: Box::new(SimulatedCharts { world: Arc::clone(world), operator: number }),
            helm: Box::new(SimulatedHelm { world: Arc::clone(world), operator: number }),
            access: access(),
            metrics: Metrics::new().unwrap(),
            holder: format!("sim/{number}").into(),
            started: world.now(),
            lease: None,
        });
        let told_to_end = CancellationToken::new();
        let task = tokio::spawn(live(start(assembled), told_to_end.clone()));
        Self { task, told_to_end }
    }

    /// All at once, helm included. What was under way to the API server may still arrive there.
    pub fn crash(self, world: &World) {
        self.task.abort();
        let mut state = world.lock();
        // From now on, nothing that belongs to the life before gets an answer or does another step.
        state.operator += 1;
        state.at_work.clear();
        state.ledger.crashed();
        drop(state);
        world.tell("operator killed");
    }

    /// As Kubernetes ends a pod.
    pub async fn end(self, world: &World) {
        world.tell("operator told to end");
        self.told_to_end.cancel();
        let _ = self.task.await;
        let mut state = world.lock();
        state.operator += 1;
        state.at_work.clear();
        state.ledger.crashed();
        drop(state);
        world.tell("operator ended");
    }
}

fn access() -> ClusterAccess {
    ClusterAccess {
        server: SERVER.to_owned(),
        authority: None,
        tls_server_name: None,
        auth: Auth::TokenFile("/token".into()),
        proxy_url: None,
        insecure: false,
    }
}

/// What kube's applier does, in an order that does not depend on how a map is laid out: one pass over an object at a
/// time, the sooner of two moments wins, and what is woken during its own pass follows it.
struct Passes {
    due: BTreeMap<ObjectKey, Instant>,
    busy: BTreeSet<ObjectKey>,
    running: FuturesUnordered<BoxFuture<'static, (ObjectKey, Option<Duration>)>>,
}

impl Passes {
    fn schedule(&mut self, key: ObjectKey, at: Instant) {
        let moment = self.due.entry(key).or_insert(at);
        *moment = (*moment).min(at);
    }

    fn next(&self) -> Option<Instant> {
        self.due.iter().filter(|(key, _)| !self.busy.contains(*key)).map(|(_, at)| *at).min()
    }
}

async fn live(started: Started, told_to_end: CancellationToken) {
    let Started { context, mut queue, background } = started;
    let mut passes = Passes { due: BTreeMap::new(), busy: BTreeSet::new(), running: FuturesUnordered::new() };
    let ready = context.main.store();
    let mut is_ready = false;
    let draining = {
        let context = Arc::clone(&context);
        async move {
            told_to_end.cancelled().await;
            drain(&context).await;
        }
    };
    tokio::pin!(draining);
    loop {
        let now = Instant::now();
        let startable: Vec<ObjectKey> = passes
            .due
            .iter()
            .filter(|(key, at)| is_ready && **at <= now && !passes.busy.contains(*key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in startable {
            passes.due.remove(&key);
            passes.busy.insert(key.clone());
            let context = Arc::clone(&context);
            let pass = async move {
                let due = attend(&context, &key).await;
                (key, due)
            };
            passes.running.push(pass.boxed());
        }
        let next = passes.next();
        tokio::select! {
            biased;
            () = &mut draining => break,
            result = ready.wait_until_ready(), if !is_ready => is_ready = result.is_ok(),
            Some((key, due)) = passes.running.next(), if !passes.running.is_empty() => {
                passes.busy.remove(&key);
                if let Some(due) = due {
                    passes.schedule(key, Instant::now() + due);
                }
            }
            Some(key) = queue.next() => passes.schedule(key, Instant::now()),
            () = sleep_until(next.unwrap_or(now)), if is_ready && next.is_some() => {}
        }
    }
    drop(background);
}
