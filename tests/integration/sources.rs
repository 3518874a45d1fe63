//! Chart repositories that fail.

use helm_release_operator::api::HelmRelease;
use sandbox::Repository;
use sandbox::repository::{Behaviour, INDEX};
use serde_json::{Value, json};

use crate::scenario::{Scenario, chart, web};
use crate::stage::status::condition;
use crate::tests;

tests![
    missing_chart_is_said,
    version_that_matches_nothing_is_said,
    repository_that_does_not_answer_is_said,
    repository_that_is_not_there_is_said,
    repository_that_asks_for_credentials_is_said_and_gets_them,
    answer_that_is_no_index_is_said,
    index_without_an_end_is_said,
    archive_with_another_digest_is_refused,
    archive_that_is_none_is_refused,
    repository_that_is_down_leaves_deployed_releases_alone,
    repository_that_is_down_when_a_run_needs_it_is_said_and_asked_ever_more_rarely,
    range_goes_up_by_itself_and_never_down,
    range_does_not_go_down_where_status_is_lost,
    newest_match_that_is_bad_does_not_fall_through_to_an_older_one,
];

/// A web release from a repository of its own.
fn from(repository: &Repository, version: &str) -> Value {
    web(version, json!({ "chart": { "name": "web", "repository": repository.url() } }))
}

/// Declares a release whose chart cannot be had; the sentence that says so, after the bystander was seen untouched.
#[track_caller]
fn unavailable(s: &Scenario<'_>, spec: &Value) -> String {
    let bystander = s.bystander();
    s.declare("a", spec);
    let message = s.refused("a", "ChartUnavailable");
    s.event("a", "ChartUnavailable");
    assert_eq!(s.story("a"), "", "nothing was installed");
    bystander.is_untouched(s);
    message
}

/// A repository of its own with one version of the web chart.
fn repository() -> Repository {
    let repository = Repository::start().unwrap();
    repository.publish(&chart("1.0.0"));
    repository
}

/// Plays a repository that answers its index in this way, and then recovers.
#[track_caller]
fn index_answers(s: &Scenario<'_>, behaviour: Behaviour, words: &[&str]) {
    let repository = repository();
    repository.behave(INDEX, behaviour);
    let _operator = s.operate();
    let message = unavailable(s, &from(&repository, "1.0.0"));
    assert!(words.iter().any(|word| message.contains(word)), "{message} says none of {words:?}");
    repository.recover();
    s.annotate("a", "helmrelease.dev/reconcile");
    s.deployed("a", 1);
}

fn missing_chart_is_said(s: &Scenario<'_>) {
    let _operator = s.operate();
    let message = unavailable(s, &json!({ "chart": { "name": "nowhere" } }));
    assert!(message.contains("nowhere"), "{message}");
}

fn version_that_matches_nothing_is_said(s: &Scenario<'_>) {
    let _operator = s.operate();
    let message = unavailable(s, &web("9.x", json!({})));
    assert!(message.contains("9.x"), "{message}");
    s.declare("purple", &json!({ "releaseName": "unicorn", "releaseVersion": "purple" }));
    let message = s.refused("purple", "ChartUnavailable");
    assert!(message.contains("purple"), "{message}");
}

fn repository_that_does_not_answer_is_said(s: &Scenario<'_>) {
    index_answers(s, Behaviour::Drop, &["connection", "request", "closed", "answer"]);
}

fn repository_that_is_not_there_is_said(s: &Scenario<'_>) {
    index_answers(s, Behaviour::status(404), &["404"]);
}

fn repository_that_asks_for_credentials_is_said_and_gets_them(s: &Scenario<'_>) {
    const PASSWORD: &str = "open-sesame-4712";
    let repository = repository();
    repository.require_basic("reader", PASSWORD);
    let operator = s.operate();
    let message = unavailable(s, &from(&repository, "1.0.0"));
    assert!(message.contains("401"), "{message}");
    let credentials = json!({ "username": "reader", "password": PASSWORD });
    let secret =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "login" }, "stringData": credentials });
    s.land.cluster.apply_value(Some(&s.namespace), &secret).unwrap();
    let chart = json!({ "name": "web", "repository": repository.url(), "secretRef": { "name": "login" } });
    s.declare("a", &web("1.0.0", json!({ "chart": chart })));
    s.deployed("a", 1);
    assert!(!operator.log().contains(PASSWORD), "the log tells the password");
}

fn answer_that_is_no_index_is_said(s: &Scenario<'_>) {
    index_answers(s, Behaviour::Body("<html>a page</html>".into()), &["index"]);
}

fn index_without_an_end_is_said(s: &Scenario<'_>) {
    index_answers(s, Behaviour::Endless, &["bytes", "MiB", "large", "limit"]);
}

fn archive_with_another_digest_is_refused(s: &Scenario<'_>) {
    let repository = repository();
    repository.lie_about_digest("web", "1.0.0");
    let _operator = s.operate();
    let message = unavailable(s, &from(&repository, "1.0.0"));
    assert!(message.contains("other bytes than its index names"), "{message}");
}

fn archive_that_is_none_is_refused(s: &Scenario<'_>) {
    let repository = repository();
    repository.publish_bytes("web", "1.1.0", "no archive at all");
    let _operator = s.operate();
    let message = unavailable(s, &from(&repository, "1.1.0"));
    assert!(message.contains("web") || message.contains("archive"), "{message}");
    s.declare("a", &from(&repository, "1.0.0"));
    s.deployed("a", 1);
}

