//! Plays a scenario: what users, strangers and fate do, until nothing happens any more.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    helm::{Command, Given},
    operator::Operator,
    oracle,
    records::history,
    runs::stranger,
    scenario::{Declared, Event, Settings},
    workloads,
    world::{Kind, Name, World, name},
};

/// What came of a seed.
pub struct Told {
    pub wrong: Vec<String>,
    pub trace: String,
    /// Of the trace, kept or not.
    pub digest: u64,
    /// It came to rest, and ten quiet minutes were looked at.
    pub quiet: bool,
}

pub async fn tell(settings: Settings, keep_trace: bool) -> Told {
    let world = World::new(settings, keep_trace);
    let _ = world.create(Kind::ConfigMap, &name("meadow", "look"), look(0));
    if !world.settings.published.is_empty() {
        world.tell(format_args!("repository: published later: {:?}", world.settings.published));
    }
    let mut operator = Some(Operator::start(&world));
    for (at, event) in world.settings.events.clone() {
        sleep_until(world.origin + at).await;
        operator = happen(&world, operator, event).await;
    }
    sleep_until(world.origin + world.settings.quiet).await;
    world.tell("from here on, nobody does anything");
    if !world.settings.seed.is_multiple_of(4) {
        (0..world.settings.objects.len()).for_each(|number| edit(&world, number, &json!({ "suspend": false })));
    }
    world.lock().disturbed = false;
    let quiet = oracle::wait_and_judge(&world).await;
    drop(operator);
    let (trace, digest) = world.trace();
    let wrong = world.lock().wrong.clone();
    Told { wrong, trace, digest, quiet }
}

async fn happen(world: &Arc<World>, operator: Option<Operator>, event: Event) -> Option<Operator> {
    match event {
        Event::Install { release, version, config } => install(world, release, version, config),
        Event::Crash { down } => {
            if let Some(operator) = operator {
                operator.crash(world);
            }
            sleep(down).await;
            return Some(Operator::start(world));
        }
        Event::Restart => {
            if let Some(operator) = operator {
                operator.end(world).await;
            }
            return Some(Operator::start(world));
        }
        Event::Upgrade { release, version } => {
            let config = json!({ "by": "hand" });
            if history(world, &release).is_empty() {
                install(world, release, version, config);
            } else {
                let command = Command::Upgrade { given: Given::by_hand(version, config), history_max: 10 };
                tokio::spawn(stranger(Arc::clone(world), release, command));
            }
        }
        Event::Rollback { release } => {
            let records = history(world, &release);
            let before = records.iter().rev().skip(1).find(|record| record.status == "superseded");
            if let Some(before) = before {
                let command = Command::Rollback { to: before.revision, history_max: 10, force: false };
                tokio::spawn(stranger(Arc::clone(world), release, command));
            }
        }
        Event::Uninstall { release } => {
            if !history(world, &release).is_empty() {
                tokio::spawn(stranger(Arc::clone(world), release, Command::Uninstall { keep_history: false }));
            }
        }
        Event::Meddle { release, text } => meddle(world, &release, &text),
        Event::ConfigMap(shade) => {
            world.tell(format_args!("user: values look are {shade}"));
            let key = name("meadow", "look");
            if world.create(Kind::ConfigMap, &key, look(shade)).is_err() {
                let _ = world.change(Kind::ConfigMap, &key, |object| object["data"] = look(shade)["data"].clone());
            }
            all_renewed(world);
        }
        Event::NoConfigMap => no_values(world),
        Event::Spec(number, patch) => edit(world, number, &patch),
        Event::Annotate(number, key, value) => annotate(world, number, key, &value),
        Event::Delete(number) => delete(world, &world.settings.objects[number]),
        Event::Create(number) => {
            let object = &world.settings.objects[number];
            let made = json!({ "metadata": {}, "spec": object.spec });
            if world.create(Kind::HelmRelease, &object.name, made).is_ok() {
                world.tell(format_args!("user: creates {} {}", object.name.1, object.spec));
                world.lock().ledger.renewed(&object.release);
            }
        }
    }
    operator
}

fn delete(world: &World, object: &Declared) {
    world.tell(format_args!("user: deletes {}", object.name.1));
    world.lock().ledger.forgotten.insert(object.release.clone());
    world.delete(Kind::HelmRelease, &object.name);
}

fn install(world: &Arc<World>, release: Name, version: String, config: Value) {
    if history(world, &release).is_empty() {
        let command = Command::Install { given: Given::by_hand(version, config), replace: false, new_namespace: false };
        tokio::spawn(stranger(Arc::clone(world), release, command));
    }
}

fn meddle(world: &World, release: &Name, text: &str) {
    let page = workloads::page(release);
    if world.change(Kind::ConfigMap, &page, |object| object["data"]["config"] = json!(text)).is_ok() {
        world.tell(format_args!("somebody changes {}", page.1));
    }
}

fn no_values(world: &World) {
    world.tell("user: deletes the values look");
    let _ = world.remove(Kind::ConfigMap, &name("meadow", "look"));
    all_renewed(world);
}

fn look(shade: u64) -> Value {
    json!({ "metadata": {}, "data": { "values.yaml": format!("look: {shade}\n") } })
}

fn all_renewed(world: &World) {
    for object in &world.settings.objects {
        world.lock().ledger.renewed(&object.release);
    }
}

fn release_of(world: &World, number: usize) -> Name {
    world.settings.objects[number].release.clone()
}

fn edit(world: &World, number: usize, patch: &Value) {
    let object = &world.settings.objects[number];
    world.tell(format_args!("user: edits {}: {patch}", object.name.1));
    let changed = world.change(Kind::HelmRelease, &object.name, |found| {
        for (key, value) in patch.as_object().into_iter().flatten() {
            found["spec"][key] = value.clone();
        }
    });
    if changed.is_ok() {
        world.lock().ledger.renewed(&release_of(world, number));
    }
}

fn annotate(world: &World, number: usize, key: &str, value: &str) {
    let object = &world.settings.objects[number];
    world.tell(format_args!("user: annotates {}: {key}={value}", object.name.1));
    let _ = world.change(Kind::HelmRelease, &object.name, |found| found["metadata"]["annotations"][key] = json!(value));
    world.lock().ledger.renewed(&release_of(world, number));
}

/// The moment `seconds` from now.
pub fn after(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}
