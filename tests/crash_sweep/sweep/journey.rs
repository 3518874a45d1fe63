//! What a release goes through: from where, by which change, to which end, and what a crash on the way may cost.

use helm_release_operator::api::HelmRelease;
use sandbox::charts::{self, hook};
use serde_json::{Value, json};

use crate::scenario::{Revision, Scenario, web};
use crate::stage::status::{condition, is_ready};

/// The release and its object.
pub(crate) const NAME: &str = "a";

/// The revision of a run that ended with its operator is unlocked as failed, stays in the history, and the run is made
/// once more.
const REPEATED_RUN: u32 = 1;

/// An upgrade whose helm alone was ended has failed, as far as anybody can tell, by a cause outside of it: it is rolled
/// back and tried again, so that the failed revision and the rollback come on top.
const FAILED_ATTEMPT: u32 = 2;

/// A removal writes no revision, and nothing may be installed on the way.
const NO_REVISION: u32 = 0;

/// As few as there may be, so that every run of helm prunes, and a crash leaves more than that to keep.
const MAX_HISTORY: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Journey {
    Install,
    Upgrade,
    FailingUpgrade,
    Values,
    Uninstall,
}

/// Whether the chart has hooks, for which helm waits by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hooks {
    Absent,
    Present,
}

impl Journey {
    pub(crate) const ALL: [Self; 5] =
        [Self::Install, Self::Upgrade, Self::FailingUpgrade, Self::Values, Self::Uninstall];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::FailingUpgrade => "failing-upgrade",
            Self::Values => "values",
            Self::Uninstall => "uninstall",
        }
    }

    /// The most revisions that one crash may add to those of an undisturbed journey.
    pub(crate) fn extra_revisions_max(self, of_helm_alone: bool) -> u32 {
        match self {
            Self::Upgrade | Self::FailingUpgrade | Self::Values if of_helm_alone => FAILED_ATTEMPT,
            // A first install has nothing to be rolled back to.
            Self::Install | Self::Upgrade | Self::FailingUpgrade | Self::Values => REPEATED_RUN,
            Self::Uninstall => NO_REVISION,
        }
    }

    /// From when on something good is there, it has to stay there.
    pub(crate) fn keeps_what_was_good(self) -> bool {
        match self {
            Self::Install | Self::Upgrade | Self::FailingUpgrade | Self::Values => true,
            Self::Uninstall => false,
        }
    }

    /// The release as it is before the change, at rest.
    #[track_caller]
    pub(crate) fn prepare(self, s: &Scenario<'_>, hooks: Hooks) {
        for version in ["5.0.0", "5.1.0"] {
            // Next to that before an install and an upgrade: before a way back and a removal, and after every run.
            let back = hook("return", "pre-rollback,pre-delete", "succeed");
            let after = hook("after", "post-install,post-upgrade,post-rollback,post-delete", "succeed");
            let chart = charts::web(version).file("templates/return.yaml", back);
            s.repository.publish(&chart.file("templates/after.yaml", after));
        }
        if self == Self::Install {
            return;
        }
        s.supply("ConfigMap", "given", "values.yaml", "message: first\n");
        s.declare(NAME, &self.before(hooks));
        s.deployed(NAME, 1);
        s.marked(NAME, 1);
        // Events are sent one after the other, after the status that they tell of.
        s.event(NAME, "Installed");
    }

    /// What the user does.
    #[track_caller]
    pub(crate) fn change(self, s: &Scenario<'_>, hooks: Hooks) {
        match self {
            Self::Install | Self::Upgrade => s.declare(NAME, &spec(hooks, New, json!({}))),
            Self::FailingUpgrade => s.declare(NAME, &spec(hooks, New, failing(hooks, "never-ready"))),
            Self::Values => s.supply("ConfigMap", "given", "values.yaml", "message: second\n"),
            Self::Uninstall => s.delete(NAME),
        }
    }

    fn before(self, hooks: Hooks) -> Value {
        match self {
            Self::Install | Self::Upgrade | Self::Uninstall => spec(hooks, Old, json!({})),
            Self::FailingUpgrade => spec(hooks, Old, failing(hooks, "ready")),
            Self::Values => spec(hooks, Old, json!({ "valuesFrom": [{ "kind": "ConfigMap", "name": "given" }] })),
        }
    }

    /// The operator says that it is done, and the last write of its work is made.
    pub(crate) fn is_over(self, s: &Scenario<'_>, object: Option<&HelmRelease>, records: &[Revision]) -> bool {
        let (Some(object), Some(newest)) = (object, records.last()) else {
            return self == Self::Uninstall && object.is_none() && records.is_empty();
        };
        let Some(status) = &object.status else { return false };
        let deployed = status.deployed.as_ref().is_some_and(|deployed| deployed.revision == newest.number);
        let said = match self {
            Self::Install | Self::Upgrade => is_ready(object),
            Self::Values => is_ready(object) && s.config(NAME, "message") == "second",
            Self::FailingUpgrade => {
                let rolled_back = condition(object, "Ready").is_some_and(|ready| ready.reason == "RolledBack");
                rolled_back && !status.quarantined.is_empty()
            }
            Self::Uninstall => false,
        };
        said && deployed && status.operation.is_none() && newest.status == "deployed" && newest.verified
    }

    /// The events that end an undisturbed journey.
    pub(crate) fn last_events(self) -> &'static [&'static str] {
        match self {
            Self::Install => &["Installed"],
            Self::Upgrade | Self::Values => &["Upgraded"],
            Self::FailingUpgrade => &["Quarantined", "RollbackSucceeded"],
            Self::Uninstall => &["Uninstalled"],
        }
    }
}

/// Before and after the change of version.
enum Age {
    Old,
    New,
}
use Age::{New, Old};

fn spec(hooks: Hooks, age: Age, further: Value) -> Value {
    let (version, hook) = match (hooks, age) {
        (Hooks::Absent, Old) => ("1.0.0", ""),
        (Hooks::Absent, New) => ("1.1.0", ""),
        (Hooks::Present, Old) => ("5.0.0", "succeed"),
        (Hooks::Present, New) => ("5.1.0", "succeed"),
    };
    let mut further = further;
    further["maxHistory"] = json!(MAX_HISTORY);
    further["values"]["hook"] = json!(hook);
    web(version, further)
}

/// A version that is not tried again after its first failure.
fn failing(hooks: Hooks, outcome: &str) -> Value {
    // helm itself waits for hooks and for the objects within this time, on a busy machine too.
    let timeout = match hooks {
        Hooks::Absent => "6s",
        Hooks::Present => "15s",
    };
    json!({ "timeout": timeout, "upgrade": { "retries": 0 }, "values": { "outcome": outcome } })
}
