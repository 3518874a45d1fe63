//! What becomes of the objects that helm applies: the controllers and the node of the simulated cluster.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    records::Record,
    scenario::Behaviour,
    watches::LATE_MAX,
    world::{Kind, Name, Object, World},
};

/// By which the pods of a Deployment are selected.
const APP: &str = "app";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// What a version of the chart is made of.
pub fn objects(release: &str, version: &str) -> Vec<(Kind, String)> {
    let mut objects = vec![(Kind::ConfigMap, format!("{release}-page")), (Kind::Deployment, release.to_owned())];
    // Every other minor number has one object more, which the next takes away again.
    if version.split('.').nth(1).and_then(|text| text.parse::<u32>().ok()).is_some_and(|minor| minor % 2 == 1) {
        objects.push((Kind::ConfigMap, format!("{release}-extra")));
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

/// The object of a release that somebody changes now and then.
pub fn page(release: &Name) -> Name {
    (release.0.clone(), format!("{}-page", release.1))
}

/// Brings the objects of a revision into the cluster, and takes away those of `before` that it does not have.
pub fn apply(world: &Arc<World>, release: &Name, record: &Record, before: Option<&Record>) {
    for (kind, name) in &record.objects {
        let key = (release.0.clone(), name.clone());
        let labels = json!({ MANAGED_BY: "Helm" });
        let annotations =
            json!({ "meta.helm.sh/release-name": release.1, "meta.helm.sh/release-namespace": release.0 });
        if *kind == Kind::Deployment {
            deployment(world, &key, record, &labels, &annotations);
            continue;
        }
        let data = stated(*kind, record, name)["data"].clone();
        let made = json!({ "metadata": { "labels": labels, "annotations": annotations }, "data": data });
        if world.create(*kind, &key, made).is_err() {
            let _ = world.change(*kind, &key, |object| object["data"] = data);
        }
    }
    for (kind, name) in before.iter().flat_map(|before| &before.objects) {
        if !record.objects.iter().any(|object| object == &(*kind, name.clone())) {
            let _ = world.remove(*kind, &(release.0.clone(), name.clone()));
        }
    }
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

pub fn remove(world: &World, release: &Name, record: &Record) {
    for (kind, name) in &record.objects {
        let key = (release.0.clone(), name.clone());
        let _ = world.remove(*kind, &key);
        if *kind == Kind::Deployment {
            remove_pods(world, &key);
        }
    }
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
enum Stage {
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
        Behaviour::WayBackFails => life.enter(Stage::Ready),
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
        Behaviour::Never | Behaviour::Template | Behaviour::Invalid | Behaviour::HookFails => {}
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
                status["conditions"] = condition("Progressing", "False", "ProgressDeadlineExceeded", "slow");
            }
            Stage::NoQuota => {
                let message = "pods \"unicorn\" is forbidden: exceeded quota: compute";
                status["conditions"] = condition("ReplicaFailure", "True", "FailedCreate", message);
            }
        }
        self.world.tell(format_args!("cluster: Deployment {} of generation {number:?} is {stage:?}", self.key.1));
        let _ = self.world.change(Kind::Deployment, &self.key, |object| object["status"] = status);
        let _ = self.world.change(Kind::Pod, &self.pod(), |pod| pod["status"] = pod_status(stage));
    }
}

fn pod_status(stage: Stage) -> Value {
    let scheduled = condition("PodScheduled", "True", "", "");
    let waits = |reason: &str, message: &str| {
        let now = json!({ "waiting": { "reason": reason, "message": message } });
        json!({ "phase": "Pending", "conditions": scheduled,
            "containerStatuses": [{ "name": "page", "image": "unicorn", "ready": false, "state": now }] })
    };
    match stage {
        Stage::Coming | Stage::Stuck | Stage::NoQuota => waits("ContainerCreating", ""),
        Stage::Ready => json!({ "phase": "Running", "conditions": condition("Ready", "True", "", "") }),
        Stage::NoNode => json!({ "phase": "Pending",
            "conditions": condition("PodScheduled", "False", "Unschedulable", "0/3 nodes are available") }),
        Stage::NoRegistry => waits("ErrImagePull", "failed to do request: dial tcp 10.0.0.9:443: connection refused"),
        Stage::NoImage => waits("ErrImagePull", "unicorn:pnik: manifest unknown"),
        Stage::Crashed => {
            let now = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
            let before = json!({ "terminated": { "exitCode": 3, "reason": "Error" } });
            json!({ "phase": "Running", "conditions": scheduled, "containerStatuses": [{ "name": "page",
                "ready": false, "restartCount": 4, "state": now, "lastState": before }] })
        }
    }
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!([{ "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2027-01-15T08:00:00Z" }])
}
