//! What counts as a difference, and what is said where the API server tells none.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::mock::{Asked, client, failure};
use super::compare::differences;
use super::*;
use crate::api::{DriftIgnore, DriftTarget};

fn rule(paths: &[&str], managers: &[&str]) -> IgnoreRule {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    IgnoreRule::from(&DriftIgnore { target: None, paths: texts(paths), managers: texts(managers) })
}

fn told(live: &Value, foretold: &Value, rules: &[IgnoreRule]) -> Vec<String> {
    let rules: Vec<&IgnoreRule> = rules.iter().collect();
    differences(live, foretold, &rules).into_iter().map(String::from).collect()
}

fn deployment() -> Value {
    json!({
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"a/b": "c"}, "resourceVersion": "7", "generation": 2, "uid": "u",
            "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [
                {"manager": "helm", "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers":
                    {"k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}}}}}}}},
                {"manager": "scaler", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": "injector", "operation": "Update", "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers":
                    {"k:{\"name\":\"web\"}": {"f:resources": {"f:limits": {".": {}, "f:cpu": {}}}}}}}},
                    "f:metadata": {"f:finalizers": {"v:\"x\"": {}}, "f:odd": {}}}},
            ]},
        "spec": {"replicas": 1, "strategy": {"type": "RollingUpdate"}, "template": {"spec": {"containers": [
            {"name": "web", "image": "a", "resources": {"limits": {"cpu": "1"}}},
            {"name": "side", "image": "b"},
        ]}}},
        "status": {"replicas": 1},
    })
}

/// The object after changes at pointers; null takes a field away.
fn with(changes: &[(&str, Value)]) -> Value {
    let mut object = deployment();
    for (path, value) in changes {
        let (above, last) = path.rsplit_once('/').unwrap();
        object.pointer_mut(above).unwrap()[last.replace("~1", "/")] = value.clone();
    }
    object
}

#[test]
fn what_the_server_keeps_and_says_is_no_difference() {
    let kept = [
        ("/metadata/resourceVersion", json!("8")),
        ("/metadata/generation", json!(3)),
        ("/metadata/uid", json!("v")),
        ("/metadata/creationTimestamp", json!(null)),
        ("/metadata/managedFields", json!([])),
        ("/status", json!({"replicas": 5})),
    ];
    assert!(told(&deployment(), &with(&kept), &[]).is_empty());
}

#[test]
fn fields_with_defaults_and_quantities_are_the_same_in_both_and_null_is_nothing() {
    // As the server answers to `cpu: 1000m` and to a strategy that is not stated.
    assert!(told(&deployment(), &deployment(), &[]).is_empty());
    assert!(
        told(&deployment(), &with(&[("/spec/paused", json!(null)), ("/spec/replicas", json!(1.0))]), &[]).is_empty()
    );
}

#[test]
fn each_field_that_differs_is_named_once() {
    let changed = with(&[
        ("/spec/replicas", json!(5)),
        ("/metadata/labels/a~1b", json!("other")),
        ("/spec/template/spec/containers/0/image", json!("evil")),
        ("/spec/strategy", json!({"type": "Recreate"})),
        ("/spec/paused", json!(true)),
    ]);
    let expected = [
        "/metadata/labels/a~1b",
        "/spec/paused",
        "/spec/replicas",
        "/spec/strategy/type",
        "/spec/template/spec/containers/0/image",
    ];
    assert_eq!(told(&changed, &deployment(), &[]), expected);
    assert_eq!(told(&deployment(), &changed, &[]), expected);
}

#[test]
fn items_are_compared_by_name_and_a_removed_one_names_the_list() {
    let containers = "/spec/template/spec/containers";
    let turned =
        json!([{"name": "side", "image": "b"}, {"name": "web", "image": "x", "resources": {"limits": {"cpu": "1"}}}]);
    let turned = with(&[(containers, turned)]);
    assert_eq!(told(&turned, &deployment(), &[]), ["/spec/template/spec/containers/1/image"]);
    let removed = with(&[(containers, json!([{"name": "side", "image": "b"}]))]);
    assert_eq!(told(&removed, &deployment(), &[]), [containers]);
    let plain = |items: Value| with(&[("/spec/args", items)]);
    assert_eq!(told(&plain(json!(["a", "b"])), &plain(json!(["a"])), &[]), ["/spec/args"]);
    assert_eq!(told(&plain(json!(["a", "b"])), &plain(json!(["a", "c"])), &[]), ["/spec/args/1"]);
    assert_eq!(told(&plain(json!([])), &plain(json!([{"name": "a"}])), &[]), ["/spec/args"]);
}

