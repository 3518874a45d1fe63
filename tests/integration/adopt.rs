//! Releases and objects of others that an object takes over.

use sandbox::charts::Chart;
use serde_json::{Value, json};

use crate::scenario::{Scenario, chart, skip, web};
use crate::stage::Operator;
use crate::tests;

tests![
    release_that_is_as_declared_is_taken_over_without_a_run_of_helm,
    release_of_helm_3_is_taken_over_without_a_run_of_helm,
    release_that_differs_is_looked_at_and_upgraded,
    bad_upgrade_of_what_was_taken_over_is_rolled_back_to_it,
    release_that_an_object_left_behind_is_taken_over_by_another,
    release_that_a_living_object_owns_is_not_taken,
    object_of_nobody_is_named_and_taken_over_on_request,
    release_is_not_taken_with_the_rights_of_the_operator,
];

/// A chart in which everything is written as charts are written that are hard to compare.
fn odd() -> Chart {
    let values = "\"on\": yes\nmode: 0777\nratio: 1.0\nbig: 9007199254740993\nnothing:\ntag: ~\n\
        base: &base {x: 1, w: null}\nmerged: {<<: *base, z: 2}\nlist: [1, two, null, {a: ~}]\nmessage: none\n";
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n\
        data: {message: {{ toJson .Values | quote }}, chart: {{ toJson .Chart | quote }}}\n";
    let about = "apiVersion: v2\nname: odd\nversion: 1.0.0\nappVersion: 1.0\ndescription: \"odd\\tones\"\n\
        keywords: [a]\nannotations: {a/b: \"1\"}\nmaintainers: [{name: somebody}]\nunknown: 1\n";
    Chart::new("odd", "1.0.0")
        .values(values)
        .file("Chart.yaml", about)
        .file("templates/config.yaml", template)
        .file("templates/NOTES.txt", "noted")
        .file("values.schema.json", "{\"type\": \"object\"}")
        .file("README.md", "read me")
        .file("bom.txt", "\u{feff}marked")
        .file(".helmignore", "x\n")
}

const GIVEN: [&str; 4] = ["--set", "message=hello,replicas=2,tag=null", "--set-string", "name=1"];

fn odd_spec(adopt: &str) -> Value {
    let values = json!({ "message": "hello", "replicas": 2.0, "tag": null, "name": "1" });
    json!({ "chart": { "name": "odd" }, "releaseVersion": "1.0.0", "values": values, "adopt": adopt })
}

/// A label of the newest record.
fn label(s: &Scenario<'_>, release: &str, label: &str) -> String {
    let selector = format!("secrets?labelSelector=owner%3Dhelm%2Cname%3D{release}");
    let records = s.list("/api/v1", &selector);
    let newest = records.iter().max_by_key(|record| {
        record["metadata"]["labels"]["version"].as_str().and_then(|version| version.parse::<u32>().ok())
    });
    let label = newest.map(|record| record["metadata"]["labels"][format!("helmrelease.dev/{label}")].clone());
    label.unwrap_or_default().as_str().unwrap_or_default().to_owned()
}

/// The first revision is the object's, and helm did not run for it.
fn is_taken_as_it_is(s: &Scenario<'_>, operator: &Operator, name: &str) {
    s.deployed(name, 1);
    s.marked(name, 1);
    let note = s.event(name, "Adopted");
    assert!(note.contains("as it is"), "{note}");
    assert_eq!(s.story(name), "1 deployed");
    let labels = ["revision", "adopted", "verified"].map(|one| label(s, name, one));
    assert_eq!(labels, ["1", "1", "1"]);
    assert!(!label(s, name, "owner").is_empty());
    assert!(operator.metric("helm_processes_started_total", "") < 1.0, "helm ran");
}

