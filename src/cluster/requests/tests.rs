//! Requests against an API server of closures.

use serde_json::{Value, json};

use super::super::mock::{Asked, client, failure, log_of};
use super::super::values::Ref;
use super::*;
use crate::api::{FINALIZER, HelmReleaseStatus, ValuesKind};
use crate::release::{LABEL_ADOPTED, LABEL_VERIFIED, Member, RecordStatus};
use crate::types::{Namespace, ReleaseKey, ReleaseName};
use jiff::Timestamp;
use kube::core::ObjectMeta;

fn requests(answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static) -> (Requests, super::super::mock::Log) {
    let (client, log) = client(answer);
    (Requests::new(client, Arc::default()), log)
}

fn object(version: &str) -> Value {
    json!({"apiVersion": "helmrelease.dev/v1alpha1", "kind": "HelmRelease", "spec": {},
        "metadata": {"name": "web", "namespace": "apps", "uid": "u", "resourceVersion": version}})
}

fn seen(finalizers: &[&str]) -> ObjectMeta {
    ObjectMeta {
        name: Some("web".into()),
        namespace: Some("apps".into()),
        uid: Some("u".into()),
        resource_version: Some("7".into()),
        finalizers: Some(finalizers.iter().map(ToString::to_string).collect()),
        ..ObjectMeta::default()
    }
}

fn key() -> ReleaseKey {
    ReleaseKey { namespace: Namespace::parse("apps").unwrap(), name: ReleaseName::parse("web").unwrap() }
}

fn record(revision: u32, version: &str) -> Value {
    json!({"metadata": {"name": format!("sh.helm.release.v1.web.v{revision}"), "namespace": "apps",
        "resourceVersion": version, "labels": {"owner": "helm", "name": "web", "status": "deployed",
        "version": revision.to_string(), LABEL_VERIFIED: revision.to_string()}}})
}

fn member(api_version: &str, kind: &str, namespace: &str, name: &str) -> Member {
    Member { api_version: api_version.into(), kind: kind.into(), namespace: namespace.into(), name: name.into() }
}

#[tokio::test]
async fn status_is_applied_with_force_and_its_answer_is_the_object() {
    let (requests, log) = requests(|_| (200, object("8").to_string()));
    let status = HelmReleaseStatus { observed_generation: 3, ..Default::default() };
    let written = requests.write_status(&Target::of(&seen(&[])), &status, Some("7")).await.unwrap();
    assert_eq!(written.metadata.resource_version.as_deref(), Some("8"));
    let asked = &log_of(&log)[0];
    assert_eq!((&*asked.method, &*asked.content_type), ("PATCH", "application/apply-patch+yaml"));
    assert_eq!(asked.path, "/apis/helmrelease.dev/v1alpha1/namespaces/apps/helmreleases/web/status");
    assert!(asked.query.contains("force=true") && asked.query.contains("fieldManager=helm-release-operator"));
    assert_eq!(asked.body["metadata"], json!({"name": "web", "namespace": "apps", "uid": "u", "resourceVersion": "7"}));
    assert_eq!(asked.body["status"]["observedGeneration"], 3);
}

#[tokio::test]
async fn status_without_a_version_has_no_precondition() {
    let (requests, log) = requests(|_| (200, "malformed".to_owned()));
    requests.write_status_unread(&Target::of(&seen(&[])), &HelmReleaseStatus::default()).await.unwrap();
    assert_eq!(log_of(&log)[0].body["metadata"].get("resourceVersion"), None);
}

#[tokio::test]
async fn object_that_is_not_of_its_schema_is_told_so_without_applying() {
    let refusal = "failed to create typed live object (apps/web; HelmRelease): .spec.timeout: expected string, got 7";
    let (requests, log) = requests(move |asked| match &*asked.content_type {
        "application/merge-patch+json" => (200, "malformed".to_owned()),
        _ => failure(500, "InternalError", refusal),
    });
    let status = crate::status::render_malformed(None, 3, "expected a text", Timestamp::UNIX_EPOCH);
    requests.write_status_unread(&Target::of(&seen(&[])), &status).await.unwrap();
    let body = &log_of(&log)[1].body;
    assert_eq!((&body["metadata"], &body["status"]["observedGeneration"]), (&json!({ "uid": "u" }), &json!(3)));
    let told: Vec<_> = body["status"]["conditions"].as_array().unwrap().iter().map(|one| &one["type"]).collect();
    assert_eq!(told, ["Ready"]);
}

