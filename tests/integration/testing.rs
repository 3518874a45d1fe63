//! The tests of a chart as a part of an attempt.

use helm_release_operator::api::HelmRelease;
use sandbox::charts::Chart;
use serde_json::{Value, json};

use crate::scenario::{Scenario, chart, web};
use crate::stage::status::condition;
use crate::tests;

tests![
    tests_that_fail_roll_an_upgrade_back_and_are_named,
    first_version_whose_tests_fail_is_kept_and_corrected,
    tests_that_are_not_there_or_not_chosen_are_not_called_passed,
    tests_that_fail_can_be_ignored,
    tests_are_run_again_by_the_next_operator,
];

/// A pod that ends as the value says.
const TEST: &str = r"
apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-test
  annotations:
    helm.sh/hook: test
    sandbox.test/outcome: {{ .Values.test | quote }}
spec:
  restartPolicy: Never
  containers:
    - name: test
      image: test
";

pub fn with_test(version: &str) -> Chart {
    chart(version).file("templates/test.yaml", TEST)
}

/// A release whose test ends like that.
pub fn spec(outcome: &str, test: &Value) -> Value {
    let values = json!({ "test": outcome, "message": outcome });
    web("6.0.0", json!({ "timeout": "20s", "upgrade": { "retries": 0 }, "values": values, "test": test }))
}

/// Waits until the release is rolled back and its version set aside for its tests.
#[track_caller]
pub fn rolled_back(s: &Scenario<'_>) -> HelmRelease {
    s.until("a", "rolled back and quarantined", |object| {
        let status = object.status.as_ref();
        let held = status.is_some_and(|status| status.quarantined.iter().any(|held| held.reason == "TestFailed"));
        held && condition(object, "Ready").is_some_and(|ready| ready.reason == "RolledBack")
    })
}

#[track_caller]
fn tested(object: &HelmRelease) -> (&str, &str) {
    condition(object, "Tested").map_or(("absent", ""), |one| (&*one.status, &*one.message))
}

fn tests_that_fail_roll_an_upgrade_back_and_are_named(s: &Scenario<'_>) {
    s.repository.publish(&with_test("6.0.0"));
    let operator = s.operate();
    let enabled = json!({ "enabled": true });
    s.declare("a", &spec("succeed", &enabled));
    assert_eq!(tested(&s.deployed("a", 1)), ("True", "the test of the chart passed"));
    s.declare("a", &spec("fail", &enabled));
    let object = rolled_back(s);
    let said = condition(&object, "Ready").map(|ready| ready.message.clone()).unwrap_or_default();
    assert!(said.contains("Pod a-test failed: ") && said.contains("exited with code"), "{said}");
    assert_eq!(tested(&object).0, "absent", "what was tested is not what is deployed");
    assert_eq!((&*s.config("a", "message"), &*s.story("a")), ("succeed", "1 superseded, 2 superseded, 3 deployed"));
    s.event("a", "TestFailed");
    s.touch(&operator, "a");
    assert_eq!(s.story("a"), "1 superseded, 2 superseded, 3 deployed");
}

fn first_version_whose_tests_fail_is_kept_and_corrected(s: &Scenario<'_>) {
    s.repository.publish(&with_test("6.0.0"));
    let _operator = s.operate();
    s.declare("a", &spec("fail", &json!({ "enabled": true })));
    let said = s.refused("a", "TestFailed");
    assert!(said.contains("Pod a-test failed"), "{said}");
    assert_eq!(s.story("a"), "1 deployed", "tests make no revision, and nothing is taken away");
    s.declare("a", &spec("succeed", &json!({ "enabled": true })));
    s.deployed("a", 2);
}

fn tests_that_are_not_there_or_not_chosen_are_not_called_passed(s: &Scenario<'_>) {
    s.repository.publish(&with_test("6.0.0"));
    let _operator = s.operate();
    let without = [json!({ "name": "a-test", "exclude": true }), json!({ "name": "another" })];
    for (name, filter) in ["a", "b"].into_iter().zip(without) {
        s.declare(name, &spec("fail", &json!({ "enabled": true, "filters": [filter] })));
        let said = "the test of the chart is not chosen by spec.test.filters";
        assert_eq!(tested(&s.deployed(name, 1)), ("True", said));
        assert_eq!(s.object("/api/v1", "pods", &format!("{name}-test")), None);
        assert!(s.helm(&["get", "hooks", name]).contains("-test"), "the record keeps the hooks that did not run");
    }
    s.declare("c", &web("1.0.0", json!({ "test": { "enabled": true } })));
    assert_eq!(tested(&s.deployed("c", 1)), ("True", "the chart has no tests"));
}

fn tests_that_fail_can_be_ignored(s: &Scenario<'_>) {
    s.repository.publish(&with_test("6.0.0"));
    let _operator = s.operate();
    s.declare("a", &spec("fail", &json!({ "enabled": true, "ignoreFailures": true })));
    let object = s.deployed("a", 1);
    assert_eq!(tested(&object).0, "False");
    s.marked("a", 1);
}

fn tests_are_run_again_by_the_next_operator(s: &Scenario<'_>) {
    s.repository.publish(&with_test("6.0.0"));
    let operator = s.operate();
    s.declare("a", &spec("never-ready", &json!({ "enabled": true })));
    let test = || s.object("/api/v1", "pods", "a-test").map(|pod| pod["metadata"]["uid"].clone());
    let first = s.eventually("the test runs", test);
    operator.kill();
    let _next = s.operate();
    s.eventually("the test runs anew", || test().filter(|uid| *uid != first));
    let said = s.refused("a", "TestFailed");
    assert!(said.contains("a-test"), "{said}");
    assert_eq!(s.story("a"), "1 deployed");
}