fn release_that_is_as_declared_is_taken_over_without_a_run_of_helm(s: &Scenario<'_>) {
    s.repository.publish(&odd());
    let archive = s.archive(&odd());
    s.helm(&[&["install", "theirs", &archive][..], &GIVEN].concat());
    let operator = s.operate();
    s.declare("theirs", &odd_spec("Never"));
    let message = s.refused("theirs", "NotOurs");
    assert!(message.contains("spec.adopt"), "{message}");
    s.declare("theirs", &odd_spec("Release"));
    is_taken_as_it_is(s, &operator, "theirs");
    let history = s.ready("theirs").status.map(|status| status.history).unwrap_or_default();
    assert!(history.iter().any(|entry| entry.cause == "adoption" && entry.revision == 1), "{history:?}");
    // From here on it is like any other.
    s.touch(&operator, "theirs");
    s.delete("theirs");
    s.gone("theirs");
    assert_eq!(s.story("theirs"), "");
}

fn release_of_helm_3_is_taken_over_without_a_run_of_helm(s: &Scenario<'_>) {
    let helm = match s.land.sandbox.helm3() {
        Ok(helm) => helm,
        Err(error) => skip(error.to_string()),
    };
    s.repository.publish(&odd());
    let archive = s.archive(&odd());
    s.try_helm_of(&helm, &[&["install", "theirs", &archive][..], &GIVEN].concat()).unwrap();
    let operator = s.operate();
    s.declare("theirs", &odd_spec("Release"));
    is_taken_as_it_is(s, &operator, "theirs");
}

fn release_that_differs_is_looked_at_and_upgraded(s: &Scenario<'_>) {
    let archive = s.archive(&chart("1.0.0"));
    s.helm(&["install", "theirs", &archive, "--set", "message=theirs"]);
    let _operator = s.operate();
    s.declare("theirs", &web("1.0.0", json!({ "values": { "message": "ours" }, "adopt": "Release" })));
    s.deployed("theirs", 2);
    let note = s.event("theirs", "Adopted");
    assert!(note.contains("will be upgraded; not known to be as declared: values"), "{note}");
    assert!(!note.contains("ours") && !note.contains("theirs"), "no value is told: {note}");
    s.marked("theirs", 1);
    s.marked("theirs", 2);
    assert_eq!((&*s.story("theirs"), &*s.config("theirs", "message")), ("1 superseded, 2 deployed", "ours"));
}

fn bad_upgrade_of_what_was_taken_over_is_rolled_back_to_it(s: &Scenario<'_>) {
    let archive = s.archive(&chart("1.0.0"));
    s.helm(&["install", "theirs", &archive, "--set", "message=theirs"]);
    let _operator = s.operate();
    let values = json!({ "message": "ours", "outcome": "crash-loop" });
    s.declare(
        "theirs",
        &web("2.0.0", json!({ "timeout": "20s", "upgrade": { "retries": 0 }, "values": values, "adopt": "Release" })),
    );
    let object = s.until("theirs", "rolled back and quarantined", |object| {
        let status = object.status.as_ref();
        let reason = status.and_then(|status| status.conditions.iter().find(|one| one.type_ == "Ready"));
        reason.is_some_and(|ready| ready.reason == "RolledBack")
            && status.is_some_and(|status| !status.quarantined.is_empty())
    });
    let deployed = object.status.and_then(|status| status.deployed).unwrap();
    assert_eq!((deployed.revision, &*deployed.version), (3, "1.0.0"));
    assert_eq!(s.config("theirs", "message"), "theirs");
    assert_eq!(s.story("theirs"), "1 superseded, 2 superseded, 3 deployed");
}

