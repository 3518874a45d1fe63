//! The tasks behind the index of live objects: one for each kind, and one for each namespace whose pods are asked for.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::core::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::super::clock::Clock;
use super::super::discovery::{Discovery, Resolved};
use super::super::error::ClusterError;
use super::super::locked::locked;
use super::super::scope::Scope;
use super::super::watch::{Change, Pulse, follow, follow_builtin, side_by_side};
use super::LiveIndex;
use super::kind::Told;
use super::print::Print;
use crate::health::{PodFacts, judge};

/// helm puts it on every object that is not a hook, over the chart's own value.
const LABELS: &str = "app.kubernetes.io/managed-by=Helm";
/// A watch that nobody uses is kept for so long: between two releases of a pipeline it need not be opened again.
const UNUSED_MAX: Duration = Duration::from_secs(300);
/// Between two looks at whether a watch is used.
const UNUSED_CHECK: Duration = Duration::from_secs(60);
/// Between two attempts to find a kind on the API server.
const RESOLVE_PAUSE: Duration = Duration::from_secs(5);
/// The same after the API server said that there is none: its definition may be installed at any time. The first pause
/// is short, because one that was just installed is not known at once everywhere; each is twice as long as the last.
const MISSING_PAUSE_FIRST: Duration = Duration::from_millis(500);
const MISSING_PAUSE_LONGEST: Duration = Duration::from_secs(30);

impl LiveIndex {
    /// Keeps the index up to date; never ends. What it started ends when it is dropped.
    pub async fn run(self: Arc<Self>, client: Client, clock: Clock, discovery: Arc<Discovery>) {
        let mut tasks = JoinSet::new();
        loop {
            for (api_version, kind) in self.to_open() {
                let job = Arc::clone(&self).run_kind(
                    client.clone(),
                    clock.clone(),
                    Arc::clone(&discovery),
                    api_version,
                    kind,
                );
                tasks.spawn(job);
            }
            locked(&self.pods).open(|namespace| {
                tasks.spawn(Arc::clone(&self).run_pods(client.clone(), clock.clone(), namespace.into()))
            });
            tokio::select! {
                biased;
                () = self.more.notified() => {}
                Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            }
        }
    }

    fn to_open(&self) -> Vec<(Box<str>, Box<str>)> {
        let mut state = locked(&self.state);
        let mut open = Vec::new();
        state.kinds.retain(|api_version, kind, watch| {
            if !watch.running {
                watch.running = true;
                open.push((api_version.into(), kind.into()));
            }
            true
        });
        open.sort_unstable();
        open
    }

    async fn run_kind(
        self: Arc<Self>,
        client: Client,
        clock: Clock,
        discovery: Arc<Discovery>,
        api_version: Box<str>,
        kind: Box<str>,
    ) {
        tokio::select! {
            biased;
            () = self.until_unused(&api_version, &kind) => {}
            () = self.follow_kind(&client, &clock, &discovery, &api_version, &kind) => {}
        }
    }

    async fn follow_kind(&self, client: &Client, clock: &Clock, discovery: &Discovery, api_version: &str, kind: &str) {
        let mut missing = MISSING_PAUSE_FIRST;
        let longer = |pause: &mut Duration| std::mem::replace(pause, (*pause * 2).min(MISSING_PAUSE_LONGEST));
        loop {
            let since = Instant::now();
            let pause = match discovery.resolve(client, api_version, kind).await {
                Ok(resolved) => {
                    self.watch_resolved(client, clock, &resolved).await;
                    // It ends only when the kind is gone.
                    discovery.forget(api_version, kind);
                    if since.elapsed() > MISSING_PAUSE_LONGEST {
                        missing = MISSING_PAUSE_FIRST;
                    }
                    longer(&mut missing)
                }
                Err(ClusterError::NotFound(why) | ClusterError::Forbidden(why)) => {
                    self.fold(api_version, kind, 0, Change::Refused(why));
                    longer(&mut missing)
                }
                Err(error) => {
                    tracing::debug!(%kind, %error, "kind not resolved");
                    RESOLVE_PAUSE
                }
            };
            tokio::select! {
                biased;
                () = sleep(pause) => {}
                () = self.defined.notified() => missing = MISSING_PAUSE_FIRST,
            }
        }
    }

