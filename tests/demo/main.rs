//! `cargo demo`: the main job on real input, told as it happens.
//!
//! A control plane is started, the operator's definitions and the smallest manifest are applied, and the colours follow
//! each other: pink, blue, green, and a broken one that is rolled back to green. Each step counts only when it was seen
//! in the cluster: in helm's record, in the objects of the chart and in the status. Needs nothing but Rust and Go.

#[path = "../stage/mod.rs"]
mod stage;
mod table;
mod telling;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use helm_release_operator::api::HelmRelease;
use sandbox::{Options, Repository, Sandbox, charts};
use serde_json::{Value, json};

use stage::status::{condition, is_ready};
use stage::{Access, Cluster, Failure, Operator, Settings};
use telling::Telling;

const NAMESPACE: &str = "default";
const OBJECT: &str = "unicorn-release";
const RELEASE: &str = "unicorn";

/// How long a step may take; many times what it takes.
const STEP_LIMIT: Duration = Duration::from_secs(60);

/// How long the broken colour gets to become ready.
const BROKEN_TIMEOUT: &str = "15s";

const LAST_LINE: &str = "demo: pink, blue, green deployed; broken rolled back to green and quarantined";

fn main() -> ExitCode {
    sandbox::guard();
    stage::play_role();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let keep = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--keep"] => true,
        _ => {
            eprintln!("usage: cargo demo [-- --keep]\n--keep leaves everything running until Ctrl-C");
            return ExitCode::from(64);
        }
    };
    match perform(keep) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform(keep: bool) -> Result<(), Failure> {
    let show = Show::open()?;
    show.apply("pink", None)?;
    show.colour("pink", 1)?;
    show.apply("blue", None)?;
    show.colour("blue", 2)?;
    show.apply("green", None)?;
    show.colour("green", 3)?;
    show.apply("broken", Some(BROKEN_TIMEOUT))?;
    show.rolled_back()?;
    show.curtain_call()?;
    if keep {
        show.stay()?;
    }
    println!("{LAST_LINE}");
    Ok(())
}

/// Everything that takes part.
struct Show {
    // Dropped in this order: the operator before what it talks to.
    operator: Operator,
    _repository: Repository,
    cluster: Cluster,
    sandbox: Sandbox,
    helm: std::path::PathBuf,
    folder: tempfile::TempDir,
    telling: Telling,
}

impl Show {
    fn open() -> Result<Self, Failure> {
        let telling = Telling::default();
        telling.chapter("A Kubernetes control plane with one simulated node");
        let sandbox = Sandbox::start(Options::default())?;
        let helm = sandbox.helm4()?;
        telling.line(&format!("ready in {:.1} s", sandbox.started_in().as_secs_f32()));
        let cluster = Cluster::connect(&sandbox.kubeconfig_path())?;
        cluster.apply_definitions()?;
        telling.line("the HelmRelease definition is applied");
        let repository = Repository::start()?;
        let colours = charts::unicorn()?;
        for chart in &colours {
            repository.publish(chart);
        }
        let told: Vec<_> = colours.iter().filter_map(|chart| chart.says_app_version()).collect();
        telling.line(&format!("a chart repository offers the unicorn in {}", told.join(", ")));
        let folder = tempfile::tempdir()?;
        let begin = Instant::now();
        let operator = Operator::start(&Settings {
            program: env!("CARGO_BIN_EXE_helm-release-operator").into(),
            access: Access::Kubeconfig(sandbox.kubeconfig_path()),
            namespaces: Vec::new(),
            helm: helm.clone(),
            data: folder.path().join("data"),
            repository: Some(repository.url()),
            suffix: "demo".to_owned(),
            log_level: "info",
            further: Vec::new(),
        })?;
        telling.line(&format!("the operator is ready after {:.1} s", begin.elapsed().as_secs_f32()));
        Ok(Self { operator, _repository: repository, cluster, sandbox, helm, folder, telling })
    }

    /// Applies the manifest with which the idea began, in that colour.
    fn apply(&self, colour: &str, timeout: Option<&str>) -> Result<(), Failure> {
        let further =
            timeout.map_or_else(String::new, |timeout| format!("  timeout: {timeout}\n  upgrade: {{retries: 0}}\n"));
        let manifest = format!(
            "apiVersion: helmrelease.dev/v1alpha1\nkind: HelmRelease\nmetadata: {{name: {OBJECT}}}\nspec:\n  \
             releaseName: {RELEASE}\n  releaseVersion: {colour}\n{further}"
        );
        self.telling.chapter(&format!("kubectl apply: {colour}"));
        self.telling.quote(&manifest);
        self.cluster.apply(NAMESPACE, &manifest)?;
        Ok(())
    }

