//! Pods alone, and what is told about them.

use super::*;

fn pod(phase: &str, ready: &str, containers: &Value) -> Value {
    let conditions = json!([{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready}]);
    let status = json!({"phase": phase, "conditions": conditions, "containerStatuses": containers});
    object("v1", "Pod", &json!({"nodeName": "node", "restartPolicy": "Always"}), &status)
}

fn container(state: &Value, restarts: i64, last: &Value) -> Value {
    json!([{"name": "web", "image": "nginx:1", "ready": false, "started": true, "restartCount": restarts,
            "state": state, "lastState": last}])
}

fn waiting(reason: &str, message: &str) -> Value {
    pod("Pending", "False", &container(&json!({"waiting": {"reason": reason, "message": message}}), 0, &json!({})))
}

fn with(mut pod: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = pod.pointer_mut(parent).expect("a parent");
    match parent.as_array_mut() {
        Some(list) => list[key.parse::<usize>().expect("an index")] = value,
        None => parent[key] = value,
    }
    pod
}

#[test]
fn pods_alone() {
    let crash = json!({"terminated": {"exitCode": 3, "reason": "Error", "message": "password=hunter2"}});
    let back_off = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}});
    let failed = |code: i64, reason: &str| {
        pod("Failed", "False", &container(&json!({"terminated": {"exitCode": code, "reason": reason}}), 0, &json!({})))
    };
    check(&[
        ("ready", pod("Running", "True", &json!([])), "healthy"),
        ("succeeded", pod("Succeeded", "False", &json!([])), "healthy"),
        (
            "crash loop",
            pod("Running", "False", &container(&back_off, 4, &crash)),
            "progressing (own): container web exited with code 3, 4 restarts",
        ),
        (
            "between crashes",
            pod("Running", "False", &container(&json!({"running": {}}), 1, &crash)),
            "progressing (own): container web exited with code 3, 1 restart",
        ),
        ("failed", failed(2, "Error"), "failed (own): container web exited with code 2"),
        ("out of memory", failed(137, "OOMKilled"), "failed (own): container web ran out of memory (OOMKilled)"),
        ("failed without words", pod("Failed", "False", &json!(null)), "failed (own): failed"),
        (
            "evicted",
            with(
                with(failed(137, "Error"), "/status/reason", json!("Evicted")),
                "/status/message",
                json!("The node was low on resource: memory."),
            ),
            "failed (outside): taken down by its node (Evicted): The node was low on resource: memory",
        ),
        (
            "evicted for its own limit",
            with(
                with(failed(137, "Error"), "/status/reason", json!("Evicted")),
                "/status/message",
                json!("Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."),
            ),
            "failed (own): taken down by its node (Evicted): Pod ephemeral local storage usage exceeds the total limit of containers 1Gi",
        ),
        ("no status", object("v1", "Pod", &json!({}), &json!(null)), "progressing (own): is not ready"),
        (
            "going",
            with(pod("Running", "True", &json!([])), "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
            "progressing (own): is being deleted",
        ),
    ]);
    assert!(judge(&pod("Succeeded", "False", &json!([]))).finished);
    assert!(!judge(&failed(2, "Error")).finished);
    assert!(!judge(&pod("Running", "True", &json!([]))).finished);
}

