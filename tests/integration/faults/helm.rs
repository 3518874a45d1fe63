//! Answers that are no good, to each kind of request that helm makes: whatever it is and wherever it comes, the release
//! ends as it would have without it, and the version is not blamed.

use sandbox::proxy::{Action, RequestInfo, Rule, RuleHandle, Verb};
use serde_json::{Value, json};

use super::answers::{broken_off, conflict, error, half, overload, page, too_late};
use super::is_helm;
use crate::scenario::{Scenario, web};
use crate::stage::status::is_ready;
use crate::tests;

tests![
    upgrade_whose_helm_cannot_read_the_history_gets_there,
    upgrade_whose_helm_cannot_create_its_record_gets_there,
    upgrade_whose_helm_cannot_read_an_object_gets_there,
    upgrade_whose_helm_cannot_write_an_object_gets_there,
    upgrade_whose_helm_cannot_call_the_old_revision_superseded_gets_there,
    upgrade_whose_helm_cannot_call_its_revision_deployed_gets_there,
    install_whose_helm_is_answered_badly_gets_there,
    rollback_whose_helm_is_answered_badly_gets_back,
    uninstall_whose_helm_is_answered_badly_leaves_nothing,
];

/// A request of helm's, for a release.
pub(super) type Place = fn(&RequestInfo, &str) -> bool;

/// Every kind of bad answer; the names are those of the releases that get them.
fn storms() -> Vec<(&'static str, Action)> {
    vec![
        ("conflict", conflict()),
        ("overload", overload(None)),
        ("throttled", overload(Some("1"))),
        ("error", error()),
        ("late", too_late()),
        ("broken-off", broken_off()),
        ("half", half()),
        ("page", page(200)),
        ("page-of-error", page(500)),
        ("unavailable", page(503)),
    ]
}

/// One of each nature, for places of lesser worth.
fn some_storms() -> Vec<(&'static str, Action)> {
    let some = ["overload", "error", "late", "page"];
    storms().into_iter().filter(|(name, _)| some.contains(name)).collect()
}

/// A release that is given one bad answer.
pub(super) struct Victim {
    name: String,
    pub(super) rule: Option<RuleHandle>,
    /// That of its Deployment, before the answer came: another one is another object.
    uid: Value,
}

impl Victim {
    fn uid(s: &Scenario<'_>, name: &str) -> Value {
        s.object("/apis/apps/v1", "deployments", name).unwrap_or_default()["metadata"]["uid"].clone()
    }

    /// What is wrong with the release where it is at that version and at rest.
    fn wrong(&self, s: &Scenario<'_>, version: &str, most: usize) -> Option<String> {
        let object = s.until(&self.name, &format!("Ready=True with {version}"), |object| {
            let deployed = object.status.as_ref().and_then(|status| status.deployed.as_ref());
            is_ready(object) && deployed.is_some_and(|deployed| deployed.version == version)
        });
        let (story, hits) = (s.story(&self.name), self.rule.as_ref().map_or(0, RuleHandle::hits));
        println!("{}: {story}", self.name);
        let told = story.ends_with("deployed") && !story.contains("pending") && s.revisions(&self.name).len() <= most;
        let blamed = object.status.is_some_and(|status| !status.quarantined.is_empty());
        let same = self.uid.is_null() || Self::uid(s, &self.name) == self.uid;
        let there = s.config(&self.name, "version") == version;
        let right = told && !blamed && same && there && hits == 1;
        (!right).then(|| format!("{}, answered {hits} times: {story}", self.name))
    }
}

pub(super) fn disturb(s: &Scenario<'_>, release: &str, place: Place, action: Action) -> RuleHandle {
    let release = release.to_owned();
    let is_it = move |info: &RequestInfo| is_helm(info) && place(info, &release);
    s.proxy.rule(Rule::new(is_it, action).times(1))
}

/// Quarantined at the first failure that is the version's own fault, and then it would never become good.
fn spec(version: &str) -> Value {
    web(version, json!({ "timeout": "20s", "upgrade": { "retries": 0 }, "values": { "replicas": 0 } }))
}

/// Makes releases of those names that are good by that spec.
#[track_caller]
pub(super) fn good_at(s: &Scenario<'_>, spec: &Value, names: impl IntoIterator<Item = String>) -> Vec<Victim> {
    let names: Vec<String> = names.into_iter().collect();
    for name in &names {
        s.declare(name, spec);
    }
    names
        .into_iter()
        .map(|name| {
            s.deployed(&name, 1);
            s.marked(&name, 1);
            Victim { uid: Victim::uid(s, &name), name, rule: None }
        })
        .collect()
}

