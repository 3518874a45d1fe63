//! One watch against an API server of closures, under a clock that jumps over every pause.

use std::sync::Mutex;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::core::PartialObjectMeta;
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

use super::super::mock::{Asked, client, failure, log_of};
use super::*;

type Meta = PartialObjectMeta<ConfigMap>;

fn meta(name: &str, version: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "apps", "resourceVersion": version}})
}

fn list(version: &str, token: &str, items: &[Value]) -> (u16, String) {
    let list = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "items": items,
        "metadata": {"resourceVersion": version, "continue": token}});
    (200, list.to_string())
}

fn events(events: &[(&str, Value)]) -> (u16, String) {
    let line = |(kind, object): &(&str, Value)| json!({"type": kind, "object": object}).to_string() + "\n";
    (200, events.iter().map(line).collect())
}

fn bookmark(version: &str) -> (&'static str, Value) {
    let mut object = json!({"kind": "ConfigMap", "apiVersion": "v1"});
    object["metadata"] = json!({"resourceVersion": version});
    ("BOOKMARK", object)
}

fn told(change: &Change<Meta>) -> String {
    match change {
        Change::Begin => "begin".into(),
        Change::Listed(one) => format!("listed {}", one.name_any()),
        Change::Complete { version, .. } => format!("complete {version}"),
        Change::Applied(one) => format!("applied {}", one.name_any()),
        Change::Deleted(one) => format!("deleted {}", one.name_any()),
        Change::Opened { .. } => "opened".into(),
        Change::Lost => "lost".into(),
        Change::Dark => "dark".into(),
        Change::Refused(why) => format!("refused {why}"),
    }
}

/// What a watch says while the API server gives these answers, one after the other, and the last one for ever; up to
/// `count` things.
async fn said(answers: Vec<(u16, String)>, count: usize) -> (Vec<String>, Vec<Asked>) {
    let next = Mutex::new(0);
    let (client, log) = client(move |_| {
        let mut next = next.lock().unwrap();
        *next += 1;
        answers[(*next - 1).min(answers.len() - 1)].clone()
    });
    let (send, mut receive) = unbounded_channel();
    let api: Api<Meta> = Api::all(client);
    let follow = tokio::spawn(async move {
        follow(api, Some("a=b"), Pulse::default(), &Clock::system(), |change| drop(send.send(told(&change)))).await;
    });
    let mut all = Vec::new();
    while all.len() < count {
        let Some(one) = receive.recv().await else { break };
        all.push(one);
    }
    follow.abort();
    (all, log_of(&log))
}

#[tokio::test(start_paused = true)]
async fn list_is_read_page_by_page_and_watched_from_its_version() {
    let answers = vec![
        list("5", "more", &[meta("a", "1")]),
        list("5", "", &[meta("b", "2")]),
        events(&[("ADDED", meta("c", "6")), ("DELETED", meta("a", "7")), bookmark("9")]),
        events(&[("MODIFIED", meta("b", "11"))]),
    ];
    let (said, log) = said(answers, 9).await;
    let expected =
        ["begin", "listed a", "listed b", "complete 5", "opened", "applied c", "deleted a", "opened", "applied b"];
    assert_eq!(said, expected);
    assert!(log[0].query.contains("limit=500") && log[0].query.contains("labelSelector=a%3Db"), "{}", log[0].query);
    assert!(log[2].query.contains("timeoutSeconds=290") && log[2].query.contains("resourceVersion=5"));
    assert!(log[3].query.contains("resourceVersion=9"), "a bookmark moves the watch on: {}", log[3].query);
    assert!(log[3].accept.contains("PartialObjectMetadata"));
}

#[tokio::test(start_paused = true)]
async fn version_that_is_too_old_is_listed_anew() {
    let gone = json!({"kind": "Status", "code": 410, "message": "too old", "reason": "Expired"});
    let answers = vec![list("5", "", &[]), events(&[("ERROR", gone)]), list("8", "", &[]), events(&[])];
    let (said, _) = said(answers, 7).await;
    assert_eq!(said, ["begin", "complete 5", "opened", "lost", "begin", "complete 8", "opened"]);
}

#[tokio::test(start_paused = true)]
async fn break_is_resumed_without_a_list_and_goes_dark_only_when_it_lasts() {
    let down = failure(503, "ServiceUnavailable", "no leader");
    let answers = vec![list("5", "", &[]), down.clone(), events(&[("ADDED", meta("a", "6"))]), down];
    let (said, _) = said(answers, 30).await;
    assert_eq!(said[..5], ["begin", "complete 5", "lost", "opened", "applied a"]);
    let dark = said.iter().position(|one| one == "dark").expect("a long break");
    assert!(said[5..dark].iter().all(|one| one == "lost") && dark > 6, "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn refusal_says_why_and_is_asked_again() {
    let answers = vec![failure(403, "Forbidden", "may not list"), list("5", "", &[]), events(&[])];
    let (said, _) = said(answers, 5).await;
    assert_eq!(said, ["begin", "refused may not list", "begin", "complete 5", "opened"]);
}

#[tokio::test(start_paused = true)]
async fn kind_that_is_gone_ends_the_watch() {
    let (said, log) = said(vec![failure(404, "NotFound", "no such kind")], 9).await;
    assert_eq!((said, log.len()), (vec!["begin".to_owned(), "refused no such kind".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn event_that_is_not_understood_is_passed_by_with_a_list() {
    let poison = ("ADDED", json!({"metadata": {"name": 7}}));
    let answers = vec![list("5", "", &[]), events(&[poison]), list("8", "", &[]), events(&[])];
    let (said, _) = said(answers, 6).await;
    assert_eq!(said, ["begin", "complete 5", "opened", "lost", "begin", "complete 8"]);
}
