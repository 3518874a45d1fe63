//! Strict tenancy: everything is done and read as the service account of the release.

mod rights;

use sandbox::charts::Chart;
use sandbox::proxy::{CountKey, Verb};
use serde_json::{Value, json};

use crate::scenario::{Scenario, chart, web};
use crate::stage::status::{condition, is_ready};
use crate::stage::{Operator, Settings};
use crate::tests;

tests![
    object_without_an_account_is_refused_until_it_has_one,
    release_from_before_is_left_when_its_refused_object_is_deleted,
    secret_that_the_account_may_not_get_is_no_input_until_it_may,
    right_that_is_taken_away_leaves_the_release_and_refuses_newer_inputs,
    login_that_the_account_may_not_get_is_not_used,
    values_that_waited_are_not_handed_to_helm_without_the_right,
    chart_that_looks_up_secrets_sees_what_its_account_may_see,
    dependency_of_another_namespace_is_told_nothing_of,
    record_that_names_objects_of_others_tells_nothing_of_them,
    name_in_a_foreign_namespace_is_not_kept_by_who_was_first,
    range_tells_no_version_of_a_release_that_the_account_may_not_read,
];

/// What no tenant may learn.
const SECRET: &str = "hunTer2secret";

/// A release of the web chart as the tenant, with values from the Secret `settings`.
fn sourced(version: &str) -> Value {
    let from = json!([{ "kind": "Secret", "name": "settings", "optional": true }]);
    web(version, json!({ "serviceAccountName": "tenant", "valuesFrom": from }))
}

#[track_caller]
fn tells_no_secret(s: &Scenario<'_>, operator: &Operator) {
    assert!(!operator.log().contains(SECRET));
    for object in s.list("/apis/helmrelease.dev/v1alpha1", "helmreleases") {
        assert!(!object["status"].to_string().contains(SECRET), "{object}");
    }
}

fn object_without_an_account_is_refused_until_it_has_one(s: &Scenario<'_>) {
    let operator = s.operate_with(&s.strict());
    s.supply("Secret", "settings", "values.yaml", "message: from a secret\n");
    let from = json!([{ "kind": "Secret", "name": "settings" }]);
    s.declare("a", &web("1.0.0", json!({ "valuesFrom": from })));
    s.declare("b", &web("1.0.0", json!({})));
    for name in ["a", "b"] {
        let message = s.refused(name, "Refused");
        assert!(message.contains("spec.serviceAccountName") && message.contains("--tenancy strict"), "{message}");
    }
    let object = s.until("a", "Stalled", |object| condition(object, "Stalled").is_some());
    assert_eq!(object.metadata.finalizers, None, "there is nothing to remove");
    let is_read = |key: &CountKey| {
        let own = key.user_agent.starts_with("helm-release-operator");
        own && key.resource == "secrets" && key.verb == Verb::Get
    };
    let read = s.proxy.counts(is_read);
    s.touch(&operator, "a");
    assert_eq!(s.proxy.counts(is_read), read, "nothing is read for it");
    assert!(operator.metric("helm_processes_started_total", "") < 1.0);
    s.delete("b");
    s.gone("b");
    s.account("deployer");
    s.bind("deployer", "edits", "ClusterRole", "edit");
    s.declare("a", &web("1.0.0", json!({ "valuesFrom": from, "serviceAccountName": "deployer" })));
    s.deployed("a", 1);
    assert_eq!(s.config("a", "message"), "from a secret");
    // The same by a flag of the operator.
    operator.terminate().unwrap();
    let mut settings = s.strict();
    settings.further.extend(["--default-service-account", "deployer"].map(str::to_owned));
    let _operator = s.operate_with(&settings);
    s.declare("c", &web("1.0.0", json!({})));
    s.deployed("c", 1);
}

fn release_from_before_is_left_when_its_refused_object_is_deleted(s: &Scenario<'_>) {
    let operator = s.operate();
    for name in ["a", "b"] {
        s.declare(name, &web("1.0.0", json!({})));
        s.deployed(name, 1);
        s.marked(name, 1);
    }
    operator.terminate().unwrap();
    let _operator = s.operate_with(&s.strict());
    for name in ["a", "b"] {
        s.refused(name, "Refused");
    }
    // What is left of a release that somebody removed is not looked at either, and holds nothing.
    s.helm(&["uninstall", "b"]);
    for name in ["a", "b"] {
        s.delete(name);
        s.gone(name);
    }
    let note = s.event("a", "UninstallFailed");
    assert!(note.contains("left") && note.contains("service account"), "{note}");
    assert_eq!(s.story("a"), "1 deployed");
    assert!(s.object("/apis/apps/v1", "deployments", "a").is_some());
}