#[tokio::test]
async fn status_of_an_object_that_changed_is_a_conflict() {
    let (requests, log) = requests(|_| failure(409, "Conflict", "the object has been modified"));
    let error = requests.write_status(&Target::of(&seen(&[])), &HelmReleaseStatus::default(), Some("7")).await;
    assert_eq!(error.unwrap_err().reason(), "Conflict");
    assert_eq!(log_of(&log).len(), 1, "nothing is tried again");
}

#[tokio::test]
async fn finalizer_is_added_and_removed_beside_those_of_others() {
    let (requests, log) = requests(|_| (200, object("8").to_string()));
    requests.add_finalizer(&seen(&["other"])).await.unwrap();
    requests.remove_finalizer(&seen(&["other", FINALIZER])).await.unwrap();
    let log = log_of(&log);
    assert_eq!(log[0].body, json!({"metadata": {"resourceVersion": "7", "finalizers": ["other", FINALIZER]}}));
    assert_eq!(log[1].body, json!({"metadata": {"resourceVersion": "7", "finalizers": ["other"]}}));
}

#[tokio::test]
async fn finalizer_of_an_object_that_is_gone_is_gone() {
    let (requests, _) = requests(|_| failure(404, "NotFound", "not found"));
    assert!(requests.remove_finalizer(&seen(&[FINALIZER])).await.unwrap().is_none());
    assert_eq!(requests.add_finalizer(&seen(&[])).await.unwrap_err().reason(), "NotFound");
}

#[tokio::test]
async fn records_are_listed_as_metadata_page_by_page() {
    let (requests, log) = requests(|asked| {
        let first = !asked.query.contains("continue=");
        let (items, token) = if first { (record(1, "5"), "more") } else { (record(2, "6"), "") };
        let list = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"resourceVersion": "9", "continue": token}, "items": [items]});
        (200, list.to_string())
    });
    let read = requests.read_records(&key()).await.unwrap();
    assert_eq!(read.version, 9);
    assert_eq!(read.held.iter().map(|held| (held.record.revision, held.version)).collect::<Vec<_>>(), [(1, 5), (2, 6)]);
    assert!(read.records().newest().unwrap().is_verified());
    let asked = &log_of(&log)[0];
    assert!(asked.accept.contains("PartialObjectMetadataList"), "{}", asked.accept);
    assert!(asked.query.contains("labelSelector=owner%3Dhelm%2Cname%3Dweb"), "{}", asked.query);
    assert!(!asked.query.contains("resourceVersion"), "a list without a version has a quorum");
}

#[tokio::test]
async fn record_data_is_read_and_replaced_at_its_version() {
    let (requests, log) = requests(|asked| match &*asked.method {
        "GET" => {
            let secret = json!({"metadata": {"name": "x", "resourceVersion": "5"}, "data": {"release": "SDRzSQ=="}});
            (200, secret.to_string())
        }
        _ => (200, record(3, "6").to_string()),
    });
    let mut data = requests.read_record_data(&key(), 3).await.unwrap().unwrap();
    assert_eq!(data.bytes, b"H4sI");
    assert!(!format!("{data:?}").contains("H4sI"));
    data.bytes = b"new".to_vec();
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    let written = requests.replace_record_data(&key(), 3, data, RecordStatus::Failed, now).await.unwrap().unwrap();
    assert_eq!(written.version, 6);
    let asked = &log_of(&log)[1];
    assert_eq!(asked.path, "/api/v1/namespaces/apps/secrets/sh.helm.release.v1.web.v3");
    assert_eq!(asked.body["metadata"]["resourceVersion"], "5");
    assert_eq!(asked.body["metadata"]["labels"], json!({"status": "failed", "modifiedAt": "1700000000"}));
    assert_eq!(asked.body["data"], json!({"release": "bmV3"}));
    assert!(asked.accept.contains("PartialObjectMetadata"), "the payload does not come back");
}