#[test]
fn a_secret_is_named_by_its_keys_and_never_by_its_values() {
    // The server has turned stringData into data.
    let (live, foretold) = (
        json!({"kind": "Secret", "data": {"password": "aHVudGVyMg=="}}),
        json!({"kind": "Secret", "data": {"password": "b3RoZXI="}}),
    );
    assert_eq!(told(&live, &foretold, &[]), ["/data/password"]);
}

#[test]
fn a_path_is_ignored_with_all_that_is_below() {
    let changed = with(&[
        ("/spec/replicas", json!(5)),
        ("/metadata/labels/a~1b", json!("other")),
        ("/spec/template/spec/containers/0/image", json!("evil")),
        ("/spec/template/spec/containers/1/image", json!("evil")),
    ]);
    let rules = [
        rule(&["/spec/replicas", "/spec/template/spec/containers/0", "/absent/x"], &[]),
        rule(&["/metadata/labels/a~1b"], &[]),
    ];
    assert_eq!(told(&changed, &deployment(), &rules), ["/spec/template/spec/containers/1/image"]);
    // Also where all of the list is another one.
    let gone = with(&[("/spec/template", json!(null))]);
    assert_eq!(told(&gone, &deployment(), &rules), ["/spec/template"]);
    assert!(told(&gone, &deployment(), &[rule(&["/spec"], &[])]).is_empty());
}

#[test]
fn a_field_is_ignored_where_a_named_manager_holds_it() {
    let changed = with(&[
        ("/spec/replicas", json!(5)),
        ("/spec/template/spec/containers/0/image", json!("evil")),
        ("/spec/template/spec/containers/0/resources", json!({"limits": {"cpu": "9"}})),
        ("/metadata/finalizers", json!(["x"])),
        ("/metadata/odd", json!({"a": {"b": 1}})),
    ]);
    let found = |rules: &[IgnoreRule]| told(&changed, &deployment(), rules).join(" ");
    let (odd, image) = ("/metadata/odd", "/spec/template/spec/containers/0/image");
    let limits = "/spec/template/spec/containers/0/resources/limits/cpu";
    assert_eq!(found(&[]), format!("/metadata/finalizers {odd} /spec/replicas {image} {limits}"));
    assert_eq!(found(&[rule(&[], &["scaler"])]), format!("/metadata/finalizers {odd} {image} {limits}"));
    assert_eq!(found(&[rule(&[], &["injector", "scaler"])]), image);
    assert_eq!(found(&[rule(&["/spec"], &["injector"])]), format!("/metadata/finalizers {odd} /spec/replicas {image}"));
    assert_eq!(found(&[rule(&["/spec/replicas"], &["injector"]), rule(&[], &["nobody"])]), found(&[]));
    // What somebody took away is held by nobody.
    let gone = with(&[("/spec/template/spec/containers/0/image", json!(null))]);
    assert_eq!(told(&gone, &deployment(), &[rule(&[], &["injector"])]), [image]);
}

#[test]
fn a_rule_is_for_the_objects_that_it_names() {
    let member =
        Member { api_version: "apps/v1".into(), kind: "Deployment".into(), namespace: "n".into(), name: "web".into() };
    let fits = |api_version: Option<&str>, kind: Option<&str>, name: Option<&str>| {
        let text = |text: Option<&str>| text.map(ToOwned::to_owned);
        let target = DriftTarget { api_version: text(api_version), kind: text(kind), name: text(name) };
        IgnoreRule::from(&DriftIgnore { target: Some(target), ..DriftIgnore::default() }).is_for(&member)
    };
    assert!(fits(None, None, None) && fits(Some("apps/v1"), Some("Deployment"), Some("web")));
    assert!(!fits(Some("v1"), None, None) && !fits(None, Some("Job"), None) && !fits(None, None, Some("other")));
    assert!(
        rule(&[], &[]).is_for_all_of_it()
            && !rule(&["/a"], &[]).is_for_all_of_it()
            && !rule(&[], &["a"]).is_for_all_of_it()
    );
}

