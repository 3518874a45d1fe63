//! Definitions of charts against an API server of closures.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::super::locked::locked;
use super::super::mock::{Asked, client, failure, log_of};
use super::*;

const NAME: &str = "rainbows.example.org";

fn read(files: &[(&str, &str)]) -> Result<Vec<Definition>, DefinitionError> {
    read_definitions(files.iter().map(|(path, text)| (*path, text.as_bytes())))
}

fn stated(colours: &[&str]) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": NAME},
        "spec": {
            "group": "example.org", "scope": "Namespaced", "preserveUnknownFields": false,
            "names": {"kind": "Rainbow", "plural": "rainbows"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"colour": {"enum": colours}}}}}],
        },
    })
}

fn definition(colours: &[&str]) -> Definition {
    read(&[("crds/a.json", &stated(colours).to_string())]).unwrap().remove(0)
}

/// As the API server has it: with defaults, and without what is empty.
fn live(colours: &[&str], established: bool) -> Value {
    let mut object = stated(colours);
    object["spec"].as_object_mut().unwrap().remove("preserveUnknownFields");
    object["spec"]["names"]["listKind"] = json!("RainbowList");
    object["spec"]["conversion"] = json!({"strategy": "None"});
    let truth = if established { "True" } else { "False" };
    object["status"] = json!({"storedVersions": ["v1"], "conditions": [{"type": "Established", "status": truth}]});
    object
}

/// A cluster with at most one definition, which is established at the second look after it was written.
#[derive(Default)]
struct Cluster {
    object: Option<Value>,
    looks: u32,
}

impl Cluster {
    fn answer(&mut self, asked: &Asked) -> (u16, String) {
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{NAME}");
        match (&*asked.method, &self.object) {
            ("GET", _) if asked.path == "/apis/example.org/v1" => {
                let kind = json!({"name": "rainbows", "singularName": "", "namespaced": true, "kind": "Rainbow",
                    "verbs": ["get"]});
                (200, json!({"groupVersion": "example.org/v1", "resources": [kind]}).to_string())
            }
            ("GET", Some(object)) if asked.path == path => {
                self.looks += 1;
                let mut object = object.clone();
                if self.looks > 1 {
                    object["status"]["conditions"][0]["status"] = json!("True");
                }
                (200, object.to_string())
            }
            ("POST", None) | ("PATCH", _) => {
                let mut object = asked.body.clone();
                object["status"] = live(&[], false)["status"].take();
                self.looks = 0;
                self.object = Some(object.clone());
                (201, object.to_string())
            }
            ("POST", Some(_)) => failure(409, "AlreadyExists", "it already exists"),
            _ => failure(404, "NotFound", "there is none"),
        }
    }
}

async fn run(
    cluster: Cluster,
    colours: &[&str],
    differing: Differing,
) -> (Result<Established, EstablishError>, Vec<Asked>) {
    let cluster = Mutex::new(cluster);
    let (client, log) = client(move |asked| locked(&cluster).answer(asked));
    let requests = Requests::new(client, Arc::default());
    let established = establish(&requests, &[definition(colours)], differing).await;
    (established, log_of(&log))
}

fn with(object: Value) -> Cluster {
    Cluster { object: Some(object), looks: 0 }
}

fn methods(asked: &[Asked]) -> Vec<&str> {
    asked.iter().map(|asked| &*asked.method).collect()
}

#[test]
fn files_are_read_in_order_without_what_is_not_a_charts_to_state() {
    let mut generated = stated(&["red"]);
    generated["metadata"]["creationTimestamp"] = Value::Null;
    generated["metadata"]["labels"] = json!({"a": "b"});
    generated["status"] = json!({"conditions": []});
    let mut second = stated(&["red"]);
    second["metadata"]["name"] = json!("others.example.org");
    let yaml = format!("# a comment\n---\n{generated}\n---\n# nothing\n---\n{second}\n");
    let read = read(&[("crds/a.yaml", &yaml)]).unwrap();
    assert_eq!(read.iter().map(Definition::name).collect::<Vec<_>>(), [NAME, "others.example.org"]);
    assert_eq!(read[0].object()["metadata"], json!({"name": NAME, "labels": {"a": "b"}}));
    assert_eq!(read[0].object().get("status"), None);
}

