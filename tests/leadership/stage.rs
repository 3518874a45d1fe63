//! The words of the stories: a cluster, operators as processes, releases, and the lease.

use std::cell::Cell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use helm_release_operator::api::crd_yaml;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Config};
use rustix::process::{Pid, Signal, kill_process};
use sandbox::{Options, Proxy, Repository, Sandbox, charts, wait};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Many times what anything here takes on a machine that is not busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// A control plane with the operator's definition.
pub(crate) struct Land {
    sandbox: Sandbox,
    runtime: Runtime,
    client: Client,
    helm: PathBuf,
    stages: AtomicU32,
}

impl Land {
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::start(Options::default()).unwrap();
        let runtime = Runtime::new().unwrap();
        let file = kube::config::Kubeconfig::read_from(sandbox.kubeconfig_path()).unwrap();
        let client = runtime.block_on(async {
            let config =
                Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default()).await.unwrap();
            Client::try_from(config).unwrap()
        });
        let helm = sandbox.helm4().unwrap();
        let land = Self { sandbox, runtime, client, helm, stages: AtomicU32::new(1) };
        land.apply(None, "apiextensions.k8s.io/v1", &serde_saphyr::from_str(&crd_yaml()).unwrap());
        wait::until(PATIENCE, || land.sandbox.get("/apis/helmrelease.dev/v1alpha1/helmreleases").ok().flatten())
            .expect("the definition is served");
        land
    }

    fn api(&self, namespace: Option<&str>, api_version: &str, kind: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    fn apply(&self, namespace: Option<&str>, api_version: &str, object: &Value) {
        let api = self.api(namespace, api_version, object["kind"].as_str().unwrap());
        let params = PatchParams::apply("story").force();
        let name = object["metadata"]["name"].as_str().unwrap();
        self.runtime.block_on(api.patch(name, &params, &Patch::Apply(object))).unwrap();
    }
}

