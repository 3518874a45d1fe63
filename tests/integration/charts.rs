//! Charts that cannot be installed.

use sandbox::charts::Chart;
use serde_json::json;

use crate::scenario::{Scenario, chart, web};
use crate::tests;

tests![
    chart_that_does_not_render_is_told_with_its_words,
    upgrade_that_does_not_render_leaves_the_release_alone,
    object_that_the_server_refuses_is_told_with_its_words,
    kind_that_nobody_serves_is_named,
    chart_for_another_kubernetes_is_refused,
    hostile_archive_is_refused,
];

/// The web chart of a version that the repository does not have yet, with one more template.
fn with_template(version: &str, template: &str) -> Chart {
    chart(version).file("templates/more.yaml", template)
}

#[track_caller]
fn fails_to_install(s: &Scenario<'_>, chart: &Chart, words: &str) {
    s.repository.publish(chart);
    let _operator = s.operate();
    let bystander = s.bystander();
    s.declare("a", &web(chart.version(), json!({})));
    let message = s.refused("a", "InstallFailed");
    assert!(message.contains(words), "{message}");
    s.event("a", "InstallFailed");
    bystander.is_untouched(s);
    s.declare("a", &web("1.0.0", json!({})));
    s.ready("a");
    assert_eq!(s.config("a", "version"), "1.0.0");
}

fn chart_that_does_not_render_is_told_with_its_words(s: &Scenario<'_>) {
    fails_to_install(s, &with_template("4.0.0", "{{ fail \"no rainbow today\" }}"), "no rainbow today");
}

fn upgrade_that_does_not_render_leaves_the_release_alone(s: &Scenario<'_>) {
    s.repository.publish(&with_template("4.0.0", "{{ fail \"no rainbow today\" }}"));
    let operator = s.operate();
    s.declare("a", &web("1.0.0", json!({})));
    s.deployed("a", 1);
    s.declare("a", &web("4.0.0", json!({})));
    let message = s.refused("a", "UpgradeFailed");
    assert!(message.contains("no rainbow today"), "{message}");
    s.touch(&operator, "a");
    assert_eq!(s.story("a"), "1 deployed", "no revision was written, so nothing is rolled back");
    s.declare("a", &web("1.1.0", json!({})));
    s.deployed("a", 2);
}

fn object_that_the_server_refuses_is_told_with_its_words(s: &Scenario<'_>) {
    let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: impossible\nspec:\n  ports:\n    - port: 99999\n";
    fails_to_install(s, &with_template("4.0.0", service), "must be between 1 and 65535");
}

fn kind_that_nobody_serves_is_named(s: &Scenario<'_>) {
    let rainbow = "apiVersion: example.org/v1\nkind: Rainbow\nmetadata:\n  name: seven\n";
    fails_to_install(s, &with_template("4.0.0", rainbow), "Rainbow");
}

fn chart_for_another_kubernetes_is_refused(s: &Scenario<'_>) {
    fails_to_install(s, &chart("4.0.0").kube_version(">=2.0.0"), "2.0.0");
}

fn hostile_archive_is_refused(s: &Scenario<'_>) {
    s.repository.publish(&chart("4.0.0").raw_entry("../../outside", "escaped"));
    let _operator = s.operate();
    let bystander = s.bystander();
    s.declare("a", &web("4.0.0", json!({})));
    s.refused("a", "ChartUnavailable");
    bystander.is_untouched(s);
}