    async fn watch_resolved(&self, client: &Client, clock: &Clock, resolved: &Resolved) {
        let resource = &resolved.resource;
        let whole = {
            let mut state = locked(&self.state);
            let Some(watch) = state.kinds.get_mut(&resource.api_version, &resource.kind) else { return };
            watch.resolved(resolved.namespaced, &self.scope);
            watch.whole
        };
        let places: Vec<Option<&str>> = match &self.scope {
            Scope::Namespaces(names) if resolved.namespaced => names.iter().map(|name| Some(&**name)).collect(),
            _ => vec![None],
        };
        side_by_side(places.into_iter().enumerate().map(|(place, namespace)| async move {
            if whole {
                let api = api::<DynamicObject>(client, namespace, resource);
                follow(api, Some(LABELS), Pulse::default(), clock, |change| self.fold_whole(resource, place, change))
                    .await;
            } else {
                let api = api::<PartialObjectMeta<DynamicObject>>(client, namespace, resource);
                follow(api, Some(LABELS), Pulse::default(), clock, |change| self.fold_meta(resource, place, change))
                    .await;
            }
        }))
        .await;
    }

    async fn until_unused(&self, api_version: &str, kind: &str) {
        loop {
            sleep(UNUSED_CHECK).await;
            let mut state = locked(&self.state);
            let unused = state.kinds.get(api_version, kind).and_then(|watch| watch.unused);
            if unused.is_some_and(|since| since.elapsed() >= UNUSED_MAX) {
                state.kinds.remove(api_version, kind);
                return;
            }
        }
    }

    fn fold_whole(&self, resource: &ApiResource, place: usize, change: Change<DynamicObject>) {
        self.fold(&resource.api_version, &resource.kind, place, change.map(|object| told(resource, object)));
    }

    fn fold_meta(&self, resource: &ApiResource, place: usize, change: Change<PartialObjectMeta<DynamicObject>>) {
        let whole = |meta: PartialObjectMeta<DynamicObject>| {
            let object = DynamicObject { types: None, metadata: meta.metadata, data: json!({}) };
            told(resource, object)
        };
        self.fold(&resource.api_version, &resource.kind, place, change.map(whole));
    }

    /// Takes in what the watch of a kind at `place` says.
    pub(super) fn fold(&self, api_version: &str, kind: &str, place: usize, change: Change<Told>) {
        let wakes = {
            let mut state = locked(&self.state);
            let Some(watch) = state.kinds.get_mut(api_version, kind) else { return };
            let woken = watch.fold(&self.scope, place, change);
            state.to_wake(woken)
        };
        self.wakes.wake_all(wakes);
    }

    async fn run_pods(self: Arc<Self>, client: Client, clock: Clock, namespace: Box<str>) {
        let resource = ApiResource::erase::<Pod>(&());
        let api = api::<DynamicObject>(&client, Some(&namespace), &resource);
        follow_builtin(api, None, Pulse::default(), &clock, |change| {
            let facts = |object: DynamicObject| PodFacts::of(&as_json(&resource, object));
            let wakes = locked(&self.pods).fold(&namespace, change.map(facts));
            self.wakes.wake_all(wakes);
        })
        .await;
    }
}

fn api<K>(client: &Client, namespace: Option<&str>, resource: &ApiResource) -> Api<K>
where
    K: kube::Resource<DynamicType = ApiResource, Scope = kube::core::DynamicResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        None => Api::all_with(client.clone(), resource),
    }
}

fn told(resource: &ApiResource, object: DynamicObject) -> Told {
    let meta = &object.metadata;
    let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
    let (namespace, name) = (text(&meta.namespace), text(&meta.name));
    let object = as_json(resource, object);
    Told { namespace, name, print: Print::of(&object), judgement: judge(&object) }
}

/// As the rules of health read it. Items of a list do not say what they are, and the list of managers is long and
/// tells nothing.
fn as_json(resource: &ApiResource, object: DynamicObject) -> Value {
    let DynamicObject { mut metadata, mut data, .. } = object;
    metadata.managed_fields = None;
    if let Some(data) = data.as_object_mut() {
        data.insert("apiVersion".into(), resource.api_version.as_str().into());
        data.insert("kind".into(), resource.kind.as_str().into());
        data.insert("metadata".into(), serde_json::to_value(metadata).unwrap_or_default());
    }
    data
}
