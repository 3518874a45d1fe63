//! The one sentence: from the reason of a plan to status, reason and words. The only place where they are chosen.

use jiff::Timestamp;

use super::{Reason, bounded};
use crate::{
    api::OperationKind,
    plan::{Because, Next, View},
    release::{DependencyState, DependencyView, InputsProblem, InputsProblemKind, Member},
};

/// Longest message of a condition, in bytes: a paragraph, not a log.
const MESSAGE_MAX_BYTES: usize = 1024;

/// Status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What is said of a plan.
pub(super) struct Saying {
    pub(super) ready: Truth,
    pub(super) reason: Reason,
    pub(super) message: String,
    /// Work is under way or will be taken up by itself.
    pub(super) reconciling: bool,
    /// Nothing will happen until somebody acts.
    pub(super) stalled: bool,
}

/// Says why a plan is what it is.
pub(super) fn say(because: &Because) -> Saying {
    let (ready, reason, message, going) = match because {
        Because::Good { revision, label } => (
            Truth::True,
            Reason::Succeeded,
            format!("{label} is deployed as revision {revision} and good"),
            Going::Rest,
        ),
        Because::Suspended { deployed: true } => {
            (Truth::True, Reason::Suspended, "suspended; the desired version is deployed and good".into(), Going::Rest)
        }
        Because::Suspended { deployed: false } => (
            Truth::Unknown,
            Reason::Suspended,
            "suspended; the desired version is not known to be deployed and good".into(),
            Going::Rest,
        ),
        Because::InvalidSpec(message) => (Truth::False, Reason::InvalidSpec, message.to_string(), Going::Stalled),
        Because::Refused(why) => (Truth::False, Reason::Refused, why.to_string(), Going::Stalled),
        Because::ClaimedByAnother(_) | Because::NotOurs { .. } => of_others(because),
        Because::Inputs(problem) => inputs(problem),
        Because::DependencyNotReady(_) | Because::DependencyCycle(_) => dependency(because),
        Because::Unhealthy { label, member, why } => {
            let message = format!("{label} is deployed, but {member} is not healthy: {}", why.text);
            (Truth::False, Reason::Unhealthy, message, Going::Rest)
        }
        Because::Hindered { .. } | Because::RecordSpoilt { .. } => hindrance(because),
        Because::ViewPending(_)
        | Because::ViewRefused { .. }
        | Because::Unread { .. }
        | Because::RecordUnreadable { .. } => view(because),
        Because::Looking
        | Because::Queued
        | Because::Running { .. }
        | Because::Judging { .. }
        | Because::Recovering { .. }
        | Because::Adopting { .. }
        | Because::Received { .. }
        | Because::StrangerAtWork { .. } => (Truth::Unknown, Reason::Progressing, progress(because), Going::Working),
        Because::AttemptFailed { .. }
        | Because::RollingBack { .. }
        | Because::RolledBack { .. }
        | Because::RolledBackByUser { .. }
        | Because::RollbackFailed { .. }
        | Because::RolledBackUnhealthy { .. } => failure(because),
        Because::Uninstalling
        | Because::Terminating { .. }
        | Because::UninstallFailed { .. }
        | Because::LettingGo
        | Because::LeftBehind { .. } => removal(because),
    };
    debug_assert!(!message.is_empty(), "the group of {because:?} has no words for it");
    Saying {
        ready,
        reason,
        message: bounded(&message, MESSAGE_MAX_BYTES),
        reconciling: going == Going::Working,
        stalled: going == Going::Stalled,
    }
}

#[derive(PartialEq, Eq)]
enum Going {
    Working,
    Rest,
    Stalled,
}

type Said = (Truth, Reason, String, Going);

pub(super) fn at(moment: Timestamp) -> String {
    format!("at {}", moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
}

fn what(view: View) -> &'static str {
    match view {
        View::Records => "helm's records of this release",
        View::Members => "the objects of this release",
    }
}

