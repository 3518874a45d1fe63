//! The arguments of helm for each kind of run, as a pure function of what is wanted and of helm's version.
//!
//! Values go through stdin, identity and server through a kubeconfig: nothing secret can get in here. Left out on
//! purpose: `--atomic` and `--rollback-on-failure` (the planner decides, and records why), `--repo` (charts are local
//! files), `--force-replace` (with helm 4 it needs `--server-side=false`, which turns a release that is applied by the
//! server into one that is not and leaves the managed fields of both behind; it deletes nothing that stands in the way
//! of a change of an immutable field, and clears what others own in an object; a user who needs an object replaced
//! deletes it, and the next upgrade creates it), `--set` (values are data), `--ignore-not-found` (it hides every error of the storage, not only that one),
//! `--debug` except for an uninstall (it prints values and manifests).

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

use super::version::HelmVersion;
use crate::{
    release::OperationKind,
    types::{Redacted, ReleaseKey},
};

/// What an install and an upgrade are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    /// Absolute path of a chart archive. A relative one could be taken for the name of a chart in a repository.
    pub chart: PathBuf,
    /// A JSON object.
    pub values: Redacted<Vec<u8>>,
    /// Put on the release's record; keys and values must be those of Kubernetes labels.
    pub labels: BTreeMap<String, String>,
    /// Shown by `helm history`.
    pub description: String,
}

/// What helm is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Install {
        inputs: Inputs,
        /// Over a record that failed or was uninstalled.
        replace: bool,
        create_namespace: bool,
        /// Objects that exist and are not the release's become part of it. Only until the release is what an object
        /// declares for the first time: a user means what is there today. Given always, a chart of next year that names
        /// an object of somebody else would take that away without a word, where helm refuses and says which it is.
        take_ownership: bool,
    },
    Upgrade {
        inputs: Inputs,
        force_conflicts: bool,
        /// As for an install.
        take_ownership: bool,
    },
    Rollback {
        to: u32,
        force_conflicts: bool,
    },
    Test {
        /// These do not run. What is to run is never named: while helm runs the tests that it was told, it leaves all
        /// other hooks out of the record, and if it is killed, they are lost, those of a removal among them.
        except: Vec<Box<str>>,
    },
    Uninstall,
}

impl Command {
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Install { .. } => OperationKind::Install,
            Self::Upgrade { .. } => OperationKind::Upgrade,
            Self::Rollback { .. } => OperationKind::Rollback,
            Self::Test { .. } => OperationKind::Test,
            Self::Uninstall => OperationKind::Uninstall,
        }
    }

    pub(super) fn inputs(&self) -> Option<&Inputs> {
        match self {
            Self::Install { inputs, .. } | Self::Upgrade { inputs, .. } => Some(inputs),
            Self::Rollback { .. } | Self::Test { .. } | Self::Uninstall => None,
        }
    }

    /// Whether SIGTERM makes helm end in order. Install and upgrade have a handler, which sets the record to failed;
    /// tests have none and need none, because they hold no record. A rollback or uninstall would die on the spot and
    /// leave its record behind.
    pub(super) fn ends_in_order(&self) -> bool {
        match self {
            Self::Install { .. } | Self::Upgrade { .. } | Self::Test { .. } => true,
            Self::Rollback { .. } | Self::Uninstall => false,
        }
    }
}

/// One run of helm on one release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    pub release: ReleaseKey,
    pub command: Command,
    /// Revisions to keep. An install does not prune: helm has no such flag there.
    pub history_max: u32,
    /// helm's own limit, which it applies to each hook and each wait anew.
    pub timeout: Duration,
    /// Limit for the whole run, after which it is ended from outside.
    pub wall_clock: Duration,
    /// The chart has hooks, which expect ready (or deleted) objects before they start.
    pub wait_for_hooks: bool,
    /// The hooks of the chart are left out; nothing is waited for then.
    pub skip_hooks: bool,
}

