//! One scenario: its own namespace, proxy, repository and operators, and the words in which its story is told.
//!
//! The words fail by panicking at the line of the story, and the failure is told with the objects as they are then.

mod describe;
mod look;
mod play;
mod rights;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use helm_release_operator::api::HelmRelease;
use sandbox::charts::Chart;
use sandbox::{Proxy, Repository, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) use look::Revision;
use play::Skipped;
pub(crate) use play::{Test, play, play_in, remember_panics};

use crate::ground::Land;
use crate::stage::status::{condition, is_ready};
use crate::stage::{Access, Failure, Log, Operator, Settings};

/// How long something may take that has to happen; many times what it takes on a machine that is not busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
pub(crate) const OPERATOR: &str = env!("CARGO_BIN_EXE_helm-release-operator");

pub(crate) struct Scenario<'a> {
    pub(crate) land: &'a Land,
    pub(crate) namespace: String,
    pub(crate) proxy: Proxy,
    pub(crate) repository: Repository,
    folder: TempDir,
    logs: RefCell<Vec<Log>>,
    requests: Cell<u32>,
}

impl<'a> Scenario<'a> {
    /// Prepares everything but an operator. The repository has the unicorn's four versions and three of the web chart.
    pub(crate) fn new(land: &'a Land, namespace: String) -> Result<Self, Failure> {
        land.cluster.create_namespace(&namespace)?;
        let repository = Repository::start()?;
        sandbox::charts::unicorn()?.iter().for_each(|chart| repository.publish(chart));
        for version in ["1.0.0", "1.1.0", "2.0.0"] {
            repository.publish(&chart(version));
        }
        let folder = tempfile::tempdir()?;
        let proxy = Proxy::start(&land.sandbox)?;
        proxy.write_kubeconfig(&folder.path().join("kubeconfig"))?;
        let (logs, requests) = (RefCell::default(), Cell::default());
        Ok(Self { land, namespace, proxy, repository, folder, logs, requests })
    }