/// Each with the fault and the words.
fn check_trouble(cases: &[(&str, Value, &str)]) {
    let mut wrong = String::new();
    for (name, pod, expected) in cases {
        let got = pod_trouble(pod).map_or("none".to_owned(), |it| format!("{:?}: {}", it.fault, it.text));
        if got != *expected {
            let _ = writeln!(wrong, "{name}\n  expected: {expected}\n  got:      {got}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn images_that_can_not_be_pulled() {
    let not_found = "failed to pull and unpack image \"docker.io/library/nginx:1\": failed to resolve reference \"docker.io/library/nginx:1\": docker.io/library/nginx:1: not found";
    let own = format!("Own: container web: image nginx:1 can not be pulled: {not_found}");
    check_trouble(&[
        ("first try", waiting("ErrImagePull", &format!("rpc error: code = NotFound desc = {not_found}")), &own),
        (
            "back-off",
            waiting(
                "ImagePullBackOff",
                &format!(
                    "Back-off pulling image \"nginx:1\": ErrImagePull: rpc error: code = NotFound desc = {not_found}"
                ),
            ),
            &own,
        ),
        (
            "back-off of old kubelets",
            waiting("ImagePullBackOff", "Back-off pulling image \"nginx:1\""),
            "Outside: container web: image nginx:1 can not be pulled",
        ),
        (
            "manifest",
            waiting("ErrImagePull", "manifest unknown: manifest unknown"),
            "Own: container web: image nginx:1 can not be pulled: manifest unknown: manifest unknown",
        ),
        (
            "invalid name",
            waiting("InvalidImageName", "couldn't parse image name"),
            "Own: container web: image nginx:1 can not be pulled: couldn't parse image name",
        ),
        ("never", waiting("ErrImageNeverPull", ""), "Own: container web: image nginx:1 can not be pulled"),
        (
            "hidden",
            waiting("ErrImagePull", "pull access denied, repository does not exist or may require authorization"),
            "Outside: container web: image nginx:1 can not be pulled: pull access denied, repository does not exist or may require authorization",
        ),
        (
            "unauthorized",
            waiting("ErrImagePull", "401 Unauthorized"),
            "Outside: container web: image nginx:1 can not be pulled: 401 Unauthorized",
        ),
        (
            "rate",
            waiting("ErrImagePull", "toomanyrequests: You have reached your pull rate limit"),
            "Outside: container web: image nginx:1 can not be pulled: toomanyrequests: You have reached your pull rate limit",
        ),
        (
            "no registry",
            waiting("ErrImagePull", "dial tcp: lookup registry.example: no such host"),
            "Outside: container web: image nginx:1 can not be pulled: dial tcp: lookup registry.example: no such host",
        ),
    ]);
}

#[test]
fn containers_in_trouble() {
    let running = |started: bool| {
        let mut state = container(&json!({"running": {}}), 0, &json!({}));
        state[0]["started"] = json!(started);
        pod("Running", "False", &state)
    };
    let init = |state: Value, restarts: i64| {
        let status = json!([{"name": "done", "ready": true, "state": {"terminated": {"exitCode": 0}}},
                            {"name": "migrate", "restartCount": restarts, "state": state}]);
        with(waiting("PodInitializing", ""), "/status/initContainerStatuses", status)
    };
    let sidecar = json!([{"name": "proxy", "started": true, "ready": false, "state": {"running": {}}}]);
    let start_error = json!({"terminated": {"exitCode": 128, "reason": "StartError", "message": "exec: \"serve\": executable file not found in $PATH"}});
    check_trouble(&[
        (
            "config map",
            waiting("CreateContainerConfigError", "configmap \"settings\" not found"),
            "Own: container web can not be created (CreateContainerConfigError): configmap \"settings\" not found",
        ),
        (
            "slow kubelet",
            waiting("CreateContainerError", "context deadline exceeded"),
            "Outside: container web can not be created (CreateContainerError): context deadline exceeded",
        ),
        ("creating", waiting("ContainerCreating", ""), "Own: container web is being created"),
        (
            "start error",
            pod("Running", "False", &container(&json!({"waiting": {"reason": "CrashLoopBackOff"}}), 2, &start_error)),
            "Own: container web could not start: executable file not found, 2 restarts",
        ),
        (
            "ends well but should not",
            pod(
                "Running",
                "False",
                &container(
                    &json!({"waiting": {"reason": "CrashLoopBackOff"}}),
                    2,
                    &json!({"terminated": {"exitCode": 0, "reason": "Completed"}}),
                ),
            ),
            "Own: container web exited with code 0, 2 restarts",
        ),
        ("crash loop without more", waiting("CrashLoopBackOff", ""), "Own: container web is in a crash loop"),
        ("not ready", running(true), "Own: container web is running but not ready"),
        ("not started", running(false), "Own: container web is running but has not passed its start-up probe"),
        (
            "lost",
            pod(
                "Failed",
                "False",
                &container(
                    &json!({"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}),
                    0,
                    &json!({}),
                ),
            ),
            "Outside: container web was lost by its node",
        ),
        ("init running", init(json!({"running": {}}), 0), "Own: init container migrate has not finished"),
        (
            "init failed",
            init(json!({"terminated": {"exitCode": 1}}), 3),
            "Own: init container migrate exited with code 1, 3 restarts",
        ),
        (
            "sidecar",
            with(running(true), "/status/initContainerStatuses", sidecar),
            "Own: container web is running but not ready",
        ),
    ]);
}

#[test]
fn the_worst_container_is_told() {
    let two = json!([
        {"name": "slow", "started": true, "state": {"running": {}}},
        {"name": "bad", "restartCount": 2, "state": {"terminated": {"exitCode": 9}}},
        {"name": "other", "restartCount": 2, "state": {"terminated": {"exitCode": 8}}},
    ]);
    check_trouble(&[("two", pod("Running", "False", &two), "Own: container bad exited with code 9, 2 restarts")]);
}

#[test]
fn pods_without_a_place_or_a_node() {
    let pending = |reason: &str, message: &str| {
        let conditions = json!([{"type": "PodScheduled", "status": "False", "reason": reason, "message": message}]);
        object("v1", "Pod", &json!({}), &json!({"phase": "Pending", "conditions": conditions}))
    };
    let taken_away = with(
        pod("Running", "False", &json!([{"name": "web", "ready": true, "state": {"running": {}}}])),
        "/status/conditions/0",
        json!({"type": "ContainersReady", "status": "True"}),
    );
    let gated = with(taken_away.clone(), "/spec/readinessGates", json!([{"conditionType": "example.com/lb"}]));
    let disrupted = json!([{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager", "message": "Taint manager: deleting due to NoExecute taint"}]);
    let going = with(pod("Running", "False", &json!([])), "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"));
    check_trouble(&[
        (
            "unschedulable",
            pending("Unschedulable", "0/3 nodes are available: 3 Insufficient cpu."),
            "Outside: can not be scheduled: 0/3 nodes are available: 3 Insufficient cpu",
        ),
        ("gated", pending("SchedulingGated", "x"), "Outside: waits for its scheduling gates"),
        (
            "no scheduler",
            object("v1", "Pod", &json!({}), &json!({"phase": "Pending"})),
            "Outside: is not scheduled yet",
        ),
        ("node not ready", taken_away, "Outside: its node is not ready"),
        ("readiness gate", gated, "Own: has not passed its readiness gate example.com/lb"),
        (
            "taken",
            with(going.clone(), "/status/conditions", disrupted),
            "Outside: is being taken from its node: Taint manager: deleting due to NoExecute taint",
        ),
        ("going", going, "none"),
        ("ready", pod("Running", "True", &json!([])), "none"),
        ("succeeded", pod("Succeeded", "False", &json!([])), "none"),
        ("rubbish", json!([1, 2]), "none"),
    ]);
}

#[test]
fn texts_are_cut() {
    let text = pod_trouble(&waiting("CreateContainerConfigError", &"ü\n".repeat(1000))).expect("trouble").text;
    assert!(text.len() <= 300 && text.ends_with('…') && !text.contains('\n'), "{text}");
}

#[test]
fn facts_are_folded_from_a_pod() {
    let mut it = waiting("CrashLoopBackOff", "");
    it["metadata"] = json!({
        "name": "web-7d9f-x", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:10Z",
        "labels": {"app": "web", "pod-template-hash": "7d9f"},
        "ownerReferences": [{"kind": "Other", "name": "o"}, {"kind": "ReplicaSet", "name": "web-7d9f", "controller": true}],
    });
    let facts = PodFacts::of(&it).expect("a pod");
    assert_eq!(
        (&*facts.namespace, &*facts.name, facts.ready, facts.created),
        ("ns", "web-7d9f-x", false, 1_767_225_610)
    );
    assert_eq!(facts.revision(), Some("7d9f"));
    assert_eq!(facts.owner.map(|owner| owner.name), Some("web-7d9f".into()));
    assert!(facts.trouble.is_some());
    assert_eq!(PodFacts::of(&json!({"metadata": {}})), None);
    assert!(PodFacts::of(&pod("Running", "True", &json!([]))).expect("a pod").ready);
}