fn repository_that_is_down_leaves_deployed_releases_alone(s: &Scenario<'_>) {
    let repository = repository();
    let operator = s.operate();
    s.declare("a", &from(&repository, "1.x"));
    s.deployed("a", 1);
    repository.behave(INDEX, Behaviour::status(503));
    s.annotate("a", "helmrelease.dev/reconcile");
    s.eventually("the repository is asked again", || (repository.count(INDEX) >= 2).then_some(()));
    s.touch(&operator, "a");
    assert_eq!(s.story("a"), "1 deployed");
    repository.publish(&chart("1.1.0"));
    repository.recover();
    s.annotate("a", "helmrelease.dev/reconcile");
    s.deployed("a", 2);
}

fn repository_that_is_down_when_a_run_needs_it_is_said_and_asked_ever_more_rarely(s: &Scenario<'_>) {
    let repository = repository();
    let operator = s.operate();
    s.declare("a", &from(&repository, "1.0.0"));
    s.deployed("a", 1);
    s.marked("a", 1);
    assert!(operator.terminate().unwrap().success());
    // What is declared is known to the next operator from status, and the values and the chart are not at hand.
    s.helm(&["uninstall", "a"]);
    repository.behave(INDEX, Behaviour::status(503));
    let operator = s.operate();
    let message = s.refused("a", "ChartUnavailable");
    assert!(message.contains("503"), "{message}");
    let asked = operator.metric("operations_total", "");
    assert!(asked <= 1.0, "{asked} runs were asked for over inputs that are not there");
    repository.recover();
    s.annotate("a", "helmrelease.dev/reconcile");
    s.deployed("a", 1);
}

fn range_goes_up_by_itself_and_never_down(s: &Scenario<'_>) {
    let repository = repository();
    let operator = s.operate();
    s.declare("a", &from(&repository, "1.x"));
    s.deployed("a", 1);
    repository.publish(&chart("1.5.0"));
    s.annotate("a", "helmrelease.dev/reconcile");
    s.deployed("a", 2);
    assert_eq!(s.config("a", "version"), "1.5.0");
    repository.remove("web", "1.5.0");
    s.annotate("a", "helmrelease.dev/reconcile");
    let said = |object: &HelmRelease| {
        condition(object, "ChartReady").map(|ready| ready.message.clone()).filter(|said| said.contains("1.0.0"))
    };
    let object = s.until("a", "said what the repository has now", |object| said(object).is_some());
    assert!(said(&object).unwrap().contains("does not go down by itself"), "{object:?}");
    assert_eq!(condition(&object, "Ready").map(|ready| &*ready.status), Some("True"));
    s.touch(&operator, "a");
    assert_eq!(s.story("a"), "1 superseded, 2 deployed");
    // Other values do not make it an order to go down.
    let mut spec = from(&repository, "1.x");
    spec["values"]["message"] = json!("other");
    s.declare("a", &spec);
    let message = s.refused("a", "ChartUnavailable");
    assert!(message.contains("name the older version"), "{message}");
    spec["releaseVersion"] = json!("1.0.0");
    s.declare("a", &spec);
    s.deployed("a", 3);
    assert_eq!(s.config("a", "version"), "1.0.0");
}

fn range_does_not_go_down_where_status_is_lost(s: &Scenario<'_>) {
    let repository = repository();
    repository.publish(&chart("1.5.0"));
    let operator = s.operate();
    let mut spec = from(&repository, "1.x");
    spec["deletionPolicy"] = json!("Orphan");
    s.declare("a", &spec);
    s.deployed("a", 1);
    s.marked("a", 1);
    s.delete("a");
    s.gone("a");
    s.helm(&["install", "theirs", &s.archive(&chart("1.5.0"))]);
    // What an operator has seen of the repository goes with it.
    assert!(operator.terminate().unwrap().success());
    repository.remove("web", "1.5.0");
    let _operator = s.operate();
    s.declare("a", &spec);
    spec["adopt"] = json!("ReleaseAndObjects");
    s.declare("theirs", &spec);
    for name in ["a", "theirs"] {
        let message = s.refused(name, "ChartUnavailable");
        assert!(message.contains("1.5.0 is deployed: a range does not go down by itself"), "{message}");
        assert_eq!((&*s.story(name), &*s.config(name, "version")), ("1 deployed", "1.5.0"));
    }
    // Who names the older version has it.
    spec["releaseVersion"] = json!("1.0.0");
    s.declare("theirs", &spec);
    s.deployed("theirs", 2);
}

fn newest_match_that_is_bad_does_not_fall_through_to_an_older_one(s: &Scenario<'_>) {
    let repository = repository();
    let operator = s.operate();
    let mut spec = from(&repository, "1.x");
    spec["timeout"] = json!("6s");
    spec["upgrade"] = json!({ "retries": 0 });
    s.declare("a", &spec);
    s.deployed("a", 1);
    repository.publish(&chart("1.1.0"));
    let values =
        include_str!("../sandbox/src/charts/web/values.yaml").replace("outcome: ready", "outcome: never-ready");
    repository.publish(&chart("1.2.0").values(&values));
    s.annotate("a", "helmrelease.dev/reconcile");
    s.until("a", "rolled back", |object| condition(object, "Ready").is_some_and(|ready| ready.reason == "RolledBack"));
    s.annotate("a", "helmrelease.dev/reconcile");
    s.touch(&operator, "a");
    assert_eq!((&*s.config("a", "version"), &*s.story("a")), ("1.0.0", "1 superseded, 2 superseded, 3 deployed"));
}
