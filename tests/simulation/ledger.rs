//! What is noted while the story runs, and what must hold at every start and every end of helm.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use helm_release_operator::{
    release::{LABEL_OWNER as OWNER, OwnerId},
    types::ObjectKey,
};
use serde_json::Value;

use crate::{
    helm::{Command, Given},
    oracle::adopts,
    process::{Cut, Who},
    records::{Record, history},
    workloads,
    world::{Kind, Name, Object, State, World},
};

const DIGEST: &str = "helmrelease.dev/digest";
/// The number that the operator's run was to have.
const STAMP: &str = "helmrelease.dev/revision";

/// Notes by release.
#[derive(Default)]
pub struct Ledger {
    /// Attempts at a digest that were bad by its own fault.
    bad: BTreeMap<(Name, String), u32>,
    /// Versions whose test has come to an end, with the release.
    tested: BTreeSet<(Name, String)>,
    /// Ends of the operator: each may have lost count of one attempt.
    crashes: u32,
    /// How many of them were before inputs changed.
    crashes_before: BTreeMap<Name, u32>,
    /// The newest revision when the operator planned its last run.
    planned_on: BTreeMap<Name, u32>,
    /// Strangers have acted.
    pub meddled: BTreeSet<Name>,
    pub rolled_back_by_hand: BTreeSet<Name>,
    /// An object that named it was deleted, and with it what its status remembered.
    pub forgotten: BTreeSet<Name>,
    /// Strangers' helm processes at work.
    strangers: BTreeMap<Name, u32>,
    /// A stranger's helm and the operator's were at work at once: what is left of it tells neither of them apart.
    pub tangled: BTreeSet<Name>,
    /// What kept a version from getting ready passed, and its time was up before that was seen.
    pub just_missed: BTreeSet<Name>,
    /// What was removed last was never an object's of ours: nobody knew its objects, so nobody waits for them.
    pub unknown: BTreeSet<Name>,
    /// The operator's helm is at work on these.
    under_way: BTreeSet<Name>,
    /// Runs that began before what renewed the chances: they are none of the new ones.
    of_before: BTreeSet<Name>,
}

impl Ledger {
    /// A new chance for everything: inputs changed, or somebody asked for a retry.
    pub fn renewed(&mut self, release: &Name) {
        self.bad.retain(|(of, _), _| of != release);
        self.crashes_before.insert(release.clone(), self.crashes);
        if self.under_way.contains(release) {
            self.of_before.insert(release.clone());
        }
    }

    /// Notes an end of the test of a version; true for the first on a release.
    pub fn tested(&mut self, release: &Name, version: &str) -> bool {
        self.tested.insert((release.clone(), version.to_owned()))
    }

    pub fn crashed(&mut self) {
        self.crashes += 1;
        self.under_way.clear();
        self.of_before.clear();
    }
}

/// Revisions made room for a new one: the newest that was good must not be among them.
pub fn pruned(world: &World, release: &Name, who: Who, gone: &[Record]) {
    let Who::Operator(_) = who else { return };
    let records = history(world, release);
    // Somebody else was here since the operator counted how many are to be kept.
    let planned_on = world.lock().ledger.planned_on.get(release).copied();
    if planned_on.is_some_and(|planned_on| records.iter().any(|record| record.revision > planned_on)) {
        return;
    }
    let left = records.iter().any(Record::is_verified);
    if let Some(good) = gone.iter().rev().find(|record| record.is_verified()).filter(|_| !left) {
        world.wrong(format_args!("the way back of {}, v{}, was pruned", release.1, good.revision));
    }
}

/// The objects that name a release.
pub fn claimants(state: &State, release: &Name) -> Vec<Arc<Object>> {
    let objects = state.shelves[&Kind::HelmRelease].objects.iter();
    let names = |(name, object): &(&Name, &Arc<Object>)| {
        let asked = object["spec"]["releaseName"].as_str().unwrap_or(&name.1);
        name.0 == release.0 && asked == release.1
    };
    objects.filter(names).map(|(_, object)| Arc::clone(object)).collect()
}

