//! The contract of helm, played by the real ones: see tests/contract.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use helm_release_operator::cluster::{Discovery, Requests};
use helm_release_operator::controller::{Program, RunsHelm};
use helm_release_operator::helm::{Auth, ClusterAccess, RunnerSettings};
use helm_release_operator::types::{Namespace, ReleaseKey, ReleaseName};
use sandbox::proxy::{Action, Rule, RuleHandle, Verb};
use sandbox::wait;
use serde_json::json;

use crate::contract::{Flavour, Ground, Halt, Moment, STORIES, play};
use crate::scenario::{OPERATOR, PATIENCE, Scenario, skip};
use crate::tests;

tests![helm_4_keeps_its_contract, helm_3_keeps_its_contract];

const WAY_BACK: &str = r#"
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-way-back
  annotations: {helm.sh/hook: "pre-rollback,pre-delete", helm.sh/hook-delete-policy: before-hook-creation}
spec:
  backoffLimit: 0
  template:
    metadata: {annotations: {sandbox.test/outcome: fail}}
    spec: {restartPolicy: Never, containers: [{name: hook, image: hook}]}
"#;

fn helm_4_keeps_its_contract(s: &Scenario<'_>) {
    all(s, &s.land.helm.clone());
}

fn helm_3_keeps_its_contract(s: &Scenario<'_>) {
    match s.land.sandbox.helm3() {
        Ok(helm) => all(s, &helm),
        Err(error) => skip(error.to_string()),
    }
}

fn all(s: &Scenario<'_>, helm: &std::path::Path) {
    let wrong: Vec<String> = STORIES
        .iter()
        .enumerate()
        .filter_map(|(number, story)| s.land.cluster.wait(play(&RealHelm::new(s, helm, number), story)).err())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One release of a real helm, whose requests the proxy can hold.
struct RealHelm<'a> {
    s: &'a Scenario<'a>,
    program: Program,
    access: ClusterAccess,
    requests: Requests,
    release: ReleaseKey,
}

impl<'a> RealHelm<'a> {
    fn new(s: &'a Scenario<'a>, helm: &std::path::Path, number: usize) -> Self {
        let runner = RunnerSettings {
            leash_program: OPERATOR.into(),
            base_dir: s.path(&format!("runs-{number}")),
            cache_dir: s.path("helm-cache"),
            output_bytes_max: RunnerSettings::OUTPUT_BYTES_MAX,
            grace: RunnerSettings::GRACE,
        };
        let access = ClusterAccess {
            server: s.proxy.url(),
            authority: None,
            tls_server_name: None,
            auth: Auth::None,
            proxy_url: None,
            insecure: false,
        };
        let release = ReleaseKey {
            namespace: Namespace::parse(&s.namespace).unwrap(),
            name: ReleaseName::parse(&format!("story-{number}")).unwrap(),
        };
        let requests = Requests::new(s.land.cluster.client(), Arc::<Discovery>::default());
        Self { s, program: Program::new(helm.to_owned(), runner), access, requests, release }
    }

    fn rule(&self, rule: Rule) -> BoxFuture<'_, ()> {
        reached(self.s.proxy.rule(rule)).boxed()
    }
}

async fn reached(rule: RuleHandle) {
    let hit = tokio::task::spawn_blocking(move || wait::until(PATIENCE, || (rule.hits() > 0).then_some(())));
    assert_eq!(hit.await.unwrap(), Some(()), "helm does not get there");
}

impl Ground for RealHelm<'_> {
    fn helm(&self) -> &dyn RunsHelm {
        &self.program
    }

    fn access(&self) -> &ClusterAccess {
        &self.access
    }

    fn requests(&self) -> &Requests {
        &self.requests
    }

    fn release(&self) -> &ReleaseKey {
        &self.release
    }

    fn chart(&self, flavour: Flavour) -> (PathBuf, Vec<u8>) {
        let (hook, outcome, replicas) = match flavour {
            Flavour::One
            | Flavour::Two
            | Flavour::Three
            | Flavour::Tested
            | Flavour::TestFails
            | Flavour::WayBackFails => ("", "ready", 1),
            Flavour::Hooked => ("succeed", "ready", 1),
            Flavour::HookFails => ("fail", "ready", 1),
            Flavour::HookHangs => ("never-ready", "ready", 1),
            Flavour::NeverReady => ("succeed", "never-ready", 1),
            Flavour::Invalid => ("", "ready", -1),
            Flavour::Unrendered => ("", "unrendered", 1),
        };
        let refusing = "{{- if eq .Values.outcome \"unrendered\" }}{{ fail \"colour is not a colour\" }}{{ end }}";
        let chart = sandbox::charts::web(flavour.version()).file("templates/refusing.yaml", refusing);
        let (chart, test) = match flavour {
            Flavour::Tested => (chart, "succeed"),
            Flavour::TestFails => (chart, "fail"),
            Flavour::WayBackFails => (chart.file("templates/way-back.yaml", WAY_BACK), ""),
            Flavour::One
            | Flavour::Two
            | Flavour::Three
            | Flavour::Hooked
            | Flavour::HookFails
            | Flavour::HookHangs
            | Flavour::NeverReady
            | Flavour::Invalid
            | Flavour::Unrendered => (chart, ""),
        };
        let values = json!({ "hook": hook, "outcome": outcome, "replicas": replicas, "test": test });
        (self.s.archive(&chart).into(), values.to_string().into_bytes())
    }

    fn at(&self, moment: Moment, halt: Halt, revision: u32, _: Option<Flavour>) -> BoxFuture<'_, ()> {
        // Nobody but helm uses this proxy. Whoever is told to end goes on for a while and must be answered; whoever is killed must not get further.
        let hold = match halt {
            Halt::Gently => Action::Delay(Duration::from_secs(1)),
            Halt::Now => Action::Hang,
        };
        let own = format!(".{}.v{revision}", self.release.name);
        let (made, seen) = (AtomicBool::new(false), Action::Delay(Duration::ZERO));
        let rule = match moment {
            Moment::Before => Rule::new(|info| info.verb == Verb::Create && info.resource == "secrets", hold),
            Moment::Begun => Rule::new(|info| info.is_write() && info.resource != "secrets", hold),
            Moment::Last => Rule::new(
                move |info| {
                    let name = info.name.as_deref().unwrap_or_default();
                    info.verb == Verb::Update && info.resource == "secrets" && name.ends_with(&own)
                },
                hold,
            ),
            Moment::Hook => Rule::new(
                move |info| {
                    let after = made.load(Ordering::SeqCst);
                    made.fetch_or(info.is_write() && info.resource == "jobs", Ordering::SeqCst);
                    after && !info.is_write()
                },
                seen,
            ),
            // What a Deployment has come to, it asks only while it waits.
            Moment::Waiting => Rule::new(|info| !info.is_write() && info.resource == "replicasets", seen),
        };
        self.rule(rule.times(1))
    }

    fn release_all(&self) {
        self.s.proxy.clear_rules();
    }
}
