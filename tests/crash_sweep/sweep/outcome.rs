//! What a release has come to, in what must not depend on crashes.

use std::collections::BTreeMap;

use helm_release_operator::api::HelmRelease;
use serde_json::{Value, json};

use super::journey::NAME;
use crate::scenario::{Revision, Scenario};
use crate::stage::status::condition;

/// The end of a journey, without the numbers of revisions and without times.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    /// Status and reason.
    ready: Option<(String, String)>,
    stalled: Option<String>,
    /// Version and digest that status calls deployed.
    deployed: Option<(String, Digest)>,
    quarantined: Vec<String>,
    /// Status, digest and mark of the newest record.
    newest: Option<(String, Digest, bool)>,
    /// What charts, not controllers, say of each object of the release.
    objects: BTreeMap<String, Value>,
    /// Pods that are as the newest template says and ready.
    ready_pods: u64,
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
        let said = |kind| object.as_ref().and_then(|object| condition(object, kind));
        let deployed = status.and_then(|status| status.deployed.as_ref());
        let quarantined = status.into_iter().flat_map(|status| &status.quarantined);
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
        Self {
            ready: said("Ready").map(|one| (one.status.clone(), one.reason.clone())),
            stalled: said("Stalled").map(|one| one.status.clone()),
            deployed: deployed.map(|one| (one.version.clone(), digest(&one.digest))),
            quarantined: quarantined.map(|one| one.version.clone()).collect(),
            newest: newest.map(|newest| (newest.status, digest(&newest.digest), newest.verified)),
            objects,
            ready_pods,
        }
    }
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