    /// Tells the status as it changes until the object is as described.
    fn follow(&self, what: &str, is_so: impl Fn(&HelmRelease) -> bool) -> Result<HelmRelease, Failure> {
        let mut scene = self.telling.scene();
        let seen = self.cluster.follow(NAMESPACE, OBJECT, STEP_LIMIT, |object| {
            let object = object?;
            if let Some(ready) = condition(object, "Ready") {
                scene.status(&ready.status, &ready.reason, &ready.message);
            }
            is_so(object).then(|| object.clone())
        });
        seen.ok_or_else(|| {
            let log = self.operator.log().tail(30);
            format!("{what}: not seen in {} s; the operator's last lines:\n{log}", STEP_LIMIT.as_secs()).into()
        })
    }

    /// Waits until the colour is deployed and seen.
    fn colour(&self, colour: &str, revision: u32) -> Result<(), Failure> {
        self.follow(&format!("{colour} is Ready"), |object| {
            let deployed = object.status.as_ref().and_then(|status| status.deployed.as_ref());
            is_ready(object) && deployed.is_some_and(|now| now.revision == revision && now.app_version == colour)
        })?;
        self.see(colour, revision)
    }

    fn rolled_back(&self) -> Result<(), Failure> {
        let object = self.follow("broken is rolled back and quarantined", |object| {
            let quarantined = object.status.as_ref().is_some_and(|status| !status.quarantined.is_empty());
            quarantined && condition(object, "Ready").is_some_and(|ready| ready.reason == "RolledBack")
        })?;
        let quarantined = object.status.as_ref().and_then(|status| status.quarantined.first());
        let version = quarantined.map_or("", |one| &one.version);
        if version != "1.3.0" {
            return Err(format!("chart version {version:?} is quarantined instead of 1.3.0").into());
        }
        self.see("green", 5)
    }

    /// Looks at helm's newest record and at the objects of the chart.
    fn see(&self, colour: &str, revision: u32) -> Result<(), Failure> {
        let list = self.helm(&["list", "--output", "json"])?;
        let list: Value = serde_json::from_str(&list)?;
        let expected = json!([revision.to_string(), "deployed", colour]);
        let found = json!([list[0]["revision"], list[0]["status"], list[0]["app_version"]]);
        if found != expected {
            return Err(format!("helm list tells {found} instead of {expected}").into());
        }
        let namespace = format!("namespaces/{NAMESPACE}");
        let page = self.sandbox.get(&format!("/api/v1/{namespace}/configmaps/{RELEASE}-page"))?.unwrap_or_default();
        let page = page["data"]["index.html"].as_str().unwrap_or_default();
        if !page.contains(&format!("<h1>{colour}</h1>")) {
            return Err(format!("the page that is served is not {colour}:\n{page}").into());
        }
        let deployment = self.sandbox.get(&format!("/apis/apps/v1/{namespace}/deployments/{RELEASE}"))?;
        let status = deployment.unwrap_or_default()["status"].take();
        if status["updatedReplicas"] != 2 || status["availableReplicas"] != 2 {
            return Err(format!("two pods of {colour} should be available: {status}").into());
        }
        self.telling.seen(&format!(
            "{colour}: revision {revision}, its page is in the cluster and 2 simulated pods are available"
        ));
        Ok(())
    }

    /// What `helm history` and `kubectl get` print at the end.
    fn curtain_call(&self) -> Result<(), Failure> {
        self.telling.chapter(&format!("helm history {RELEASE}"));
        self.telling.quote(&self.helm(&["history", RELEASE])?);
        self.telling.chapter("kubectl get helmreleases.helmrelease.dev");
        self.telling.quote(&table::of_releases(&self.cluster, NAMESPACE)?);
        Ok(())
    }

    fn helm(&self, arguments: &[&str]) -> Result<String, Failure> {
        let mut helm = Command::new(&self.helm);
        let home = self.folder.path();
        helm.env("KUBECONFIG", self.sandbox.kubeconfig_path()).env("HELM_CACHE_HOME", home);
        helm.env("HELM_CONFIG_HOME", home).env("HELM_DATA_HOME", home).args(["--namespace", NAMESPACE]);
        let output = helm.args(arguments).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Leaves everything running until Ctrl-C.
    fn stay(&self) -> Result<(), Failure> {
        self.telling.chapter("Everything goes on until Ctrl-C. In another terminal:");
        println!("export KUBECONFIG={}", self.sandbox.kubeconfig_path().display());
        Ok(self.cluster.wait(tokio::signal::ctrl_c())?)
    }
}