#[tokio::test]
async fn a_record_is_marked_whole_only_while_it_is_what_it_was() {
    let (requests, log) = requests(|asked| {
        let mut secret = record(3, if asked.method == "GET" { "7" } else { "8" });
        secret["data"] = json!({"release": "aGVsbQ=="});
        secret["type"] = json!("helm.sh/release.v1");
        (200, if asked.method == "GET" { secret } else { asked.body.clone() }.to_string())
    });
    let labels = [(LABEL_ADOPTED, Some("3")), (LABEL_VERIFIED, None)];
    let refused = requests.mark_unchanged(&key(), 3, "6", &labels).await;
    assert!(matches!(refused, Err(ClusterError::Conflict(_))), "{refused:?}");
    assert_eq!(log_of(&log).len(), 1, "nothing is written");
    let marked = requests.mark_unchanged(&key(), 3, "7", &labels).await.unwrap().unwrap();
    assert!(marked.record.is_adopted() && !marked.record.is_verified());
    let put = &log_of(&log)[2];
    assert_eq!(put.method, "PUT");
    assert_eq!(put.body["metadata"]["resourceVersion"], "7", "the API server compares it too");
    assert_eq!((&put.body["type"], &put.body["data"]["release"]), (&json!("helm.sh/release.v1"), &json!("aGVsbQ==")));
    assert_eq!(put.body["metadata"]["labels"]["status"], "deployed");
}

#[tokio::test]
async fn a_trial_of_the_right_to_write_a_record_writes_nothing() {
    let (requests, log) = requests(|asked| match &*asked.method {
        "GET" => (200, record(3, "7").to_string()),
        _ => (403, json!({"kind": "Status", "status": "Failure", "code": 403, "message": "no"}).to_string()),
    });
    let tried = requests.try_writing_record(&key(), 3).await;
    assert!(matches!(tried, Err(ClusterError::Forbidden(_))), "{tried:?}");
    let put = &log_of(&log)[1];
    assert!(put.method == "PUT" && put.query.contains("dryRun=All"), "{put:?}");
}

#[tokio::test]
async fn mark_touches_labels_only_of_the_version_that_was_seen() {
    let (requests, log) = requests(|_| (200, record(3, "6").to_string()));
    let marked =
        requests.mark(&key(), (3, Some(7)), &[(LABEL_VERIFIED, Some("3")), ("old", None)]).await.unwrap().unwrap();
    assert!(marked.record.is_verified());
    let metadata = json!({"labels": {LABEL_VERIFIED: "3", "old": null}, "resourceVersion": "7"});
    assert_eq!(log_of(&log)[0].body, json!({ "metadata": metadata }));
}

#[tokio::test]
async fn values_are_read_with_their_version_and_stay_out_of_debug_text() {
    let (requests, _) = requests(|asked| {
        let found = if asked.path.contains("secrets") {
            json!({"metadata": {"uid": "u", "resourceVersion": "5"}, "data": {"k": "aHVudGVyMg=="}})
        } else {
            json!({"metadata": {"uid": "u", "resourceVersion": "5"}, "data": {"k": "a: 1"}, "binaryData": {"b": "AA=="}})
        };
        (200, found.to_string())
    });
    let of = |kind| Ref { kind, namespace: "apps".into(), name: "v".into() };
    let secret = requests.read_values(&of(ValuesKind::Secret)).await.unwrap().unwrap();
    assert_eq!(
        (&*secret.version.uid, &*secret.version.resource_version, &*secret.data["k"]),
        ("u", "5", &b"hunter2"[..])
    );
    assert!(!format!("{secret:?}").contains("hunter2"));
    let map = requests.read_values(&of(ValuesKind::ConfigMap)).await.unwrap().unwrap();
    assert_eq!((&*map.data["k"], &*map.data["b"]), (&b"a: 1"[..], &b"\0"[..]));
}

