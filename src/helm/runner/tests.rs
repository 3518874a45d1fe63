//! The boundary to a process: signals, floods, hangs, secrets, leftovers. helm is played by shell scripts.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Instant,
};

use rustix::process::{Pid, test_kill_process};
use tempfile::TempDir;

use super::*;
use crate::{
    helm::{Auth, Command, HelmVersion, Inputs, ended},
    release::Ended,
    types::{Namespace, Redacted, ReleaseKey, ReleaseName},
};

/// Nothing here takes a tenth of it; a machine under load may.
const PATIENCE: Duration = Duration::from_secs(30);
const SECRET: &str = "hunter2";

/// A runner whose helm is a script. The script finds `$OUT`, a directory to leave evidence in.
struct Stage {
    directory: TempDir,
    runner: Runner,
}

impl Stage {
    fn new(script: &str) -> Self {
        Self::with_grace(script, PATIENCE)
    }

    fn with_grace(script: &str, grace: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let helm = executable(directory.path(), "helm", &format!("OUT={}\n{script}", directory.path().display()));
        // Stands for the operator's own `leash PARENT -- PROGRAM ARGUMENTS`, which needs a program to be.
        let leash_program = executable(directory.path(), "leash", r#"[ "$1" = leash ] && shift 3 && exec "$@""#);
        let settings = RunnerSettings {
            leash_program,
            base_dir: directory.path().join("base"),
            cache_dir: directory.path().join("cache"),
            output_bytes_max: RunnerSettings::OUTPUT_BYTES_MAX,
            grace,
        };
        let helm = Helm::for_tests(&helm, HelmVersion::OLDEST_4);
        Self { runner: Runner::new(helm, settings).unwrap(), directory }
    }

    async fn run(&self, command: Command, wall_clock: Duration, stop: &Stop) -> Run {
        let release =
            ReleaseKey { namespace: Namespace::parse("meadow").unwrap(), name: ReleaseName::parse("unicorn").unwrap() };
        let timeout = Duration::from_secs(60);
        let (wait_for_hooks, skip_hooks) = (false, false);
        let invocation =
            Invocation { release, command, history_max: 5, timeout, wall_clock, wait_for_hooks, skip_hooks };
        self.runner.run(&invocation, &access(), &Identity::Own, stop).await
    }

    async fn install(&self) -> Run {
        self.run(install(), PATIENCE, &Stop::default()).await
    }

    fn evidence(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }

    /// Waits until the script has left evidence.
    async fn evidence_of(&self, name: &str) -> String {
        eventually(name, || Some(self.evidence(name)).filter(|text| text.ends_with('\n'))).await
    }

    fn assert_nothing_is_left(&self) {
        assert_eq!(self.runner.running(), 0);
        let runs = walk(&self.directory.path().join("base")).into_iter().filter(|path| path.is_file());
        assert!(runs.clone().all(|path| path.ends_with("lock")), "left: {:?}", runs.collect::<Vec<_>>());
    }
}

fn executable(directory: &Path, name: &str, script: &str) -> PathBuf {
    let path = directory.join(name);
    let draft = directory.join(format!("{name}.draft"));
    fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
    // Copied by another process: were it written by this one, a fork of a parallel test could hold it open for
    // writing for a moment, and a file that is open for writing cannot be executed.
    assert!(std::process::Command::new("/bin/cp").args([&draft, &path]).status().unwrap().success());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn access() -> ClusterAccess {
    ClusterAccess {
        server: "https://127.0.0.1:1".into(),
        authority: None,
        tls_server_name: None,
        auth: Auth::TokenFile("/token".into()),
        proxy_url: None,
        insecure: false,
    }
}

fn inputs() -> Inputs {
    Inputs {
        chart: "/store/unicorn.tgz".into(),
        values: Redacted::new(format!(r#"{{"password":"{SECRET}"}}"#).into_bytes()),
        labels: BTreeMap::new(),
        description: "d".into(),
    }
}

fn install() -> Command {
    Command::Install { inputs: inputs(), replace: false, create_namespace: false, take_ownership: false }
}

fn rollback() -> Command {
    Command::Rollback { to: 1, force_conflicts: false }
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        found.push(entry.path());
        found.extend(walk(&entry.path()));
    }
    found
}

async fn eventually<T>(what: &str, mut predicate: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = predicate() {
            return value;
        }
        assert!(Instant::now() < deadline, "not seen in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn is_alive(pid: &str) -> bool {
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    // A zombie that nobody waits for is as dead as can be.
    let zombie = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')));
    test_kill_process(pid).is_ok() && !zombie
}

#[tokio::test]
async fn values_come_through_stdin_and_nothing_else_holds_them() {
    let stage = Stage::new(
        r#"/bin/cat > $OUT/stdin; echo "$@" > $OUT/argv; /usr/bin/env > $OUT/env; /bin/cat "$KUBECONFIG" > $OUT/kubeconfig
           /usr/bin/stat -c '%a %n' "$KUBECONFIG" "$HOME" "$TMPDIR" "$HELM_PLUGINS" "$PWD" > $OUT/modes
           echo out; echo err >&2"#,
    );
    let run = stage.install().await;
    assert_eq!(run.exit, Exit::Code(0), "{}", run.stderr_tail.expose());
    assert_eq!((run.stdout_tail.expose().as_str(), run.stderr_tail.expose().as_str()), ("out\n", "err\n"));
    assert_eq!(stage.evidence("stdin"), format!(r#"{{"password":"{SECRET}"}}"#));
    assert!(stage.evidence("argv").starts_with("install unicorn /store/unicorn.tgz --values - "));
    for place in ["argv", "env", "kubeconfig"] {
        assert!(!stage.evidence(place).contains(SECRET), "{place}");
    }
    assert!(stage.evidence("kubeconfig").contains(r#""tokenFile":"/token""#));
    for line in stage.evidence("modes").lines() {
        assert!(line.starts_with(if line.ends_with("kubeconfig") { "600" } else { "700" }), "{line}");
    }
    stage.assert_nothing_is_left();
}

#[tokio::test]
async fn environment_has_the_allowed_names_only() {
    let stage = Stage::new("/usr/bin/env > $OUT/env");
    assert_eq!(stage.install().await.exit, Exit::Code(0));
    let env = stage.evidence("env");
    // The shell that plays helm adds these to what it got.
    let shell = ["PWD", "OLDPWD", "SHLVL", "_"];
    let mut names: Vec<_> = env
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .filter(|n| !shell.contains(n))
        .collect();
    names.sort_unstable();
    let mut allowed = [
        "DOCKER_CONFIG",
        "GOGC",
        "GOMAXPROCS",
        "GOMEMLIMIT",
        "HELM_BURST_LIMIT",
        "HELM_CACHE_HOME",
        "HELM_CONFIG_HOME",
        "HELM_DATA_HOME",
        "HELM_DRIVER",
        "HELM_NO_PLUGINS",
        "HELM_PLUGINS",
        "HELM_QPS",
        "HOME",
        "KUBECACHEDIR",
        "KUBECONFIG",
        "NO_COLOR",
        "PATH",
        "TMPDIR",
        "TZ",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
    ];
    allowed.sort_unstable();
    assert_eq!(names, allowed);
}

#[tokio::test]
async fn flood_is_drained_counted_and_only_its_end_kept() {
    let stage = Stage::new("/usr/bin/head -c 100000000 /dev/zero; echo; echo the end; echo 'Error: x' >&2; exit 1");
    let run = stage.install().await;
    assert_eq!(run.exit, Exit::Code(1));
    let kept = run.stdout_tail.expose();
    assert!(kept.ends_with("\nthe end\n") && kept.len() == RunnerSettings::OUTPUT_BYTES_MAX);
    assert_eq!(run.dropped_bytes + kept.len() as u64, 100_000_000 + "\nthe end\n".len() as u64);
}

#[tokio::test]
async fn large_values_and_output_at_once_do_not_block_each_other() {
    let stage = Stage::new("/usr/bin/head -c 1000000 /dev/zero; /bin/cat | /usr/bin/wc -c >&2");
    let mut inputs = inputs();
    inputs.values = Redacted::new(vec![b' '; 1_000_000]);
    let run = stage
        .run(Command::Upgrade { inputs, force_conflicts: false, take_ownership: false }, PATIENCE, &Stop::default())
        .await;
    assert_eq!((run.exit, run.stderr_tail.expose().trim()), (Exit::Code(0), "1000000"));
}

#[tokio::test]
async fn values_that_nobody_reads_are_no_failure() {
    let stage = Stage::new("exit 0");
    let mut inputs = inputs();
    inputs.values = Redacted::new(vec![b' '; 1_000_000]);
    assert_eq!(
        stage
            .run(Command::Upgrade { inputs, force_conflicts: false, take_ownership: false }, PATIENCE, &Stop::default())
            .await
            .exit,
        Exit::Code(0)
    );
}

#[tokio::test]
async fn cancelled_install_gets_sigterm_and_time_to_write_its_record() {
    let stage = Stage::new(
        r#"trap 'echo term > $OUT/term; echo "Error: INSTALLATION FAILED: context canceled" >&2; exit 1' TERM
           echo ready > $OUT/ready; while :; do /bin/sleep 0.02; done"#,
    );
    let stop = Stop::default();
    let cancel = async {
        stage.evidence_of("ready").await;
        assert_eq!(stage.runner.running(), 1);
        stop.gently.cancel();
    };
    let (run, ()) = tokio::join!(stage.run(install(), PATIENCE, &stop), cancel);
    assert_eq!((run.exit.clone(), stage.evidence("term").as_str()), (Exit::Cancelled, "term\n"));
    assert_eq!(ended(&run, &install()), Ended::Cancelled);
    stage.assert_nothing_is_left();
}

#[tokio::test]
async fn install_that_ignores_sigterm_is_killed_after_the_grace() {
    let stage = Stage::with_grace(
        "trap '' TERM; echo ready > $OUT/ready; while :; do /bin/sleep 0.02; done",
        Duration::from_millis(50),
    );
    let stop = Stop::default();
    let cancel = async {
        stage.evidence_of("ready").await;
        stop.gently.cancel();
    };
    let (run, ()) = tokio::join!(stage.run(install(), PATIENCE, &stop), cancel);
    assert_eq!(run.exit, Exit::Cancelled);
    stage.assert_nothing_is_left();
}

#[tokio::test]
async fn cancelled_rollback_goes_on_to_its_end() {
    let stage = Stage::new(
        "trap 'echo term > $OUT/term' TERM; echo ready > $OUT/ready; while [ ! -e $OUT/go ]; do /bin/sleep 0.02; done",
    );
    let stop = Stop::default();
    let cancel = async {
        stage.evidence_of("ready").await;
        stop.gently.cancel();
        // Only now may it end: had it been signalled, the evidence would be there.
        fs::write(stage.directory.path().join("go"), "").unwrap();
    };
    let (run, ()) = tokio::join!(stage.run(rollback(), PATIENCE, &stop), cancel);
    assert_eq!((run.exit, stage.evidence("term").as_str()), (Exit::Code(0), ""));
}

#[tokio::test]
async fn rollback_is_killed_when_there_is_no_time_left() {
    let stage = Stage::new("echo ready > $OUT/ready; while :; do /bin/sleep 0.02; done");
    let stop = Stop::default();
    let cancel = async {
        stage.evidence_of("ready").await;
        stop.now.cancel();
    };
    let (run, ()) = tokio::join!(stage.run(rollback(), PATIENCE, &stop), cancel);
    assert_eq!(run.exit, Exit::Cancelled);
    stage.assert_nothing_is_left();
}

#[tokio::test]
async fn hanging_helm_is_ended_by_the_wall_clock() {
    let stage = Stage::new("exec /bin/sleep 600");
    let run = stage.run(install(), Duration::from_millis(50), &Stop::default()).await;
    assert_eq!((run.exit.clone(), ended(&run, &install())), (Exit::TimedOut, Ended::TimedOut));
    stage.assert_nothing_is_left();
}

#[tokio::test]
async fn kill_reaches_the_whole_group() {
    let stage = Stage::new("/bin/sleep 600 & echo $! > $OUT/grandchild; wait");
    let stop = Stop::default();
    let kill = async {
        let grandchild = stage.evidence_of("grandchild").await;
        stop.now.cancel();
        grandchild
    };
    let (run, grandchild) = tokio::join!(stage.run(install(), PATIENCE, &stop), kill);
    assert_eq!(run.exit, Exit::Cancelled);
    eventually("the grandchild's death", || (!is_alive(&grandchild)).then_some(())).await;
}

#[tokio::test]
async fn grandchild_left_behind_by_an_ordinary_end_is_killed_and_delays_nothing() {
    let stage = Stage::new("/bin/sleep 600 & echo $! > $OUT/grandchild; exit 0");
    let run = stage.install().await;
    assert_eq!(run.exit, Exit::Code(0));
    assert!(run.wall < Duration::from_secs(20));
    let grandchild = stage.evidence("grandchild");
    eventually("the grandchild's death", || (!is_alive(&grandchild)).then_some(())).await;
}

#[tokio::test]
async fn foreign_signal_is_told_from_our_own() {
    let stage = Stage::new("kill -KILL $$");
    let run = stage.install().await;
    assert_eq!(run.exit, Exit::Signal(9));
    assert_eq!(ended(&run, &install()), Ended::Killed { signal: 9 });
}

#[tokio::test]
async fn dropped_future_kills_and_reaps() {
    let stage = Stage::new("echo $$ > $OUT/pid; while :; do /bin/sleep 0.02; done");
    let stop = Stop::default();
    let pid = tokio::select! {
        _ = stage.run(install(), PATIENCE, &stop) => panic!("it ended by itself"),
        pid = stage.evidence_of("pid") => pid,
    };
    eventually("the end", || (stage.runner.running() == 0).then_some(())).await;
    eventually("the death of the process", || (!is_alive(&pid)).then_some(())).await;
    stage.assert_nothing_is_left();
    assert_eq!(stage.runner.started(), 1);
}

#[tokio::test]
async fn nothing_is_started_after_a_stop() {
    let stage = Stage::new("echo $$ > $OUT/pid");
    let stop = Stop::default();
    stop.gently.cancel();
    assert_eq!(stage.run(install(), PATIENCE, &stop).await.exit, Exit::Cancelled);
    assert_eq!((stage.runner.started(), stage.evidence("pid").as_str()), (0, ""));
}

#[tokio::test]
async fn missing_leash_and_refused_start_are_told_apart_from_failures_of_helm() {
    let mut stage = Stage::new("exit 0");
    executable(stage.directory.path(), "leash", "echo 'leash: the parent died' >&2; exit 125");
    let run = stage.install().await;
    let Exit::NotStarted(failure) = run.exit else { panic!("{:?}", run.exit) };
    assert_eq!((failure.class, &*failure.message), (FailureClass::HelmUnavailable, "leash: the parent died"));

    stage.runner.settings.leash_program = "/nonexistent/leash".into();
    let run = stage.install().await;
    assert!(matches!(run.exit, Exit::NotStarted(_)), "{:?}", run.exit);
    stage.assert_nothing_is_left();
}

#[tokio::test]
async fn cost_of_a_run_is_measured() {
    let stage = Stage::new("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    let run = stage.install().await;
    assert!(run.wall > Duration::ZERO);
    assert!(run.cpu.is_some_and(|cpu| cpu >= Duration::from_millis(10) && cpu < PATIENCE), "{:?}", run.cpu);
    assert!(run.peak_rss_bytes.is_none_or(|bytes| bytes > 100_000), "{:?}", run.peak_rss_bytes);
}

#[tokio::test]
async fn detection_reads_the_version_or_says_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let detect = async |script: &str| Helm::detect(&executable(directory.path(), "helm", script)).await;
    let found = detect(r#"[ "$1" = version ] && echo v4.2.1"#).await.unwrap();
    assert_eq!(found.version(), HelmVersion { major: 4, minor: 2 });
    assert!(matches!(detect("echo v3.12.0").await, Err(HelmError::TooOld { .. })));
    assert!(matches!(detect("echo hello").await, Err(HelmError::NotHelm { .. })));
    assert!(matches!(detect("echo v4.2.0; exit 1").await, Err(HelmError::NotHelm { .. })));
    let missing = directory.path().join("missing");
    assert!(matches!(Helm::detect(&missing).await, Err(HelmError::Missing { .. })));
    fs::write(&missing, "x").unwrap();
    assert!(matches!(Helm::detect(&missing).await, Err(HelmError::NotExecutable { .. })));
}
