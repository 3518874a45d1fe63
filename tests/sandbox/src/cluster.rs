//! A Kubernetes control plane with one simulated node, for as long as the value lives.

mod certificates;
mod components;
mod folder;
mod kubeconfig;
mod node;
pub use node::NODE;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) use certificates::Certificates;
pub(crate) use kubeconfig::kubeconfig;

use folder::Folder;

use crate::api::{Api, ApiError};
use crate::life::{Guardian, guarded};
use crate::tools::{self, Progress, Tool, ToolError};
use crate::wait;

/// How often a start is tried again when another program took the port between choosing and using it.
const PORT_ATTEMPTS: usize = 4;

/// How long the control plane may take to serve a ready node; many times what a busy machine needs.
const START_LIMIT: Duration = Duration::from_secs(90);

/// Which components run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Components {
    /// The control plane and a node whose pods run.
    All,
    /// Only etcd and the API server, for tests that read and write objects.
    Api,
    /// Only etcd, for tests of the life of processes.
    Etcd,
}

/// How a sandbox is started.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub components: Components,
    pub progress: Progress,
}

impl Default for Options {
    fn default() -> Self {
        Self { components: Components::All, progress: Progress::stderr() }
    }
}

/// Why a sandbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("sandbox::guard() must be called first in main of the program that starts a sandbox")]
    NoGuard,
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error("certificates cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("{name} ended while the sandbox started ({reason}); its last lines:\n{log}")]
    Ended { name: String, reason: String, log: String },
    #[error("the sandbox was not ready after {} s: {waiting}; the last lines of {name}:\n{log}", START_LIMIT.as_secs())]
    NotReady { waiting: String, name: &'static str, log: String },
}

/// A running control plane; dropping it ends every process and removes every file of it.
pub struct Sandbox {
    guardian: Guardian,
    folder: Folder,
    port: u16,
    certificates: Certificates,
    api: Option<Arc<Api>>,
    started_in: Duration,
}

impl Sandbox {
    /// Starts the components and waits until pods can run, or until what was asked for answers.
    pub fn start(options: Options) -> Result<Self, SandboxError> {
        if !guarded() {
            return Err(SandboxError::NoGuard);
        }
        let tools = tools::ensure(components::tools(options.components), &options.progress)?;
        let begin = Instant::now();
        let mut attempt = 1;
        loop {
            match Self::attempt(&tools, options.components, begin) {
                Err(SandboxError::Ended { log, .. })
                    if attempt < PORT_ATTEMPTS && log.contains("address already in use") =>
                {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn attempt(tools: &BTreeMap<Tool, PathBuf>, wanted: Components, begin: Instant) -> Result<Self, SandboxError> {
        let folder = Folder::make().map_err(io_error("no private folder can be made"))?;
        let guardian = Guardian::start(&folder.path).map_err(io_error("the guardian cannot be started"));
        let guardian = guardian.inspect_err(|_| drop(fs::remove_dir_all(&folder.path)))?;
        let port = free_port().map_err(io_error("no free port on loopback"))?;
        let certificates = Certificates::make()?;
        let mut sandbox = Self { guardian, folder, port, certificates, api: None, started_in: Duration::ZERO };
        sandbox.write_files().map_err(io_error("the sandbox cannot write its files"))?;
        sandbox.run(tools, wanted)?;
        sandbox.started_in = begin.elapsed();
        Ok(sandbox)
    }

    fn write_files(&self) -> io::Result<()> {
        self.certificates.write(&self.folder.path)?;
        let url = self.url();
        for (name, identity) in self.certificates.identities() {
            let text = kubeconfig(&url, Some((&self.certificates.authority, identity)), None);
            fs::write(self.folder.path.join(format!("{name}.kubeconfig")), text)?;
        }
        fs::write(self.folder.path.join("stages.yaml"), node::stages())
    }

    /// Starts the components in the order in which they need each other.
    fn run(&mut self, tools: &BTreeMap<Tool, PathBuf>, wanted: Components) -> Result<(), SandboxError> {
        self.launch(tools, Tool::Etcd)?;
        if wanted == Components::Etcd {
            let listens = self.folder.path.join(components::ETCD_SOCKET);
            return self.wait_for(Tool::Etcd, |_| {
                listens.exists().then_some(()).ok_or_else(|| "etcd does not listen".to_owned())
            });
        }
        self.launch(tools, Tool::KubeApiserver)?;
        let api = Arc::new(Api::connect(&self.url(), &self.certificates)?);
        self.api = Some(Arc::clone(&api));
        self.wait_for(Tool::KubeApiserver, |_| api.ready())?;
        if wanted == Components::Api {
            return self.wait_for(Tool::KubeApiserver, |_| api.exists("/api/v1/namespaces/default"));
        }
        for tool in [Tool::KubeControllerManager, Tool::KubeScheduler, Tool::Kwok] {
            self.launch(tools, tool)?;
        }
        api.create("/api/v1/nodes", &node::node(&Tool::KubeApiserver.version()?))?;
        self.wait_for(Tool::Kwok, |_| node::ready(&api))?;
        self.wait_for(Tool::KubeControllerManager, |_| {
            api.exists("/api/v1/namespaces/default/serviceaccounts/default")?;
            api.exists("/api/v1/namespaces/default/configmaps/kube-root-ca.crt")
        })
    }

    fn launch(&mut self, tools: &BTreeMap<Tool, PathBuf>, tool: Tool) -> Result<(), SandboxError> {
        let process = components::process(tool, tools, self.port);
        self.guardian.run(process).map_err(io_error(tool.name()))
    }

    /// Waits until the condition holds; the tool is the one whose log explains a wait in vain.
    fn wait_for(&self, tool: Tool, condition: impl Fn(&Self) -> Result<(), String>) -> Result<(), SandboxError> {
        let mut waiting = String::new();
        let outcome = wait::until(START_LIMIT, || {
            if let Some((name, reason)) = self.guardian.ended() {
                let log = self.log_tail(&name);
                return Some(Err(SandboxError::Ended { name, reason, log }));
            }
            condition(self).map_err(|reason| waiting = reason).ok().map(Ok)
        });
        outcome.unwrap_or_else(|| {
            Err(SandboxError::NotReady { waiting, name: tool.name(), log: self.log_tail(tool.name()) })
        })
    }

    /// The last lines that a component wrote.
    pub fn log_tail(&self, component: &str) -> String {
        let bytes = fs::read(self.folder.path.join(format!("{component}.log"))).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// The private folder, where the logs are while the sandbox runs.
    pub fn directory(&self) -> &Path {
        &self.folder.path
    }

    /// The address of the API server.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// A kubeconfig with the rights of an administrator, with its certificates inside.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.folder.path.join("admin.kubeconfig")
    }

    /// Reads an object or a list as JSON with the rights of an administrator; none when it does not exist.
    pub fn get(&self, path: &str) -> Result<Option<Value>, ApiError> {
        self.api.as_ref().map_or(Ok(None), |api| api.get(path))
    }

    /// The executable of helm 4, built when it is not there.
    pub fn helm4(&self) -> Result<PathBuf, ToolError> {
        one_tool(Tool::Helm4)
    }

    /// The executable of helm 3, built when it is not there.
    pub fn helm3(&self) -> Result<PathBuf, ToolError> {
        one_tool(Tool::Helm3)
    }

    /// The component that has ended although it should run, with how it ended; for the message of a test that fails.
    pub fn broken(&self) -> Option<String> {
        self.guardian.ended().map(|(name, reason)| format!("{name} ended ({reason}):\n{}", self.log_tail(&name)))
    }

    /// How long the start took, without the building of tools.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// The process ids of the guardian and of the components, by name.
    pub fn pids(&self) -> BTreeMap<String, u32> {
        self.guardian.pids()
    }

    pub(crate) fn certificates(&self) -> &Certificates {
        &self.certificates
    }
}

fn one_tool(tool: Tool) -> Result<PathBuf, ToolError> {
    let mut found = tools::ensure(&[tool], &Progress::stderr())?;
    Ok(found.remove(&tool).unwrap_or_default())
}

/// A port that was free a moment ago; the start is tried again when it no longer is.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> SandboxError {
    move |source| SandboxError::Io { what, source }
}