impl Invocation {
    /// Whether the run waits for objects in the cluster more than it computes.
    pub fn waits(&self) -> bool {
        match self.command {
            Command::Test { .. } => true,
            Command::Install { .. } | Command::Upgrade { .. } | Command::Rollback { .. } | Command::Uninstall => {
                self.wait_for_hooks && !self.skip_hooks
            }
        }
    }

    pub fn arguments(&self, helm: HelmVersion) -> Vec<OsString> {
        let mut args = Arguments { list: Vec::with_capacity(32), server_side: helm.major >= 4 };
        let name = self.release.name.as_str();
        match &self.command {
            Command::Install { inputs, replace, create_namespace, take_ownership } => {
                args.verb("install", name);
                args.inputs(inputs);
                args.flag_if(*replace, "--replace");
                args.flag_if(*create_namespace, "--create-namespace");
                args.flag_if(*take_ownership, "--take-ownership");
                // Whoever made the objects holds their fields.
                args.apply_method("true", *take_ownership);
            }
            Command::Upgrade { inputs, force_conflicts, take_ownership } => {
                args.verb("upgrade", name);
                args.inputs(inputs);
                // Without it, helm silently takes the last values where none are given.
                args.flag("--reset-values");
                args.value("--history-max", self.history_max.to_string());
                args.flag_if(*take_ownership, "--take-ownership");
                args.apply_method("auto", *force_conflicts || *take_ownership);
            }
            Command::Rollback { to, force_conflicts } => {
                args.verb("rollback", name);
                // Always explicit: helm's default is last minus one, whatever that is.
                args.push(to.to_string());
                args.value("--history-max", self.history_max.to_string());
                args.apply_method("auto", *force_conflicts);
            }
            Command::Test { except } => {
                args.verb("test", name);
                for test in except {
                    args.value("--filter", format!("!name={test}"));
                }
            }
            Command::Uninstall => {
                args.verb("uninstall", name);
                // The reasons why an object was not deleted are said at debug level only.
                args.flag("--debug");
            }
        }
        args.value("--namespace", self.release.namespace.as_str());
        args.value("--timeout", go_duration(self.timeout));
        // helm waits for tests in any case, and knows no flag for it there.
        if !matches!(self.command, Command::Test { .. }) {
            args.flag_if(self.skip_hooks, "--no-hooks");
            args.wait(self.waits());
        }
        args.list
    }
}

struct Arguments {
    list: Vec<OsString>,
    /// helm 4: applies on the server, and has strategies for waiting.
    server_side: bool,
}

impl Arguments {
    fn push(&mut self, text: impl Into<OsString>) {
        self.list.push(text.into());
    }

    fn verb(&mut self, verb: &str, name: &str) {
        self.push(verb);
        self.push(name);
    }

    fn flag(&mut self, flag: &str) {
        self.push(flag);
    }

    fn flag_if(&mut self, wanted: bool, flag: &str) {
        if wanted {
            self.push(flag);
        }
    }

    fn value(&mut self, flag: &str, value: impl Into<OsString>) {
        self.push(flag);
        self.push(value);
    }

    fn inputs(&mut self, inputs: &Inputs) {
        self.push(inputs.chart.clone());
        self.value("--values", "-");
        self.value("--description", inputs.description.as_str());
        for (key, value) in &inputs.labels {
            self.value("--labels", format!("{key}={value}"));
        }
        // The operator applies crds/ itself: helm 4 would change CRDs that exist, helm 3 would never update them.
        self.flag("--skip-crds");
        // Notes often repeat passwords; helm keeps them in the record, and they need not pass through our memory.
        self.flag("--hide-notes");
    }

