//! What becomes of the objects that helm applies: the controllers and the node of the simulated cluster.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    pods,
    process::{Cut, Process, error},
    records::Record,
    scenario::Behaviour,
    watches::LATE_MAX,
    world::{Kind, Name, Object, World},
};

/// By which the pods of a Deployment are selected.
const APP: &str = "app";
/// What the names of objects end with that are to be kept.
const KEPT: &str = "-kept";
/// Set on an object of which somebody holds the fields.
pub const HELD: &str = "held";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The finalizer of what something outside holds.
const HOLDER: &str = "simulation.example/held";

/// The object that somebody changes now and then, and that something outside may hold.
fn page_of(release: &str) -> String {
    format!("{release}-page")
}

pub fn page(release: &Name) -> Name {
    (release.0.clone(), page_of(&release.1))
}

/// What a version of the chart is made of.
pub fn objects(world: &World, release: &str, version: &str) -> Vec<(Kind, String)> {
    let mut objects = vec![(Kind::ConfigMap, page_of(release)), (Kind::Deployment, release.to_owned())];
    // Every other minor number has one object more, which the next takes away again.
    if version.split('.').nth(1).and_then(|text| text.parse::<u32>().ok()).is_some_and(|minor| minor % 2 == 1) {
        objects.push((Kind::ConfigMap, format!("{release}-extra")));
    }
    if world.settings.behaviour(version) == Behaviour::Keeps {
        objects.push((Kind::ConfigMap, format!("{release}{KEPT}")));
    }
    objects
}

/// What a revision states of one of its objects.
pub fn stated(kind: Kind, record: &Record, name: &str) -> Value {
    if kind != Kind::Deployment {
        return json!({ "data": { "version": record.version, "config": record.config.to_string() } });
    }
    let selector = json!({ "matchLabels": { APP: name } });
    let template = json!({ "version": record.version, "config": record.config });
    json!({ "spec": { "replicas": 1, "selector": selector, "template": template } })
}

/// The name of a release by which an object says that it belongs to it.
fn owner(object: &Value) -> &Value {
    &object["metadata"]["annotations"]["meta.helm.sh/release-name"]
}

/// Refuses objects that are there, new to the release and not its own.
pub fn belongs_to_nobody(process: &Process, record: &Record, before: &[(Kind, String)], take: bool) -> Result<(), Cut> {
    let (world, release) = (&process.world, &process.release);
    for (kind, name) in record.objects.iter().filter(|object| !take && !before.contains(object)) {
        let there = world.get(*kind, &(release.0.clone(), name.clone()));
        if there.is_some_and(|object| *owner(&object) != release.1) {
            return error(format!(
                "Unable to continue with install: {kind:?} {name:?} in namespace {:?} exists and cannot be imported \
                 into the current release: invalid ownership metadata",
                release.0
            ));
        }
    }
    Ok(())
}

/// What a run may take from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    /// Fields that they hold.
    Fields,
}

/// Brings the objects of a revision into the cluster, and takes away those of `before` that it does not have.
pub fn apply(process: &Process, record: &Record, before: Option<&Record>, takes: Takes) -> Result<(), Cut> {
    let (world, release) = (&process.world, &process.release);
    process.may_touch_objects()?;
    let invalid = world.settings.behaviour(&record.version) == Behaviour::Invalid;
    let mut held = None;
    for (kind, name) in &record.objects {
        let key = (release.0.clone(), name.clone());
        let labels = json!({ MANAGED_BY: "Helm" });
        let mut annotations =
            json!({ "meta.helm.sh/release-name": release.1, "meta.helm.sh/release-namespace": release.0 });
        if name.ends_with(KEPT) {
            annotations["helm.sh/resource-policy"] = json!("keep");
        }
        if *kind == Kind::Deployment {
            if !invalid && held.is_none() {
                deployment(world, &key, record, &labels, &annotations);
            }
            continue;
        }
        let is_held = world.get(*kind, &key).is_some_and(|object| object[HELD] == true);
        if is_held && world.settings.fields_have_owners && takes == Takes::Nothing {
            held = Some(name.clone());
            continue;
        }
        let data = stated(*kind, record, name)["data"].clone();
        let holders =
            if world.settings.lingers.is_some() && *name == page_of(&release.1) { &[HOLDER][..] } else { &[] };
        let meta = json!({ "labels": labels, "annotations": annotations, "finalizers": holders });
        if world.create(*kind, &key, json!({ "metadata": meta, "data": data })).is_err() {
            let _ = world.change(*kind, &key, |object| {
                object["data"] = data;
                object["metadata"]["labels"] = meta["labels"].clone();
                object["metadata"]["annotations"] = meta["annotations"].clone();
                object[HELD] = Value::Null;
            });
        }
    }
    if let Some(name) = held {
        return error(format!(
            "conflict occurred while applying object {}/{name} /v1, Kind=ConfigMap: Apply failed with 1 conflict: \
             conflict with \"somebody\" using v1: .data.version",
            release.0
        ));
    }
    if invalid {
        return Ok(());
    }
    for (kind, name) in before.iter().flat_map(|before| &before.objects) {
        if !record.objects.iter().any(|object| object == &(*kind, name.clone())) && !name.ends_with(KEPT) {
            let _ = world.remove(*kind, &(release.0.clone(), name.clone()));
        }
    }
    Ok(())
}

