//! A real helm on a real API server, whose requests the proxy can hold and spoil.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{LocalBoxFuture, ready};
use helm_release_operator::cluster::{Discovery, Requests};
use helm_release_operator::controller::{Program, RunsHelm};
use helm_release_operator::helm::{Auth, ClusterAccess, RunnerSettings};
use helm_release_operator::types::{Namespace, ReleaseKey, ReleaseName};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace as NamespaceObject};
use kube::Api;
use kube::api::DeleteParams;
use rustix::process::Signal;
use sandbox::charts::{self, Chart};
use sandbox::proxy::{Action, RequestInfo, Rule, RuleHandle, Verb};
use sandbox::wait;
use serde_json::{Value, json};

use crate::contract::{Deed, Flavour, Ground, Halt, Hand, Loss, Major, Moment, Part, Write};
use crate::faults;
use crate::scenario::{OPERATOR, PATIENCE, Scenario};
use crate::stage::process::{children_of, signal};

const RELEASE: &str = "story";

const REFUSING: &str = r#"{{- if eq .Values.outcome "unrendered" }}{{ fail "colour is not a colour" }}{{ end }}"#;
const SCHEMA: &str = r#"{"type": "object", "properties": {"replicas": {"type": "integer", "maximum": 0}}}"#;
const UNKNOWN: &str = "apiVersion: sandbox.test/v1\nkind: Unheard\nmetadata: {name: unheard}\n";
/// More than a record may be, packed: 1 MiB.
const LARGE_BYTES: usize = 1_200_000;

/// One release of a real helm.
pub(super) struct RealHelm<'a> {
    s: &'a Scenario<'a>,
    major: Major,
    helm: PathBuf,
    program: Program,
    access: ClusterAccess,
    requests: Requests,
    release: ReleaseKey,
}

impl<'a> RealHelm<'a> {
    pub(super) fn new(s: &'a Scenario<'a>, major: Major, helm: PathBuf) -> Self {
        let runner = RunnerSettings {
            leash_program: OPERATOR.into(),
            base_dir: s.path("runs"),
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
            name: ReleaseName::parse(RELEASE).unwrap(),
        };
        let requests = Requests::new(s.land.cluster.client(), Arc::<Discovery>::default());
        Self { s, major, program: Program::new(helm.clone(), runner), helm, access, requests, release }
    }

    fn name(part: Part) -> String {
        match part {
            Part::Page => RELEASE.to_owned(),
            Part::Extra => format!("{RELEASE}-extra"),
            Part::Kept => format!("{RELEASE}-kept"),
        }
    }

    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.s.land.cluster.client(), &self.s.namespace)
    }

    fn patch(&self, part: Part, patch: &Value) {
        self.s.patch("v1", "ConfigMap", &Self::name(part), patch);
    }

    /// What somebody does to an object.
    fn does(&self, deed: Deed) {
        match deed {
            Deed::Makes(part) => self.s.supply("ConfigMap", &Self::name(part), "by", "somebody"),
            Deed::Deletes(part) => self.s.delete_object("v1", "ConfigMap", &Self::name(part)),
            Deed::Holds(part) => self.s.supply("ConfigMap", &Self::name(part), "version", "held"),
            Deed::IsTaken(part) => {
                let map = config_map(part, "another", "");
                let chart =
                    Chart::new(&format!("another-{part:?}").to_lowercase(), "1.0.0").file("templates/map.yaml", map);
                let (name, path) = (chart.name().to_owned(), self.s.archive(&chart));
                let taking: &[&str] = match self.major {
                    Major::Three => &["--take-ownership"],
                    Major::Four => &["--take-ownership", "--force-conflicts"],
                };
                let arguments = [&["install", &name, &path], taking].concat();
                self.s.try_helm_of(&self.helm, &arguments).unwrap();
            }
            Deed::Pins(part) => self.patch(part, &json!({ "metadata": { "finalizers": ["sandbox.test/pinned"] } })),
            Deed::NamespaceGone => {
                self.end_namespace();
                let all: Api<NamespaceObject> = Api::all(self.s.land.cluster.client());
                self.s.eventually("the namespace is gone", || {
                    self.s.land.cluster.wait(all.get_opt(&self.s.namespace)).unwrap().is_none().then_some(())
                });
            }
            Deed::NamespaceEnds => {
                self.s.supply("ConfigMap", "stuck", "a", "b");
                self.s.patch(
                    "v1",
                    "ConfigMap",
                    "stuck",
                    &json!({ "metadata": { "finalizers": ["sandbox.test/stuck"] } }),
                );
                self.end_namespace();
                self.s.eventually("nothing but what is stuck is left", || {
                    let records = self.s.land.cluster.wait(self.requests.read_records(&self.release)).unwrap();
                    let left = self.s.list("/api/v1", "configmaps").len();
                    (left == 1 && records.records().is_empty()).then_some(())
                });
            }
        }
    }

    fn end_namespace(&self) {
        let all: Api<NamespaceObject> = Api::all(self.s.land.cluster.client());
        self.s.land.cluster.wait(all.delete(&self.s.namespace, &DeleteParams::default())).unwrap();
    }
}

