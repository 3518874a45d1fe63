//! The environment of helm, built from empty: nothing of the operator's own gets through.

use std::{ffi::OsString, path::Path};

use super::workspace::Workspace;

/// Requests a second and at once, per process. helm's own limit (5 after the first 100) slows charts of more than some
/// 25 objects; the API server's priority levels are the limit that protects it.
const QPS: &str = "50";
const BURST_LIMIT: &str = "300";
/// One thread of Go for work that is mostly waiting: a fifth less CPU per run, measured.
const GO_THREADS: &str = "1";
/// Collect after the heap has grown fivefold: again a fifth less CPU, for some 20 MB.
const GO_COLLECTION: &str = "400";
/// With it a huge chart still collects early, instead of growing fivefold from what it needs.
const GO_MEMORY_LIMIT: &str = "192MiB";

/// Every name that helm gets to see, with its value.
pub(super) fn environment(workspace: &Workspace, discovery_cache: &Path) -> Vec<(&'static str, OsString)> {
    vec![
        ("HOME", workspace.home().into()),
        // helm needs no other program; credential helpers and plugins are not to be found by accident.
        ("PATH", workspace.empty().into()),
        ("TMPDIR", workspace.tmp().into()),
        ("TZ", "UTC".into()),
        ("NO_COLOR", "1".into()),
        ("XDG_CACHE_HOME", workspace.cache().into()),
        ("XDG_CONFIG_HOME", workspace.config().into()),
        ("XDG_DATA_HOME", workspace.data().into()),
        ("HELM_CACHE_HOME", workspace.cache().into()),
        ("HELM_CONFIG_HOME", workspace.config().into()),
        ("HELM_DATA_HOME", workspace.data().into()),
        // HELM_NO_PLUGINS covers commands only; downloaders are looked for in this directory all the same.
        ("HELM_PLUGINS", workspace.empty().into()),
        ("HELM_NO_PLUGINS", "1".into()),
        ("HELM_DRIVER", "secret".into()),
        ("HELM_QPS", QPS.into()),
        ("HELM_BURST_LIMIT", BURST_LIMIT.into()),
        ("DOCKER_CONFIG", workspace.empty().into()),
        ("KUBECONFIG", workspace.kubeconfig().into()),
        // Shared and writable: without it each run downloads discovery and schemas anew, some 6 MB.
        ("KUBECACHEDIR", discovery_cache.into()),
        ("GOMAXPROCS", GO_THREADS.into()),
        ("GOGC", GO_COLLECTION.into()),
        ("GOMEMLIMIT", GO_MEMORY_LIMIT.into()),
    ]
}
