//! Ends without a word, of helm and of the operator.

use rustix::process::Signal;
use sandbox::proxy::{Action, Rule, RuleHandle, Verb};
use serde_json::json;

use crate::scenario::{Scenario, web};
use crate::stage::Operator;
use crate::stage::process::{parent_of, signal};
use crate::tests;

tests![
    helm_killed_in_an_install_is_recovered_from,
    helm_killed_in_an_upgrade_is_recovered_from,
    operator_killed_in_an_install_takes_helm_along_and_recovers,
    operator_killed_in_an_upgrade_takes_helm_along_and_recovers,
    operator_killed_in_a_rollback_recovers,
    operator_that_is_asked_to_end_ends_in_order,
    operator_killed_after_any_of_its_writes_recovers,
];

/// Makes helm's next write of a Deployment wait for ever, with its pending record written before.
fn hold_helm(s: &Scenario<'_>) -> RuleHandle {
    let is_it = |info: &sandbox::proxy::RequestInfo| {
        info.user_agent.starts_with("Helm/") && info.is_write() && info.resource == "deployments"
    };
    s.proxy.rule(Rule::new(is_it, Action::Hang).times(1))
}

/// Waits until helm is held; its process.
#[track_caller]
fn held(s: &Scenario<'_>, rule: &RuleHandle, operator: &Operator) -> u32 {
    s.eventually("helm is in the middle of its work", || (rule.hits() == 1).then_some(()));
    s.eventually("helm is a child of the operator", || operator.children().first().copied())
}

/// Fails when a record is left in a state that only a living helm may leave.
#[track_caller]
fn none_pending(s: &Scenario<'_>, name: &str) {
    let story = s.story(name);
    assert!(!story.contains("pending") && !story.contains("uninstalling"), "{story}");
    assert_eq!(story.matches("deployed").count(), 1, "{story}");
}

fn helm_killed_in_an_install_is_recovered_from(s: &Scenario<'_>) {
    let operator = s.operate();
    let rule = hold_helm(s);
    s.declare("a", &web("1.0.0", json!({})));
    let helm = held(s, &rule, &operator);
    assert_eq!(s.story("a"), "1 pending-install");
    signal(helm, Signal::KILL).unwrap();
    s.ready("a");
    none_pending(s, "a");
}

fn helm_killed_in_an_upgrade_is_recovered_from(s: &Scenario<'_>) {
    let operator = s.operate();
    let bystander = s.bystander();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    let rule = hold_helm(s);
    s.declare("a", &web("1.1.0", json!({})));
    let helm = held(s, &rule, &operator);
    assert_eq!(s.story("a"), "1 deployed, 2 pending-upgrade");
    signal(helm, Signal::KILL).unwrap();
    s.ready("a");
    assert_eq!(s.config("a", "version"), "1.1.0");
    none_pending(s, "a");
    bystander.is_untouched(s);
}

/// Kills the operator while helm is held, sees that helm is gone, and starts another operator.
#[track_caller]
fn kill_in_the_middle(s: &Scenario<'_>, rule: &RuleHandle, operator: Operator) -> Operator {
    let helm = held(s, rule, &operator);
    operator.kill();
    s.eventually("helm died with the operator", || parent_of(helm).is_none().then_some(()));
    s.operate()
}

fn operator_killed_in_an_install_takes_helm_along_and_recovers(s: &Scenario<'_>) {
    let operator = s.operate();
    let rule = hold_helm(s);
    s.declare("a", &web("1.0.0", json!({})));
    let _operator = kill_in_the_middle(s, &rule, operator);
    s.ready("a");
    none_pending(s, "a");
}

fn operator_killed_in_an_upgrade_takes_helm_along_and_recovers(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    let rule = hold_helm(s);
    s.declare("a", &web("1.1.0", json!({})));
    let operator = kill_in_the_middle(s, &rule, operator);
    s.ready("a");
    assert_eq!(s.config("a", "version"), "1.1.0");
    none_pending(s, "a");
    s.touch(&operator, "a");
    assert!(s.revisions("a").len() <= 3, "at most one revision more than needed: {}", s.story("a"));
}

fn operator_killed_in_a_rollback_recovers(s: &Scenario<'_>) {
    let operator = s.operate();
    let spec = |outcome| {
        web("1.0.0", json!({ "timeout": "6s", "upgrade": { "retries": 0 }, "values": { "outcome": outcome } }))
    };
    s.declare("a", &spec("ready"));
    s.deployed("a", 1);
    s.marked("a", 1);
    s.declare("a", &spec("never-ready"));
    s.eventually("the second revision", || (s.revisions("a").len() == 2).then_some(()));
    s.eventually("the second revision is written", || s.story("a").ends_with("2 deployed").then_some(()));
    let rule = hold_helm(s);
    let _operator = kill_in_the_middle(s, &rule, operator);
    s.refused("a", "RolledBack");
    none_pending(s, "a");
    let deployment = s.object("/apis/apps/v1", "deployments", "a").unwrap();
    let outcome = &deployment["spec"]["template"]["metadata"]["annotations"]["sandbox.test/outcome"];
    assert_eq!(outcome, "ready", "the good version is back");
}

fn operator_that_is_asked_to_end_ends_in_order(s: &Scenario<'_>) {
    let operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    let rule = hold_helm(s);
    s.declare("a", &web("1.1.0", json!({})));
    let helm = held(s, &rule, &operator);
    let status = operator.terminate().unwrap();
    assert!(status.success(), "{status}");
    s.eventually("helm ended with the operator", || parent_of(helm).is_none().then_some(()));
    let _operator = s.operate();
    s.ready("a");
    assert_eq!(s.config("a", "version"), "1.1.0");
    none_pending(s, "a");
}

fn operator_killed_after_any_of_its_writes_recovers(s: &Scenario<'_>) {
    let mut operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.marked("a", 1);
    // One upgrade each, with the end after another one of the operator's own writes to the object or its records.
    for (number, version) in (0..).zip(["1.1.0", "2.0.0", "1.0.0", "1.1.0"]) {
        let pid = operator.pid();
        let own = |info: &sandbox::proxy::RequestInfo| {
            !info.user_agent.starts_with("Helm/") && info.verb == Verb::Patch && info.resource != "leases"
        };
        let kill = Action::kill_after(move |_| drop(signal(pid, Signal::KILL)));
        let rule = s.proxy.rule(Rule::new(own, kill).skip(number).times(1));
        s.declare("a", &web(version, json!({})));
        let made = || rule.hits() == 1;
        let settled = || s.config("a", "version") == version;
        s.eventually("the write was made, or there are fewer of them", || (made() || settled()).then_some(()));
        if made() {
            operator.wait_until_ended().unwrap();
            operator = s.operate();
        }
        rule.remove();
        let object = s.ready("a");
        assert_eq!(s.config("a", "version"), version, "killed after write {}", number + 1);
        assert!(object.status.unwrap().operation.is_none(), "killed after write {}", number + 1);
        none_pending(s, "a");
    }
}
