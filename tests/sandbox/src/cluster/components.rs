//! The command lines of the components.
//!
//! All of them run in the private folder and name files relative to it. etcd listens on sockets in it, so that the
//! one port of a sandbox is the API server's and nobody else on the machine reaches its data.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Components;
use crate::life::Process;
use crate::tools::Tool;

pub(super) fn tools(components: Components) -> &'static [Tool] {
    match components {
        Components::All => &Tool::CLUSTER,
        Components::Api => &Tool::CLUSTER[..2],
        Components::Etcd => &Tool::CLUSTER[..1],
    }
}

pub(super) fn process(tool: Tool, tools: &BTreeMap<Tool, PathBuf>, port: u16) -> Process {
    let port = port.to_string();
    let arguments: &[&str] = match tool {
        Tool::Etcd => &ETCD,
        Tool::KubeApiserver => &[&API_SERVER[..], &["--secure-port", &port]].concat(),
        Tool::KubeControllerManager => &CONTROLLER_MANAGER,
        Tool::KubeScheduler => &SCHEDULER,
        Tool::Kwok => &KWOK,
        Tool::Helm4 | Tool::Helm3 => &[],
    };
    Process {
        name: tool.name(),
        program: tools.get(&tool).cloned().unwrap_or_default(),
        arguments: arguments.iter().map(|&one| one.to_owned()).collect(),
    }
}

/// The socket on which etcd serves, by its name in the private folder.
pub(super) const ETCD_SOCKET: &str = "client:1";

/// etcd insists on a port in an address; in that of a socket it is a part of the file's name.
const ETCD: [&str; 15] = [
    "--data-dir=etcd",
    "--unsafe-no-fsync",
    "--listen-client-urls=unix://client:1",
    "--advertise-client-urls=unix://client:1",
    "--listen-peer-urls=unix://peer:1",
    "--initial-advertise-peer-urls=unix://peer:1",
    "--initial-cluster=default=unix://peer:1",
    // Defaults suit machines apart; on one machine an election is decided as soon as it begins.
    "--heartbeat-interval=20",
    "--election-timeout=200",
    "--quota-backend-bytes=2147483648",
    "--snapshot-count=20000",
    "--log-level=warn",
    "--logger=zap",
    "--log-outputs=stderr",
    "--max-request-bytes=3145728",
];

const API_SERVER: [&str; 20] = [
    "--etcd-servers=unix://client:1",
    "--bind-address=127.0.0.1",
    "--advertise-address=127.0.0.1",
    "--client-ca-file=ca.crt",
    "--tls-cert-file=server.crt",
    "--tls-private-key-file=server.key",
    "--service-account-issuer=https://kubernetes.default.svc",
    "--service-account-key-file=sa.pub",
    "--service-account-signing-key-file=sa.key",
    "--service-cluster-ip-range=10.96.0.0/16",
    "--authorization-mode=RBAC",
    "--allow-privileged=true",
    "--enable-priority-and-fairness=false",
    // Tests run hundreds of watches and helms beside each other.
    "--max-requests-inflight=0",
    "--max-mutating-requests-inflight=0",
    // One server needs no list of servers, whose upkeep would only add writes.
    "--endpoint-reconciler-type=none",
    "--profiling=false",
    "--shutdown-delay-duration=0s",
    "--event-ttl=1h",
    "--storage-media-type=application/vnd.kubernetes.protobuf",
];

const CONTROLLER_MANAGER: [&str; 12] = [
    "--kubeconfig=controller-manager.kubeconfig",
    "--service-account-private-key-file=sa.key",
    "--root-ca-file=ca.crt",
    "--leader-elect=false",
    // No page of its own: a second port that could be taken.
    "--secure-port=0",
    "--controllers=*",
    // The node is played: a pause of the machine must not make it lost.
    "--node-monitor-grace-period=1h",
    "--profiling=false",
    "--kube-api-qps=500",
    "--kube-api-burst=1000",
    "--concurrent-namespace-syncs=20",
    // The default removes terminated pods only beyond 12500.
    "--terminated-pod-gc-threshold=500",
];

const SCHEDULER: [&str; 6] = [
    "--kubeconfig=scheduler.kubeconfig",
    "--leader-elect=false",
    "--secure-port=0",
    "--profiling=false",
    "--kube-api-qps=500",
    "--kube-api-burst=1000",
];

const KWOK: [&str; 6] = [
    "--kubeconfig=kwok.kubeconfig",
    "--config=stages.yaml",
    "--manage-all-nodes=true",
    "--node-ip=127.0.0.1",
    "--cidr=10.244.0.0/16",
    // The sign of life of the node; without it the controller manager takes the node for dead after 50 seconds.
    "--node-lease-duration-seconds=40",
];
