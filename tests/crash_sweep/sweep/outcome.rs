//! What a release has come to, in what must not depend on crashes.

use std::collections::{BTreeMap, BTreeSet};

use helm_release_operator::api::{Failures, HelmRelease, HistoryResult, OperationKind};
use serde_json::{Value, json};

use super::journey::NAME;
use crate::scenario::{Revision, Scenario};
use crate::stage::status::condition;

/// The end of a journey.
///
/// Left out is what a crash may change: numbers of revisions, times, sentences (which tell both), the attempts that did
/// not succeed, how many failures of a cause outside were counted, and the hooks of a way back, which only some courses
/// take.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    /// Status and reason of each condition that speaks of the present generation; of another, nothing is to be left.
    conditions: BTreeMap<String, Option<(String, String)>>,
    /// Version and digest that status calls deployed, and the version that it wants.
    deployed: Option<(String, Digest)>,
    desired: Option<String>,
    quarantined: Vec<String>,
    failures: Option<Failed>,
    /// Without rollbacks: some courses make one more.
    done: Vec<(OperationKind, String)>,
    last: Option<(OperationKind, String, HistoryResult)>,
    /// Whether it is of the newest revision, and whether it names all of its objects.
    inventory: Option<(bool, bool, Vec<String>)>,
    /// Status, digest and mark of the newest record.
    newest: Option<(String, Digest, bool)>,
    /// What charts, not controllers, say of each object of the release.
    objects: BTreeMap<String, Value>,
    /// Secrets that are no records, and Jobs: charts have none of them but hooks.
    beside: BTreeSet<String>,
    /// Pods that are as the newest template says and ready.
    ready_pods: u64,
}

/// What is remembered of failures: those that were the version's own fault, those in a row, and whether the next attempt
/// waits. Which was the newest, a crash may change.
#[derive(Debug, Clone, PartialEq)]
struct Failed {
    own: u32,
    rollbacks: u32,
    hindered: u32,
    waits: bool,
}

/// What a digest stands for; its text depends on the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digest {
    Desired,
    /// That of the release before the change.
    Before,
    Another,
}

impl Outcome {
    /// With the digest of the first revision before the change, which may be pruned by now.
    #[track_caller]
    pub(crate) fn of(s: &Scenario<'_>, before: Option<&str>) -> Self {
        let object = object(s);
        let status = object.as_ref().and_then(|object| object.status.as_ref());
        let conditions = status.into_iter().flat_map(|status| &status.conditions).map(|one| {
            let current = object.as_ref().and_then(|object| condition(object, &one.type_));
            (one.type_.clone(), current.map(|one| (one.status.clone(), one.reason.clone())))
        });
        let deployed = status.and_then(|status| status.deployed.as_ref());
        let quarantined = status.into_iter().flat_map(|status| &status.quarantined);
        let history = status.map(|status| &*status.history).unwrap_or_default();
        let done = history
            .iter()
            .filter(|entry| entry.result == HistoryResult::Succeeded && entry.action != OperationKind::Rollback);
        let desired = status.and_then(|status| status.desired.as_ref()).map(|desired| &*desired.digest);
        let digest = |text: &str| match text {
            _ if desired == Some(text) => Digest::Desired,
            _ if before == Some(text) => Digest::Before,
            _ => Digest::Another,
        };
        let mut objects = BTreeMap::new();
        let mut ready_pods = 0;
        for (version, plural) in [("/api/v1", "configmaps"), ("/api/v1", "services"), ("/apis/apps/v1", "deployments")]
        {
            let of_charts = format!("{plural}?labelSelector=app.kubernetes.io%2Fmanaged-by%3DHelm");
            for mut object in s.list(version, &of_charts) {
                let status = &object["status"];
                if status["observedGeneration"] == object["metadata"]["generation"] {
                    ready_pods += status["readyReplicas"].as_u64().unwrap_or_default();
                }
                let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                objects.insert(format!("{plural}/{name}"), of_chart(&mut object));
            }
        }
        let newest = s.revisions(NAME).pop();
        let number = newest.as_ref().map_or(0, |newest| newest.number);
        Self {
            conditions: conditions.collect(),
            desired: status.and_then(|status| status.desired.as_ref()).map(|desired| desired.version.clone()),
            failures: status.and_then(|status| status.failures.as_ref()).map(Failed::of),
            done: done.map(|entry| (entry.action, entry.version.clone())).collect(),
            last: history.last().map(|entry| (entry.action, entry.version.clone(), entry.result)),
            inventory: status.and_then(|status| status.inventory.as_ref()).map(|inventory| {
                let named = inventory.objects.iter().map(|object| format!("{}/{}", object.kind, object.name));
                (inventory.revision == number, inventory.complete, named.collect())
            }),
            beside: beside(s),
            deployed: deployed.map(|one| (one.version.clone(), digest(&one.digest))),
            quarantined: quarantined.map(|one| one.version.clone()).collect(),
            newest: newest.map(|newest| (newest.status, digest(&newest.digest), newest.verified)),
            objects,
            ready_pods,
        }
    }
}

impl Failed {
    fn of(failures: &Failures) -> Self {
        let Failures { count: _, own, rollbacks, hindered, not_before, last: _ } = failures;
        Self { own: *own, rollbacks: *rollbacks, hindered: *hindered, waits: not_before.is_some() }
    }
}

/// Names of what is there and is neither a record nor an object of the chart.
fn beside(s: &Scenario<'_>) -> BTreeSet<String> {
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let secrets = s.list("/api/v1", "secrets?labelSelector=owner%21%3Dhelm");
    let jobs = s.list("/apis/batch/v1", "jobs");
    let on_the_way_back = format!("{NAME}-return");
    secrets.iter().chain(&jobs).map(name).filter(|name| *name != on_the_way_back).collect()
}

fn of_chart(object: &mut Value) -> Value {
    let mut spec = object["spec"].take();
    // Given by the API server.
    for field in ["clusterIP", "clusterIPs"] {
        spec.as_object_mut().map(|spec| spec.remove(field));
    }
    json!({ "data": object["data"], "spec": spec })
}

/// The object as it is now.
#[track_caller]
pub(crate) fn object(s: &Scenario<'_>) -> Option<HelmRelease> {
    s.land.cluster.wait(s.land.cluster.releases(&s.namespace).get_opt(NAME)).unwrap()
}

/// Names the Deployment through all that happens to it; none where there is none.
#[track_caller]
pub(crate) fn deployment(s: &Scenario<'_>) -> Option<String> {
    let object = s.object("/apis/apps/v1", "deployments", NAME)?;
    object["metadata"]["uid"].as_str().map(ToOwned::to_owned)
}

/// A record in a state in which only a living helm may leave it.
pub(crate) fn is_locked(record: &Revision) -> bool {
    record.status.starts_with("pending") || record.status == "uninstalling"
}
