//! Operators that stand by for each other, and the lease by which they do.

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::Value;

use crate::scenario::Scenario;
use crate::stage::{Operator, Settings};

/// The name that operators give their lease when they are told none.
const LEASE: &str = "helm-release-operator";

/// One of several operators of a story; dropping it kills it.
pub(crate) struct Replica {
    pub(crate) operator: Operator,
    /// What its requests end their user agent with.
    pub(crate) agent: String,
}

impl Replica {
    /// Starts an operator and waits until its views are live. The name tells it from the others of the story.
    #[track_caller]
    pub(crate) fn start(s: &Scenario<'_>, name: &str, flags: &[&str]) -> Self {
        let agent = format!("{}-{name}", s.namespace);
        let mut further: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        further.push(format!("--lease-namespace={}", s.namespace));
        let settings = Settings { data: s.path(name), suffix: agent.clone(), further, ..s.settings() };
        Self { operator: s.operate_with(&settings), agent }
    }

    /// It leads and the lease says so.
    pub(crate) fn leads(&self, s: &Scenario<'_>) -> bool {
        // Its name in the lease is made at its start, and its log tells it.
        let name = self.operator.log().find(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            let name = line["holder"].as_str().filter(|_| line["message"] == "leadership gained")?;
            Some(name.to_owned())
        });
        name.is_some_and(|name| name == holder(s)) && self.operator.metric("leader", "") > 0.5
    }

    /// It does not act.
    pub(crate) fn stands_by(&self) -> bool {
        self.operator.metric("leader", "") < 0.5
    }
}

/// Who is named in the lease; empty for nobody.
#[track_caller]
pub(crate) fn holder(s: &Scenario<'_>) -> String {
    let lease = s.object("/apis/coordination.k8s.io/v1", "leases", LEASE).unwrap_or_default();
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

#[track_caller]
pub(crate) fn delete_lease(s: &Scenario<'_>) {
    let leases: Api<Lease> = Api::namespaced(s.land.cluster.client(), &s.namespace);
    s.land.cluster.wait(leases.delete(LEASE, &DeleteParams::default())).unwrap();
}