fn view(because: &Because) -> Said {
    match because {
        Because::ViewRefused { view: View::Members, why } => {
            let message = format!("not all objects of this release can be seen, and those that can be are well: {why}");
            (Truth::Unknown, Reason::ViewIncomplete, message, Going::Rest)
        }
        Because::ViewRefused { view, why } => {
            (Truth::False, Reason::Refused, format!("{} cannot be read: {why}", what(*view)), Going::Stalled)
        }
        Because::ViewPending(view) => (
            Truth::Unknown,
            Reason::ViewIncomplete,
            format!("waiting for a complete view of {}", what(*view)),
            Going::Working,
        ),
        Because::Unread { why, transient: true } => {
            (Truth::Unknown, Reason::ViewIncomplete, format!("{why}; it is tried again"), Going::Working)
        }
        Because::Unread { why, transient: false } => {
            (Truth::False, Reason::Refused, format!("{why}; it is tried again"), Going::Working)
        }
        Because::RecordUnreadable { secret } => {
            let message = format!(
                "helm's record of the newest revision, Secret {secret}, cannot be read, and helm can do nothing with it; restore the Secret, or delete it to go on from the revision before"
            );
            (Truth::False, Reason::RecordUnreadable, message, Going::Stalled)
        }
        _ => unsaid(),
    }
}

fn of_others(because: &Because) -> Said {
    match because {
        Because::ClaimedByAnother(winner) => {
            let message = format!(
                "HelmRelease {winner} owns this release; give this object another releaseName, or delete one of the two"
            );
            (Truth::False, Reason::ClaimedByAnother, message, Going::Stalled)
        }
        Because::NotOurs { revision } => {
            let message = format!(
                "a release of this name exists at revision {revision} and was not made by this object; set spec.adopt to Release to take it over, or choose another releaseName"
            );
            (Truth::False, Reason::NotOurs, message, Going::Stalled)
        }
        _ => unsaid(),
    }
}

fn hindrance(because: &Because) -> Said {
    let (reason, message) = match because {
        Because::Hindered { why, until } => (Reason::HelmUnavailable, format!("{why}; next attempt {}", at(*until))),
        Because::RecordSpoilt { why, until } => {
            (Reason::RecordUnreadable, format!("{why}; looked at again {}", at(*until)))
        }
        _ => return unsaid(),
    };
    (Truth::False, reason, message, Going::Working)
}

fn inputs(problem: &InputsProblem) -> Said {
    let (reason, going) = match problem.kind {
        InputsProblemKind::Chart | InputsProblemKind::Older => (Reason::ChartUnavailable, Going::Working),
        InputsProblemKind::Values => (Reason::ValuesUnavailable, Going::Working),
        InputsProblemKind::Refused => (Reason::Refused, Going::Stalled),
        // Asked for again by itself.
        InputsProblemKind::Forbidden => (Reason::Refused, Going::Working),
    };
    (Truth::False, reason, problem.message.to_string(), going)
}

fn dependency(because: &Because) -> Said {
    let (message, going) = match because {
        Because::DependencyNotReady(DependencyView { name, state }) => {
            let missing = match state {
                DependencyState::Ready => "it is looked at again",
                DependencyState::Waiting { why } => why,
                DependencyState::Missing => "it does not exist",
                DependencyState::Foreign => {
                    let message = format!(
                        "HelmRelease {name} is of another namespace, of which this operator tells nothing (--tenancy strict); take it out of spec.dependsOn"
                    );
                    return (Truth::False, Reason::Refused, message, Going::Stalled);
                }
                DependencyState::Unwatched => "its namespace is not watched by this operator",
            };
            (format!("waiting for HelmRelease {name}: {missing}"), Going::Working)
        }
        Because::DependencyCycle(way) => {
            let message = format!("it depends on itself: {}; take one of these out of spec.dependsOn", way.join(" → "));
            (message, Going::Stalled)
        }
        _ => return unsaid(),
    };
    (Truth::False, Reason::DependencyNotReady, message, going)
}

/// A because that belongs to another group. Each group is reached only through the exhaustive match of [`say`].
fn unsaid() -> Said {
    (Truth::Unknown, Reason::Progressing, String::new(), Going::Working)
}

