//! The indexes with their watches, against one small API server.

use std::sync::Arc;

use futures::StreamExt as _;
use serde_json::json;

use super::mock::{Asked, client, failure, log_of};
use super::*;
use crate::api::ValuesKind;
use crate::release::View;
use crate::types::{Namespace, ObjectKey, ReleaseKey, ReleaseName};

/// Two HelmReleases, one of them malformed, a record and a map of values; watches end at once.
fn small_cluster(asked: &Asked) -> (u16, String) {
    let meta = |name: &str, labels| json!({"namespace": "apps", "name": name, "uid": name, "resourceVersion": "5", "labels": labels});
    let items = match &*asked.path {
        _ if asked.query.contains("watch=true") => return (200, String::new()),
        "/apis/helmrelease.dev/v1alpha1/namespaces/apps/helmreleases" => json!([
            {"metadata": meta("poison", json!({})), "spec": {"suspend": "perhaps"}},
            {"metadata": meta("web", json!({})), "spec": {}},
        ]),
        "/api/v1/namespaces/apps/secrets" => {
            let labels = json!({"owner": "helm", "name": "web", "version": "1", "status": "deployed"});
            json!([{"metadata": meta("sh.helm.release.v1.web.v1", labels)}])
        }
        "/api/v1/namespaces/apps/configmaps" => json!([{"metadata": meta("values", json!({}))}]),
        "/api/v1/namespaces/apps/configmaps/late" => {
            return (200, json!({"metadata": meta("late", json!({}))}).to_string());
        }
        _ => return failure(403, "Forbidden", "may not"),
    };
    let list = json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}, "items": items});
    (200, list.to_string())
}

#[tokio::test(start_paused = true)]
async fn indexes_answer_from_their_watches_and_one_that_is_refused_slows_nobody() {
    let scope = Scope::Namespaces(vec!["apps".into(), "closed".into()]);
    let (client, log) = client(small_cluster);
    let main_wakes = MainWakes::default();
    let (mut changed, mut malformed) = (main_wakes.changed.clone(), main_wakes.malformed.clone());
    let main = Arc::new(MainIndex::new(scope.clone(), main_wakes));
    let records = Arc::new(RecordIndex::new(scope.clone(), Wakes::default()));
    let mut values_wakes = Wakes::default();
    let values = Arc::new(ValuesIndex::new(scope, values_wakes.clone()));
    let object = ObjectKey::new("apps", "web");
    let reference = |name: &str| Ref { kind: ValuesKind::ConfigMap, namespace: "apps".into(), name: name.into() };
    values.refer(&object, vec![reference("values")]);

    let tasks = [
        tokio::spawn(Arc::clone(&main).run(client.clone(), Clock::system())),
        tokio::spawn(Arc::clone(&records).run(client.clone(), Clock::system())),
        tokio::spawn(Arc::clone(&values).run(client.clone(), Clock::system())),
    ];
    assert_eq!(changed.next().await, Some(object.clone()));
    assert_eq!(malformed.next().await, Some(ObjectKey::new("apps", "poison")));
    main.store().wait_until_ready().await.unwrap();
    assert_eq!(main.standing(), View::Refused("may not".into()));

    let of = |namespace: &str| ReleaseKey {
        namespace: Namespace::parse(namespace).unwrap(),
        name: ReleaseName::parse("web").unwrap(),
    };
    while !matches!(records.look(&of("apps")), View::Is(found) if found.records.deployed().is_some()) {
        tokio::task::yield_now().await;
    }
    while records.look(&of("closed")) == View::Pending {
        tokio::task::yield_now().await;
    }
    assert_eq!(records.look(&of("closed")), View::Refused("may not".into()));

    assert_eq!(values_wakes.next().await, Some(object.clone()));
    assert!(matches!(values.look(&reference("values")), View::Is(Some(_))));
    values.refer(&object, vec![reference("late")]);
    assert_eq!(values.unlearned(&object), [reference("late")]);
    let requests = Requests::new(client, Arc::default());
    values.learn(&requests, &reference("late")).await.unwrap();
    assert!(matches!(values.look(&reference("late")), View::Is(Some(found)) if &*found.uid == "late"));

    let kinds = |kind: &str| log_of(&log).iter().filter(|asked| asked.path.ends_with(kind)).count();
    assert!(kinds("/configmaps") > 0);
    let whole = |asked: &Asked| asked.path.contains("secrets") && !asked.accept.contains("PartialObjectMetadata");
    assert!(!log_of(&log).iter().any(whole), "no data of a Secret is on the wire");
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}