fn secret_that_the_account_may_not_get_is_no_input_until_it_may(s: &Scenario<'_>) {
    let operator = s.operate_with(&s.strict());
    s.tenant();
    s.declare("a", &sourced("1.0.0"));
    // Whether it is there is not told either.
    s.lacks("a", "Secret settings");
    let absent = s.refused("a", "Refused");
    s.supply("Secret", "settings", "values.yaml", &format!("message: {SECRET}\n"));
    s.touch(&operator, "a");
    assert_eq!(s.refused("a", "Refused"), absent);
    assert_eq!(s.story("a"), "", "nothing was installed");
    tells_no_secret(s, &operator);
    s.permit_secret("settings");
    s.deployed("a", 1);
    assert_eq!(s.config("a", "message"), SECRET);
}

fn right_that_is_taken_away_leaves_the_release_and_refuses_newer_inputs(s: &Scenario<'_>) {
    let operator = s.operate_with(&s.strict());
    s.tenant();
    s.permit_secret("settings");
    s.supply("Secret", "settings", "values.yaml", "message: one\n");
    s.declare("a", &sourced("1.0.0"));
    s.deployed("a", 1);
    s.marked("a", 1);
    s.forbid_secret("settings");
    s.touch(&operator, "a");
    s.ready("a");
    s.supply("Secret", "settings", "values.yaml", &format!("message: {SECRET}\n"));
    s.lacks("a", "Secret settings");
    s.declare("a", &sourced("1.1.0"));
    s.until("a", "looked at", |object| {
        object.status.as_ref().is_some_and(|status| Some(status.observed_generation) == object.metadata.generation)
    });
    s.lacks("a", "Secret settings");
    assert_eq!((s.story("a").as_str(), s.config("a", "message").as_str()), ("1 deployed", "one"));
    let object = s.until("a", "there", |_| true);
    let status = object.status.unwrap();
    assert!(status.quarantined.is_empty(), "it is no failure of the version");
    tells_no_secret(s, &operator);
    s.permit_secret("settings");
    s.deployed("a", 2);
    assert_eq!(s.config("a", "message"), SECRET);
}

fn login_that_the_account_may_not_get_is_not_used(s: &Scenario<'_>) {
    let operator = s.operate_with(&s.strict());
    s.tenant();
    s.repository.require_basic("reader", SECRET);
    let login = json!({ "username": "reader", "password": SECRET });
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "login" }, "stringData": login });
    s.land.cluster.apply_value(Some(&s.namespace), &secret).unwrap();
    let chart = |secret: Value| {
        let mut chart = json!({ "name": "web", "repository": s.repository.url() });
        chart.as_object_mut().unwrap().extend(secret.as_object().unwrap().clone());
        json!({ "chart": chart, "serviceAccountName": "tenant" })
    };
    // Somebody who may get it has the chart in the store by now.
    s.account("other");
    s.bind("other", "edits", "ClusterRole", "edit");
    let mut others = chart(json!({ "secretRef": { "name": "login" } }));
    others["serviceAccountName"] = json!("other");
    s.declare("other", &web("1.0.0", others));
    s.deployed("other", 1);
    s.declare("a", &web("1.0.0", chart(json!({ "secretRef": { "name": "login" } }))));
    s.lacks("a", "Secret login");
    s.declare("without", &web("1.0.0", chart(json!({}))));
    let message = s.refused("without", "ChartUnavailable");
    assert!(message.contains("401"), "what others have fetched is not had without a login: {message}");
    assert_eq!(s.story("a"), "");
    tells_no_secret(s, &operator);
    s.permit_secret("login");
    s.deployed("a", 1);
}

fn values_that_waited_are_not_handed_to_helm_without_the_right(s: &Scenario<'_>) {
    let operator = s.operate_with(&s.strict());
    s.tenant();
    s.permit_secret("settings");
    s.supply("Secret", "settings", "values.yaml", "message: one\n");
    s.declare("base", &web("1.0.0", json!({ "suspend": true, "serviceAccountName": "tenant" })));
    let mut spec = sourced("1.0.0");
    spec["dependsOn"] = json!([{ "name": "base", "readyWhen": "dep.spec.suspend == false" }]);
    s.declare("a", &spec);
    s.refused("a", "DependencyNotReady");
    // After a restart the digest of the values is remembered, and they are read anew for the run.
    operator.terminate().unwrap();
    s.forbid_secret("settings");
    let _operator = s.operate_with(&s.strict());
    s.declare("base", &web("9.0.0", json!({ "suspend": false, "serviceAccountName": "tenant" })));
    s.lacks("a", "Secret settings");
    assert_eq!(s.story("a"), "", "helm got nothing");
    s.permit_secret("settings");
    s.deployed("a", 1);
}