fn job() -> Member {
    Member { api_version: "batch/v1".into(), kind: "Job".into(), namespace: "n".into(), name: "a".into() }
}

/// Compares a Job with an API server that knows its kind.
async fn compared(may_be_gone: bool, answer: fn(&Asked) -> (u16, String)) -> ComparedObject {
    let (client, _) = client(move |asked| match &*asked.path {
        "/apis/batch/v1" => {
            let kind = json!({"name": "jobs", "singularName": "", "namespaced": true, "kind": "Job", "verbs": []});
            let list = json!({"kind": "APIResourceList", "groupVersion": "batch/v1", "resources": [kind]});
            (200, list.to_string())
        }
        _ => answer(asked),
    });
    let requests = Requests::new(client, Arc::default());
    compare(&requests, (&job(), may_be_gone), &json!({"metadata": {"name": "a"}}), &[]).await
}

#[tokio::test]
async fn an_object_that_is_not_there_is_missing_unless_it_may_be_gone() {
    let nothing = |_: &Asked| failure(404, "NotFound", "jobs \"a\" not found");
    assert_eq!(compared(false, nothing).await, ComparedObject::Missing);
    assert_eq!(compared(true, nothing).await, ComparedObject::MayBeGone);
}

#[tokio::test]
async fn who_is_refused_is_told_what_to_change() {
    let why = async |answer: fn(&Asked) -> (u16, String)| match compared(false, answer).await {
        ComparedObject::Refused(refusal) => refusal.why.into_string(),
        other => panic!("{other:?}"),
    };
    let lacks = why(|_| {
        let who = "User \"system:serviceaccount:n:deployer\" cannot get resource \"jobs\" in API group \"batch\"";
        failure(403, "Forbidden", &format!("jobs.batch \"a\" is forbidden: {who}"))
    });
    assert!(lacks.await.contains("needs the rights to get and to patch Job of batch/v1"));
    let webhook = why(move |asked| match &*asked.method {
        "GET" => (200, r#"{"metadata": {"name": "a", "resourceVersion": "7"}}"#.to_owned()),
        _ => failure(400, "BadRequest", "admission webhook \"x.example\" does not support dry run"),
    });
    assert!(webhook.await.contains("webhook does not support dry run"));
    let denied = why(move |asked| match &*asked.method {
        "GET" => (200, r#"{"metadata": {"name": "a", "resourceVersion": "7"}}"#.to_owned()),
        _ => failure(403, "Forbidden", "admission webhook \"x.example\" denied the request: hunter2"),
    });
    let denied = denied.await;
    assert!(denied.contains("or an admission webhook, refuses") && !denied.contains("hunter2"), "{denied}");
    let unknown = why(|_| failure(401, "Unauthorized", "Unauthorized")).await;
    assert!(unknown.contains("does not accept the credentials of the operator"), "{unknown}");
    let other = why(|_| {
        let who = "User \"system:serviceaccount:o:operator\" cannot impersonate resource \"serviceaccounts\"";
        failure(403, "Forbidden", &format!("serviceaccounts \"deployer\" is forbidden: {who}"))
    });
    let other = other.await;
    assert!(other.contains("the operator may not act as the identity of the release"), "{other}");
    let read = why(|_| failure(403, "Forbidden", "hunter2")).await;
    assert!(read.contains("does not let the identity of the release get it") && !read.contains("hunter2"), "{read}");
}

#[tokio::test]
async fn an_object_that_changes_between_any_two_requests_is_left_for_later() {
    let found = compared(false, |asked| {
        let version = if asked.method == "GET" { "7" } else { "8" };
        (200, json!({"metadata": {"name": "a", "resourceVersion": version}}).to_string())
    });
    assert_eq!(found.await, ComparedObject::Refused(Refusal::passing("it changes all the time")));
}