fn deployment(world: &Arc<World>, key: &Name, record: &Record, labels: &Value, annotations: &Value) {
    let spec = stated(Kind::Deployment, record, &key.1)["spec"].clone();
    let made = json!({ "metadata": { "labels": labels, "annotations": annotations }, "spec": spec });
    let before = generation(world, key);
    let there = world.create(Kind::Deployment, key, made).is_err();
    if there {
        let _ = world.change(Kind::Deployment, key, |object| object["spec"] = spec);
    }
    let now = generation(world, key);
    if now != before {
        let behaviour = world.settings.behaviour(&record.version);
        tokio::spawn(live(Arc::clone(world), key.clone(), now, behaviour));
    }
}

/// Uid and generation: what a controller acts on.
fn generation(world: &World, key: &Name) -> Option<(String, i64)> {
    let object = world.get(Kind::Deployment, key)?;
    let meta = &object["metadata"];
    Some((meta["uid"].as_str()?.to_owned(), meta["generation"].as_i64()?))
}

/// Takes away what a revision has, but for what is to be kept and, with helm 4, what another release has taken. What
/// something outside holds stays, and is going.
pub fn remove(process: &Process, record: &Record) -> Result<(), Cut> {
    let (world, release) = (&process.world, &process.release);
    process.may_touch_objects()?;
    for (kind, name) in record.objects.iter().filter(|(_, name)| !name.ends_with(KEPT)) {
        let key = (release.0.clone(), name.clone());
        let Some(object) = world.get(*kind, &key) else { continue };
        if world.settings.fields_have_owners && *owner(&object) != release.1 {
            continue;
        }
        world.delete(*kind, &key);
        if let (Some(lingers), true) = (world.settings.lingers, is_leaving(world, *kind, &key)) {
            tokio::spawn(let_go(Arc::clone(world), (*kind, key.clone()), lingers));
        }
        if *kind == Kind::Deployment {
            remove_pods(world, &key);
        }
    }
    Ok(())
}

/// Whether something is left of what a removal was to take away.
pub fn any_is_there(process: &Process, record: &Record) -> bool {
    let mut names = record.objects.iter().filter(|(_, name)| !name.ends_with(KEPT));
    names.any(|(kind, name)| process.world.get(*kind, &(process.release.0.clone(), name.clone())).is_some())
}

/// Takes off the finalizer of an object that is deleted, after a while.
async fn let_go(world: Arc<World>, (kind, key): (Kind, Name), lingers: Duration) {
    world.tell(format_args!("cluster: {} is held for {lingers:?}", key.1));
    world.lock().changing += 1;
    sleep(lingers).await;
    // Also when it was let go by another: an object that was made since has no part in this.
    if is_leaving(&world, kind, &key) {
        world.tell(format_args!("cluster: {} is let go", key.1));
        let _ = world.change(kind, &key, |object| object["metadata"]["finalizers"] = json!([]));
    }
    world.lock().changing -= 1;
}

fn is_leaving(world: &World, kind: Kind, key: &Name) -> bool {
    world.get(kind, key).is_some_and(|object| !object["metadata"]["deletionTimestamp"].is_null())
}

/// An object of the release that is deleted and still there.
pub fn leaving(world: &World, release: &Name) -> Option<String> {
    let page = page_of(&release.1);
    is_leaving(world, Kind::ConfigMap, &(release.0.clone(), page.clone())).then_some(page)
}

fn remove_pods(world: &World, deployment: &Name) {
    let pods: Vec<Name> = {
        let state = world.lock();
        let pods = state.shelves[&Kind::Pod].objects.iter();
        let own = |(_, pod): &(&Name, &Arc<Object>)| pod["metadata"]["labels"][APP] == *deployment.1;
        pods.filter(own).map(|(name, _)| name.clone()).collect()
    };
    for pod in pods {
        let _ = world.remove(Kind::Pod, &pod);
    }
}

pub fn is_healthy(world: &World, key: &Name) -> bool {
    world.get(Kind::Deployment, key).is_some_and(|object| {
        object["status"]["availableReplicas"] == 1
            && object["status"]["observedGeneration"] == object["metadata"]["generation"]
    })
}

pub fn any_is_unhealthy(world: &World) -> bool {
    let all: Vec<Name> = world.lock().shelves[&Kind::Deployment].objects.keys().cloned().collect();
    !all.iter().all(|key| is_healthy(world, key))
}