fn release_that_an_object_left_behind_is_taken_over_by_another(s: &Scenario<'_>) {
    let operator = s.operate();
    let shared = |further: Value| {
        let mut spec = web("1.0.0", json!({ "releaseName": "shared" }));
        spec.as_object_mut().unwrap().extend(further.as_object().cloned().unwrap_or_default());
        spec
    };
    s.declare("first", &shared(json!({ "deletionPolicy": "Orphan" })));
    s.deployed("first", 1);
    s.marked("shared", 1);
    s.delete("first");
    s.gone("first");
    let owner = label(s, "shared", "owner");
    let runs = operator.metric("helm_processes_started_total", "");
    s.declare("second", &shared(json!({})));
    s.refused("second", "NotOurs");
    s.declare("second", &shared(json!({ "adopt": "Release" })));
    s.deployed("second", 1);
    assert_ne!(label(s, "shared", "owner"), owner);
    assert_eq!(s.story("shared"), "1 deployed");
    assert!((operator.metric("helm_processes_started_total", "") - runs).abs() < 1.0, "helm ran");
}

fn release_that_a_living_object_owns_is_not_taken(s: &Scenario<'_>) {
    let operator = s.operate();
    let shared = |adopt: &str| web("1.0.0", json!({ "releaseName": "shared", "adopt": adopt }));
    s.declare("first", &shared("Never"));
    s.deployed("first", 1);
    s.marked("shared", 1);
    let owner = label(s, "shared", "owner");
    s.declare("second", &shared("ReleaseAndObjects"));
    let message = s.refused("second", "ClaimedByAnother");
    assert!(message.contains("first"), "{message}");
    s.touch(&operator, "second");
    assert_eq!((label(s, "shared", "owner"), s.story("shared")), (owner, "1 deployed".to_owned()));
}

fn object_of_nobody_is_named_and_taken_over_on_request(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.supply("ConfigMap", "a", "message", "theirs");
    s.declare("a", &web("1.0.0", json!({ "values": { "message": "ours" }, "adopt": "Release" })));
    let message = s.refused("a", "InstallFailed");
    assert!(message.contains("ConfigMap a exists and belongs to no release"), "{message}");
    assert!(message.contains("ReleaseAndObjects"), "{message}");
    assert_eq!(s.config("a", "message"), "theirs");
    let taken = |message: &str| web("1.0.0", json!({ "values": { "message": message }, "adopt": "ReleaseAndObjects" }));
    s.declare("a", &taken("ours"));
    // A failure before that may be waited out: a request is as good as an edit.
    s.annotate("a", "helmrelease.dev/retry");
    s.deployed("a", 1);
    assert_eq!(s.config("a", "message"), "ours");
    // What is there later is not meant.
    s.supply("ConfigMap", "b", "message", "theirs");
    let more = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {message: ours}\n";
    s.repository.publish(&chart("1.2.0").file("templates/more.yaml", more));
    s.declare("a", &web("1.2.0", json!({ "adopt": "ReleaseAndObjects" })));
    let message = s.refused("a", "UpgradeFailed");
    assert!(message.contains("ConfigMap b exists and belongs to no release"), "{message}");
    assert_eq!(s.config("b", "message"), "theirs");
}

fn release_is_not_taken_with_the_rights_of_the_operator(s: &Scenario<'_>) {
    let archive = s.archive(&chart("1.0.0"));
    s.helm(&["install", "theirs", &archive, "--set", "message=theirs"]);
    s.account("weak");
    let _operator = s.operate();
    let spec = |message: &str| {
        let values = json!({ "message": message });
        web("1.0.0", json!({ "values": values, "adopt": "Release", "serviceAccountName": "weak" }))
    };
    s.declare("theirs", &spec("theirs"));
    let message = s.refused("theirs", "Refused");
    let remedy = format!("; let service account weak get Secrets in namespace {}", s.namespace);
    assert!(message.contains("forbidden") && message.contains(&remedy), "{message}");
    assert_eq!(label(s, "theirs", "owner"), "");
    // What it takes to run helm is enough.
    s.grant("admin", "weak");
    s.declare("theirs", &spec("ours"));
    s.deployed("theirs", 2);
    assert_eq!(s.config("theirs", "message"), "ours");
}
