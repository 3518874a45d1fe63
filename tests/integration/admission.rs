//! What the API server refuses when it is applied, before the operator ever sees it.

use serde_json::{Value, json};

use crate::scenario::Scenario;
use crate::tests;

tests![
    unknown_fields_are_refused,
    names_are_bounded,
    names_cannot_change,
    times_and_numbers_are_bounded,
    printed_columns_are_the_promised_ones,
    status_is_unobserved_from_the_first_moment,
];

/// Fails unless the spec is refused with these words.
#[track_caller]
fn is_refused(s: &Scenario<'_>, name: &str, spec: &Value, words: &str) {
    match s.try_declare(name, spec) {
        Ok(()) => panic!("taken, although {words}: {spec}"),
        Err(error) => assert!(error.to_string().contains(words), "{error}"),
    }
}

fn unknown_fields_are_refused(s: &Scenario<'_>) {
    is_refused(s, "a", &json!({ "releaseversion": "1.0.0" }), "releaseversion");
    is_refused(s, "a", &json!({ "chart": { "nmae": "web" } }), "nmae");
    s.declare("a", &json!({ "suspend": true, "values": { "any": { "thing": [1, null] } } }));
}

fn names_are_bounded(s: &Scenario<'_>) {
    let (longest, longer) = ("r".repeat(53), "r".repeat(54));
    is_refused(s, "a", &json!({ "releaseName": longer }), "53");
    is_refused(s, &longer, &json!({}), "53 characters");
    is_refused(s, "a", &json!({ "releaseName": "Not_A_Name" }), "releaseName");
    s.declare("a", &json!({ "suspend": true, "releaseName": longest }));
    s.declare(&longer, &json!({ "suspend": true, "releaseName": "short" }));
}

fn names_cannot_change(s: &Scenario<'_>) {
    s.declare("a", &json!({ "suspend": true, "releaseName": "one" }));
    is_refused(s, "a", &json!({ "suspend": true, "releaseName": "two" }), "releaseName cannot change");
    is_refused(s, "a", &json!({ "suspend": true }), "releaseName cannot change");
    s.declare("b", &json!({ "suspend": true }));
    is_refused(s, "b", &json!({ "suspend": true, "releaseName": "two" }), "releaseName cannot change");
    s.declare("b", &json!({ "suspend": true, "releaseName": "b" }));
    let elsewhere = json!({ "suspend": true, "targetNamespace": "elsewhere" });
    is_refused(s, "b", &elsewhere, "targetNamespace cannot change");
}

fn times_and_numbers_are_bounded(s: &Scenario<'_>) {
    is_refused(s, "a", &json!({ "interval": "9s" }), "at least 10s");
    is_refused(s, "a", &json!({ "timeout": "25h" }), "between 1s and 24h");
    is_refused(s, "a", &json!({ "timeout": "soon" }), "timeout");
    is_refused(s, "a", &json!({ "maxHistory": 1 }), "maxHistory");
    is_refused(s, "a", &json!({ "upgrade": { "retries": 11 } }), "retries");
    is_refused(s, "a", &json!({ "upgrade": { "onFailure": "Pray" } }), "onFailure");
    is_refused(s, "a", &json!({ "chart": { "repository": "ftp://example.org" } }), "repository");
    is_refused(s, "a", &json!({ "chart": { "repository": "https://user:word@example.org" } }), "repository");
    is_refused(s, "a", &json!({ "chart": { "secretRef": { "name": "s" } } }), "secretRef needs a repository");
    is_refused(s, "a", &json!({ "values": "text" }), "values");
    is_refused(s, "a", &json!({ "valuesFrom": [{ "kind": "Pod", "name": "p" }] }), "kind");
}

fn printed_columns_are_the_promised_ones(s: &Scenario<'_>) {
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/helmreleases.helmrelease.dev";
    let definition = s.land.sandbox.get(path).unwrap().expect("the definition");
    let columns = definition["spec"]["versions"][0]["additionalPrinterColumns"].as_array().cloned().unwrap_or_default();
    let names: Vec<_> = columns.iter().filter_map(|column| column["name"].as_str()).collect();
    assert_eq!(names, ["Release", "Desired", "Deployed", "Revision", "Ready", "Status", "Age"]);
    assert_eq!(definition["spec"]["names"]["shortNames"], json!(["hrel"]));
}

fn status_is_unobserved_from_the_first_moment(s: &Scenario<'_>) {
    s.declare("a", &json!({}));
    let object = s.object("/apis/helmrelease.dev/v1alpha1", "helmreleases", "a").unwrap();
    assert_eq!(object["status"], json!({ "observedGeneration": -1 }), "no operator runs in this scenario");
}