/// The version that a Deployment runs.
pub fn version(world: &World, key: &Name) -> Option<String> {
    Some(world.get(Kind::Deployment, key)?["spec"]["template"]["version"].as_str()?.to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Coming,
    Ready,
    Stuck,
    NoQuota,
    NoNode,
    NoRegistry,
    NoImage,
    Crashed,
}

struct Life {
    world: Arc<World>,
    key: Name,
    of: Option<(String, i64)>,
}

/// The time of one generation of a Deployment.
async fn live(world: Arc<World>, key: Name, of: Option<(String, i64)>, behaviour: Behaviour) {
    let life = Life { world, key, of };
    life.world.lock().changing += 1;
    course(&life, behaviour).await;
    life.world.lock().changing -= 1;
}

async fn course(life: &Life, behaviour: Behaviour) {
    sleep(Duration::from_millis(40)).await;
    let after = |milliseconds: u64| sleep(Duration::from_millis(milliseconds));
    life.make_pod();
    life.enter(Stage::Coming);
    match behaviour {
        Behaviour::Good { ready } | Behaviour::Hooks { ready } | Behaviour::Late { ready } => {
            after(ready).await;
            life.enter(Stage::Ready);
        }
        Behaviour::Keeps | Behaviour::WayBackFails => life.enter(Stage::Ready),
        Behaviour::Stuck { known } => {
            after(known).await;
            life.enter(Stage::Stuck);
        }
        Behaviour::Flapping { every, times } => {
            for _ in 0..times {
                after(every).await;
                life.enter(Stage::Ready);
                after(every).await;
                life.enter(Stage::Coming);
            }
            after(every).await;
            life.enter(Stage::Ready);
        }
        Behaviour::Outside => healed(life, Stage::NoQuota).await,
        Behaviour::Unschedulable => healed(life, Stage::NoNode).await,
        Behaviour::Registry => healed(life, Stage::NoRegistry).await,
        Behaviour::NoImage => {
            after(1500).await;
            life.enter(Stage::NoImage);
        }
        Behaviour::Crashing => {
            after(3000).await;
            life.enter(Stage::Crashed);
        }
        Behaviour::Never
        | Behaviour::Refused { .. }
        | Behaviour::Invalid
        | Behaviour::HookFails
        | Behaviour::HookHangs => {}
    }
}

/// Held up by what lies outside, until that passes.
async fn healed(life: &Life, held_up: Stage) {
    let heals = life.world.origin + life.world.settings.heals;
    if tokio::time::Instant::now() < heals {
        life.enter(held_up);
        tokio::time::sleep_until(heals).await;
    }
    life.enter(Stage::Coming);
    sleep(Duration::from_secs(2)).await;
    life.enter(Stage::Ready);
    sleep(life.world.settings.lag + LATE_MAX).await;
    if generation(&life.world, &life.key) != life.of {
        life.world.lock().ledger.just_missed.insert(life.key.clone());
    }
}

impl Life {
    fn pod(&self) -> Name {
        let (uid, generation) = self.of.as_ref().map_or(("", 0), |(uid, generation)| (uid, *generation));
        (self.key.0.clone(), format!("{}-{uid}-{generation}", self.key.1))
    }

    /// The pods of the generations before go at once.
    fn make_pod(&self) {
        if generation(&self.world, &self.key) != self.of {
            return;
        }
        remove_pods(&self.world, &self.key);
        let pod = self.pod();
        let labels = json!({ APP: self.key.1, "pod-template-hash": pod.1 });
        let owner = json!([{ "kind": "ReplicaSet", "name": pod.1, "controller": true }]);
        let made = json!({ "metadata": { "labels": labels, "ownerReferences": owner }, "spec": {} });
        let _ = self.world.create(Kind::Pod, &pod, made);
    }

    fn enter(&self, stage: Stage) {
        if generation(&self.world, &self.key) != self.of {
            return;
        }
        let number = self.of.as_ref().map(|(_, number)| *number);
        let mut status = json!({ "observedGeneration": number, "replicas": 1, "updatedReplicas": 1 });
        match stage {
            Stage::Coming | Stage::NoNode | Stage::NoRegistry | Stage::NoImage | Stage::Crashed => {}
            Stage::Ready => {
                status["availableReplicas"] = json!(1);
                status["readyReplicas"] = json!(1);
            }
            Stage::Stuck => {
                status["conditions"] = pods::condition("Progressing", "False", "ProgressDeadlineExceeded", "slow");
            }
            Stage::NoQuota => {
                let message = "pods \"unicorn\" is forbidden: exceeded quota: compute";
                status["conditions"] = pods::condition("ReplicaFailure", "True", "FailedCreate", message);
            }
        }
        self.world.tell(format_args!("cluster: Deployment {} of generation {number:?} is {stage:?}", self.key.1));
        let _ = self.world.change(Kind::Deployment, &self.key, |object| object["status"] = status);
        let _ = self.world.change(Kind::Pod, &self.pod(), |pod| pod["status"] = pods::status(stage));
    }
}
