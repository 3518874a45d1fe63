//! A table per kind.

use super::*;

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!([{"type": kind, "status": status, "reason": reason, "message": message}])
}

#[test]
fn deployments() {
    let of = |spec: Value, mut status: Value| {
        status.as_object_mut().expect("a map").entry("observedGeneration").or_insert(json!(3));
        object("apps/v1", "Deployment", &spec, &status)
    };
    let two = json!({"replicas": 2, "progressDeadlineSeconds": 60});
    let stuck = json!([
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"},
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
         "message": "pods \"web-1\" is forbidden: exceeded quota: small"},
    ]);
    let refused = |message: &str| condition("ReplicaFailure", "True", "FailedCreate", message);
    check(&[
        (
            "no status",
            object("apps/v1", "Deployment", &two, &json!(null)),
            "progressing (own): its controller has not seen generation 3 yet",
        ),
        (
            "behind",
            of(two.clone(), json!({"observedGeneration": 2})),
            "progressing (own): its controller has not seen generation 3 yet",
        ),
        ("complete", of(two.clone(), json!({"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2})), "healthy"),
        ("none wanted", of(json!({"replicas": 0}), json!({})), "healthy"),
        ("default of one", of(json!({}), json!({})), "progressing (own): 0 of 1 replicas are updated"),
        (
            "updating",
            of(two.clone(), json!({"replicas": 2, "updatedReplicas": 1})),
            "progressing (own): 1 of 2 replicas are updated",
        ),
        (
            "old left",
            of(two.clone(), json!({"replicas": 3, "updatedReplicas": 2, "availableReplicas": 3})),
            "progressing (own): 1 old replica is still there",
        ),
        (
            "olds left",
            of(two.clone(), json!({"replicas": 4, "updatedReplicas": 2})),
            "progressing (own): 2 old replicas are still there",
        ),
        (
            "not available",
            of(two.clone(), json!({"replicas": 2, "updatedReplicas": 2, "availableReplicas": 1})),
            "progressing (own): 1 of 2 replicas are available",
        ),
        ("paused", of(json!({"replicas": 2, "paused": true}), json!({})), "healthy"),
        (
            "deadline",
            of(
                two.clone(),
                json!({"updatedReplicas": 2, "availableReplicas": 1, "conditions": condition("Progressing", "False", "ProgressDeadlineExceeded", "x")}),
            ),
            "failed (own): made no progress for 60 s, 1 of 2 replicas are available",
        ),
        (
            "deadline for lack of quota",
            of(two.clone(), json!({"conditions": stuck})),
            "failed (outside): made no progress for 60 s, 0 of 2 replicas are available; pods can not be created: pods \"web-1\" is forbidden: exceeded quota: small",
        ),
        (
            "quota",
            of(two.clone(), json!({"conditions": refused("exceeded quota: small")})),
            "progressing (outside): pods can not be created: exceeded quota: small",
        ),
        (
            "webhook down",
            of(two.clone(), json!({"conditions": refused("failed calling webhook \"w\"")})),
            "progressing (outside): pods can not be created: failed calling webhook \"w\"",
        ),
        (
            "policy",
            of(
                two.clone(),
                json!({"conditions": refused("pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\"")}),
            ),
            "progressing (own): pods can not be created: pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\"",
        ),
        (
            "refusal over",
            of(
                two.clone(),
                json!({"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "conditions": condition("ReplicaFailure", "False", "", "")}),
            ),
            "healthy",
        ),
    ]);
    let mut leaving = of(two, json!({"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}));
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    check(&[("terminating", leaving, "progressing (own): is being deleted")]);
}

#[test]
fn stateful_sets() {
    let of = |spec: Value, mut status: Value| {
        status.as_object_mut().expect("a map").entry("observedGeneration").or_insert(json!(3));
        object("apps/v1", "StatefulSet", &spec, &status)
    };
    let three = json!({"replicas": 3});
    let on_delete = json!({"replicas": 3, "updateStrategy": {"type": "OnDelete"}});
    let partition =
        json!({"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}});
    check(&[
        (
            "no status",
            object("apps/v1", "StatefulSet", &three, &json!({})),
            "progressing (own): its controller has not seen generation 3 yet",
        ),
        (
            "complete",
            of(
                three.clone(),
                json!({"replicas": 3, "readyReplicas": 3, "updatedReplicas": 3, "currentRevision": "a", "updateRevision": "a"}),
            ),
            "healthy",
        ),
        (
            "not ready",
            of(
                three.clone(),
                json!({"replicas": 2, "readyReplicas": 1, "currentRevision": "a", "updateRevision": "a"}),
            ),
            "progressing (own): 1 of 3 replicas are ready",
        ),
        (
            "not available",
            of(three.clone(), json!({"replicas": 3, "readyReplicas": 3, "availableReplicas": 2})),
            "progressing (own): 2 of 3 replicas are available",
        ),
        (
            "updating",
            of(
                three.clone(),
                json!({"replicas": 3, "readyReplicas": 3, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}),
            ),
            "progressing (own): 1 of 3 replicas are updated",
        ),
        (
            "update not closed",
            of(
                three.clone(),
                json!({"replicas": 3, "readyReplicas": 3, "updatedReplicas": 3, "currentRevision": "a", "updateRevision": "b"}),
            ),
            "progressing (own): its update is not closed yet",
        ),
        (
            "surplus",
            of(three.clone(), json!({"replicas": 4, "readyReplicas": 4})),
            "progressing (own): 1 surplus replica is still there",
        ),
        (
            "partition begun",
            of(
                partition.clone(),
                json!({"replicas": 3, "readyReplicas": 3, "updatedReplicas": 0, "currentRevision": "a", "updateRevision": "b"}),
            ),
            "progressing (own): 0 of 1 replicas are updated",
        ),
        (
            "partition done",
            of(
                partition.clone(),
                json!({"replicas": 3, "readyReplicas": 3, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}),
            ),
            "healthy",
        ),
        (
            "partition not ready",
            of(
                partition,
                json!({"replicas": 3, "readyReplicas": 2, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}),
            ),
            "progressing (own): 2 of 3 replicas are ready",
        ),
        (
            "on delete",
            of(
                on_delete.clone(),
                json!({"replicas": 3, "readyReplicas": 3, "updatedReplicas": 0, "currentRevision": "a", "updateRevision": "b"}),
            ),
            "healthy",
        ),
        (
            "on delete, not ready",
            of(on_delete, json!({"replicas": 3, "readyReplicas": 2})),
            "progressing (own): 2 of 3 replicas are ready",
        ),
        ("none wanted", of(json!({"replicas": 0}), json!({"currentRevision": "a", "updateRevision": "a"})), "healthy"),
    ]);
}

#[test]
fn daemon_sets() {
    let of = |spec: &Value, desired: i64, updated: i64, available: i64| {
        let status = json!({"observedGeneration": 3, "desiredNumberScheduled": desired, "updatedNumberScheduled": updated, "numberAvailable": available});
        object("apps/v1", "DaemonSet", spec, &status)
    };
    let rolling = json!({"updateStrategy": {"type": "RollingUpdate"}});
    let on_delete = json!({"updateStrategy": {"type": "OnDelete"}});
    check(&[
        (
            "no status",
            object("apps/v1", "DaemonSet", &rolling, &json!({})),
            "progressing (own): its controller has not seen generation 3 yet",
        ),
        ("complete", of(&rolling, 2, 2, 2), "healthy"),
        ("no node", of(&rolling, 0, 0, 0), "healthy"),
        ("updating", of(&rolling, 2, 1, 2), "progressing (own): 1 of 2 pods are updated"),
        ("not available", of(&rolling, 2, 2, 0), "progressing (own): 0 of 2 pods are available"),
        ("on delete", of(&on_delete, 2, 0, 2), "healthy"),
        ("on delete, not available", of(&on_delete, 2, 0, 1), "progressing (own): 1 of 2 pods are available"),
    ]);
}

#[test]
fn replica_sets_and_replication_controllers() {
    for (api_version, kind) in [("apps/v1", "ReplicaSet"), ("v1", "ReplicationController")] {
        let of = |status: Value| object(api_version, kind, &json!({"replicas": 2}), &status);
        check(&[
            ("no status", of(json!({})), "progressing (own): its controller has not seen generation 3 yet"),
            ("complete", of(json!({"observedGeneration": 3, "replicas": 2, "availableReplicas": 2})), "healthy"),
            (
                "not available",
                of(json!({"observedGeneration": 3, "replicas": 2, "availableReplicas": 1})),
                "progressing (own): 1 of 2 replicas are available",
            ),
            (
                "surplus",
                of(json!({"observedGeneration": 3, "replicas": 4, "availableReplicas": 4})),
                "progressing (own): 2 surplus replicas are still there",
            ),
            (
                "quota",
                of(
                    json!({"observedGeneration": 3, "conditions": condition("ReplicaFailure", "True", "FailedCreate", "exceeded quota: q")}),
                ),
                "progressing (outside): pods can not be created: exceeded quota: q",
            ),
        ]);
    }
}

#[test]
fn jobs_and_cron_jobs() {
    let of = |spec: Value, status: Value| object("batch/v1", "Job", &spec, &status);
    let three = json!({"completions": 3});
    let complete = of(three.clone(), json!({"conditions": condition("Complete", "True", "", "")}));
    let failed = of(
        three.clone(),
        json!({"conditions": condition("Failed", "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit")}),
    );
    let leaving = |mut job: Value| {
        job["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        job
    };
    let words = "failed (own): failed with BackoffLimitExceeded: Job has reached the specified backoff limit";
    check(&[
        ("new", of(three.clone(), json!({})), "progressing (own): 0 of 3 pods succeeded"),
        ("one", of(json!({"completions": 1}), json!({"active": 1})), "progressing (own): 0 of 1 pod succeeded"),
        (
            "some",
            of(three.clone(), json!({"succeeded": 1, "failed": 2})),
            "progressing (own): 1 of 3 pods succeeded, 2 failed",
        ),
        ("work queue", of(json!({}), json!({})), "progressing (own): is not complete"),
        ("suspended", of(json!({"suspend": true}), json!({})), "healthy"),
        ("complete", complete.clone(), "healthy"),
        ("complete and going", leaving(complete.clone()), "healthy"),
        ("failed", failed.clone(), words),
        ("failed and going", leaving(failed.clone()), words),
        (
            "failed without words",
            of(three.clone(), json!({"conditions": condition("Failed", "True", "", "")})),
            "failed (own): failed",
        ),
        ("going", leaving(of(three, json!({}))), "progressing (own): is being deleted"),
        ("cron job", object("batch/v1", "CronJob", &json!({"suspend": true}), &json!({})), "healthy"),
    ]);
    assert!(judge(&complete).finished);
    assert!(judge(&leaving(complete)).finished);
    assert!(!judge(&failed).finished, "whoever deletes it wants it made again");
    let passing = |status: Value| judge(&of(json!({"ttlSecondsAfterFinished": 0}), status)).finished;
    assert!(passing(failed["status"].clone()), "its time to live takes it away");
    assert!(!passing(json!({"failed": 1})));
}

#[test]
fn claims_services_and_namespaces() {
    let claim = |spec: Value, phase: &str| object("v1", "PersistentVolumeClaim", &spec, &json!({"phase": phase}));
    let service = |spec: Value, status: Value| object("v1", "Service", &spec, &status);
    check(&[
        ("bound", claim(json!({}), "Bound"), "healthy"),
        ("lost", claim(json!({}), "Lost"), "failed (outside): has lost its volume"),
        (
            "pending",
            claim(json!({"storageClassName": "fast"}), "Pending"),
            "progressing (outside): is not bound to a volume of class fast",
        ),
        ("no class", claim(json!({}), ""), "progressing (outside): is not bound to a volume"),
        ("cluster address", service(json!({"type": "ClusterIP"}), json!({})), "healthy"),
        ("external name", service(json!({"type": "ExternalName"}), json!({})), "healthy"),
        ("node port", service(json!({"type": "NodePort"}), json!({})), "healthy"),
        (
            "load balancer",
            service(json!({"type": "LoadBalancer"}), json!({"loadBalancer": {}})),
            "progressing (outside): has no address from a load balancer",
        ),
        (
            "with address",
            service(json!({"type": "LoadBalancer"}), json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}})),
            "healthy",
        ),
        (
            "external address",
            service(json!({"type": "LoadBalancer", "externalIPs": ["192.0.2.1"]}), json!({})),
            "healthy",
        ),
        ("active", object("v1", "Namespace", &json!({}), &json!({"phase": "Active"})), "healthy"),
        (
            "namespace going",
            object("v1", "Namespace", &json!({}), &json!({"phase": "Terminating"})),
            "progressing (own): is not active: Terminating",
        ),
        ("namespace new", object("v1", "Namespace", &json!({}), &json!({})), "progressing (own): is not active"),
    ]);
}

#[test]
fn definitions_and_served_apis() {
    let crd = |conditions: Value| {
        object("apiextensions.k8s.io/v1", "CustomResourceDefinition", &json!({}), &json!({"conditions": conditions}))
    };
    let api = |conditions: Value| {
        object("apiregistration.k8s.io/v1", "APIService", &json!({}), &json!({"conditions": conditions}))
    };
    check(&[
        ("established", crd(condition("Established", "True", "", "")), "healthy"),
        (
            "installing",
            crd(condition("Established", "False", "Installing", "the initial names have been accepted")),
            "progressing (own): is not established: the initial names have been accepted",
        ),
        ("new", crd(json!(null)), "progressing (own): is not established"),
        (
            "names taken",
            crd(condition("NamesAccepted", "False", "PluralConflict", "\"things\" is already in use")),
            "failed (own): its names are not accepted: \"things\" is already in use",
        ),
        ("available", api(condition("Available", "True", "Passed", "")), "healthy"),
        (
            "not available",
            api(condition("Available", "False", "MissingEndpoints", "no endpoints for service")),
            "progressing (own): is not available: no endpoints for service",
        ),
        ("not asked yet", api(json!([])), "progressing (own): is not available"),
    ]);
}

#[test]
fn anything_with_conditions() {
    let of = |status: Value| object("example.com/v1", "Thing", &json!({}), &status);
    let with = |conditions: Value| of(json!({"conditions": conditions}));
    let all = json!([
        {"type": "Ready", "status": "True"},
        {"type": "Stalled", "status": "True", "reason": "Broken"},
        {"type": "Reconciling", "status": "True", "reason": "Working"},
    ]);
    check(&[
        ("no status", of(json!(null)), "healthy"),
        ("no conditions", of(json!({"observedGeneration": 3})), "healthy"),
        (
            "default of -1",
            of(json!({"observedGeneration": -1})),
            "progressing (own): its controller has not seen generation 3 yet",
        ),
        (
            "behind",
            of(json!({"observedGeneration": 2, "conditions": condition("Ready", "True", "", "")})),
            "progressing (own): its controller has not seen generation 3 yet",
        ),
        ("ready", with(condition("Ready", "True", "Ok", "fine")), "healthy"),
        (
            "not ready",
            with(condition("Ready", "False", "Bad", "no database.\nCall somebody.")),
            "progressing (own): is not ready: no database. Call somebody",
        ),
        ("reason only", with(condition("Ready", "False", "Bad", "")), "progressing (own): is not ready: Bad"),
        ("no words", with(condition("Ready", "False", "", "")), "progressing (own): is not ready"),
        (
            "unknown",
            with(condition("Ready", "Unknown", "Checking", "")),
            "progressing (own): is not known to be ready: Checking",
        ),
        ("stalled", with(condition("Stalled", "True", "Bad", "wrong spec")), "failed (own): is stalled: wrong spec"),
        ("not stalled", with(condition("Stalled", "False", "", "")), "healthy"),
        ("reconciling first", with(all), "progressing (own): is being reconciled: Working"),
        (
            "ready of an older generation",
            with(json!([{"type": "Ready", "status": "True", "observedGeneration": 2}])),
            "progressing (own): its controller has not seen generation 3 yet",
        ),
        (
            "stalled of an older generation",
            with(json!([{"type": "Stalled", "status": "True", "observedGeneration": 2}])),
            "healthy",
        ),
        ("same kind, other group", object("example.com/v1", "Job", &json!({}), &json!({})), "healthy"),
    ]);
}

#[test]
fn kinds_without_health() {
    for (api_version, kind) in [
        ("v1", "ConfigMap"),
        ("v1", "Secret"),
        ("v1", "ServiceAccount"),
        ("rbac.authorization.k8s.io/v1", "Role"),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
        ("networking.k8s.io/v1", "Ingress"),
        ("policy/v1", "PodDisruptionBudget"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("batch/v1", "CronJob"),
    ] {
        assert!(!has_health(api_version, kind), "{api_version} {kind}");
        let mut it = object(
            api_version,
            kind,
            &json!({}),
            &json!({"observedGeneration": 1, "conditions": condition("Ready", "False", "", "")}),
        );
        check(&[(kind, it.clone(), "healthy")]);
        it["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        check(&[(kind, it, "progressing (own): is being deleted")]);
    }
    for (api_version, kind) in [
        ("apps/v1", "Deployment"),
        ("v1", "Pod"),
        ("v1", "Service"),
        ("example.com/v1", "ConfigMap"),
        ("gateway.networking.k8s.io/v1", "Gateway"),
        ("", ""),
    ] {
        assert!(has_health(api_version, kind), "{api_version} {kind}");
    }
}

#[test]
fn workloads_have_a_selector() {
    let spec = json!({"selector": {"matchLabels": {"app": "web"}}});
    for (api_version, kind, expected) in [
        ("apps/v1", "Deployment", true),
        ("apps/v1", "StatefulSet", true),
        ("apps/v1", "DaemonSet", true),
        ("apps/v1", "ReplicaSet", true),
        ("batch/v1", "Job", true),
        ("policy/v1", "PodDisruptionBudget", false),
        ("v1", "Service", false),
    ] {
        let selector = judge(&object(api_version, kind, &spec, &json!({}))).selector;
        assert_eq!(selector.is_some(), expected, "{kind}");
    }
}

#[test]
fn hooks_end_when_their_job_or_pod_does() {
    let job = |status: Value| object("batch/v1", "Job", &json!({}), &status);
    let pod = |phase: &str| object("v1", "Pod", &json!({}), &json!({ "phase": phase }));
    let cases = [
        (job(json!({ "active": 1 })), false),
        (job(json!({ "conditions": condition("Complete", "True", "", "") })), true),
        (job(json!({ "conditions": condition("Failed", "True", "", "") })), true),
        (job(json!({ "conditions": condition("Complete", "False", "", "") })), false),
        (pod("Pending"), false),
        (pod("Running"), false),
        (pod("Succeeded"), true),
        (pod("Failed"), true),
        (object("v1", "ConfigMap", &json!({}), &json!({ "phase": "Succeeded" })), false),
    ];
    for (object, ended) in cases {
        assert_eq!(has_ended(&object), ended, "{object}");
    }
}