/// The operator starts helm.
pub fn begins(world: &World, operator: u64, release: &Name, command: &Command) {
    let (other, claimants) = {
        let mut state = world.lock();
        let other = state.at_work.insert(release.clone(), command.word());
        (other, claimants(&state, release))
    };
    if let Some(other) = other {
        world.wrong(format_args!("two helm processes on {}: {other} and {}", release.1, command.word()));
    }
    let holder = format!("sim/{operator}");
    let mut intents = claimants.iter().filter_map(|object| object.said().operation.as_ref());
    let intent = intents.find(|intent| intent.kind == command.word() && intent.holder == holder);
    if intent.is_none() {
        world.wrong(format_args!("helm starts on {} without an intent in status", release.1));
    }
    let records = history(world, release);
    let planned = intent.map_or(0, |intent| intent.revision);
    {
        let ledger = &mut world.lock().ledger;
        ledger.under_way.insert(release.clone());
        // The edit came after the intent was written.
        if !claimants.iter().all(|object| object.is_observed()) {
            ledger.of_before.insert(release.clone());
        }
        ledger.planned_on.insert(release.clone(), planned.saturating_sub(1));
        if ledger.strangers.get(release).is_some_and(|count| *count > 0) {
            ledger.tangled.insert(release.clone());
        }
    }
    let good = records.iter().any(Record::is_verified);
    match command {
        Command::Uninstall { .. } => {
            let deleting = claimants.iter().any(|object| !object["metadata"]["deletionTimestamp"].is_null());
            let begun = records.last().is_some_and(|record| record.status == "uninstalling");
            if good && !deleting && !begun {
                world.wrong(format_args!("a release that was good is uninstalled: {}", release.1));
            }
        }
        Command::Rollback { to, .. } => {
            let target = records.iter().find(|record| record.revision == *to);
            // Somebody may have taken it away since the operator looked.
            let taken = target.is_none() && world.lock().ledger.meddled.contains(release);
            if !taken && !target.is_some_and(Record::is_verified) {
                world.wrong(format_args!("rollback of {} to v{to}, which was not verified", release.1));
            }
        }
        Command::Install { .. } | Command::Upgrade { .. } | Command::Test { .. } => {}
    }
}

/// The objects of a release are about to be deleted.
pub fn removes(world: &World, release: &Name, last: &Record) {
    let mut state = world.lock();
    // Nobody knows what belonged to a release of somebody else, or to one whose record was gone before it was read.
    let known = claimants(&state, release).iter().any(|object| object.said().names_objects());
    if last.labels.contains_key(OWNER) && known {
        state.ledger.unknown.remove(release);
    } else {
        state.ledger.unknown.insert(release.clone());
    }
}

/// An install is about to put objects into the cluster.
pub fn installs(world: &World, release: &Name, who: Who) {
    // A claimant knows nothing of what the one before it has left.
    let contested = world.settings.objects.iter().filter(|object| object.release == *release).count() > 1;
    let unknown = {
        let ledger = &world.lock().ledger;
        ledger.tangled.contains(release) || ledger.unknown.contains(release)
    };
    if let (Who::Operator(_), Some(object), false) = (who, workloads::leaving(world, release), contested || unknown) {
        world.wrong(format_args!("an install takes {object} for its own, which is on its way out"));
    }
}