fn progress(because: &Because) -> String {
    match because {
        Because::Looking => "looking up chart, values and records".into(),
        Because::Queued => "waiting for a free helm slot".into(),
        Because::Running { kind: OperationKind::Install, label, .. } => format!("installing {label}"),
        Because::Running { kind: OperationKind::Upgrade, label, .. } => format!("upgrading to {label}"),
        Because::Running { kind: OperationKind::Rollback, label, target } => match target {
            Some(target) => format!("rolling back to revision {target} ({label})"),
            None => format!("rolling back to {label}"),
        },
        Because::Running { kind: OperationKind::Test, label, .. } => {
            format!("{label} is installed and healthy; its tests are running")
        }
        Because::Running { kind: OperationKind::Uninstall, .. } => "removing the release".into(),
        Because::Judging { label, until, member, why } => {
            let member = member.as_ref().map_or_else(|| "the objects".to_owned(), Member::to_string);
            let why = why.as_ref().map_or_else(String::new, |why| format!(": {}", why.text));
            format!("{label} is installed; waiting until {} for {member}{why}", until.strftime("%H:%M:%SZ"))
        }
        Because::Recovering { revision } => {
            format!("a helm process died over revision {revision}; its record is being unlocked")
        }
        Because::Adopting { revision } => format!(
            "revision {revision} was made by somebody else; it is compared with what is declared and taken over"
        ),
        Because::Received { revision, label } => {
            format!(
                "revision {revision} ({label}), which was taken over, is good and the way back; it is upgraded next"
            )
        }
        Because::StrangerAtWork { revision } => {
            format!("another helm process is at work on revision {revision}; waiting for it to end")
        }
        _ => String::new(),
    }
}

fn next(next: Next) -> (String, Going) {
    match next {
        Next::RetryAt(moment) => (format!("next attempt {}", at(moment)), Going::Working),
        Next::Quarantined => (
            "not tried again until the spec or the values change, or helmrelease.dev/retry is set anew".into(),
            Going::Stalled,
        ),
        Next::Watching => ("watched on; Ready when it recovers".into(), Going::Rest),
        Next::Reinstall => ("the release is removed and installed again".into(), Going::Working),
    }
}

fn failure(because: &Because) -> Said {
    let (reason, message, going) = match because {
        Because::AttemptFailed { kind, label, why, next: after } => {
            let (after, going) = next(*after);
            let (reason, verb) = match kind {
                OperationKind::Install => (Reason::InstallFailed, "install"),
                OperationKind::Upgrade | OperationKind::Rollback => (Reason::UpgradeFailed, "upgrade"),
                OperationKind::Test => (Reason::TestFailed, "test"),
                OperationKind::Uninstall => (Reason::UninstallFailed, "removal"),
            };
            (reason, format!("{verb} of {label} failed: {why}; {after}"), going)
        }
        Because::RollingBack { label, why, to } => (
            Reason::UpgradeFailed,
            format!("upgrade to {label} failed: {why}; rolling back to revision {to}"),
            Going::Working,
        ),
        Because::RolledBack { label, to, revision, why, next: after } => {
            let (after, going) = next(*after);
            let message =
                format!("upgrade to {label} failed and was rolled back to {to} (revision {revision}): {why}; {after}");
            (Reason::RolledBack, message, going)
        }
        Because::RolledBackByUser { label, revision } => {
            let message = format!(
                "somebody rolled back from {label} to what is now revision {revision}; {label} is {}",
                next(Next::Quarantined).0
            );
            (Reason::RolledBackByUser, message, Going::Stalled)
        }
        Because::RollbackFailed { to, why, next: after } => {
            let (after, going) = next(*after);
            (Reason::RollbackFailed, format!("rollback to revision {to} failed: {why}; {after}"), going)
        }
        Because::RolledBackUnhealthy { revision, why } => {
            let message = format!(
                "rolled back, but revision {revision} is not healthy either: {why}; change the spec, or repair what it needs"
            );
            (Reason::Unhealthy, message, Going::Stalled)
        }
        _ => return unsaid(),
    };
    (Truth::False, reason, message, going)
}

fn removal(because: &Because) -> Said {
    let (reason, message) = match because {
        Because::Terminating { member } => {
            (Reason::Uninstalling, format!("the release is removed; waiting for {member} to be gone"))
        }
        Because::UninstallFailed { why, until } => {
            (Reason::UninstallFailed, format!("the release could not be removed: {why}; next attempt {}", at(*until)))
        }
        Because::LeftBehind { why } => {
            (Reason::UninstallFailed, format!("the release could not be removed and is left as it is: {why}"))
        }
        Because::LettingGo => (Reason::Uninstalling, "nothing of this release is left to remove".into()),
        Because::Uninstalling => (Reason::Uninstalling, "removing the release".into()),
        _ => return unsaid(),
    };
    (Truth::False, reason, message, Going::Working)
}