/// The web chart with the number of Secrets of kube-system that the chart can see, and what is in one.
fn spy(version: &str) -> Chart {
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-loot}\ndata:\n  \
        loot: {{ (lookup \"v1\" \"Secret\" \"kube-system\" .Values.secret) | toJson | b64enc | quote }}\n";
    chart(version).file("templates/loot.yaml", template)
}

fn chart_that_looks_up_secrets_sees_what_its_account_may_see(s: &Scenario<'_>) {
    s.repository.publish(&spy("3.0.0"));
    let operator = s.operate_with(&s.strict());
    let system = format!("loot-{}", s.namespace);
    let secret =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": system }, "stringData": { "k": SECRET } });
    s.land.cluster.apply_value(Some("kube-system"), &secret).unwrap();
    for (account, kind) in [("deployer", "edit"), ("insider", "cluster-admin")] {
        s.account(account);
        s.bind(account, account, "ClusterRole", kind);
    }
    let spec = |version: &str, account: &str, secret: &str| {
        let mut spec = web(version, json!({ "serviceAccountName": account }));
        spec["values"] = json!({ "secret": secret });
        spec
    };
    s.declare("upgraded", &spec("1.0.0", "deployer", ""));
    s.deployed("upgraded", 1);
    for secret in ["", system.as_str()] {
        s.declare("installed", &spec("3.0.0", "deployer", secret));
        s.declare("upgraded", &spec("3.0.0", "deployer", secret));
        for (name, reason) in [("installed", "InstallFailed"), ("upgraded", "UpgradeFailed")] {
            s.until(name, "forbidden, by this generation", |object| {
                condition(object, "Ready").is_some_and(|ready| {
                    ready.observed_generation == object.metadata.generation
                        && ready.reason == reason
                        && ready.message.contains("forbidden")
                })
            });
            assert_eq!(s.config(&format!("{name}-loot"), "loot"), "");
        }
    }
    assert_eq!((s.story("installed").as_str(), s.story("upgraded").as_str()), ("", "1 deployed"));
    tells_no_secret(s, &operator);
    // With the right the chart sees it, so it is the account that decides.
    s.grant("cluster-admin", "insider");
    s.declare("control", &spec("3.0.0", "insider", &system));
    s.deployed("control", 1);
    assert!(s.config("control-loot", "loot").len() > 100, "what it looked up is there");
    s.land.cluster.delete("kube-system", "v1", "Secret", &system).unwrap();
}

fn dependency_of_another_namespace_is_told_nothing_of(s: &Scenario<'_>) {
    let other = Scenario::new(s.land, format!("{}-other", s.namespace)).unwrap();
    let mut settings = s.strict();
    settings.namespaces.push(other.namespace.clone());
    let operator = s.operate_with(&settings);
    for scenario in [s, &other] {
        scenario.account("deployer");
        scenario.bind("deployer", "edits", "ClusterRole", "edit");
    }
    let spec = |version: &str, depends_on: Value| {
        web(version, json!({ "serviceAccountName": "deployer", "dependsOn": depends_on }))
    };
    other.declare("there", &spec("1.0.0", json!([])));
    other.deployed("there", 1);
    s.declare("a", &spec("1.0.0", json!([])));
    s.deployed("a", 1);
    let mut told = Vec::new();
    for name in ["there", "nowhere"] {
        s.declare("a", &spec("1.1.0", json!([{ "name": name, "namespace": other.namespace }])));
        s.until("a", "looked at", |object| {
            let closed = condition(object, "Ready").filter(|ready| ready.reason == "Refused");
            closed.is_some_and(|ready| ready.message.contains(&format!("{}/{name} ", other.namespace)))
        });
        told.push(s.refused("a", "Refused").replace(name, "NAME"));
    }
    assert_eq!(told[0], told[1], "what is there and what is not are told alike");
    assert!(told[0].contains("spec.dependsOn"), "{}", told[0]);
    s.touch(&operator, "a");
    assert_eq!(s.story("a"), "1 deployed", "what is deployed stays");
    s.declare("a", &spec("1.1.0", json!([])));
    s.deployed("a", 2);
}

fn record_that_names_objects_of_others_tells_nothing_of_them(s: &Scenario<'_>) {
    let other = Scenario::new(s.land, format!("{}-other", s.namespace)).unwrap();
    let with = |mut settings: Settings| {
        settings.namespaces.push(other.namespace.clone());
        settings
    };
    s.account("deployer");
    s.bind("deployer", "edits", "ClusterRole", "edit");
    // What a person with all rights has installed stands for a record that the tenant has written.
    let template = "apiVersion: apps/v1\nkind: Deployment\n\
        metadata: {name: theirs-{{ .Release.Name }}, namespace: {{ .Values.other }}}\n\
        spec:\n  replicas: 1\n  selector: {matchLabels: {app: theirs}}\n  template:\n    metadata:\n      \
        labels: {app: theirs}\n      annotations: {sandbox.test/outcome: never-ready}\n    \
        spec: {containers: [{name: one, image: none}]}\n";
    let wide = chart("4.0.0").file("templates/theirs.yaml", template);
    s.repository.publish(&wide);
    let archive = s.archive(&wide);
    let values = json!({ "other": other.namespace });
    let take_over = |name: &str| {
        s.helm(&["install", name, &archive, "--set", &format!("other={}", other.namespace)]);
        let spec = json!({ "serviceAccountName": "deployer", "adopt": "Release", "values": values, "timeout": "15s" });
        s.declare(name, &web("4.0.0", spec));
    };
    let operator = s.operate_with(&with(s.settings()));
    take_over("control");
    s.until("control", "told of the other", |object| {
        condition(object, "Ready").is_some_and(|ready| ready.message.contains("theirs-control"))
    });
    operator.terminate().unwrap();
    let _operator = s.operate_with(&with(s.strict()));
    take_over("a");
    let status = s.deployed("a", 1).status.unwrap();
    let told = serde_json::to_string(&status).unwrap();
    assert!(!told.contains("theirs"), "{told}");
    assert!(status.inventory.as_ref().is_some_and(|inventory| inventory.objects.len() > 1), "its own are judged");
}

fn name_in_a_foreign_namespace_is_not_kept_by_who_was_first(s: &Scenario<'_>) {
    let squatter = Scenario::new(s.land, format!("{}-squatter", s.namespace)).unwrap();
    let mut settings = s.strict();
    settings.namespaces.push(squatter.namespace.clone());
    let _operator = s.operate_with(&settings);
    for scenario in [s, &squatter] {
        scenario.account("deployer");
        scenario.bind("deployer", "edits", "ClusterRole", "edit");
    }
    let spec = |further: Value| {
        let mut spec = web("1.0.0", json!({ "serviceAccountName": "deployer", "releaseName": "a" }));
        spec.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        spec
    };
    squatter.declare("first", &spec(json!({ "targetNamespace": s.namespace })));
    let message = squatter.refused("first", "InstallFailed");
    assert!(message.contains("forbidden"), "{message}");
    s.declare("a", &spec(json!({})));
    assert!(is_ready(&s.deployed("a", 1)));
    squatter.delete("first");
    squatter.gone("first");
    assert_eq!(s.story("a"), "1 deployed");
}

fn range_tells_no_version_of_a_release_that_the_account_may_not_read(s: &Scenario<'_>) {
    let other = Scenario::new(s.land, format!("{}-other", s.namespace)).unwrap();
    let mut settings = s.strict();
    settings.namespaces.push(other.namespace.clone());
    let operator = s.operate_with(&settings);
    other.helm(&["install", "theirs", &s.archive(&chart("3.2.1"))]);
    s.account("deployer");
    s.bind("deployer", "edits", "ClusterRole", "edit");
    let names = json!({ "releaseName": "theirs", "targetNamespace": other.namespace, "adopt": "Release" });
    let mut spec = web("*", json!({ "serviceAccountName": "deployer" }));
    spec.as_object_mut().unwrap().extend(names.as_object().unwrap().clone());
    s.declare("a", &spec);
    let message = s.refused("a", "Refused");
    let remedy = format!("let service account deployer get Secrets in namespace {}", other.namespace);
    assert!(message.contains(&remedy), "{message}");
    s.touch(&operator, "a");
    let told = serde_json::to_string(&s.until("a", "there", |_| true).status).unwrap();
    assert!(!told.contains("3.2.1") && !operator.log().contains("3.2.1"), "{told}");
    assert_eq!(other.story("theirs"), "1 deployed");
    // With the right it is told, so it is the account that decides.
    let rule = json!([{ "apiGroups": [""], "verbs": ["get"], "resources": ["secrets"] }]);
    s.permit_in(&other.namespace, "deployer", "reads", &rule);
    s.annotate("a", "helmrelease.dev/reconcile");
    let message = s.refused("a", "ChartUnavailable");
    assert!(message.contains("3.2.1 is deployed"), "{message}");
}
