//! Rights of service accounts, given and taken away, and what is said where one is missing.

use serde_json::{Value, json};

use super::SECRET;
use crate::scenario::Scenario;
use crate::stage::Settings;
use crate::stage::status::condition;

const RBAC: &str = "rbac.authorization.k8s.io/v1";

impl Scenario<'_> {
    pub(super) fn strict(&self) -> Settings {
        let further = ["--tenancy", "strict"].map(str::to_owned).into();
        Settings { further, ..self.settings() }
    }

    /// Gives an account of the namespace rights in the namespace, under a name by which they can be taken away.
    #[track_caller]
    pub(super) fn permit(&self, account: &str, name: &str, rules: &Value) {
        self.permit_in(&self.namespace, account, name, rules);
    }

    /// The same in a namespace of somebody else.
    #[track_caller]
    pub(super) fn permit_in(&self, namespace: &str, account: &str, name: &str, rules: &Value) {
        let role = json!({ "apiVersion": RBAC, "kind": "Role", "metadata": { "name": name }, "rules": rules });
        self.land.cluster.apply_value(Some(namespace), &role).unwrap();
        self.bind_in(namespace, account, name, ("Role", name));
    }

    #[track_caller]
    pub(super) fn bind(&self, account: &str, name: &str, kind: &str, role: &str) {
        self.bind_in(&self.namespace, account, name, (kind, role));
    }

    #[track_caller]
    fn bind_in(&self, namespace: &str, account: &str, name: &str, (kind, role): (&str, &str)) {
        let binding = json!({
            "apiVersion": RBAC, "kind": "RoleBinding", "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role },
            "subjects": [{ "kind": "ServiceAccount", "name": account, "namespace": self.namespace }],
        });
        self.land.cluster.apply_value(Some(namespace), &binding).unwrap();
    }

    /// An account that can keep the release `a`, and may get no Secret but the records of that.
    #[track_caller]
    pub(super) fn tenant(&self) {
        self.account("tenant");
        let records: Vec<String> = (1..9).map(|revision| format!("sh.helm.release.v1.a.v{revision}")).collect();
        let rules = json!([
            { "apiGroups": ["", "apps", "batch"], "verbs": ["*"],
                "resources": ["configmaps", "services", "serviceaccounts", "pods", "deployments", "jobs"] },
            { "apiGroups": [""], "verbs": ["list", "create", "update", "patch", "delete"], "resources": ["secrets"] },
            { "apiGroups": [""], "verbs": ["get"], "resources": ["secrets"], "resourceNames": records },
        ]);
        self.permit("tenant", "keeps-a", &rules);
    }

    /// Gives the right to get one Secret, and waits until the API server knows.
    #[track_caller]
    pub(super) fn permit_secret(&self, name: &str) {
        let rule = json!([{ "apiGroups": [""], "verbs": ["get"], "resources": ["secrets"], "resourceNames": [name] }]);
        self.permit("tenant", "gets-a-secret", &rule);
        self.eventually("the right is known", || self.may_get("tenant", "secrets", Some(name)).then_some(()));
    }

    #[track_caller]
    pub(super) fn forbid_secret(&self, name: &str) {
        self.delete_object(RBAC, "RoleBinding", "gets-a-secret");
        self.eventually("the right is gone", || (!self.may_get("tenant", "secrets", Some(name))).then_some(()));
    }

    /// The object says in one sentence that the account may not get that Secret, and is not given up.
    #[track_caller]
    pub(super) fn lacks(&self, name: &str, secret: &str) {
        let message = self.refused(name, "Refused");
        let words = ["service account tenant", "may not get", secret, &self.namespace];
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        assert!(!message.contains(SECRET) && message.lines().count() == 1, "{message}");
        let object = self.until(name, "tried again", |object| condition(object, "Reconciling").is_some());
        assert!(condition(&object, "Stalled").is_none());
    }
}
