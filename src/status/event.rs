//! Events: what happened, told once. An idle pass tells nothing.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{bounded, conditions::done};
use crate::{
    api::OperationKind,
    plan::{Note, Plan},
    release::Difference,
};

/// Longest note of an event, in bytes: the limit of the events API.
pub const NOTE_MAX_BYTES: usize = 1024;

/// Whether somebody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    Normal,
    Warning,
}

/// One event about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub kind: EventKind,
    pub reason: Box<str>,
    pub note: Box<str>,
}

/// The notes of a plan, and a change of Ready to something that a person should know.
pub(super) fn all(before: Option<&Condition>, after: Option<&Condition>, plan: &Plan) -> Vec<Event> {
    let mut events: Vec<Event> = plan.notes.iter().map(tell).collect();
    if let Some(after) = after {
        let same = before.is_some_and(|before| before.reason == after.reason && before.status == after.status);
        if after.status == "False" && !same && after.reason != "Uninstalling" {
            events.push(Event {
                kind: EventKind::Warning,
                reason: after.reason.as_str().into(),
                note: bounded(&after.message, NOTE_MAX_BYTES).into(),
            });
        }
    }
    events
}

fn tell(note: &Note) -> Event {
    let (kind, reason, text) = match note {
        Note::ManualUpgrade { revision } => (
            EventKind::Warning,
            "ManualUpgrade",
            format!("revision {revision} was made by somebody else; the declared state is put back"),
        ),
        Note::ManualRollback { revision, to } => (
            EventKind::Warning,
            "ManualRollback",
            format!("somebody rolled back to revision {to}, as revision {revision}; this is respected"),
        ),
        Note::ManualUninstall => {
            (EventKind::Warning, "ManualUninstall", "somebody uninstalled the release; it is installed again".into())
        }
        Note::Adopted { revision, label, stays, differs } => {
            (EventKind::Normal, "Adopted", adopted(*revision, label, *stays, differs))
        }
        Note::Done { kind, revision, label } => {
            let reason = match kind {
                OperationKind::Install => "Installed",
                OperationKind::Upgrade => "Upgraded",
                OperationKind::Rollback => "RollbackSucceeded",
                OperationKind::Test => "Tested",
                OperationKind::Uninstall => "Uninstalled",
            };
            let text = match kind {
                OperationKind::Uninstall => "the release is uninstalled".to_owned(),
                OperationKind::Install | OperationKind::Upgrade | OperationKind::Rollback | OperationKind::Test => {
                    format!("{} {label} as revision {revision}", done(*kind))
                }
            };
            (EventKind::Normal, reason, text)
        }
        Note::Interrupted { kind, revision } => (
            EventKind::Normal,
            "Interrupted",
            format!("the {} of revision {revision} did not come to a result", kind.as_str().to_lowercase()),
        ),
        Note::TestsFailed { revision, why } => {
            (EventKind::Warning, "TestFailed", format!("tests of revision {revision} failed: {why}"))
        }
        Note::Drifted { finding } => (EventKind::Warning, "Drifted", super::drift::found(finding)),
        Note::Quarantined { label, why } => {
            (EventKind::Warning, "Quarantined", format!("{label} is not tried again: {why}"))
        }
        Note::DefinitionsDiffer(left) => (
            EventKind::Warning,
            "CustomResourceDefinitionDiffers",
            format!("{left}; spec.crds: CreateReplace would replace what differs"),
        ),
        Note::RetryRequested => {
            (EventKind::Normal, "RetryRequested", "quarantine and failure counts were cleared on request".into())
        }
        Note::ForcedDeletion => (
            EventKind::Warning,
            "ForcedDeletion",
            "the object was let go of on request; its release may still be there".into(),
        ),
    };
    Event { kind, reason: reason.into(), note: bounded(&text, NOTE_MAX_BYTES).into() }
}

fn adopted(revision: u32, label: &str, stays: bool, differs: &[Difference]) -> String {
    let taken = format!("revision {revision} ({label}), made by somebody else, is taken over");
    if stays {
        return format!("{taken} as it is: chart and values are those that are declared");
    }
    if differs.is_empty() {
        return format!("{taken} and will be upgraded");
    }
    let parts: Vec<&str> = differs.iter().map(|part| part.as_str()).collect();
    format!("{taken} and will be upgraded; not known to be as declared: {}", parts.join(", "))
}
