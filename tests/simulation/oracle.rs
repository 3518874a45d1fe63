//! What must be true when nobody does anything any more, and for how long the world is given to get there.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use tokio::time::sleep_until;

use crate::{
    charts::{follows, satisfies, wanted},
    ledger::claimants,
    records::{Phase, Record, history},
    scenario::Test,
    story::after,
    workloads,
    world::{Kind, Name, Object, World},
};

/// The longest back-off is six hours, with a tenth of jitter; before it come shorter ones, and judging takes time too.
const PATIENCE_SECONDS: u64 = 14 * 3600;
const LOOK_EVERY_SECONDS: u64 = 30;
const QUIET_SECONDS: u64 = 600;
/// What is not ready for 600 s is said to make no progress, which is a write.
const PROGRESS_SECONDS: u64 = 660;
/// Where drift was found, the next look for it is taken within 300 s, and tells in status that it is gone.
const DRIFT_SECONDS: u64 = 310;
/// A range is looked up anew after 300 s and a tenth of jitter at most, and finds what was published while no operator
/// ran.
const INTERVAL_SECONDS: u64 = 340;
/// What happened last is seen and written after this long, besides the lateness of watches.
const SETTLING_SECONDS: u64 = 10;

/// Gives the world time to come to rest, and says what is wrong when it does not. Whether nothing was due any more, so
/// that ten quiet minutes were looked at.
#[must_use]
pub async fn wait_and_judge(world: &Arc<World>) -> bool {
    let mut passed = 0;
    let mut step = LOOK_EVERY_SECONDS;
    loop {
        sleep_until(after(step)).await;
        passed += step;
        let mut complaints = complaints(world);
        if complaints.is_empty() {
            sleep_until(after(SETTLING_SECONDS + world.settings.lag.as_secs())).await;
            complaints = self::complaints(world);
        }
        if complaints.is_empty() {
            break;
        }
        if passed >= PATIENCE_SECONDS {
            for complaint in complaints {
                world.wrong(format_args!("in the end, {complaint}"));
            }
            return false;
        }
        step = (passed / 8).max(LOOK_EVERY_SECONDS);
    }
    let mut before = picture(world);
    if before.at_rest && before.follows {
        sleep_until(after(INTERVAL_SECONDS)).await;
        before = picture(world);
    }
    if before.at_rest && workloads::any_is_unhealthy(world) {
        sleep_until(after(PROGRESS_SECONDS)).await;
        before = picture(world);
    }
    if before.at_rest && before.drifted {
        sleep_until(after(DRIFT_SECONDS)).await;
        before = picture(world);
    }
    if !before.at_rest {
        return false;
    }
    sleep_until(after(QUIET_SECONDS)).await;
    let now = picture(world);
    if now.writes != before.writes {
        world.wrong(format_args!("{} writes in ten quiet minutes", now.writes - before.writes));
    }
    if now.objects != before.objects {
        world.wrong("objects or records changed in ten quiet minutes");
    }
    for complaint in complaints(world) {
        world.wrong(format_args!("after rest, {complaint}"));
    }
    true
}

#[derive(PartialEq)]
struct Picture {
    writes: u64,
    /// With their versions.
    objects: BTreeMap<(Kind, Name), String>,
    /// Nothing is due any more, not even slowly.
    at_rest: bool,
    drifted: bool,
    /// What the repository has next may be deployed.
    follows: bool,
}

fn picture(world: &World) -> Picture {
    let state = world.lock();
    let kinds = [Kind::HelmRelease, Kind::Secret];
    let due = |object: &Object| {
        let (status, reason) = object.said().ready();
        let retry = object.said().failures.not_before.is_some();
        // The wait for a helm that is not ours may be long, and begins anew with each operator.
        let progressing = status == "Unknown" && reason == "Progressing";
        let corrected = object["spec"]["driftDetection"]["mode"] == "Correct" && object.said().tells_of_drift();
        corrected
            || progressing
            || (status == "False" && (retry || matches!(reason, "ChartUnavailable" | "ValuesUnavailable")))
    };
    let mut objects = BTreeMap::new();
    for kind in kinds {
        for (name, object) in &state.shelves[&kind].objects {
            objects.insert((kind, name.clone()), object["metadata"]["resourceVersion"].to_string());
        }
    }
    let declared = || state.shelves[&Kind::HelmRelease].objects.values();
    Picture {
        writes: state.writes,
        objects,
        at_rest: !declared().any(|object| due(object)),
        drifted: declared().any(|object| object.said().tells_of_drift()),
        follows: declared().any(|object| follows(object)),
    }
}