/// helm has ended.
pub fn ends(world: &World, release: &Name, command: &Command, end: &Result<(), Cut>, doomed: bool) {
    let (retries, of_before) = {
        let mut state = world.lock();
        state.at_work.remove(release);
        let claimants = claimants(&state, release);
        let retries = claimants.iter().map(|object| object["spec"]["upgrade"]["retries"].as_u64().unwrap_or(1)).max();
        state.ledger.under_way.remove(release);
        let retries = u32::try_from(retries.unwrap_or(1)).unwrap_or(u32::MAX);
        (retries, state.ledger.of_before.remove(release))
    };
    if of_before || doomed || !matches!(end, Ok(()) | Err(Cut::Error { .. })) {
        return;
    }
    let records = history(world, release);
    match command {
        Command::Upgrade { given: Given { version, labels, description, .. }, .. } if !is_correction(description) => {
            let digest = labels.get(DIGEST).cloned().unwrap_or_default();
            let planned_on = world.lock().ledger.planned_on.get(release).copied().unwrap_or_default();
            // helm may have been kept out by somebody else's lock. Where somebody's revision came in between, ours has
            // another number than it was to have, and labels that helm copies tell nobody whose it is.
            let wrote = |record: &Record| {
                let stamped = record.labels.get(STAMP) == Some(&record.revision.to_string());
                stamped && record.revision > planned_on && record.labels.get(DIGEST) == Some(&digest)
            };
            if world.settings.behaviour(version).is_bad_by_itself() && records.iter().any(wrote) {
                count(world, release, (version, &digest), retries);
            }
        }
        // Of a first install there is no end to tests.
        Command::Test { .. } if end.is_err() && records.iter().any(Record::is_verified) => {
            let tested = records.last().filter(|last| last.status == "deployed" && last.test.is_some());
            let tested = tested.filter(|last| !is_correction(&last.description));
            if let Some((last, digest)) = tested.and_then(|last| Some((last, last.labels.get(DIGEST)?))) {
                count(world, release, (&last.version, digest), retries);
            }
        }
        Command::Upgrade { .. }
        | Command::Test { .. }
        | Command::Install { .. }
        | Command::Rollback { .. }
        | Command::Uninstall { .. } => {}
    }
}

/// What puts drift back is no attempt at the version, which was good: it has delays of its own and no limit.
fn is_correction(description: &str) -> bool {
    description.ends_with(": drift")
}

/// An attempt that was bad by its own fault.
fn count(world: &World, release: &Name, (version, digest): (&str, &str), retries: u32) {
    let over = {
        let mut state = world.lock();
        let before = state.ledger.crashes_before.get(release).copied().unwrap_or_default();
        let allowed = retries + 1 + state.ledger.crashes - before;
        let count = state.ledger.bad.entry((release.clone(), digest.to_owned())).or_default();
        *count += 1;
        (*count > allowed).then_some((*count, allowed))
    };
    if let Some((count, allowed)) = over {
        world.wrong(format_args!("attempt {count} at {version} of {}, {allowed} are allowed", release.1));
    }
}

/// The operator writes a record whole, with these labels: it takes over what has no owner that lives, for an object that
/// asks for it.
pub fn relabelled(world: &World, record: &Name, labels: &Value) {
    let Some(before) = world.get(Kind::Secret, record) else { return };
    let release = (record.0.clone(), labels["name"].as_str().unwrap_or_default().to_owned());
    let claimants = claimants(&world.lock(), &release);
    let is_of = |object: &Arc<Object>, label: &Value| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        label.as_str() == Some(OwnerId::of(&ObjectKey::new(&release.0, name)).as_str())
    };
    let (old, new) = (&before["metadata"]["labels"][OWNER], &labels[OWNER]);
    if let Some(owner) = claimants.iter().find(|object| is_of(object, old) && old != new) {
        world.wrong(format_args!("{} is taken from {}, which lives", release.1, owner["metadata"]["name"]));
    }
    // The object may have been deleted, or told otherwise, a moment ago.
    if claimants.iter().any(|object| is_of(object, new) && !adopts(object)) {
        world.wrong(format_args!("{} is taken over without being asked for", release.1));
    }
    if claimants.iter().any(|object| is_of(object, new)) {
        world.tell(format_args!("ledger: {} is adopted", release.1));
    }
}

/// Somebody else begins to act on a release.
pub fn meddled(world: &World, release: &Name, command: &Command) {
    let mut state = world.lock();
    let at_once = state.at_work.contains_key(release);
    let ledger = &mut state.ledger;
    *ledger.strangers.entry(release.clone()).or_default() += 1;
    if at_once {
        ledger.tangled.insert(release.clone());
    }
    ledger.renewed(release);
    ledger.meddled.insert(release.clone());
    if matches!(command, Command::Rollback { .. }) {
        ledger.rolled_back_by_hand.insert(release.clone());
    }
}

/// Somebody else's helm has ended.
pub fn stranger_ends(world: &World, release: &Name) {
    world.lock().ledger.strangers.entry(release.clone()).and_modify(|count| *count -= 1);
}
