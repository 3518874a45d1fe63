//! The first version of a release.

use helm_release_operator::api::{HistoryResult, OperationKind};
use serde_json::json;

use crate::scenario::{Scenario, chart, web};
use crate::tests;

tests![
    five_lines_make_a_release,
    range_takes_its_newest_stable_version,
    version_is_by_default_the_newest_stable_one,
    status_tells_what_is_there,
    several_releases_are_installed_side_by_side,
    namespace_is_made_when_asked_for,
];

/// The manifest with which the idea began.
const FIVE_LINES: &str = "
apiVersion: helmrelease.dev/v1alpha1
kind: HelmRelease
metadata: {name: unicorn-release}
spec:
  releaseName: unicorn
  releaseVersion: pink
";

fn five_lines_make_a_release(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.apply(FIVE_LINES);
    s.deployed("unicorn-release", 1);
    assert!(s.config("unicorn-page", "index.html").contains("<h1>pink</h1>"));
    let deployment = s.object("/apis/apps/v1", "deployments", "unicorn").expect("the chart's Deployment");
    assert_eq!(deployment["status"]["availableReplicas"], 2);
    let list = s.helm(&["list", "--output", "json"]);
    assert!(list.contains("\"unicorn-1.0.0\"") && list.contains("\"deployed\""), "{list}");
    s.marked("unicorn", 1);
    s.event("unicorn-release", "Installed");
}

fn range_takes_its_newest_stable_version(s: &Scenario<'_>) {
    s.repository.publish(&chart("1.2.0-rc.1"));
    let _operator = s.operate();
    s.declare("ranged", &web("1.x", json!({})));
    s.deployed("ranged", 1);
    assert_eq!(s.config("ranged", "version"), "1.1.0");
}

fn version_is_by_default_the_newest_stable_one(s: &Scenario<'_>) {
    s.repository.publish(&chart("3.0.0-rc.1"));
    let _operator = s.operate();
    s.declare("newest", &json!({ "chart": { "name": "web" } }));
    s.deployed("newest", 1);
    assert_eq!(s.config("newest", "version"), "2.0.0");
}

fn status_tells_what_is_there(s: &Scenario<'_>) {
    let _operator = s.operate();
    s.declare("told", &web("1.0.0", json!({})));
    let status = s.deployed("told", 1).status.expect("a status");
    assert_eq!(status.release.as_deref(), Some("told"));
    let desired = status.desired.expect("what is desired");
    assert_eq!((&*desired.chart, &*desired.version), ("web", "1.0.0"));
    let published = s.repository.digest("web", "1.0.0").expect("a published version");
    assert!(desired.chart_digest.ends_with(&published), "{} is not {published}", desired.chart_digest);
    let deployed = status.deployed.expect("what is deployed");
    assert_eq!((&*deployed.version, &deployed.digest), ("1.0.0", &desired.digest));
    assert_eq!((status.operation, status.failures.map_or(0, |failures| failures.count)), (None, 0));
    let inventory = status.inventory.expect("an inventory");
    let mut kinds: Vec<_> = inventory.objects.iter().map(|object| &*object.kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["ConfigMap", "Deployment", "Service"]);
    let [entry] = &status.history[..] else { panic!("one entry: {:?}", status.history) };
    assert_eq!((entry.revision, entry.action, entry.result), (1, OperationKind::Install, HistoryResult::Succeeded));
}

fn several_releases_are_installed_side_by_side(s: &Scenario<'_>) {
    let operator = s.operate();
    let names: Vec<String> = (1..=6).map(|number| format!("many-{number}")).collect();
    for name in &names {
        s.declare(name, &web("1.0.0", json!({ "values": { "message": name } })));
    }
    for name in &names {
        s.deployed(name, 1);
        assert_eq!(&s.config(name, "message"), name);
    }
    s.eventually("the metrics say six releases are ready", || {
        (operator.metric("releases", "ready=\"True\"") >= 6.0).then_some(())
    });
    assert_eq!(s.repository.count(&sandbox::Repository::archive_path("web", "1.0.0")), 1, "one download serves all");
}

fn namespace_is_made_when_asked_for(s: &Scenario<'_>) {
    let target = format!("{}-target", s.namespace);
    let mut settings = s.settings();
    settings.namespaces.push(target.clone());
    let _operator = s.operate_with(&settings);
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "deployer" } });
    s.land.cluster.apply_value(Some(&s.namespace), &account).unwrap();
    s.grant("cluster-admin", "deployer");
    let spec = json!({ "targetNamespace": target, "createNamespace": true, "serviceAccountName": "deployer" });
    s.declare("away", &web("1.0.0", spec));
    s.deployed("away", 1);
    let path = format!("/api/v1/namespaces/{target}/configmaps/away");
    assert!(s.land.sandbox.get(&path).unwrap().is_some(), "the objects are in {target}");
}
