//! Looking at what is there: helm's records, objects, events, and a release that nobody should touch.

use sandbox::proxy::{Counts, Verb};
use serde_json::Value;

use super::{Scenario, web};
use crate::stage::Operator;

/// One record of a release, as its Secret tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revision {
    pub(crate) number: u32,
    pub(crate) status: String,
    /// The record carries the mark of a revision that was judged good, with its own number.
    pub(crate) verified: bool,
    /// What the operator says that it was made from.
    pub(crate) digest: String,
    /// Another one is another record, though of the same number.
    pub(crate) uid: String,
    /// Changes with every write.
    pub(crate) resource_version: String,
}

impl Scenario<'_> {
    /// The objects of the scenario's namespace.
    pub(crate) fn list(&self, version: &str, plural: &str) -> Vec<Value> {
        let path = format!("{version}/namespaces/{}/{plural}", self.namespace);
        let mut list = self.land.sandbox.get(&path).ok().flatten().unwrap_or_default();
        let items = list["items"].as_array_mut();
        items.map(std::mem::take).unwrap_or_default()
    }

    /// An object of the scenario's namespace, such as `/api/v1`, `configmaps`, `a`.
    #[track_caller]
    pub(crate) fn object(&self, version: &str, plural: &str, name: &str) -> Option<Value> {
        let path = format!("{version}/namespaces/{}/{plural}/{name}", self.namespace);
        self.land.sandbox.get(&path).unwrap()
    }

    /// The text of one key of a ConfigMap; empty when there is none.
    #[track_caller]
    pub(crate) fn config(&self, name: &str, key: &str) -> String {
        let object = self.object("/api/v1", "configmaps", name).unwrap_or_default();
        object["data"][key].as_str().unwrap_or_default().to_owned()
    }

    /// The records of the release, oldest first.
    #[track_caller]
    pub(crate) fn revisions(&self, release: &str) -> Vec<Revision> {
        let selector = format!("secrets?labelSelector=owner%3Dhelm%2Cname%3D{release}");
        let mut revisions: Vec<Revision> = self.list("/api/v1", &selector).iter().map(Revision::of).collect();
        revisions.sort_by_key(|revision| revision.number);
        revisions
    }

    /// Number and status of the records, such as `1 superseded, 2 deployed`.
    #[track_caller]
    pub(crate) fn story(&self, release: &str) -> String {
        let revisions = self.revisions(release);
        let told: Vec<_> = revisions.iter().map(|one| format!("{} {}", one.number, one.status)).collect();
        told.join(", ")
    }

    /// Waits for an event of that reason about the object; its note.
    #[track_caller]
    pub(crate) fn event(&self, name: &str, reason: &str) -> String {
        let found = |event: &Value| {
            let is_it = event["regarding"]["name"] == name && event["reason"] == reason;
            is_it.then(|| event["note"].as_str().unwrap_or_default().to_owned())
        };
        let look = || self.list("/apis/events.k8s.io/v1", "events").iter().find_map(found);
        self.eventually(&format!("an event {reason} about {name}"), look)
    }

    /// A release that is good and that nothing of this story concerns.
    #[track_caller]
    pub(crate) fn bystander(&self) -> Bystander {
        self.declare("bystander", &web("1.0.0", Value::Null));
        self.deployed("bystander", 1);
        self.marked("bystander", 1);
        Bystander(self.seen("bystander"))
    }

    /// Waits until the revision carries the mark of one that was judged good, the last write of an operation.
    #[track_caller]
    pub(crate) fn marked(&self, release: &str, revision: u32) {
        self.eventually(&format!("revision {revision} of {release} is marked as verified"), || {
            self.revisions(release).iter().find(|one| one.number == revision && one.verified).map(|_| ())
        });
    }

    /// The versions of the object and of its records, which every write changes.
    #[track_caller]
    fn seen(&self, name: &str) -> Vec<String> {
        let object = self.object("/apis/helmrelease.dev/v1alpha1", "helmreleases", name).unwrap_or_default();
        let records = self.revisions(name).into_iter().map(|revision| revision.resource_version);
        let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        std::iter::once(version).chain(records).collect()
    }

    /// Touches the object until the operator has made passes that began and ended after the first touch.
    #[track_caller]
    pub(crate) fn touch(&self, operator: &Operator, name: &str) {
        let object = format!("\"{}/{name}\"", self.namespace);
        let passes = || operator.log().count(|line| line.contains("a pass was ") && line.contains(&object));
        // The first may have begun before the touch, and passes over one object follow each other.
        for _ in 0..3 {
            let before = passes();
            self.annotate(name, "example.org/touched");
            self.eventually("a pass over the touched object", || (passes() > before).then_some(()));
        }
    }

    /// How many requests were made since then that are neither watches nor the lease, and the table of all.
    pub(crate) fn requests_since(&self, before: &Counts) -> (u64, Counts) {
        let all = self.proxy.snapshot().since(before);
        (all.total(|key| key.verb != Verb::Watch && !key.resource.starts_with("leases")), all)
    }
}

impl Revision {
    fn of(secret: &Value) -> Self {
        let label = |name: &str| secret["metadata"]["labels"][name].as_str().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            number: label("version").parse().unwrap_or_default(),
            status: label("status").to_owned(),
            verified: !label("version").is_empty() && label("version") == label("helmrelease.dev/verified"),
            digest: label("helmrelease.dev/digest").to_owned(),
            uid: text(&secret["metadata"]["uid"]),
            resource_version: text(&secret["metadata"]["resourceVersion"]),
        }
    }
}

/// A release as it was before something bad happened next to it.
pub(crate) struct Bystander(Vec<String>);

impl Bystander {
    /// Fails when anything about the release was written since.
    #[track_caller]
    pub(crate) fn is_untouched(&self, scenario: &Scenario<'_>) {
        scenario.ready("bystander");
        assert_eq!(scenario.seen("bystander"), self.0, "the bystander was written to");
    }
}
