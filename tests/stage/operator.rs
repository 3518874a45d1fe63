//! The operator as the process that users run.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use sandbox::wait;
use serde_json::Value;

use super::{Failure, Log, process};

/// The first argument that turns a harness into the leash of an operator.
const ROLE: &str = "__operator-leash";

/// How long a start may take; many times what a busy machine needs.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long a process may take to drain and end.
const END_LIMIT: Duration = Duration::from_secs(60);

/// How a request to the operator's own endpoints may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Becomes the operator when this process was started as its leash, and returns at once otherwise.
///
/// The leash asks the kernel to kill the operator when its starter dies, however that dies.
pub(crate) fn play_role() {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [role, parent, program, rest @ ..] = arguments.as_slice() else { return };
    if role != ROLE {
        return;
    }
    let parent = parent.to_str().and_then(|text| text.parse().ok()).and_then(Pid::from_raw);
    let tied = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    if let Err(error) = tied {
        eprintln!("the operator cannot be tied to its starter: {error}");
        std::process::exit(70);
    }
    // A starter that died before the line above sends no signal any more.
    if rustix::process::getppid() != parent {
        std::process::exit(70);
    }
    let error = Command::new(program).args(rest).exec();
    eprintln!("{} cannot be run: {error}", program.display());
    std::process::exit(127);
}

/// Gives a process the view that a pod has of its service account, and becomes what follows. The mount is seen by
/// nobody else.
const POD: &str = "mount -t tmpfs tmpfs /var/run && mkdir -p /var/run/secrets/kubernetes.io \
    && ln -s \"$1\" /var/run/secrets/kubernetes.io/serviceaccount && shift && exec \"$@\"";

/// How an operator finds its API server.
#[derive(Clone)]
pub(crate) enum Access {
    Kubeconfig(PathBuf),
    /// As in a pod, where the leader of several acts: the folder has `token`, `ca.crt` and `namespace`.
    Pod {
        folder: PathBuf,
        host: String,
        port: String,
    },
}

impl Access {
    /// Whether this machine lets a process have a mount of its own.
    pub(crate) fn can_play_a_pod() -> bool {
        let tried = Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/var/run"]).output();
        tried.is_ok_and(|output| output.status.success())
    }

    /// The program that stands between the leash and the operator, with its arguments.
    fn wrapping(&self) -> Vec<OsString> {
        match self {
            Self::Kubeconfig(_) => Vec::new(),
            Self::Pod { folder, .. } => {
                let shell = ["unshare", "--mount", "sh", "-c", POD, "pod"].map(OsString::from);
                shell.into_iter().chain([folder.into()]).collect()
            }
        }
    }

    fn environment(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Kubeconfig(_) => Vec::new(),
            Self::Pod { host, port, .. } => vec![("KUBERNETES_SERVICE_HOST", host), ("KUBERNETES_SERVICE_PORT", port)],
        }
    }
}

/// How an operator is started.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) program: PathBuf,
    pub(crate) access: Access,
    /// None: the whole cluster.
    pub(crate) namespaces: Vec<String>,
    pub(crate) helm: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) repository: Option<String>,
    /// What tells its requests from those of other operators.
    pub(crate) suffix: String,
    pub(crate) log_level: &'static str,
    /// Flags that this one is given and others are not.
    pub(crate) further: Vec<String>,
}

impl Settings {
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["run".into(), "--allow-http".into()];
        let mut add = |flag: &str, value: &dyn AsRef<std::ffi::OsStr>| {
            arguments.extend([flag.into(), value.as_ref().to_owned()]);
        };
        if let Access::Kubeconfig(file) = &self.access {
            add("--kubeconfig", file);
        }
        self.namespaces.iter().for_each(|namespace| add("--watch-namespace", namespace));
        add("--helm", &self.helm);
        add("--data-dir", &self.data);
        if let Some(repository) = &self.repository {
            add("--default-repository", repository);
        }
        add("--listen", &"127.0.0.1:0");
        add("--log-format", &"json");
        add("--log-level", &self.log_level);
        add("--user-agent-suffix", &self.suffix);
        if matches!(self.access, Access::Pod { .. }) {
            arguments.push("--leader-elect".into());
        }
        arguments.extend(self.further.iter().map(OsString::from));
        arguments
    }
}

/// A running operator; dropping it kills it.
pub(crate) struct Operator {
    child: Child,
    log: Log,
    address: Option<SocketAddr>,
}

impl Operator {
    /// Starts the process without waiting for anything.
    pub(crate) fn spawn(settings: &Settings) -> io::Result<Self> {
        let mut child = Command::new("/proc/self/exe")
            .args([ROLE, &std::process::id().to_string()])
            .args(settings.access.wrapping())
            .arg(&settings.program)
            .args(settings.arguments())
            // Nothing of the user's reaches the operator: no other cluster, no settings of helm.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(settings.access.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = child.stderr.take().map(Log::collect).unwrap_or_default();
        Ok(Self { child, log, address: None })
    }

    /// Starts the process and waits until its views are live.
    pub(crate) fn start(settings: &Settings) -> Result<Self, Failure> {
        let mut operator = Self::spawn(settings)?;
        operator.wait_until_ready()?;
        Ok(operator)
    }

    pub(crate) fn wait_until_ready(&mut self) -> Result<(), Failure> {
        let ready = wait::until(START_LIMIT, || {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(Err(format!("the operator ended while it started: {status}")));
            }
            self.address = self.log.find(|line| serving(line));
            let answer = self.ask("/readyz").ok();
            answer.filter(|(status, _)| *status == 200).map(|_| Ok(()))
        });
        let ready = ready.unwrap_or_else(|| Err(format!("the operator is not ready after {START_LIMIT:?}")));
        ready.map_err(|error| format!("{error}\n{}", self.log.tail(40)).into())
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks one of its own endpoints; the status and the body.
    pub(crate) fn ask(&self, path: &str) -> io::Result<(u16, String)> {
        let address = self.address.ok_or(io::ErrorKind::NotConnected)?;
        let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        Ok((status, body.to_owned()))
    }

    /// The sum of the series of that name (without the common prefix) whose labels contain the text.
    pub(crate) fn metric(&self, name: &str, labels: &str) -> f64 {
        let Ok((200, page)) = self.ask("/metrics") else { return f64::NAN };
        let name = format!("helm_release_operator_{name}");
        let series =
            page.lines().filter_map(|line| line.strip_prefix(&name)).filter(|rest| rest.starts_with(['{', ' ']));
        series
            .filter(|rest| rest.contains(labels))
            .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// The processes that it has started and that still live.
    pub(crate) fn children(&self) -> Vec<u32> {
        process::children_of(self.pid())
    }

    /// Kills it without a word.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(mut self) -> Result<ExitStatus, Failure> {
        self.signal(Signal::TERM)?;
        self.wait_until_ended()
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Failure> {
        Ok(process::signal(self.pid(), signal)?)
    }

    pub(crate) fn wait_until_ended(&mut self) -> Result<ExitStatus, Failure> {
        let status = wait::until(END_LIMIT, || self.child.try_wait().transpose());
        Ok(status.ok_or_else(|| format!("the operator does not end\n{}", self.log.tail(40)))??)
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.end();
    }
}

/// The address in the line that says that the endpoints are served.
fn serving(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    let is_it = fields["message"] == "serving";
    is_it.then(|| fields["address"].as_str()?.parse().ok()).flatten()
}