#[test]
fn anything_else_is_refused_with_its_file_and_never_with_its_content() {
    for (text, words) in [
        ("kind: ConfigMap\napiVersion: v1\nmetadata: {name: settings}\ndata: {a: hunter2}", "ConfigMap settings"),
        ("kind: List\nitems: []", "List"),
        ("just text", "no Kubernetes object"),
        ("a: [hunter2", "is not YAML"),
        ("kind: CustomResourceDefinition\napiVersion: apiextensions.k8s.io/v1beta1\nmetadata: {name: a.b}", "v1beta1"),
        ("kind: CustomResourceDefinition\napiVersion: apiextensions.k8s.io/v1\nmetadata: {name: a/b}", "a name"),
        ("kind: CustomResourceDefinition\napiVersion: apiextensions.k8s.io/v1\nmetadata: {name: a.b}", "a spec"),
    ] {
        let error = read(&[("crds/odd.yaml", text)]).unwrap_err().to_string();
        assert!(error.contains("crds/odd.yaml") && error.contains(words), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn files_are_bounded_in_number_and_size() {
    let many = format!("---\n{}\n", stated(&[])).repeat(300);
    assert_eq!(read(&[("a.yaml", &many), ("b.yaml", &many)]), Err(DefinitionError::TooMany));
    let long = " ".repeat(17 << 20);
    assert_eq!(read(&[("a.yaml", &long), ("b.yaml", &long)]), Err(DefinitionError::TooLarge));
}

#[test]
fn schemas_are_read_to_a_depth_that_no_stack_is_too_small_for() {
    let nested = |levels| {
        let schema = (0..levels).fold(json!({}), |inner, _| json!({"type": "object", "properties": {"a": inner}}));
        let mut deep = stated(&[]);
        deep["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema;
        read(&[("a.yaml", &deep.to_string())])
    };
    assert!(nested(28).is_ok(), "{:?}", nested(28));
    assert!(matches!(nested(60), Err(DefinitionError::Malformed { .. })));
}

#[test]
fn only_what_the_chart_states_is_compared() {
    let same = |stated: Value, live: Value| is_as_stated(&stated, Some(&live));
    assert!(same(json!({"a": 1}), json!({"a": 1, "b": 2})), "others add theirs");
    assert!(!same(json!({"a": 1, "b": 2}), json!({"a": 1})));
    assert!(!same(json!({"a": [1]}), json!({"a": [1, 2]})), "lists are whole");
    assert!(same(json!({"a": false, "b": null, "c": "", "d": 0, "e": []}), json!({})), "empty values are not kept");
    assert!(same(json!({"a": 1.0}), json!({"a": 1})));
    assert!(!same(json!({"subresources": {"status": {}}}), json!({})), "an empty object turns something on");
    assert!(same(json!({"properties": {}}), json!({})));
    assert!(!same(json!({"properties": {"x": {}}}), json!({"properties": {}})));
    assert!(!same(json!({"properties": {"properties": {"type": "string"}}}), json!({"properties": {}})));
    assert!(same(json!({"clientConfig": {"caBundle": "Cg=="}}), json!({"clientConfig": {"caBundle": "real"}})));
    assert!(!same(json!({"properties": {"caBundle": {"type": "string"}}}), json!({"properties": {}})));
    assert!(!same(json!({"default": false}), json!({})), "a default that is empty is a default");
    assert!(!same(json!({"default": {"a": 1}}), json!({"default": {"a": 1, "b": 2}})));
    assert!(!same(json!({"enum": ["red"]}), json!({"enum": ["blue"]})));
}

#[tokio::test(start_paused = true)]
async fn missing_definition_is_created_and_waited_for() {
    for differing in [Differing::LeaveAlone, Differing::Replace] {
        let (established, asked) = run(Cluster::default(), &["red"], differing).await;
        assert_eq!(established.unwrap(), Established { left_alone: vec![], changed: true });
        assert_eq!(methods(&asked), ["GET", "POST", "GET", "GET", "GET"], "read, create, two looks, discovery");
        assert!(asked[1].query.contains("fieldManager=helm-release-operator"), "{}", asked[1].query);
        assert_eq!(asked[1].body, stated(&["red"]));
    }
}

#[tokio::test(start_paused = true)]
async fn definition_that_is_as_stated_costs_one_request() {
    let (established, asked) = run(with(live(&["red"], true)), &["red"], Differing::LeaveAlone).await;
    assert_eq!((established.unwrap(), methods(&asked)), (Established::default(), vec!["GET"]));
}

#[tokio::test(start_paused = true)]
async fn definition_that_differs_is_left_alone_and_named() {
    let (established, asked) = run(with(live(&["red"], true)), &["red", "blue"], Differing::LeaveAlone).await;
    assert_eq!(established.unwrap(), Established { left_alone: vec![NAME.into()], changed: false });
    assert_eq!(methods(&asked), ["GET"]);
}

#[tokio::test(start_paused = true)]
async fn definition_that_differs_is_replaced_on_request() {
    let (established, asked) = run(with(live(&["red"], true)), &["red", "blue"], Differing::Replace).await;
    assert_eq!(established.unwrap(), Established { left_alone: vec![], changed: true });
    assert_eq!((&*asked[1].method, &*asked[1].content_type), ("PATCH", "application/apply-patch+yaml"));
    assert!(asked[1].query.contains("force=true"), "{}", asked[1].query);
}

#[tokio::test(start_paused = true)]
async fn version_in_which_objects_are_stored_is_never_taken_away() {
    let mut old = live(&["red"], true);
    old["status"]["storedVersions"] = json!(["v1alpha1", "v1"]);
    let (established, asked) = run(with(old), &["red"], Differing::Replace).await;
    let error = established.unwrap_err();
    assert_eq!(error, EstablishError::Stored { name: NAME.into(), version: "v1alpha1".into() });
    assert_eq!(methods(&asked), ["GET"], "nothing was written");
}

#[tokio::test(start_paused = true)]
async fn definition_that_another_release_creates_first_is_compared() {
    let cluster = Mutex::new(Cluster::default());
    let (client, log) = client(move |asked| {
        let mut cluster = locked(&cluster);
        let answer = cluster.answer(asked);
        if asked.method == "GET" && cluster.object.is_none() {
            cluster.object = Some(live(&["blue"], true));
        }
        answer
    });
    let requests = Requests::new(client, Arc::default());
    let established = establish(&requests, &[definition(&["red"])], Differing::LeaveAlone).await.unwrap();
    assert_eq!(established.left_alone, [NAME.into()]);
    assert_eq!(methods(&log_of(&log)), ["GET", "POST", "GET"]);
}

#[tokio::test(start_paused = true)]
async fn definition_that_goes_or_is_not_accepted_is_said() {
    let mut going = live(&["red"], true);
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let (established, _) = run(with(going), &["red"], Differing::LeaveAlone).await;
    assert_eq!(established.unwrap_err(), EstablishError::Terminating(NAME.into()));
    let mut taken = live(&["red"], false);
    let refused = json!({"type": "NamesAccepted", "status": "False", "message": "Rainbow is in use"});
    taken["status"]["conditions"].as_array_mut().unwrap().push(refused);
    let (established, _) = run(with(taken), &["red"], Differing::LeaveAlone).await;
    let why = "Rainbow is in use".into();
    assert_eq!(established.unwrap_err(), EstablishError::NotAccepted { name: NAME.into(), why });
}

#[tokio::test(start_paused = true)]
async fn kind_that_is_never_served_ends_the_wait() {
    let (client, log) = client(|_| (200, live(&["red"], false).to_string()));
    let requests = Requests::new(client, Arc::default());
    let error = establish(&requests, &[definition(&["red"])], Differing::LeaveAlone).await.unwrap_err();
    assert_eq!(error, EstablishError::NotServed(NAME.into()));
    assert!(log_of(&log).len() < 60, "the pauses grow");
}

#[tokio::test(start_paused = true)]
async fn right_that_is_missing_is_named() {
    let words = "User \"system:serviceaccount:team:sa\" cannot create resource";
    let (client, _) = client(move |asked| match &*asked.method {
        "GET" => failure(404, "NotFound", "there is none"),
        _ => failure(403, "Forbidden", words),
    });
    let requests = Requests::new(client, Arc::default());
    let error = establish(&requests, &[definition(&["red"])], Differing::LeaveAlone).await.unwrap_err().to_string();
    assert!(error.contains(NAME) && error.contains("forbidden") && error.contains(words), "{error}");
}
