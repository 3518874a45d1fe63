//! The programs of the sandbox: found in the environment or on the path, or built once from pinned Go modules.

mod build;
mod progress;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, io};

pub use progress::Progress;

/// A program of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    Etcd,
    KubeApiserver,
    KubeControllerManager,
    KubeScheduler,
    Kwok,
    Helm4,
    Helm3,
}

/// Why a tool cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("{variable} names {}, which is not a file", path.display())]
    Override { variable: String, path: PathBuf },
    #[error("{tool} must be built and Go is missing: install Go {go} or newer, or set {variable} to a ready {tool}")]
    GoMissing { tool: &'static str, go: String, variable: String },
    #[error("building {tool} failed ({status}): {last}; the whole log is {}", log.display())]
    Build { tool: &'static str, status: String, last: String, log: PathBuf },
    #[error("{} does not name a version of {module}", path.display())]
    Module { path: PathBuf, module: &'static str },
    #[error("no cache directory for {tool}: set SANDBOX_CACHE, XDG_CACHE_HOME or HOME", tool = tool.name())]
    NoCache { tool: Tool },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl Tool {
    /// What a cluster needs.
    pub const CLUSTER: [Self; 5] =
        [Self::Etcd, Self::KubeApiserver, Self::KubeControllerManager, Self::KubeScheduler, Self::Kwok];

    /// The name of the executable in the cache and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kwok => "kwok",
            Self::Helm4 => "helm4",
            Self::Helm3 => "helm3",
        }
    }

    /// The environment variable that names a ready executable.
    pub fn variable(self) -> String {
        format!("SANDBOX_{}", self.name().to_uppercase().replace('-', "_"))
    }

    /// The version that the Go module pins.
    pub fn version(self) -> Result<String, ToolError> {
        build::pinned_version(self)
    }

    /// The names under which the tool may be on the path; both helms are usually called `helm`.
    fn names_on_path(self) -> &'static [&'static str] {
        match self {
            Self::Helm4 => &["helm4", "helm"],
            Self::Helm3 => &["helm3", "helm"],
            _ => &[],
        }
    }

    fn version_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Helm4 | Self::Helm3 => &["version", "--short"],
            _ => &["--version"],
        }
    }

    /// An executable on the path whose version has the same major and minor numbers as the pinned one.
    fn on_path(self) -> Result<Option<PathBuf>, ToolError> {
        let version = self.version()?;
        let minor = version.rsplit_once('.').map_or(version.as_str(), |(minor, _)| minor);
        let minor = format!("{}.", minor.trim_start_matches('v'));
        let names = if self.names_on_path().is_empty() { vec![self.name()] } else { self.names_on_path().to_vec() };
        let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
        let candidates = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        Ok(candidates.filter(|path| path.is_file()).find(|path| says_version(path, self.version_arguments(), &minor)))
    }

    fn overridden(self) -> Result<Option<PathBuf>, ToolError> {
        let variable = self.variable();
        match env::var_os(&variable).filter(|value| !value.is_empty()).map(PathBuf::from) {
            Some(path) if path.is_file() => Ok(Some(path)),
            Some(path) => Err(ToolError::Override { variable, path }),
            None => Ok(None),
        }
    }
}

/// Finds or builds the tools, telling on the way what takes long.
pub fn ensure(tools: &[Tool], progress: &Progress) -> Result<BTreeMap<Tool, PathBuf>, ToolError> {
    let mut found = BTreeMap::new();
    let mut missing = Vec::new();
    for &tool in tools {
        let ready = match tool.overridden()? {
            Some(path) => Some(path),
            None => match build::cached(tool)? {
                Some(path) => Some(path),
                None => tool.on_path()?,
            },
        };
        match ready {
            Some(path) => drop(found.insert(tool, path)),
            None => missing.push(tool),
        }
    }
    for (position, tool) in missing.iter().enumerate() {
        let step = progress.step(tool.name(), position + 1, missing.len());
        found.insert(*tool, build::build(*tool, &step)?);
    }
    Ok(found)
}

/// Tells whether the program prints a version that begins with the given numbers.
fn says_version(program: &Path, arguments: &[&str], minor: &str) -> bool {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let Ok(output) = output else {
        return false;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().any(|word| word.trim_start_matches('v').starts_with(minor))
}

/// The folder of the tools, outside any checkout so that one build serves them all.
fn cache_folder(tool: Tool) -> Result<PathBuf, ToolError> {
    let folder = |name| env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from);
    let tail = "helm-release-operator/tools";
    folder("SANDBOX_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|path| path.join(tail)))
        .or_else(|| folder("HOME").map(|path| path.join(".cache").join(tail)))
        .ok_or(ToolError::NoCache { tool })
}
