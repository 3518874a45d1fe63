//! The manifest that people deploy the operator with: what it says is accepted, and its rights are enough.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::scenario::{Scenario, skip, web};
use crate::stage::{Access, Failure, Operator, Settings};
use crate::tests;

tests![operator_in_a_pod_needs_no_more_than_the_role_of_its_manifest];

const MANIFEST: &str = include_str!("../../deploy/operator.yaml");

/// Namespace and service account of the manifest.
const NAME: &str = "helm-release-operator";

/// The right of the manifest that people are told to do without where charts must not do everything.
const EVERYTHING: &str = "cluster-admin";

fn operator_in_a_pod_needs_no_more_than_the_role_of_its_manifest(s: &Scenario<'_>) {
    if !Access::can_play_a_pod() {
        skip("this machine gives a process no mount of its own, so no pod can be played");
    }
    deploy(s).unwrap();
    let user = format!("system:serviceaccount:{NAME}:{NAME}");
    s.eventually("its rights are known", || s.may(&user, "list", "secrets", None).then_some(()));
    let (host, port) = address(s);
    let access = Access::Pod { folder: credentials(s).unwrap(), host, port };
    let settings = Settings { access, ..s.settings() };
    let operator = leads(s, &settings);

    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "tenant" } });
    s.land.cluster.apply_value(Some(&s.namespace), &account).unwrap();
    s.grant("edit", "tenant");
    let tenant = |mut spec: Value| {
        spec["serviceAccountName"] = json!("tenant");
        spec
    };
    s.supply("Secret", "settings", "values.yaml", "message: from a secret");
    let from = json!([{ "kind": "Secret", "name": "settings" }]);
    let with = |version| {
        let mut spec = tenant(web(version, Value::Null));
        spec["valuesFrom"] = from.clone();
        spec
    };
    s.declare("a", &with("1.0.0"));
    s.deployed("a", 1);
    s.declare("a", &with("1.1.0"));
    s.deployed("a", 2);
    s.marked("a", 2);
    s.event("a", "Upgraded");

    let unicorn =
        |version| tenant(json!({ "chart": { "name": "unicorn" }, "releaseVersion": version, "timeout": "8s" }));
    s.declare("u", &unicorn("pink"));
    s.deployed("u", 1);
    s.declare("u", &unicorn("broken"));
    s.refused("u", "RolledBack");
    s.delete("u");
    s.gone("u");
    let strict = ["--tenancy", "strict"].map(str::to_owned).into();
    let log = operator.log().clone();
    operator.terminate().unwrap();
    let operator = leads(s, &Settings { further: strict, ..settings });
    s.declare("a", &with("1.0.0"));
    s.deployed("a", 3);
    s.declare("none", &web("1.0.0", Value::Null));
    s.refused("none", "Refused");
    s.delete("a");
    s.gone("a");
    for log in [&log, operator.log()] {
        let refused = log.find(|line| line.contains("forbidden").then(|| line.clone()));
        assert_eq!(refused, None, "a right is missing in the manifest");
    }
}

fn leads(s: &Scenario<'_>, settings: &Settings) -> Operator {
    let operator = s.operate_with(settings);
    s.eventually("the operator leads", || (operator.metric("leader", "") >= 1.0).then_some(()));
    operator
}

/// Applies the manifest, with the operator's own role in the place of the right to do everything.
fn deploy(s: &Scenario<'_>) -> Result<(), Failure> {
    s.land.cluster.create_namespace(NAME)?;
    for document in MANIFEST.split("\n---\n") {
        let mut object: Value = serde_saphyr::from_str(document)?;
        if object["roleRef"]["name"] == EVERYTHING {
            object["roleRef"]["name"] = json!(NAME);
        }
        let namespace = object["metadata"]["namespace"].as_str().map(str::to_owned);
        s.land.cluster.apply_value(namespace.as_deref(), &object)?;
    }
    Ok(())
}

/// What the kubelet puts into a pod of the operator.
fn credentials(s: &Scenario<'_>) -> Result<std::path::PathBuf, Failure> {
    let accounts: Api<ServiceAccount> = Api::namespaced(s.land.cluster.client(), NAME);
    let wanted = TokenRequest { spec: Some(TokenRequestSpec::default()), ..TokenRequest::default() };
    let answer = s.land.cluster.wait(accounts.create_token_request(NAME, &PostParams::default(), &wanted))?;
    let token = answer.status.and_then(|status| status.token).ok_or("a token request without a token")?;
    let folder = s.path("serviceaccount");
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("token"), token)?;
    std::fs::write(folder.join("namespace"), NAME)?;
    std::fs::copy(s.land.sandbox.directory().join("ca.crt"), folder.join("ca.crt"))?;
    Ok(folder)
}

/// Host and port of the API server itself: the proxy would lend the operator the rights of an administrator.
fn address(s: &Scenario<'_>) -> (String, String) {
    let url = s.land.sandbox.url();
    let address = url.trim_start_matches("https://");
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "443"));
    (host.to_owned(), port.to_owned())
}