    /// `auto` is the method of the revision that helm starts from. Forcing conflicts is an error of helm's where that
    /// method is client-side, so the method is named with it; helm then takes over the managed fields.
    fn apply_method(&mut self, method: &str, force_conflicts: bool) {
        if !self.server_side {
            return;
        }
        if force_conflicts {
            self.flag("--server-side=true");
            self.flag("--force-conflicts");
        } else {
            self.push(format!("--server-side={method}"));
        }
    }

    /// Explicit in helm 4, where a bare `--wait` and no `--wait` mean other things than in helm 3.
    fn wait(&mut self, for_hooks: bool) {
        match (self.server_side, for_hooks) {
            (true, true) => self.flag("--wait=legacy"),
            (true, false) => self.flag("--wait=hookOnly"),
            (false, true) => self.flag("--wait"),
            (false, false) => {}
        }
    }
}

/// Whole seconds, rounded up: zero would make helm give up at once.
fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    format!("{}s", seconds.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Namespace, ReleaseName};

    const HELM_3: HelmVersion = HelmVersion::OLDEST_3;
    const HELM_4: HelmVersion = HelmVersion::OLDEST_4;

    fn inputs() -> Inputs {
        Inputs {
            chart: "/store/unicorn-1.0.0.tgz".into(),
            values: Redacted::new(br#"{"password":"hunter2"}"#.to_vec()),
            labels: BTreeMap::from([
                ("helmrelease.dev/digest".into(), "v1-00".into()),
                ("helmrelease.dev/revision".into(), "2".into()),
            ]),
            description: "Upgrade to pink".into(),
        }
    }

    fn check(command: Command, wait_for_hooks: bool, helm: HelmVersion, expected: &str) {
        check_with(command, (wait_for_hooks, false), helm, expected);
    }

    fn check_with(command: Command, hooks: (bool, bool), helm: HelmVersion, expected: &str) {
        let (wait_for_hooks, skip_hooks) = hooks;
        let release =
            ReleaseKey { namespace: Namespace::parse("meadow").unwrap(), name: ReleaseName::parse("unicorn").unwrap() };
        let (timeout, wall_clock) = (Duration::from_millis(299_500), Duration::from_secs(400));
        let invocation =
            Invocation { release, command, history_max: 5, timeout, wall_clock, wait_for_hooks, skip_hooks };
        let shown: Vec<_> = invocation.arguments(helm).into_iter().map(|arg| arg.into_string().unwrap()).collect();
        assert_eq!(shown.join("|"), expected);
        assert!(!format!("{invocation:?}").contains("hunter2"));
    }

    const GIVEN: &str = "/store/unicorn-1.0.0.tgz|--values|-|--description|Upgrade to pink\
        |--labels|helmrelease.dev/digest=v1-00|--labels|helmrelease.dev/revision=2|--skip-crds|--hide-notes";
    const WHERE: &str = "--namespace|meadow|--timeout|300s";

    #[test]
    fn install() {
        let command = |replace, create_namespace| Command::Install {
            inputs: inputs(),
            replace,
            create_namespace,
            take_ownership: false,
        };
        check(
            command(false, true),
            false,
            HELM_4,
            &format!("install|unicorn|{GIVEN}|--create-namespace|--server-side=true|{WHERE}|--wait=hookOnly"),
        );
        check(command(true, false), true, HELM_3, &format!("install|unicorn|{GIVEN}|--replace|{WHERE}|--wait"));
        check(command(false, false), false, HELM_3, &format!("install|unicorn|{GIVEN}|{WHERE}"));
    }

    #[test]
    fn upgrade() {
        let command = |force_conflicts| Command::Upgrade { inputs: inputs(), force_conflicts, take_ownership: false };
        let reset = "--reset-values|--history-max|5";
        check(
            command(false),
            true,
            HELM_4,
            &format!("upgrade|unicorn|{GIVEN}|{reset}|--server-side=auto|{WHERE}|--wait=legacy"),
        );
        check(
            command(true),
            false,
            HELM_4,
            &format!("upgrade|unicorn|{GIVEN}|{reset}|--server-side=true|--force-conflicts|{WHERE}|--wait=hookOnly"),
        );
        check(command(true), false, HELM_3, &format!("upgrade|unicorn|{GIVEN}|{reset}|{WHERE}"));
    }

    #[test]
    fn objects_of_others_are_taken_with_their_fields() {
        let install =
            || Command::Install { inputs: inputs(), replace: false, create_namespace: false, take_ownership: true };
        let owned = "--take-ownership|--server-side=true|--force-conflicts";
        check(install(), false, HELM_4, &format!("install|unicorn|{GIVEN}|{owned}|{WHERE}|--wait=hookOnly"));
        check(install(), false, HELM_3, &format!("install|unicorn|{GIVEN}|--take-ownership|{WHERE}"));
        let upgrade = || Command::Upgrade { inputs: inputs(), force_conflicts: false, take_ownership: true };
        let reset = "--reset-values|--history-max|5";
        check(upgrade(), false, HELM_4, &format!("upgrade|unicorn|{GIVEN}|{reset}|{owned}|{WHERE}|--wait=hookOnly"));
        check(upgrade(), false, HELM_3, &format!("upgrade|unicorn|{GIVEN}|{reset}|--take-ownership|{WHERE}"));
    }

    #[test]
    fn rollback() {
        let command = |force_conflicts| Command::Rollback { to: 3, force_conflicts };
        check(
            command(false),
            false,
            HELM_4,
            &format!("rollback|unicorn|3|--history-max|5|--server-side=auto|{WHERE}|--wait=hookOnly"),
        );
        check(
            command(true),
            true,
            HELM_4,
            &format!("rollback|unicorn|3|--history-max|5|--server-side=true|--force-conflicts|{WHERE}|--wait=legacy"),
        );
        check(command(true), true, HELM_3, &format!("rollback|unicorn|3|--history-max|5|{WHERE}|--wait"));
    }

    #[test]
    fn hooks_that_are_left_out_are_not_waited_for() {
        let rollback = || Command::Rollback { to: 3, force_conflicts: false };
        let upgrade = Command::Upgrade { inputs: inputs(), force_conflicts: false, take_ownership: false };
        let expected =
            format!("rollback|unicorn|3|--history-max|5|--server-side=auto|{WHERE}|--no-hooks|--wait=hookOnly");
        check_with(rollback(), (true, true), HELM_4, &expected);
        check_with(rollback(), (true, true), HELM_3, &format!("rollback|unicorn|3|--history-max|5|{WHERE}|--no-hooks"));
        let reset = "--reset-values|--history-max|5";
        check_with(upgrade, (true, true), HELM_3, &format!("upgrade|unicorn|{GIVEN}|{reset}|{WHERE}|--no-hooks"));
    }

    #[test]
    fn test() {
        let all = || Command::Test { except: vec![] };
        for helm in [HELM_3, HELM_4] {
            check(all(), false, helm, &format!("test|unicorn|{WHERE}"));
        }
        let some = Command::Test { except: vec!["a".into(), "c".into()] };
        let expected = format!("test|unicorn|--filter|!name=a|--filter|!name=c|{WHERE}");
        check(some, true, HELM_4, &expected);
    }

    #[test]
    fn uninstall() {
        check(Command::Uninstall, false, HELM_4, &format!("uninstall|unicorn|--debug|{WHERE}|--wait=hookOnly"));
        check(Command::Uninstall, true, HELM_4, &format!("uninstall|unicorn|--debug|{WHERE}|--wait=legacy"));
        check(Command::Uninstall, false, HELM_3, &format!("uninstall|unicorn|--debug|{WHERE}"));
    }

    #[test]
    fn timeouts_are_rounded_up_and_never_zero() {
        assert_eq!(go_duration(Duration::ZERO), "1s");
        assert_eq!(go_duration(Duration::from_millis(1500)), "2s");
    }
}