/// At every write of a status: whoever says ready of the generation that is there says the truth.
pub fn said(world: &World, object: &Object) {
    if object.said().ready().0 != "True" || !object.is_observed() {
        return;
    }
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let release = (namespace.to_owned(), object["spec"]["releaseName"].as_str().unwrap_or_default().to_owned());
    // A stranger may have acted in the moment between.
    let meddled = world.lock().ledger.meddled.contains(&release);
    let records = history(world, &release);
    let deployed = records.iter().rev().find(|record| record.status == "deployed");
    if !meddled && deployed.is_none_or(|record| !satisfies(object, &record.version)) {
        let there = deployed.map_or("nothing", |record| &record.version);
        let wanted = &object["spec"]["releaseVersion"];
        world.wrong(format_args!("{} is said to be ready at {wanted}, and {there} is deployed", release.1));
    }
    let untested = deployed.filter(|record| tests_count(object) && !has_passed(record));
    if let Some(record) = untested.filter(|_| !meddled) {
        world.wrong(format_args!("{} is said to be ready, and its test is {:?}", release.1, record.test));
    }
}

/// Whether a test that fails makes a version bad.
fn tests_count(object: &Value) -> bool {
    object["spec"]["test"]["enabled"] == true && object["spec"]["test"]["ignoreFailures"] != true
}

fn has_passed(record: &Record) -> bool {
    matches!(record.test, None | Some(Phase::Succeeded))
}

/// Whether the test of a version can be what keeps it from being deployed.
fn fails_its_test(world: &World, object: &Value, version: &str) -> bool {
    let bad = match world.settings.test(version) {
        Test::Absent | Test::Passes => false,
        Test::Fails | Test::Hangs => true,
        // Its attempts may be used up by then.
        Test::FailsOnce => object["spec"]["upgrade"]["retries"] == 0 || !world.settings.behaviour(version).is_good(),
    };
    bad && tests_count(object)
}

fn complaints(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    let declared = &world.settings.objects;
    for object in declared {
        let records = history(world, &object.release);
        let claims = claimants(&world.lock(), &object.release);
        if records.last().is_some_and(Record::is_pending)
            && !claims.is_empty()
            && !claims.iter().all(|object| idle(object))
        {
            all.push(format!("{} is left {}", object.release.1, records.last().map_or("", |last| &last.status)));
        }
        // What becomes of a release without an object was said while it went.
        if let Some(found) = world.get(Kind::HelmRelease, &object.name) {
            all.extend(judge(world, &found, &object.release, &records));
        }
    }
    if world.lock().changing > 0 {
        all.push("objects still change".to_owned());
    }
    let working: Vec<String> = world.lock().at_work.keys().map(|release| release.1.clone()).collect();
    all.extend(working.into_iter().map(|release| format!("helm still runs on {release}")));
    all
}

/// Nothing is done for it on purpose.
fn idle(object: &Object) -> bool {
    let reason = object.said().ready().1;
    // Nothing of what is to be taken over is touched before it is known what helm would be given.
    let compared = !adopts(object) || !matches!(reason, "ValuesUnavailable" | "ChartUnavailable");
    object["spec"]["suspend"] == true || matches!(reason, "NotOurs" | "ClaimedByAnother") || !compared
}

fn judge(world: &World, object: &Object, release: &Name, records: &[Record]) -> Option<String> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let (status, reason) = object.said().ready();
    let says = || format!("{name} says {status} {reason}");
    let tangled = world.lock().ledger.tangled.contains(release);
    if !object["metadata"]["deletionTimestamp"].is_null() {
        // The other helm may have left objects that nobody removes any more; they are named.
        return (!tangled).then(|| format!("{name} is still being deleted; {}", says()));
    }
    if !object.is_observed() {
        return Some(format!("{name} is not observed; {}", says()));
    }
    if status == "True" {
        return reached(world, object, release, records).map(|why| format!("{} although {why}", says()));
    }
    if object["spec"]["suspend"] == true {
        return (!matches!(reason, "Suspended" | "ClaimedByAnother" | "NotOurs")).then(says);
    }
    // The others may be gone by now, and have left their release behind.
    let contested = world.settings.objects.iter().filter(|object| object.release == *release).count() > 1;
    let state = world.lock();
    let meddled = state.ledger.meddled.contains(release);
    let by_hand = state.ledger.rolled_back_by_hand.contains(release);
    let just_missed = state.ledger.just_missed.contains(release);
    let forgotten = state.ledger.forgotten.contains(release);
    drop(state);
    let version = wanted(world, object);
    let behaviour = world.settings.behaviour(&version);
    let fails_test = fails_its_test(world, object, &version);
    let is_good = behaviour.is_good() && !fails_test;
    let justified = match reason {
        "ClaimedByAnother" => contested,
        "ValuesUnavailable" => values(world, object).is_none(),
        // Whose rollback it was, was known to the object that is gone.
        "RolledBackByUser" => by_hand || tangled || forgotten,
        "NotOurs" => (meddled || contested) && !adopts(object),
        "InstallFailed" | "UpgradeFailed" => !is_good || tangled,
        "TestFailed" => fails_test || tangled,
        "RolledBack" => (!is_good || tangled || just_missed) && back_at_good(world, object, release, records),
        // A person went back to it, or damaged what the operator went back to, or it was taken over as it was.
        "Unhealthy" => tangled || ((by_hand || adopts(object)) && !is_good),
        _ => false,
    };
    let test = world.settings.test(&version);
    (!justified).then(|| format!("{} at {version}, which is {behaviour:?} and whose test is {test:?}", says()))
}

