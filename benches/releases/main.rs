//! `cargo bench-releases -- --quick`: what many releases cost the operator, measured on its release build.
//!
//! Prints memory, requests, and the times that people wait for. Figures of one machine: they are told next to what is
//! expected, and nothing fails when the machine is slower.

mod chart;
#[path = "../../tests/stage/mod.rs"]
mod stage;
mod stopwatch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use sandbox::proxy::{CountKey, Counts, Verb};
use sandbox::{Options, Proxy, Repository, Sandbox, wait};
use serde_json::json;

use stage::status::is_ready;
use stage::{Access, Cluster, Failure, Operator, Settings, process};

/// Releases of the short round, and of the long one.
const QUICK: usize = 100;
const LONG: usize = 500;

/// Changes of a spec whose way to helm is measured.
const CHANGES: usize = 21;

const NAMESPACE: &str = "default";

/// How long the operator is left alone while its requests are counted.
const IDLE: Duration = Duration::from_secs(60);

/// How long anything may take at all.
const LIMIT: Duration = Duration::from_secs(1200);

fn main() -> ExitCode {
    if let Some(code) = stopwatch::play_helm() {
        return code;
    }
    sandbox::guard();
    stage::play_role();
    let releases = if std::env::args().any(|argument| argument == "--quick") { QUICK } else { LONG };
    match measure(releases) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-releases: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(releases: usize) -> Result<(), Failure> {
    let begin = Instant::now();
    let bench = Bench::open()?;
    let operator = Operator::start(&bench.settings)?;
    println!("{releases} releases of a ServiceAccount, a Service, an Ingress and a Deployment without pods, helm 4");
    bench.install(&operator, releases)?;
    bench.idle(&operator);
    let operator = bench.restart(operator, releases)?;
    bench.change(operator, releases)?;
    println!("measured in {:.0} s", begin.elapsed().as_secs_f32());
    Ok(())
}

/// Everything that takes part but the operator.
struct Bench {
    /// Through the proxy, which counts.
    settings: Settings,
    stopwatch: stopwatch::Stopwatch,
    proxy: Proxy,
    cluster: Cluster,
    _repository: Repository,
    sandbox: Sandbox,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn open() -> Result<Self, Failure> {
        let sandbox = Sandbox::start(Options::default())?;
        let cluster = Cluster::connect(&sandbox.kubeconfig_path())?;
        cluster.apply_definitions()?;
        let repository = Repository::start()?;
        repository.publish(&chart::small());
        let folder = tempfile::tempdir()?;
        let proxy = Proxy::start(&sandbox)?;
        let kubeconfig = folder.path().join("kubeconfig");
        proxy.write_kubeconfig(&kubeconfig)?;
        let stopwatch = stopwatch::Stopwatch::new(folder.path(), &sandbox.helm4()?)?;
        let settings = Settings {
            program: PathBuf::from(env!("CARGO_BIN_EXE_helm-release-operator")),
            access: Access::Kubeconfig(kubeconfig),
            namespaces: Vec::new(),
            helm: stopwatch.program(),
            data: folder.path().join("data"),
            repository: Some(repository.url()),
            suffix: "bench".to_owned(),
            log_level: "warn,helm_release_operator=info",
            further: Vec::new(),
        };
        Ok(Self { settings, stopwatch, proxy, cluster, _repository: repository, sandbox, _folder: folder })
    }

    fn declare(&self, number: usize, message: &str) -> Result<(), Failure> {
        let manifest = json!({
            "apiVersion": "helmrelease.dev/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": name(number) },
            "spec": { "chart": { "name": "small" }, "values": { "message": message } },
        });
        self.cluster.apply_value(Some(NAMESPACE), &manifest)?;
        Ok(())
    }

    fn install(&self, operator: &Operator, releases: usize) -> Result<(), Failure> {
        let (begin, before) = (Instant::now(), self.proxy.snapshot());
        for number in 0..releases {
            self.declare(number, "first")?;
        }
        all_ready(operator, releases)?;
        let wall = begin.elapsed().as_secs_f64();
        println!("fresh release: {:.2} s of wall each, {wall:.1} s for all", wall / as_f64(releases));
        let counts = self.proxy.snapshot().since(&before);
        let each = |helm| as_f64(requests(&counts, helm)) / as_f64(releases);
        println!("fresh release: {:.1} requests by helm, {:.1} by the operator (at most 10)", each(true), each(false));
        for (key, count) in counts.iter().filter(|(key, _)| is_own(key)) {
            println!("{:>10.2}  {:?} {}", as_f64(count) / as_f64(releases), key.verb, key.resource);
        }
        Ok(())
    }

    fn idle(&self, operator: &Operator) {
        let started = operator.metric("helm_processes_started_total", "");
        let before = self.proxy.snapshot();
        let runs = || operator.metric("helm_processes_started_total", "") - started;
        wait::until(IDLE, || (runs() > 0.0).then_some(()));
        let counts = self.proxy.snapshot().since(&before);
        let watches: usize = self.proxy.open_watches().values().sum();
        let asked = counts.total(|key| !key.resource.starts_with("leases"));
        let most = 1.0 + 0.21 * as_f64(watches);
        println!(
            "idle for {} s: {asked} requests (at most {most:.1}), {} helm processes, {watches} watches",
            IDLE.as_secs(),
            runs()
        );
        let memory = |line| as_f64(process::memory_kib(operator.pid(), line).unwrap_or_default()) / 1024.0;
        println!("memory idle: {:.1} MiB (at most 20), at its peak {:.1} MiB", memory("VmRSS"), memory("VmHWM"));
    }

    /// Past the proxy: a hop of every request through this process is none of the operator's time.
    fn change(&self, operator: Operator, releases: usize) -> Result<(), Failure> {
        operator.terminate()?;
        let settings = Settings { access: Access::Kubeconfig(self.sandbox.kubeconfig_path()), ..self.settings.clone() };
        let operator = Operator::start(&settings)?;
        all_ready(&operator, releases)?;
        let (mut sent, mut taken) = (Vec::new(), Vec::new());
        for number in 0..CHANGES {
            let known = self.stopwatch.starts().len();
            let begin = SystemTime::now();
            self.declare(number, "second")?;
            let accepted = SystemTime::now();
            let start =
                wait::until(LIMIT, || self.stopwatch.starts().get(known).copied()).ok_or("helm did not start")?;
            sent.push(start.duration_since(begin).unwrap_or_default());
            taken.push(start.duration_since(accepted).unwrap_or_default());
            let good = |object: Option<&helm_release_operator::api::HelmRelease>| {
                object.filter(|object| is_ready(object)).map(|_| ())
            };
            self.cluster.follow(NAMESPACE, &name(number), LIMIT, good).ok_or("a changed release is not Ready")?;
            // The last write of one upgrade is no part of the next one's time.
            wait::until(LIMIT, || (operator.metric("board_running", "") < 1.0).then_some(()));
        }
        let (sent, taken) = (median(sent), median(taken));
        println!(
            "change of spec to start of helm: median {taken:.1} ms (at most 20), {sent:.1} ms with the write itself"
        );
        Ok(())
    }

    fn restart(&self, operator: Operator, releases: usize) -> Result<Operator, Failure> {
        operator.terminate()?;
        let (begin, before, known) = (Instant::now(), self.proxy.snapshot(), self.stopwatch.starts().len());
        let operator = Operator::start(&self.settings)?;
        all_ready(&operator, releases)?;
        let wall = begin.elapsed().as_secs_f64();
        let counts = self.proxy.snapshot().since(&before);
        let (all, runs) = (requests(&counts, false), self.stopwatch.starts().len() - known);
        println!(
            "restart with {releases} ready releases: all judged after {wall:.2} s (at most 1), {all} requests, {runs} runs of helm"
        );
        Ok(operator)
    }
}

fn name(number: usize) -> String {
    format!("release-{number:04}")
}

fn all_ready(operator: &Operator, releases: usize) -> Result<(), Failure> {
    let all = || (operator.metric("releases", "ready=\"True\"") >= as_f64(releases)).then_some(());
    wait::until(LIMIT, all).ok_or_else(|| format!("not all are Ready\n{}", operator.log().tail(20)).into())
}

/// Requests of helm, or of the operator.
fn requests(counts: &Counts, helm: bool) -> u64 {
    counts.total(|key| if helm { is_helms(key) } else { is_own(key) })
}

fn is_helms(key: &CountKey) -> bool {
    key.user_agent.starts_with("Helm/")
}

/// Of the operator itself, the lease and the watches apart.
fn is_own(key: &CountKey) -> bool {
    !is_helms(key) && !key.resource.starts_with("leases") && key.verb != Verb::Watch
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
fn as_f64(number: impl TryInto<u64>) -> f64 {
    number.try_into().map_or(f64::NAN, |number| number as f64)
}
