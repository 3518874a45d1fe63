//! How soon something is done about a version that turns out bad.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use sandbox::proxy::{Action, RequestInfo, Rule, Verb};
use serde_json::json;

use crate::scenario::{Scenario, chart, web};
use crate::stage::status::condition;
use crate::tests;

tests![failing_upgrade_is_rolled_back_within_a_second];

/// From the moment at which the version is known to be bad until helm is started.
const REACTION_MAX: SignedDuration = SignedDuration::from_secs(1);

/// One that is quick enough shows what the operator needs.
const TRIES: usize = 3;

/// Times by hand; the middle one counts.
const STARTS: usize = 5;

/// When helm asked the API server something, and about which object if it was a change of one.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<(Timestamp, String)>>>);

impl Asked {
    /// Notes every request of helm's through the scenario's proxy.
    fn note(s: &Scenario<'_>) -> Self {
        let asked = Self::default();
        let noted = asked.clone();
        let note = move |info: &RequestInfo| {
            if info.user_agent.starts_with("Helm/") {
                let changed = if info.verb == Verb::Update { info.name.clone() } else { None };
                let asked = (Timestamp::now(), changed.unwrap_or_default());
                noted.0.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
            }
            // The answer is not touched.
            false
        };
        s.proxy.rule(Rule::new(note, Action::Drop));
        asked
    }

    /// How long after that moment the next request came.
    fn after(&self, moment: Timestamp) -> Option<SignedDuration> {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().find(|(at, _)| *at > moment).map(|(at, _)| at.duration_since(moment))
    }

    /// When helm changed an object for the first time.
    fn change(&self, name: &str) -> Option<Timestamp> {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().find(|(_, changed)| changed == name).map(|(at, _)| *at)
    }
}

/// What helm takes from its start to its first request, by hand.
#[track_caller]
fn start_of_helm(s: &Scenario<'_>, asked: &Asked) -> SignedDuration {
    let home = s.path("by-hand");
    let start = || {
        let began = Timestamp::now();
        let mut helm = Command::new(&s.land.helm);
        helm.env("KUBECONFIG", s.path("kubeconfig")).env("HELM_CACHE_HOME", &home);
        helm.env("HELM_CONFIG_HOME", &home).env("HELM_DATA_HOME", &home).stdout(Stdio::null()).stderr(Stdio::null());
        helm.args(["rollback", "nobody", "1", "--namespace", &s.namespace]).status().unwrap();
        asked.after(began).unwrap()
    };
    let mut starts: Vec<_> = (0..STARTS).map(|_| start()).collect();
    starts.sort();
    starts[STARTS / 2]
}

/// Fails when a rollback takes too long in each of some tries: one may have met a moment in which the machine did
/// something else.
#[track_caller]
fn in_time(why: &str, start: SignedDuration, name: &str, took: impl Fn(&str) -> SignedDuration) {
    let in_time = (1..=TRIES).any(|number| {
        let took = took(&format!("{name}-{number}"));
        println!("{why}: helm asks {took:#} after it, of which {start:#} are its own start");
        took < REACTION_MAX + start
    });
    assert!(in_time, "{why}: more than {REACTION_MAX:#} and {start:#} for the start of helm itself");
}

/// The web chart with an object that says by itself when it has failed for good.
fn telling(s: &Scenario<'_>, version: &str) -> sandbox::charts::Chart {
    let group = format!("{}.example.org", s.namespace);
    let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("tellers.{group}") },
        "spec": {
            "group": group, "scope": "Namespaced", "names": { "kind": "Teller", "plural": "tellers" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": open } }],
        },
    });
    let teller = format!("apiVersion: {group}/v1\nkind: Teller\nmetadata: {{name: '{{{{ .Release.Name }}}}'}}\n");
    chart(version).file("crds/tellers.yaml", definition.to_string()).file("templates/teller.yaml", teller)
}

fn failing_upgrade_is_rolled_back_within_a_second(s: &Scenario<'_>) {
    let _operator = s.operate();
    let asked = Asked::note(s);
    for version in ["5.0.0", "5.1.0"] {
        s.repository.publish(&telling(s, version));
    }
    let spec = |version, timeout, outcome: &str| {
        web(version, json!({ "timeout": timeout, "upgrade": { "retries": 0 }, "values": { "outcome": outcome } }))
    };
    let good = |name: &str, timeout| {
        s.declare(name, &spec("5.0.0", timeout, "ready"));
        s.deployed(name, 1);
        s.marked(name, 1);
    };
    let judged = |name: &str, timeout| {
        s.declare(name, &spec("5.1.0", timeout, "never-ready"));
        let object = s.until(name, "helm is done with the upgrade", |object| {
            let operation = object.status.as_ref().and_then(|status| status.operation.as_ref());
            let released = condition(object, "Released").is_some_and(|released| released.status == "True");
            released && operation.is_some_and(|operation| operation.revision == 2)
        });
        object.status.unwrap().operation.unwrap().deadline
    };
    let rolled_back = |name: &str, verdict: Timestamp| {
        s.eventually("the rollback", || (s.revisions(name).len() == 3).then_some(()));
        asked.after(verdict).unwrap()
    };

    // Nobody else runs helm here, so what comes after the moment of the verdict is the rollback.
    let start = start_of_helm(s, &asked);
    in_time("an object that says that it failed", start, "told", |name| {
        good(name, "60s");
        judged(name, "60s");
        let failed = json!([{ "type": "Stalled", "status": "True", "reason": "Broken" }]);
        let verdict = Timestamp::now();
        let patch = json!({ "status": { "conditions": failed } });
        s.patch(&format!("{}.example.org/v1", s.namespace), "Teller", name, &patch);
        rolled_back(name, verdict)
    });
    in_time("a deadline that passed", start, "late", |name| {
        good(name, "12s");
        let deadline = judged(name, "12s");
        rolled_back(name, deadline)
    });
    in_time("a run that failed", start, "refused", |name| {
        good(name, "60s");
        let bad = json!({ "timeout": "60s", "upgrade": { "retries": 0 }, "values": { "replicas": -1 } });
        s.declare(name, &web("5.1.0", bad));
        let failed = format!("sh.helm.release.v1.{name}.v2");
        let verdict = s.eventually("helm says that it failed", || asked.change(&failed));
        let took = rolled_back(name, verdict);
        s.eventually("it is back", || s.story(name).ends_with("2 failed, 3 deployed").then_some(()));
        took
    });
}
