//! `explain`, as a user runs it beside an operator.

use std::process::Command;

use helm_release_operator::plan::{Action, Case, plan};
use serde_json::json;

use crate::scenario::{OPERATOR, Scenario, web};
use crate::stage::status::condition;
use crate::tests;

tests![what_explain_saves_is_decided_again_in_the_same_way_and_holds_no_value, explain_says_why_a_release_stands_still];

/// Widest line, in columns: an ordinary terminal with room to spare. Messages may be longer.
const COLUMNS: usize = 100;

#[track_caller]
fn explain(s: &Scenario<'_>, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(OPERATOR);
    command.args(["explain", "--namespace", &s.namespace, "--kubeconfig"]).arg(s.path("kubeconfig"));
    let output = command.args(["--default-repository", &s.repository.url()]).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (output.status.success(), text)
}

fn what_explain_saves_is_decided_again_in_the_same_way_and_holds_no_value(s: &Scenario<'_>) {
    let operator = s.operate();
    s.supply("Secret", "login", "values.yaml", "message: hunTer2secret\n");
    let from = json!([{ "kind": "Secret", "name": "login" }]);
    s.declare("a", &web("1.0.0", json!({ "valuesFrom": from })));
    s.deployed("a", 1);
    s.marked("a", 1);
    s.touch(&operator, "a");
    let file = s.path("case.yaml");
    let before = s.revisions("a");
    // Where lists take long, it tells of what it sees until then.
    let told = s.eventually("all of it is seen", || {
        let (success, told) = explain(s, &["a", "--save", &file.to_string_lossy()]);
        (success && told.contains("Ready     True Succeeded")).then_some(told)
    });
    assert!(told.lines().filter(|line| !line.starts_with("Why")).all(|line| line.len() <= COLUMNS), "{told}");
    assert_eq!(s.revisions("a"), before, "nothing was done");
    let saved = std::fs::read_to_string(&file).unwrap();
    assert!(!saved.contains("hunTer2secret") && !told.contains("hunTer2secret"));
    let case: Case = serde_saphyr::from_str(&saved).unwrap_or_else(|error| panic!("{error}\n{saved}"));
    let decided = plan(&case.snapshot);
    assert_eq!((&decided.action, &decided.because), (&case.expect.action, &case.expect.because), "{saved}");
    assert_eq!(decided.action, Action::Idle);
}

fn explain_says_why_a_release_stands_still(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &web("9.0.0", json!({})));
    s.refused("a", "ChartUnavailable");
    let object = s.until("a", "said", |object| condition(object, "ChartReady").is_some());
    drop(operator);
    let (success, told) = explain(s, &["a"]);
    assert!(success && told.contains("Desired") && told.contains("Next"), "{told}");
    assert_eq!(object.status.unwrap().history.len(), 0);
    let (success, told) = explain(s, &["nobody"]);
    assert!(!success && told.contains("nobody") && told.lines().count() == 1, "{told}");
}