/// What one story has for itself.
pub(crate) struct Stage<'a> {
    land: &'a Land,
    namespace: String,
    pub(crate) proxy: Proxy,
    repository: Repository,
    folder: TempDir,
    operators: Cell<u32>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(land: &'a Land) -> Self {
        let namespace = format!("leadership-{}", land.stages.fetch_add(1, Ordering::Relaxed));
        land.apply(None, "v1", &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }));
        let repository = Repository::start().unwrap();
        ["1.0.0", "1.1.0"].map(charts::web).iter().for_each(|chart| repository.publish(chart));
        let (folder, proxy) = (tempfile::tempdir().unwrap(), Proxy::start(&land.sandbox).unwrap());
        proxy.write_kubeconfig(&folder.path().join("kubeconfig")).unwrap();
        Self { land, namespace, proxy, repository, folder, operators: Cell::new(0) }
    }

    /// Starts an operator of this story and waits until its views are live.
    pub(crate) fn operate(&self, flags: &[&str]) -> Operator {
        self.operators.set(self.operators.get() + 1);
        let agent = format!("{}-{}", self.namespace, self.operators.get());
        let mut command = Command::new(env!("CARGO_BIN_EXE_helm-release-operator"));
        command.args(["run", "--allow-http", "--listen=127.0.0.1:0", "--log-format=json"]).args(flags);
        command.arg("--kubeconfig").arg(self.folder.path().join("kubeconfig"));
        command.arg("--helm").arg(&self.land.helm).arg("--data-dir").arg(self.folder.path().join(&agent));
        command.args(["--default-repository", &self.repository.url(), "--user-agent-suffix", &agent]);
        command.args(["--watch-namespace", &self.namespace, "--lease-namespace", &self.namespace]);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (log, pipe) = (Log::default(), child.stderr.take().unwrap());
        let lines = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let operator = Operator { child, log, agent };
        self.until("the operator is ready", || operator.ask("/readyz")?.starts_with("HTTP/1.1 200").then_some(()));
        operator
    }

    /// Declares a release of that version.
    pub(crate) fn declare(&self, name: &str, version: &str) {
        let object = json!({
            "apiVersion": "helmrelease.dev/v1alpha1", "kind": "HelmRelease",
            "metadata": { "name": name }, "spec": super::web(version),
        });
        self.land.apply(Some(&self.namespace), "helmrelease.dev/v1alpha1", &object);
    }

    /// Waits until that version is deployed and good.
    pub(crate) fn deployed(&self, name: &str, version: &str) {
        let path = format!("/apis/helmrelease.dev/v1alpha1/namespaces/{}/helmreleases/{name}", self.namespace);
        self.until(&format!("{name} has {version}"), || {
            let object = self.land.sandbox.get(&path).ok()??;
            let status = &object["status"];
            let ready = status["conditions"].as_array()?.iter().find(|one| one["type"] == "Ready")?["status"] == "True";
            let current = status["observedGeneration"] == object["metadata"]["generation"];
            (ready && current && status["deployed"]["version"] == version).then_some(())
        });
    }

    /// Name, revision and status of helm's records.
    pub(crate) fn records(&self) -> String {
        let path = format!("/api/v1/namespaces/{}/secrets?labelSelector=owner%3Dhelm", self.namespace);
        let list = self.land.sandbox.get(&path).ok().flatten().unwrap_or_default();
        let told = list["items"].as_array().into_iter().flatten().map(|secret| {
            let label = |name: &str| secret["metadata"]["labels"][name].as_str().unwrap_or_default().to_owned();
            format!("web {} {} {}\n", label("name"), label("version"), label("status"))
        });
        told.collect()
    }

    /// Who is named in the lease; empty for nobody.
    pub(crate) fn holder(&self) -> String {
        let path = self.lease();
        let lease = self.land.sandbox.get(&path).ok().flatten().unwrap_or_default();
        lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
    }

    fn lease(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases/helm-release-operator", self.namespace)
    }

    pub(crate) fn delete_lease(&self) {
        let api = self.land.api(Some(&self.namespace), "coordination.k8s.io/v1", "Lease");
        self.land.runtime.block_on(api.delete("helm-release-operator", &DeleteParams::default())).unwrap();
    }

    pub(crate) fn until<T>(&self, what: &str, look: impl FnMut() -> Option<T>) -> T {
        wait::until(PATIENCE, look)
            .unwrap_or_else(|| panic!("not after {PATIENCE:?}: {what}\nlease: {}\n{}", self.holder(), self.records()))
    }
}

type Log = Arc<Mutex<Vec<String>>>;

/// A running operator; dropping it kills it.
pub(crate) struct Operator {
    child: Child,
    log: Log,
    agent: String,
}

impl Operator {
    /// What its requests end their user agent with.
    pub(crate) fn agent(&self) -> String {
        self.agent.clone()
    }

    /// What its name in the lease is, as its log tells.
    pub(crate) fn holder(&self) -> String {
        let log = self.log.lock().unwrap();
        let gained = log.iter().find(|line| line.contains("leadership gained"));
        let line: Value = gained.and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        let holder = [&line["fields"]["holder"], &line["holder"]].into_iter().find_map(Value::as_str);
        holder.unwrap_or("does not lead").to_owned()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait::until(PATIENCE, || self.child.try_wait().unwrap()).expect("the operator ends")
    }

    /// The sum of the series of that name, without the common prefix.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let page = self.ask("/metrics").unwrap_or_default();
        let series = page.lines().filter_map(|line| line.strip_prefix("helm_release_operator_")?.strip_prefix(name));
        let values = series.filter(|rest| rest.starts_with(['{', ' '])).filter_map(|rest| rest.rsplit(' ').next());
        values.filter_map(|value| value.parse::<f64>().ok()).sum()
    }

    fn ask(&self, path: &str) -> Option<String> {
        let line = self.log.lock().unwrap().iter().find(|line| line.contains("\"serving\""))?.clone();
        let line: Value = serde_json::from_str(&line).ok()?;
        let address = [&line["fields"]["address"], &line["address"]].into_iter().find_map(Value::as_str)?.to_owned();
        let mut stream = TcpStream::connect(&address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
