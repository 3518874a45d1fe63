//! The control plane runs releases, and pods turn out as they are asked to.

use std::process::{Command, Output};
use std::time::Duration;

use libtest_mimic::Failed;
use sandbox::{Proxy, Sandbox, charts, wait};
use serde_json::{Value, json};

use super::{Test, http};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("colours_become_ready_and_the_broken_one_never_does", colours_become_ready_and_the_broken_one_never_does),
    ("pods_turn_out_as_they_are_asked_to", pods_turn_out_as_they_are_asked_to),
    ("hooks_succeed_and_fail_as_values_say", hooks_succeed_and_fail_as_values_say),
    ("deleted_pods_go_and_are_replaced", deleted_pods_go_and_are_replaced),
];

/// Runs helm 4 with the administrator's kubeconfig.
pub(crate) fn helm(sandbox: &Sandbox, arguments: &[&str]) -> Result<Output, Failed> {
    let home = tempfile::tempdir()?;
    let output = Command::new(sandbox.helm4()?)
        .env("KUBECONFIG", sandbox.kubeconfig_path())
        .env("HELM_CACHE_HOME", home.path())
        .env("HELM_CONFIG_HOME", home.path())
        .env("HELM_DATA_HOME", home.path())
        .args(arguments)
        .output()?;
    Ok(output)
}

/// Fails with what the program said when it did not succeed.
pub(crate) fn succeeded(output: &Output) -> Result<(), Failed> {
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}

fn colours_become_ready_and_the_broken_one_never_does(sandbox: &Sandbox) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let mut versions = charts::unicorn()?;
    let broken = versions.pop().ok_or("no versions")?.write(folder.path())?;
    for chart in versions {
        let path = chart.write(folder.path())?;
        succeeded(&helm(sandbox, &["upgrade", "--install", "--wait", "u", &path.to_string_lossy()])?)?;
        let page = sandbox.get("/api/v1/namespaces/default/configmaps/u-page")?.unwrap_or_default();
        let colour = chart.says_app_version().unwrap_or_default();
        if !page["data"]["index.html"].as_str().is_some_and(|page| page.contains(&format!("<h1>{colour}</h1>"))) {
            return Err(format!("the page is not {colour}: {page:#}").into());
        }
    }
    let output = helm(sandbox, &["upgrade", "--wait", "--timeout", "4s", "u", &broken.to_string_lossy()])?;
    if output.status.success() {
        return Err("the broken version became ready".into());
    }
    succeeded(&helm(sandbox, &["rollback", "--wait", "u"])?)
}

/// Creates a pod of the outcome and waits until it is as described.
fn pod_becomes(sandbox: &Sandbox, url: &str, outcome: &str, is_so: impl Fn(&Value) -> bool) -> Result<(), Failed> {
    let pod = json!({
        "metadata": { "name": format!("pod-{outcome}"), "annotations": { "sandbox.test/outcome": outcome } },
        "spec": { "containers": [{ "name": "one", "image": "image" }] },
    });
    let answer = http::post(url, "/api/v1/namespaces/default/pods", &pod.to_string())?;
    if answer.status != 201 {
        return Err(answer.body.into());
    }
    let path = format!("/api/v1/namespaces/default/pods/pod-{outcome}");
    let mut last = Value::Null;
    let seen = wait::until(Duration::from_secs(20), || {
        last = sandbox.get(&path).ok().flatten().unwrap_or_default()["status"].take();
        is_so(&last).then_some(())
    });
    seen.ok_or_else(|| format!("{outcome}: {last:#}").into())
}

fn ready(status: &Value) -> bool {
    let conditions = status["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|one| one["type"] == "Ready" && one["status"] == "True"))
}

fn pods_turn_out_as_they_are_asked_to(sandbox: &Sandbox) -> Result<(), Failed> {
    let proxy = Proxy::start(sandbox)?;
    let pod = |outcome, is_so: fn(&Value) -> bool| pod_becomes(sandbox, &proxy.url(), outcome, is_so);
    pod("ready", ready)?;
    pod("slow", ready)?;
    pod("never-ready", |status| status["phase"] == "Running" && !ready(status))?;
    pod("succeed", |status| status["phase"] == "Succeeded")?;
    pod("fail", |status| status["phase"] == "Failed")?;
    pod("image-pull-failure", |status| {
        status["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
    })?;
    pod("crash-loop", |status| {
        let container = &status["containerStatuses"][0];
        container["restartCount"].as_u64() >= Some(3)
            && container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
            && container["lastState"]["terminated"]["exitCode"] == 3
    })
}

fn hooks_succeed_and_fail_as_values_say(sandbox: &Sandbox) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let chart = charts::web("1.0.0").write(folder.path())?;
    let chart = chart.to_string_lossy();
    let install = ["install", "hooked", &chart, "--wait", "--set", "hook=succeed,test=succeed"];
    succeeded(&helm(sandbox, &install)?)?;
    succeeded(&helm(sandbox, &["test", "hooked"])?)?;
    let upgrade = ["upgrade", "hooked", &chart, "--wait", "--timeout", "20s", "--set", "hook=fail"];
    let output = helm(sandbox, &upgrade)?;
    if output.status.success() { Err("the failing hook was not seen".into()) } else { Ok(()) }
}

fn deleted_pods_go_and_are_replaced(sandbox: &Sandbox) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let chart = charts::web("1.0.0").write(folder.path())?;
    succeeded(&helm(sandbox, &["install", "replaced", &chart.to_string_lossy(), "--wait"])?)?;
    let pods = "/api/v1/namespaces/default/pods?labelSelector=app%3Dreplaced";
    let names = || {
        let list = sandbox.get(pods).ok().flatten().unwrap_or_default();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let before = names();
    let proxy = Proxy::start(sandbox)?;
    let path = format!("/api/v1/namespaces/default/pods/{}", before.first().ok_or("no pod")?);
    http::ask("DELETE", &proxy.url(), &path, &[], "")?;
    wait::until(Duration::from_secs(20), || (names().len() == 1 && names() != before).then_some(()))
        .ok_or_else(|| format!("before: {before:?}, after: {:?}", names()).into())
}