async fn reached(rule: RuleHandle) {
    let hit = tokio::task::spawn_blocking(move || wait::until(PATIENCE, || (rule.hits() > 0).then_some(())));
    assert_eq!(hit.await.unwrap(), Some(()), "helm does not get there");
}

fn config_map(part: Part, version: &str, annotations: &str) -> String {
    let name = RealHelm::name(part);
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  annotations: {{{annotations}}}\n\
         data: {{version: {version}}}\n"
    )
}

fn chart_of(flavour: Flavour) -> Chart {
    let chart = charts::web(flavour.version()).file("templates/refusing.yaml", REFUSING);
    let extra = || config_map(Part::Extra, flavour.version(), "");
    let chart = if matches!(flavour, Flavour::Two | Flavour::Invalid) {
        chart.file("templates/extra.yaml", extra())
    } else {
        chart
    };
    match flavour {
        Flavour::WayBackFails => {
            chart.file("templates/way-back.yaml", charts::hook("way-back", "pre-rollback,pre-delete", "fail"))
        }
        Flavour::Keeps => {
            let kept = config_map(Part::Kept, flavour.version(), "helm.sh/resource-policy: keep");
            chart.file("templates/kept.yaml", kept)
        }
        Flavour::Unfit => chart.file("values.schema.json", SCHEMA),
        Flavour::Incompatible => chart.kube_version("<1.2.0"),
        Flavour::UnknownKind => chart.file("templates/unknown.yaml", UNKNOWN),
        Flavour::TooLarge => chart.file("files/large", noise()),
        Flavour::One
        | Flavour::Two
        | Flavour::Three
        | Flavour::Hooked
        | Flavour::HookFails
        | Flavour::HookHangs
        | Flavour::NeverReady
        | Flavour::Invalid
        | Flavour::Unrendered
        | Flavour::Tested
        | Flavour::TestFails
        | Flavour::TestHangs => chart,
    }
}

/// Bytes that do not pack.
fn noise() -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let byte = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    std::iter::repeat_with(byte).take(LARGE_BYTES).collect()
}