/// What a person went back to, and what was taken over, is a way back by its health alone, and good where it is what is
/// wanted again.
fn is_taken_as_it_is(world: &World, object: &Value, release: &Name) -> bool {
    adopts(object) || world.lock().ledger.rolled_back_by_hand.contains(release)
}

/// What others have made is to be taken over.
pub fn adopts(object: &Value) -> bool {
    object["spec"]["adopt"].as_str().is_some_and(|adopt| adopt != "Never")
}

fn back_at_good(world: &World, object: &Object, release: &Name, records: &[Record]) -> bool {
    let is_good = |last: &Record| {
        last.status == "deployed"
            && !world.settings.behaviour(&last.version).is_bad_by_itself()
            && (!tests_count(object) || has_passed(last) || is_taken_as_it_is(world, object, release))
    };
    records.last().is_some_and(is_good) && workloads::is_healthy(world, release)
}

/// Why `Ready` is not the truth.
fn reached(world: &World, object: &Value, release: &Name, records: &[Record]) -> Option<String> {
    let Some(last) = records.last() else { return Some("there is no release".to_owned()) };
    let wanted = wanted(world, object);
    if last.status != "deployed" || last.version != wanted {
        return Some(format!("v{} is {} at {}", last.revision, last.status, last.version));
    }
    let Some(config) = values(world, object) else { return Some("its values are missing".to_owned()) };
    if last.config != config {
        return Some(format!("values are {} and not {config}", last.config));
    }
    if workloads::version(world, release).as_deref() != Some(&*wanted) {
        return Some(format!("the Deployment runs {:?}", workloads::version(world, release)));
    }
    if !workloads::is_healthy(world, release) && !world.settings.behaviour(&wanted).is_never_ready() {
        return Some("the Deployment is not healthy".to_owned());
    }
    if tests_count(object) && !has_passed(last) && !is_taken_as_it_is(world, object, release) {
        return Some(format!("the test of v{} is {:?}", last.revision, last.test));
    }
    let page = world.get(Kind::ConfigMap, &workloads::page(release));
    let stated = workloads::stated(Kind::ConfigMap, last, "");
    let corrects = object["spec"]["driftDetection"]["mode"] == "Correct" && object["spec"]["suspend"] != true;
    if corrects && page.is_none_or(|page| page["data"] != stated["data"]) {
        return Some("somebody has changed an object".to_owned());
    }
    // A mark that was lost is made up for when the release is not suspended any more.
    if !last.is_verified() && object["spec"]["suspend"] != true {
        return Some(format!("v{} is not marked", last.revision));
    }
    None
}

/// `None` where they are missing and must not be.
fn values(world: &World, object: &Value) -> Option<Value> {
    let mut values = json!({});
    if let Some(source) = object["spec"]["valuesFrom"].get(0) {
        match world.get(Kind::ConfigMap, &("meadow".to_owned(), "look".to_owned())) {
            Some(look) => {
                let text = look["data"]["values.yaml"].as_str().unwrap_or_default();
                let shade = text.trim().rsplit(' ').next().and_then(|number| number.parse::<u64>().ok());
                values["look"] = json!(shade);
            }
            None if source["optional"] == true => {}
            None => return None,
        }
    }
    for (key, value) in object["spec"]["values"].as_object().into_iter().flatten() {
        values[key] = value.clone();
    }
    Some(values)
}
