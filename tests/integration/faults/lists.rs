//! Bad answers to the operator's own lists, those of its start and those after a watch that expired: what is not in view
//! is not gone.

use std::time::Duration;

use sandbox::proxy::{Action, RequestInfo, Rule, RuleHandle, Verb};
use serde_json::{Value, json};

use super::answers::{broken_off, error, expired_event, overload, page};
use super::is_helm;
use crate::scenario::{Scenario, play_in, web};
use crate::stage::status::condition;
use crate::tests;

tests![lists_that_fail_at_the_start_take_nothing_away, lists_that_fail_after_a_break_take_nothing_away];

/// What is listed, in the order in which its lists become good again.
const RESOURCES: [&str; 4] = ["helmreleases", "secrets", "configmaps", "deployments"];

/// How the lists of one operator are answered.
struct Storm {
    name: &'static str,
    action: Action,
    /// Whether a list that is answered so is asked for again soon.
    again: bool,
}

fn storms() -> Vec<Storm> {
    let storm = |name, again, action| Storm { name, action, again };
    vec![
        storm("error", true, error()),
        storm("overload", true, overload(None)),
        storm("throttled", true, overload(Some("1"))),
        storm("broken-off", true, broken_off()),
        storm("page", true, page(200)),
        storm("unavailable", true, page(503)),
        // It is good when it comes.
        storm("late", false, Action::Delay(Duration::from_secs(3))),
        // It is given up after half a minute.
        storm("hang", false, Action::Hang),
    ]
}

/// Plays the story for each storm in a scenario of its own, all side by side.
#[track_caller]
fn side_by_side(s: &Scenario<'_>, story: fn(&Scenario<'_>, &Storm)) {
    let land = s.land;
    let failed: Vec<String> = std::thread::scope(|scope| {
        let stories = storms().into_iter().map(|storm| {
            let namespace = format!("{}-{}", s.namespace, storm.name);
            scope.spawn(move || match play_in(land, namespace, |scenario| story(scenario, &storm)) {
                Ok(_) => None,
                Err(failed) => Some(format!("{}: {}", storm.name, failed.message().unwrap_or_default())),
            })
        });
        let stories: Vec<_> = stories.collect();
        stories.into_iter().filter_map(|story| story.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Without the values of the source it would be another release.
fn spec(version: &str) -> Value {
    let from = json!([{ "kind": "ConfigMap", "name": "given", "optional": true }]);
    web(version, json!({ "valuesFrom": from, "upgrade": { "retries": 0 } }))
}

/// Releases that are good.
#[track_caller]
fn good(s: &Scenario<'_>, names: &[&str]) {
    s.supply("ConfigMap", "given", "values.yaml", "message: given\n");
    for name in names {
        s.declare(name, &spec("1.0.0"));
    }
    for name in names {
        s.deployed(name, 1);
        s.marked(name, 1);
    }
}

/// Disturbs the operator's lists of each resource.
fn disturb(s: &Scenario<'_>, storm: &Storm) -> Vec<(&'static str, RuleHandle)> {
    let rule = |resource: &'static str| {
        let is_it = move |info: &RequestInfo| info.verb == Verb::List && info.resource == resource && is_own(info);
        (resource, s.proxy.rule(Rule::new(is_it, storm.action.clone())))
    };
    RESOURCES.map(rule).into()
}

/// The operator's, and not about one release alone.
fn is_own(info: &RequestInfo) -> bool {
    !is_helm(info) && !info.query.contains("name%3D")
}

fn requests_of_helm(s: &Scenario<'_>) -> u64 {
    s.proxy.counts(|key| key.user_agent.starts_with("Helm/"))
}

/// Fails when the release that was there is blamed for what is not in view.
#[track_caller]
fn is_not_blamed(s: &Scenario<'_>, step: &str) {
    let object = s.until("old", "it is there", |_| true);
    let ready = condition(&object, "Ready").map(|ready| (ready.status.clone(), ready.reason.clone()));
    assert!(ready.as_ref().is_none_or(|(status, _)| status != "False"), "{step}: {ready:?}");
}

fn lists_that_fail_at_the_start_take_nothing_away(s: &Scenario<'_>) {
    side_by_side(s, |s, storm| {
        let operator = s.operate();
        good(s, &["old"]);
        assert!(operator.terminate().unwrap().success());
        let (old, helm) = (s.revisions("old"), requests_of_helm(s));
        s.declare("new", &spec("1.0.0"));
        let rules = disturb(s, storm);
        let mut operator = s.spawn(&s.settings());
        for (resource, rule) in rules {
            let what = format!("lists of {resource} are answered badly");
            let times = if storm.again { 2 } else { 1 };
            s.eventually(&what, || (rule.hits() >= times).then_some(()));
            is_not_blamed(s, &what);
            // The objects are watched once there is something to judge, so also while the new release is installed.
            // What is merely late comes while the others are looked at.
            let may_run = resource == "deployments" || matches!(storm.action, Action::Delay(_));
            let runs = requests_of_helm(s) > helm;
            assert!(may_run || !runs, "{what}, and helm is run");
            assert_eq!(s.revisions("old"), old, "{what}");
            rule.remove();
        }
        operator.wait_until_ready().unwrap();
        s.deployed("new", 1);
        s.marked("new", 1);
        s.deployed("old", 1);
        s.touch(&operator, "old");
        assert_eq!(s.revisions("old"), old);
        assert_eq!((&*s.story("new"), &*s.config("new", "message")), ("1 deployed", "given"));
    });
}

fn lists_that_fail_after_a_break_take_nothing_away(s: &Scenario<'_>) {
    side_by_side(s, |s, storm| {
        let operator = s.operate();
        good(s, &["old", "new"]);
        let (old, helm) = (s.revisions("old"), requests_of_helm(s));
        let rules = disturb(s, storm);
        for (resource, _) in &rules {
            let is_it = {
                let resource = *resource;
                move |info: &RequestInfo| info.verb == Verb::Watch && info.resource == resource && is_own(info)
            };
            s.proxy.rule(Rule::new(is_it, expired_event()).times(1));
        }
        s.proxy.cut();
        for (resource, rule) in &rules {
            s.eventually(&format!("lists of {resource}"), || (rule.hits() > 0).then_some(()));
        }
        // Nobody tells the operator before the first list is good again.
        s.declare("new", &spec("1.1.0"));
        let comes = matches!(storm.action, Action::Delay(_));
        for (resource, rule) in rules {
            let what = format!("lists of {resource} are answered badly");
            let told = comes || resource != "helmreleases";
            if storm.again && !told {
                let before = rule.hits();
                s.eventually(&what, || (rule.hits() > before).then_some(()));
            }
            is_not_blamed(s, &what);
            // Helm is run for a spec that was seen: a short break leaves the last picture of the rest in force, and
            // the records and values of the release itself are read anew before a run.
            let runs = requests_of_helm(s) > helm;
            assert!(told || !runs, "{what}, and helm is run");
            assert_eq!(s.revisions("old"), old, "{what}");
            rule.remove();
        }
        s.deployed("new", 2);
        s.marked("new", 2);
        s.deployed("old", 1);
        s.touch(&operator, "old");
        assert_eq!(s.revisions("old"), old);
        assert_eq!(s.story("new"), "1 superseded, 2 deployed");
        assert_eq!((&*s.config("new", "message"), &*s.config("new", "version")), ("given", "1.1.0"));
    });
}
