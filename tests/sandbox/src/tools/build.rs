//! Building one tool with `go build` from its pinned module into the cache.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::FlockOperation;

use super::progress::Step;
use super::{Tool, ToolError, cache_folder};
use crate::digest::sha256;
use crate::life::{guarded, leashed};
use crate::wait;

/// How a tool is built: its module folder under `tools/`, the module that gives its version, the package, the stamps.
struct Recipe {
    folder: &'static str,
    module: &'static str,
    package: &'static str,
    /// Packages whose version variables are set, with the variables; `{version}` stands for the pinned version.
    stamps: &'static [(&'static str, &'static [(&'static str, &'static str)])],
}

/// Kubernetes reads its own version from one package and its user agent from the other. Without a stamp it says
/// a prerelease of 0.0.0, which fails charts that ask for a minimum version.
const KUBERNETES_STAMPS: &[(&str, &[(&str, &str)])] =
    &[("k8s.io/component-base/version", KUBERNETES_VERSION), ("k8s.io/client-go/pkg/version", KUBERNETES_VERSION)];

const KUBERNETES_VERSION: &[(&str, &str)] = &[
    ("gitVersion", "{version}"),
    ("gitMajor", "{major}"),
    ("gitMinor", "{minor}"),
    ("gitTreeState", "clean"),
    ("gitCommit", "sandbox"),
    ("buildDate", "1970-01-01T00:00:00Z"),
];

const fn recipe(tool: Tool) -> Recipe {
    match tool {
        Tool::Etcd => Recipe {
            folder: "etcd",
            module: "go.etcd.io/etcd/server/v3",
            package: "go.etcd.io/etcd/server/v3",
            stamps: &[],
        },
        Tool::KubeApiserver => kubernetes("k8s.io/kubernetes/cmd/kube-apiserver"),
        Tool::KubeControllerManager => kubernetes("k8s.io/kubernetes/cmd/kube-controller-manager"),
        Tool::KubeScheduler => kubernetes("k8s.io/kubernetes/cmd/kube-scheduler"),
        Tool::Kwok => {
            Recipe { folder: "kwok", module: "sigs.k8s.io/kwok", package: "sigs.k8s.io/kwok/cmd/kwok", stamps: &[] }
        }
        Tool::Helm4 => Recipe {
            folder: "helm4",
            module: "helm.sh/helm/v4",
            package: "helm.sh/helm/v4/cmd/helm",
            stamps: &[("helm.sh/helm/v4/internal/version", &[("version", "{version}")])],
        },
        Tool::Helm3 => Recipe {
            folder: "helm3",
            module: "helm.sh/helm/v3",
            package: "helm.sh/helm/v3/cmd/helm",
            stamps: &[("helm.sh/helm/v3/internal/version", &[("version", "{version}")])],
        },
    }
}

const fn kubernetes(package: &'static str) -> Recipe {
    Recipe { folder: "kubernetes", module: "k8s.io/kubernetes", package, stamps: KUBERNETES_STAMPS }
}

impl Recipe {
    fn directory(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tools").join(self.folder)
    }

    fn link_flags(&self, version: &str) -> String {
        let mut numbers = version.trim_start_matches('v').split('.');
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        let stamp = |package: &str, (name, value): &(&str, &str)| {
            let value = value.replace("{version}", version).replace("{major}", major).replace("{minor}", minor);
            format!(" -X {package}.{name}={value}")
        };
        let stamps = self.stamps.iter().flat_map(|(package, values)| values.iter().map(move |one| stamp(package, one)));
        std::iter::once("-s -w".to_owned()).chain(stamps).collect()
    }
}

/// The version that the module file requires.
pub(super) fn pinned_version(tool: Tool) -> Result<String, ToolError> {
    let Recipe { module, .. } = recipe(tool);
    let path = recipe(tool).directory().join("go.mod");
    let text = fs::read_to_string(&path).map_err(io_error(&path))?;
    go_mod_value(&text, module).ok_or(ToolError::Module { path, module })
}

/// The word after the given one at the beginning of a line, `require` apart.
fn go_mod_value(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word == "require");
        (words.next() == Some(key)).then(|| words.next().map(str::to_owned)).flatten()
    })
}

/// The path in the cache, whose name changes with everything that determines the executable.
fn cache_path(tool: Tool) -> Result<PathBuf, ToolError> {
    let recipe = recipe(tool);
    let version = pinned_version(tool)?;
    let read = |file| {
        let path = recipe.directory().join(file);
        fs::read(&path).map_err(io_error(&path))
    };
    let (module, sums) = (read("go.mod")?, read("go.sum")?);
    let flags = recipe.link_flags(&version);
    let digest = sha256([&module[..], &sums, recipe.package.as_bytes(), flags.as_bytes()]);
    let name = format!("{}-{}-{}", tool.name(), version.trim_start_matches('v'), &digest[..12]);
    Ok(cache_folder(tool)?.join(name))
}