#[tokio::test]
async fn answer_that_is_not_understood_is_not_quoted() {
    let (requests, _) = requests(|_| (200, r#"{"metadata": {}, "data": {"k": "hunter2!"}}"#.to_owned()));
    let of = Ref { kind: ValuesKind::Secret, namespace: "apps".into(), name: "v".into() };
    let error = requests.read_values(&of).await.unwrap_err();
    assert_eq!(error.reason(), "Malformed");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

fn discovered(asked: &Asked) -> Option<(u16, String)> {
    let list = |version: &str, resources: Value| {
        json!({"kind": "APIResourceList", "groupVersion": version, "resources": resources}).to_string()
    };
    let entry = |name: &str, kind: &str, namespaced: bool| json!({"name": name, "kind": kind, "namespaced": namespaced, "singularName": "", "verbs": []});
    match &*asked.path {
        "/api/v1" => Some((200, list("v1", json!([entry("secrets", "Secret", true)])))),
        "/apis/apps/v1" => {
            let entries = json!([entry("deployments", "Deployment", true), entry("deployments/scale", "Scale", true)]);
            Some((200, list("apps/v1", entries)))
        }
        "/apis/rbac.authorization.k8s.io/v1" => {
            Some((200, list("rbac.authorization.k8s.io/v1", json!([entry("clusterroles", "ClusterRole", false)]))))
        }
        _ => None,
    }
}

#[tokio::test]
async fn members_are_found_by_discovery_asked_once() {
    let (requests, log) =
        requests(|asked| discovered(asked).unwrap_or_else(|| (200, json!({"metadata": {"name": "x"}}).to_string())));
    for _ in 0..2 {
        let found = requests.read_member(&member("apps/v1", "Deployment", "apps", "web")).await.unwrap().unwrap();
        assert_eq!((found["kind"].as_str(), found["apiVersion"].as_str()), (Some("Deployment"), Some("apps/v1")));
    }
    // The namespace in the manifest of a cluster's object means nothing.
    requests.read_member(&member("rbac.authorization.k8s.io/v1", "ClusterRole", "apps", "a:b")).await.unwrap();
    requests.read_member(&member("v1", "Secret", "apps", "s")).await.unwrap();
    let log = log_of(&log);
    let paths: Vec<&str> = log.iter().map(|asked| &*asked.path).collect();
    assert_eq!(
        paths,
        [
            "/apis/apps/v1",
            "/apis/apps/v1/namespaces/apps/deployments/web",
            "/apis/apps/v1/namespaces/apps/deployments/web",
            "/apis/rbac.authorization.k8s.io/v1",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/a:b",
            "/api/v1",
            "/api/v1/namespaces/apps/secrets/s",
        ]
    );
    assert!(log[6].accept.contains("PartialObjectMetadata"), "the data of a Secret is never read");
}

#[tokio::test]
async fn kind_that_was_not_there_is_asked_for_again() {
    let (requests, log) =
        requests(|asked| discovered(asked).unwrap_or_else(|| failure(404, "NotFound", "the server could not find it")));
    let late = member("example.com/v1", "Thing", "apps", "x");
    for _ in 0..2 {
        assert_eq!(requests.read_member(&late).await.unwrap(), None);
    }
    assert_eq!(log_of(&log).len(), 2);
}

#[tokio::test]
async fn member_whose_name_is_a_path_is_refused() {
    let (requests, log) = requests(|_| (200, "{}".to_owned()));
    for name in ["../secrets/x", "", ".", "a?b", "a%2fb"] {
        let error = requests.read_member(&member("v1", "ConfigMap", "apps", name)).await.unwrap_err();
        assert_eq!(error.reason(), "Refused", "{name}");
    }
    assert!(log_of(&log).is_empty());
}

#[tokio::test]
async fn member_is_deleted_only_as_it_was_seen() {
    let (requests, log) = requests(|asked| discovered(asked).unwrap_or_else(|| failure(404, "NotFound", "gone")));
    requests.delete_member(&member("apps/v1", "Deployment", "apps", "web"), Some(("u", "7"))).await.unwrap();
    let asked = log_of(&log).pop().unwrap();
    let preconditions = json!({ "uid": "u", "resourceVersion": "7" });
    assert_eq!((&*asked.method, &asked.body["preconditions"]), ("DELETE", &preconditions));
    assert_eq!(asked.body["propagationPolicy"], "Background");
}

#[tokio::test(start_paused = true)]
async fn request_without_an_answer_ends_at_its_deadline() {
    let service = tower::service_fn(|_: Request<kube::client::Body>| {
        std::future::pending::<Result<http::Response<kube::client::Body>, std::convert::Infallible>>()
    });
    let requests = Requests::new(Client::new(service, "default"), Arc::default());
    assert_eq!(requests.read_records(&key()).await.unwrap_err(), ClusterError::Timeout);
}
