//! Service accounts of the scenario, and what they may do; the API server knows of each change when a word returns.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use super::Scenario;

const RBAC: &str = "rbac.authorization.k8s.io/v1";

impl Scenario<'_> {
    /// Makes a service account in the namespace.
    #[track_caller]
    pub(crate) fn account(&self, name: &str) {
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } });
        self.land.cluster.apply_value(Some(&self.namespace), &account).unwrap();
    }

    /// Gives a service account of the namespace the rights of a cluster role that may read, in the whole cluster.
    #[track_caller]
    pub(crate) fn grant(&self, role: &str, account: &str) {
        let binding = json!({
            "apiVersion": RBAC,
            "kind": "ClusterRoleBinding",
            "metadata": { "name": self.binding(account) },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "kind": "ServiceAccount", "name": account, "namespace": self.namespace }],
        });
        self.land.cluster.apply_value(None, &binding).unwrap();
        self.eventually("the right is known", || self.may_get(account, "configmaps", None).then_some(()));
    }

    /// Takes the rights of [`Self::grant`] away.
    #[track_caller]
    pub(crate) fn revoke(&self, account: &str) {
        self.land.cluster.delete_from_cluster(RBAC, "ClusterRoleBinding", &self.binding(account)).unwrap();
        self.eventually("the right is gone", || (!self.may_get(account, "configmaps", None)).then_some(()));
    }

    fn binding(&self, account: &str) -> String {
        format!("{}-{account}", self.namespace)
    }

    /// Whether an account of the namespace may get these objects, or that one of them.
    #[track_caller]
    pub(crate) fn may_get(&self, account: &str, resource: &str, name: Option<&str>) -> bool {
        self.may(&format!("system:serviceaccount:{}:{account}", self.namespace), "get", resource, name)
    }

    /// What the API server would answer that user in the namespace.
    #[track_caller]
    pub(crate) fn may(&self, user: &str, verb: &str, resource: &str, name: Option<&str>) -> bool {
        let attributes = ResourceAttributes {
            namespace: Some(self.namespace.clone()),
            verb: Some(verb.to_owned()),
            resource: Some(resource.to_owned()),
            name: name.map(str::to_owned),
            ..ResourceAttributes::default()
        };
        let spec = SubjectAccessReviewSpec {
            user: Some(user.to_owned()),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        };
        let reviews: Api<SubjectAccessReview> = Api::all(self.land.cluster.client());
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let answer = self.land.cluster.wait(reviews.create(&PostParams::default(), &review)).unwrap();
        answer.status.is_some_and(|status| status.allowed)
    }
}