fn values_of(flavour: Flavour) -> Value {
    let hook = match flavour {
        Flavour::Hooked | Flavour::NeverReady => "succeed",
        Flavour::HookFails => "fail",
        Flavour::HookHangs => "never-ready",
        _ => "",
    };
    let test = match flavour {
        Flavour::Tested => "succeed",
        Flavour::TestFails => "fail",
        Flavour::TestHangs => "never-ready",
        _ => "",
    };
    let outcome = match flavour {
        Flavour::NeverReady => "never-ready",
        Flavour::Unrendered => "unrendered",
        _ => "ready",
    };
    let replicas = if flavour == Flavour::Invalid { -1 } else { 1 };
    json!({ "hook": hook, "outcome": outcome, "replicas": replicas, "test": test })
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

    fn test_name(&self) -> String {
        format!("{RELEASE}-test")
    }

    fn chart(&self, flavour: Flavour) -> (PathBuf, Vec<u8>) {
        (self.s.archive(&chart_of(flavour)).into(), values_of(flavour).to_string().into_bytes())
    }

    fn at(&self, moment: Moment, halt: Halt, revision: u32, _: Option<Flavour>) -> LocalBoxFuture<'_, ()> {
        // Nobody but helm uses this proxy. Whoever is told to end goes on for a while and must be answered, but not before
        // the signal has come; whoever is killed must not get further.
        let (hold, seen) = match halt {
            Halt::Gently => (Action::Delay(Duration::from_secs(5)), Action::Delay(Duration::ZERO)),
            Halt::Now | Halt::BySomebody => (Action::Hang, Action::Hang),
        };
        if matches!((moment, halt), (Moment::Before, Halt::Gently)) {
            // helm goes on with the objects while it writes that it failed, and only its end stops the first: the
            // objects wait, or it is a race which of the two is written last.
            self.s.proxy.rule(Rule::new(|info| info.is_write() && info.resource != "secrets", hold.clone()));
        }
        let made = AtomicBool::new(false);
        let rule = match moment {
            Moment::Before => Rule::new(
                move |info| {
                    let creates = info.verb == Verb::Create && info.resource == "secrets";
                    creates || (info.verb == Verb::Update && is_record(info, revision - 1))
                },
                hold,
            ),
            Moment::Begun => Rule::new(|info| info.is_write() && info.resource != "secrets", hold),
            Moment::Last => Rule::new(
                move |info| {
                    let writes = info.verb == Verb::Update && is_record(info, revision);
                    writes || (info.verb == Verb::Delete && is_record(info, revision - 1))
                },
                hold,
            ),
            Moment::Hook => Rule::new(
                move |info| {
                    let after = made.load(Ordering::SeqCst);
                    let of_hooks = matches!(&*info.resource, "jobs" | "pods");
                    let makes = matches!(info.verb, Verb::Create | Verb::Patch) && of_hooks;
                    made.fetch_or(makes, Ordering::SeqCst);
                    after && !info.is_write()
                },
                seen,
            ),
            // What a Deployment has come to, it asks only while it waits; and after what it has deleted, only then.
            Moment::Waiting => Rule::new(
                move |info| {
                    let after = made.load(Ordering::SeqCst);
                    made.fetch_or(info.verb == Verb::Delete && info.resource == "configmaps", Ordering::SeqCst);
                    let gone = after && !info.is_write() && info.resource == "configmaps";
                    gone || (!info.is_write() && info.resource == "replicasets")
                },
                seen,
            ),
        };
        reached(self.s.proxy.rule(rule.times(1))).boxed_local()
    }

    fn breaks(&self, write: Write, loss: Loss, revision: u32) {
        let broken = match loss {
            Loss::Refused => faults::answers::error(),
            Loss::Done => Action::ForwardThenDrop,
        };
        let is_it = move |info: &RequestInfo| match write {
            Write::First => info.verb == Verb::Create && is_record(info, revision),
            Write::Superseding => info.verb == Verb::Update && is_record(info, revision - 1),
            Write::Own => info.verb == Verb::Update && is_record(info, revision),
            Write::Object => info.is_write() && info.resource == "configmaps",
            Write::Purge => info.verb == Verb::Delete && is_record(info, revision),
        };
        self.s.proxy.rule(Rule::new(is_it, broken).times(1));
    }

    fn signals(&self) {
        // Other stories run their own at the same time.
        let folder = self.s.path("runs").into_os_string().into_encoded_bytes();
        let is_ours = |pid: &u32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.windows(folder.len()).any(|part| part == folder)
        };
        let helm: Vec<u32> = children_of(std::process::id()).into_iter().filter(is_ours).collect();
        assert_eq!(helm.len(), 1, "one run of helm");
        signal(helm[0], Signal::TERM).unwrap();
    }

    fn release_all(&self) {
        self.s.proxy.clear_rules();
    }

    fn by_hand(&self, hand: Hand) -> LocalBoxFuture<'_, ()> {
        let run = |arguments: &[&str]| {
            // Whether it succeeds, the records tell.
            let _ = self.s.try_helm_of(&self.helm, arguments);
        };
        match hand {
            Hand::Upgrade(flavour) => {
                let (chart, values) = (self.s.archive(&chart_of(flavour)), values_of(flavour));
                let set = |key: &str| format!("{key}={}", values[key].to_string().trim_matches('"'));
                let [hook, outcome, replicas] = ["hook", "outcome", "replicas"].map(set);
                run(&["upgrade", RELEASE, &chart, "--set", &hook, "--set", &outcome, "--set", &replicas]);
            }
            Hand::Rollback(to) => run(&["rollback", RELEASE, &to.to_string()]),
            Hand::Uninstall { keep_history } => {
                run(&["uninstall", RELEASE, if keep_history { "--keep-history" } else { "--debug" }]);
            }
        }
        ready(()).boxed_local()
    }

    fn happens(&self, deed: Deed) -> LocalBoxFuture<'_, ()> {
        // The words of scenarios wait for themselves.
        tokio::task::block_in_place(|| self.does(deed));
        ready(()).boxed_local()
    }

    fn object(&self, part: Part) -> LocalBoxFuture<'_, Option<Value>> {
        let maps = self.config_maps();
        async move {
            let found = maps.get_opt(&Self::name(part)).await.unwrap();
            found.map(|object| serde_json::to_value(object).unwrap())
        }
        .boxed_local()
    }
}

fn is_record(info: &RequestInfo, revision: u32) -> bool {
    let name = info.name.as_deref().unwrap_or_default();
    info.resource == "secrets" && name.ends_with(&format!(".{RELEASE}.v{revision}"))
}