#[track_caller]
pub(super) fn all_are_right(s: &Scenario<'_>, victims: &[Victim], version: &str, most: usize) {
    let wrong: Vec<_> = victims.iter().filter_map(|victim| victim.wrong(s, version, most)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Upgrades a release for each bad answer, and has each answer given once at that place. `most` is how many revisions
/// there may be at the end: two where helm has written none before the answer comes, else those of the failed attempt,
/// of the way back and of the next attempt too.
#[track_caller]
fn upgrades_get_there(s: &Scenario<'_>, place: Place, most: usize) {
    let _operator = s.operate();
    let mut victims = good_at(s, &spec("1.0.0"), storms().into_iter().map(|(name, _)| name.to_owned()));
    for (victim, (name, action)) in victims.iter_mut().zip(storms()) {
        victim.rule = Some(disturb(s, name, place, action));
        s.declare(name, &spec("1.1.0"));
    }
    all_are_right(s, &victims, "1.1.0", most);
}

pub(super) fn is_record(info: &RequestInfo, verb: Verb, release: &str, revision: u32) -> bool {
    let name = format!("sh.helm.release.v1.{release}.v{revision}");
    info.verb == verb && info.resource == "secrets" && info.name == Some(name)
}

pub(super) fn is_object(info: &RequestInfo, verb: Verb, release: &str) -> bool {
    info.verb == verb && info.resource == "deployments" && info.name.as_deref() == Some(release)
}

pub(super) fn is_history(info: &RequestInfo, release: &str) -> bool {
    let selected = format!("name%3D{release}%2C");
    info.verb == Verb::List && info.resource == "secrets" && info.query.contains(&selected)
}

fn upgrade_whose_helm_cannot_read_the_history_gets_there(s: &Scenario<'_>) {
    upgrades_get_there(s, is_history, 2);
}

fn upgrade_whose_helm_cannot_create_its_record_gets_there(s: &Scenario<'_>) {
    upgrades_get_there(s, |info, release| is_record(info, Verb::Create, release, 2), 4);
}

fn upgrade_whose_helm_cannot_read_an_object_gets_there(s: &Scenario<'_>) {
    upgrades_get_there(s, |info, release| is_object(info, Verb::Get, release), 4);
}

fn upgrade_whose_helm_cannot_write_an_object_gets_there(s: &Scenario<'_>) {
    upgrades_get_there(s, |info, release| is_object(info, Verb::Patch, release), 4);
}

fn upgrade_whose_helm_cannot_call_the_old_revision_superseded_gets_there(s: &Scenario<'_>) {
    upgrades_get_there(s, |info, release| is_record(info, Verb::Update, release, 1), 4);
}

fn upgrade_whose_helm_cannot_call_its_revision_deployed_gets_there(s: &Scenario<'_>) {
    upgrades_get_there(s, |info, release| is_record(info, Verb::Update, release, 2), 4);
}

/// A release for each of the places and bad answers.
fn crossed(places: &[(&str, Place)]) -> Vec<(String, Place, Action)> {
    let pairs = places.iter().flat_map(|place| some_storms().into_iter().map(move |storm| (place, storm)));
    pairs.map(|((what, place), (storm, action))| (format!("{what}-{storm}"), *place, action)).collect()
}

fn install_whose_helm_is_answered_badly_gets_there(s: &Scenario<'_>) {
    let _operator = s.operate();
    let places: [(&str, Place); 4] = [
        ("history", is_history),
        ("create", |info, release| is_record(info, Verb::Create, release, 1)),
        ("object", |info, release| is_object(info, Verb::Patch, release)),
        ("deployed", |info, release| is_record(info, Verb::Update, release, 1)),
    ];
    let victims: Vec<_> = crossed(&places)
        .into_iter()
        .map(|(name, place, action)| {
            let rule = Some(disturb(s, &name, place, action));
            s.declare(&name, &spec("1.0.0"));
            Victim { name, rule, uid: Value::Null }
        })
        .collect();
    all_are_right(s, &victims, "1.0.0", 2);
}

fn rollback_whose_helm_is_answered_badly_gets_back(s: &Scenario<'_>) {
    let _operator = s.operate();
    let places: [(&str, Place); 4] = [
        ("create", |info, release| is_record(info, Verb::Create, release, 3)),
        ("object", |info, release| is_object(info, Verb::Patch, release)),
        ("superseded", |info, release| is_record(info, Verb::Update, release, 1)),
        ("deployed", |info, release| is_record(info, Verb::Update, release, 3)),
    ];
    let crossed = crossed(&places);
    let mut victims = good_at(s, &spec("1.0.0"), crossed.iter().map(|(name, ..)| name.clone()));
    for (victim, (name, place, action)) in victims.iter_mut().zip(crossed) {
        // The upgrade cannot write its last object, and that is nobody's fault: once it is rolled back it is repeated.
        disturb(s, &name, |info, release| is_object(info, Verb::Patch, release), error());
        victim.rule = Some(disturb(s, &name, place, action));
        s.declare(&name, &spec("1.1.0"));
    }
    // The failed upgrade, the failed rollback, the rollback and the next upgrade.
    all_are_right(s, &victims, "1.1.0", 5);
}

fn uninstall_whose_helm_is_answered_badly_leaves_nothing(s: &Scenario<'_>) {
    let _operator = s.operate();
    let places: [(&str, Place); 4] = [
        ("history", is_history),
        ("uninstalling", |info, release| is_record(info, Verb::Update, release, 1)),
        ("object", |info, release| is_object(info, Verb::Delete, release)),
        ("record", |info, release| is_record(info, Verb::Delete, release, 1)),
    ];
    let crossed = crossed(&places);
    let mut victims = good_at(s, &spec("1.0.0"), crossed.iter().map(|(name, ..)| name.clone()));
    for (victim, (name, place, action)) in victims.iter_mut().zip(crossed) {
        victim.rule = Some(disturb(s, &name, place, action));
        s.delete(&name);
    }
    for Victim { name, rule, .. } in &victims {
        s.gone(name);
        assert_eq!(rule.as_ref().map(RuleHandle::hits), Some(1), "{name} was disturbed");
        assert_eq!((&*s.story(name), Victim::uid(s, name)), ("", Value::Null), "{name}: something is left");
    }
}