    /// A private path, there as long as the scenario.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How an operator of this scenario is started when nothing is special about it.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            program: OPERATOR.into(),
            access: Access::Kubeconfig(self.path("kubeconfig")),
            namespaces: vec![self.namespace.clone()],
            helm: self.land.helm.clone(),
            data: self.path("data"),
            repository: Some(self.repository.url()),
            suffix: self.namespace.clone(),
            log_level: "info,helm_release_operator=debug",
            further: Vec::new(),
        }
    }

    /// Starts an operator and waits until its views are live.
    #[track_caller]
    pub(crate) fn operate(&self) -> Operator {
        self.operate_with(&self.settings())
    }

    #[track_caller]
    pub(crate) fn operate_with(&self, settings: &Settings) -> Operator {
        let mut operator = self.spawn(settings);
        operator.wait_until_ready().unwrap();
        operator
    }

    /// Starts an operator whose views may not become live.
    #[track_caller]
    pub(crate) fn spawn(&self, settings: &Settings) -> Operator {
        let operator = Operator::spawn(settings).unwrap();
        self.logs.borrow_mut().push(operator.log().clone());
        operator
    }

    /// Declares a release of that spec.
    #[track_caller]
    pub(crate) fn declare(&self, name: &str, spec: &Value) {
        self.try_declare(name, spec).unwrap();
    }

    /// The same, for specs that may be refused.
    pub(crate) fn try_declare(&self, name: &str, spec: &Value) -> kube::Result<()> {
        let manifest = json!({
            "apiVersion": "helmrelease.dev/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": name },
            "spec": spec,
        });
        self.land.cluster.apply_value(Some(&self.namespace), &manifest).map(|_| ())
    }

    /// Applies a manifest written in YAML.
    #[track_caller]
    pub(crate) fn apply(&self, manifest: &str) {
        self.land.cluster.apply(&self.namespace, manifest).unwrap();
    }

    /// Applies a ConfigMap or a Secret with one key.
    #[track_caller]
    pub(crate) fn supply(&self, kind: &str, name: &str, key: &str, text: &str) {
        let data = if kind == "Secret" { "stringData" } else { "data" };
        let manifest = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name }, data: { key: text } });
        self.land.cluster.apply_value(Some(&self.namespace), &manifest).unwrap();
    }

    /// Sets an annotation of a release to a value that it did not have.
    #[track_caller]
    pub(crate) fn annotate(&self, name: &str, annotation: &str) {
        self.requests.set(self.requests.get() + 1);
        let value = format!("request-{}", self.requests.get());
        let patch = json!({ "metadata": { "annotations": { annotation: value } } });
        self.patch("helmrelease.dev/v1alpha1", "HelmRelease", name, &patch);
    }

    /// Deletes a release, without waiting until it is gone.
    #[track_caller]
    pub(crate) fn delete(&self, name: &str) {
        self.delete_object("helmrelease.dev/v1alpha1", "HelmRelease", name);
    }

    #[track_caller]
    pub(crate) fn delete_object(&self, api_version: &str, kind: &str, name: &str) {
        self.land.cluster.delete(&self.namespace, api_version, kind, name).unwrap();
    }

    /// Changes an object of the chart as a person would.
    #[track_caller]
    pub(crate) fn patch(&self, api_version: &str, kind: &str, name: &str, patch: &Value) {
        self.land.cluster.patch(&self.namespace, api_version, kind, name, patch).unwrap();
    }

    /// Runs helm as a person would, past the operator and its proxy; what it prints.
    #[track_caller]
    pub(crate) fn helm(&self, arguments: &[&str]) -> String {
        self.try_helm(arguments).unwrap()
    }

    pub(crate) fn try_helm(&self, arguments: &[&str]) -> Result<String, Failure> {
        self.try_helm_of(&self.land.helm, arguments)
    }

    /// The same with another helm.
    pub(crate) fn try_helm_of(&self, program: &Path, arguments: &[&str]) -> Result<String, Failure> {
        let home = self.path("person");
        let mut helm = Command::new(program);
        helm.env("KUBECONFIG", self.land.sandbox.kubeconfig_path()).env("HELM_CACHE_HOME", &home);
        helm.env("HELM_CONFIG_HOME", &home).env("HELM_DATA_HOME", &home);
        let output = helm.args(arguments).args(["--namespace", &self.namespace]).output()?;
        if !output.status.success() {
            return Err(format!("helm {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// A chart as a file, for helm commands of a person.
    #[track_caller]
    pub(crate) fn archive(&self, chart: &Chart) -> String {
        chart.write(self.folder.path()).unwrap().to_string_lossy().into_owned()
    }

    /// Waits until the closure yields.
    #[track_caller]
    pub(crate) fn eventually<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let broken = || self.land.sandbox.broken().is_some();
        let found = wait::until(PATIENCE, || look().map(Some).or_else(|| broken().then_some(None)));
        match found.flatten() {
            Some(found) => found,
            None => panic!("not after {PATIENCE:?}: {what}"),
        }
    }

    /// Waits until the object is as described.
    #[track_caller]
    pub(crate) fn until(&self, name: &str, what: &str, is_so: impl Fn(&HelmRelease) -> bool) -> HelmRelease {
        let look = |object: Option<&HelmRelease>| object.filter(|object| is_so(object)).cloned();
        match self.land.cluster.follow(&self.namespace, name, PATIENCE, look) {
            Some(object) => object,
            None => panic!("not after {PATIENCE:?}: {name}: {what}"),
        }
    }

    /// Waits until the release is Ready.
    #[track_caller]
    pub(crate) fn ready(&self, name: &str) -> HelmRelease {
        self.until(name, "Ready=True", is_ready)
    }

    /// Waits until the release is Ready with this revision deployed.
    #[track_caller]
    pub(crate) fn deployed(&self, name: &str, revision: u32) -> HelmRelease {
        let is_deployed = |object: &HelmRelease| {
            let deployed = object.status.as_ref().and_then(|status| status.deployed.as_ref());
            is_ready(object) && deployed.is_some_and(|deployed| deployed.revision == revision)
        };
        self.until(name, &format!("Ready=True with revision {revision}"), is_deployed)
    }

    /// Waits until the release is not Ready for this reason; the sentence that says so.
    #[track_caller]
    pub(crate) fn refused(&self, name: &str, reason: &str) -> String {
        let is_refused = |object: &HelmRelease| {
            condition(object, "Ready").is_some_and(|ready| ready.status == "False" && ready.reason == reason)
        };
        let object = self.until(name, &format!("Ready=False {reason}"), is_refused);
        condition(&object, "Ready").map(|ready| ready.message.clone()).unwrap_or_default()
    }

    /// Waits until the object is gone.
    #[track_caller]
    pub(crate) fn gone(&self, name: &str) {
        let gone = |object: Option<&HelmRelease>| object.is_none().then_some(());
        let seen = self.land.cluster.follow(&self.namespace, name, PATIENCE, gone);
        assert!(seen.is_some(), "not after {PATIENCE:?}: {name} is gone");
    }
}

/// Ends the story here because something it needs is not there; the test is told as ignored, with the reason.
pub(crate) fn skip(reason: impl Into<String>) -> ! {
    std::panic::panic_any(Skipped(reason.into()))
}

/// The web chart without its hooks: helm waits by itself for a chart with hooks, and judging is the operator's matter.
pub(crate) fn chart(version: &str) -> Chart {
    sandbox::charts::web(version).file("templates/hooks.yaml", "")
}

/// The spec of a release of the web chart from the default repository; the further fields win.
pub(crate) fn web(version: &str, further: Value) -> Value {
    let mut spec = json!({ "chart": { "name": "web" }, "releaseVersion": version, "timeout": "60s" });
    if let (Value::Object(spec), Value::Object(further)) = (&mut spec, further) {
        spec.extend(further);
    }
    spec
}