/// The executable when an earlier build made it.
pub(super) fn cached(tool: Tool) -> Result<Option<PathBuf>, ToolError> {
    let path = cache_path(tool)?;
    Ok(path.is_file().then_some(path))
}

/// The path with a further ending.
fn beside(path: &Path, ending: &str) -> PathBuf {
    path.with_file_name(format!("{}.{ending}", path.file_name().unwrap_or_default().display()))
}

/// Builds the tool, or waits for another process that builds it.
pub(super) fn build(tool: Tool, step: &Step<'_>) -> Result<PathBuf, ToolError> {
    let path = cache_path(tool)?;
    let folder = path.parent().unwrap_or(&path).to_owned();
    fs::create_dir_all(&folder).map_err(io_error(&folder))?;
    let _lock = lock(&beside(&path, "lock"), step)?;
    if !path.is_file() {
        let partial = beside(&path, "partial");
        compile(tool, &partial, &beside(&path, "build.log"), step)?;
        fs::rename(&partial, &path).map_err(io_error(&path))?;
    }
    step.done();
    Ok(path)
}

/// Takes the file lock, which the kernel releases with the file, also when this process dies.
fn lock(path: &Path, step: &Step<'_>) -> Result<File, ToolError> {
    let file = File::options().create(true).append(true).open(path).map_err(io_error(path))?;
    let outcome = loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => {
                step.tell("waits for another process that builds it");
                wait::once();
            }
            outcome => break outcome,
        }
    };
    outcome.map_err(|error| ToolError::Io { path: path.to_owned(), source: error.into() })?;
    Ok(file)
}

fn compile(tool: Tool, output: &Path, log: &Path, step: &Step<'_>) -> Result<(), ToolError> {
    let recipe = recipe(tool);
    let file = File::create(log).map_err(io_error(log))?;
    // On a leash the build ends with a harness that is killed; a harness without guard still may build.
    let mut command = if guarded() { leashed("go") } else { Command::new("go") };
    command
        .args(["build", "-trimpath", "-ldflags", &recipe.link_flags(&pinned_version(tool)?), "-o"])
        .args([output.as_os_str(), recipe.package.as_ref()])
        .current_dir(recipe.directory())
        .env("GOFLAGS", "-buildvcs=false")
        .stdin(Stdio::null())
        .stdout(file.try_clone().map_err(io_error(log))?)
        .stderr(file);
    ensure_go(tool)?;
    let mut child = command.spawn().map_err(io_error(log))?;
    let status = loop {
        step.tell("building");
        let ended = wait::until(Duration::from_secs(1), || child.try_wait().transpose());
        if let Some(status) = ended {
            break status.map_err(io_error(log))?;
        }
    };
    if status.success() { Ok(()) } else { Err(failed(tool, status, log)) }
}

/// Fails with advice when there is no Go.
fn ensure_go(tool: Tool) -> Result<(), ToolError> {
    let found = Command::new("go").arg("version").stdin(Stdio::null()).stdout(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let path = recipe(tool).directory().join("go.mod");
    let go = fs::read_to_string(&path).ok().and_then(|text| go_mod_value(&text, "go")).unwrap_or_default();
    Err(ToolError::GoMissing { tool: tool.name(), go, variable: tool.variable() })
}

fn failed(tool: Tool, status: ExitStatus, log: &Path) -> ToolError {
    let text = fs::read_to_string(log).unwrap_or_default();
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no output").trim().to_owned();
    ToolError::Build { tool: tool.name(), status: status.to_string(), last, log: log.to_owned() }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ToolError + use<> {
    let path = path.to_owned();
    move |source| ToolError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_a_pinned_version() {
        for tool in Tool::CLUSTER.into_iter().chain([Tool::Helm4, Tool::Helm3]) {
            let version = pinned_version(tool).expect("pinned");
            assert!(version.starts_with('v') && version.split('.').count() == 3, "{tool:?}: {version}");
        }
    }

    #[test]
    fn kubernetes_is_stamped_without_a_prerelease() {
        let flags = recipe(Tool::KubeApiserver).link_flags("v1.36.4");
        assert!(flags.contains("-X k8s.io/component-base/version.gitVersion=v1.36.4 "), "{flags}");
        assert!(flags.contains("-X k8s.io/client-go/pkg/version.gitMinor=36 "), "{flags}");
    }
}
