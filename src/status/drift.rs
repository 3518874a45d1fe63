//! Drift in words.

use super::words::{at, say};
use crate::{
    api::OperationKind,
    plan::{Because, Held, Plan},
    release::{Cause, Drift, DriftMode, Finding},
};

/// Objects of which the fields are named; the rest is counted.
const SAID_MAX: usize = 3;

/// What was found.
pub(super) fn found(finding: &Finding) -> String {
    let said: Vec<String> = finding.objects.iter().take(SAID_MAX).map(ToString::to_string).collect();
    let more = usize::try_from(finding.count).unwrap_or(usize::MAX).saturating_sub(said.len());
    let mut text = said.join("; ");
    if more > 0 {
        text = format!("{text}; and {more} more {}", if more == 1 { "object" } else { "objects" });
    }
    match &finding.unseen {
        Some(unseen) if text.is_empty() => unseen.to_string(),
        Some(unseen) => format!("{text}; {unseen}"),
        None => text,
    }
}

/// The same, with what is done about it.
pub(super) fn sentence(drift: &Drift, mode: DriftMode, plan: &Plan) -> String {
    let mut text = found(&drift.finding);
    if drift.finding.count == 0 || mode != DriftMode::Correct {
        return text;
    }
    if let Some(why) = &drift.failure {
        text = format!("{text}; the last correction failed: {why}");
    } else if drift.corrections > 0 && !is_correcting(plan) {
        let times =
            if drift.corrections == 1 { "once".into() } else { format!("{} times in a row", drift.corrections) };
        text = format!("{text}; it was corrected {times} and came back");
    }
    if let Some(why) = held(plan) {
        return format!("{text}; it is not corrected for now: {why}");
    }
    // Also when that moment is past, or the words would change with nothing but time.
    match drift.not_before {
        _ if is_correcting(plan) => format!("{text}; it is being corrected"),
        Some(until) => format!("{text}; next correction not before {}", at(until).trim_start_matches("at ")),
        None => format!("{text}; it will be corrected"),
    }
}

/// What holds a correction back that would be made otherwise.
fn held(plan: &Plan) -> Option<String> {
    match &plan.held {
        Some(Held::Waits(because)) => return Some(say(because).message),
        Some(Held::Quarantined) => {
            let until = "until the spec or the values change, or helmrelease.dev/retry is set anew";
            return Some(format!("what is deployed is not tried again {until}"));
        }
        None => {}
    }
    match &plan.because {
        Because::Suspended { .. } => Some("the release is suspended".into()),
        because @ (Because::ClaimedByAnother(_)
        | Because::NotOurs { .. }
        | Because::StrangerAtWork { .. }
        | Because::ViewRefused { .. }
        | Because::RecordUnreadable { .. }
        | Because::Unread { .. }
        | Because::Inputs(_)) => Some(say(because).message),
        Because::Good { .. }
        | Because::Looking
        | Because::Queued
        | Because::Running { .. }
        | Because::Judging { .. }
        | Because::Recovering { .. }
        | Because::ViewPending(_)
        | Because::RecordSpoilt { .. }
        | Because::InvalidSpec(_)
        | Because::Refused(_)
        | Because::Adopting { .. }
        | Because::Received { .. }
        | Because::DependencyNotReady(_)
        | Because::DependencyCycle(_)
        | Because::AttemptFailed { .. }
        | Because::RollingBack { .. }
        | Because::RolledBack { .. }
        | Because::RolledBackByUser { .. }
        | Because::RollbackFailed { .. }
        | Because::RolledBackUnhealthy { .. }
        | Because::Unhealthy { .. }
        | Because::Hindered { .. }
        | Because::Uninstalling
        | Because::Terminating { .. }
        | Because::UninstallFailed { .. }
        | Because::LettingGo
        | Because::LeftBehind { .. } => None,
    }
}

fn is_correcting(plan: &Plan) -> bool {
    let running = matches!(plan.because, Because::Running { kind: OperationKind::Upgrade, .. });
    running && plan.memory.operation.as_ref().is_some_and(|operation| operation.cause == Cause::Drift)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        plan::{Action, Wake},
        release::{DependencyState, DependencyView, Deviation, Drifted, Member, Memory},
    };

    fn said(held: Option<Held>, because: Because) -> String {
        let member =
            Member { api_version: "v1".into(), kind: "ConfigMap".into(), namespace: "n".into(), name: "a".into() };
        let what = Deviation::Missing;
        let drift = Drift {
            revision: 1,
            since: Timestamp::UNIX_EPOCH,
            finding: Finding::new([Drifted { member, what }], None),
            corrections: 0,
            not_before: None,
            gone: None,
            failure: None,
        };
        let (action, memory, notes) = (Action::Idle, Memory::default(), Vec::new());
        sentence(&drift, DriftMode::Correct, &Plan { action, memory, because, held, notes, wake: Wake::Never })
    }

    #[test]
    fn what_holds_a_correction_back_is_named() {
        let good = || Because::Good { revision: 1, label: "1.0.0".into() };
        assert_eq!(said(None, good()), "ConfigMap a is missing; it will be corrected");
        let missing = DependencyView { name: "n/db".into(), state: DependencyState::Missing };
        let waits = Held::Waits(Because::DependencyNotReady(missing));
        let expected =
            "ConfigMap a is missing; it is not corrected for now: waiting for HelmRelease n/db: it does not exist";
        assert_eq!(said(Some(waits), good()), expected);
        assert!(said(Some(Held::Quarantined), good()).contains("for now: what is deployed is not tried again"));
        assert!(said(None, Because::Suspended { deployed: true }).ends_with("for now: the release is suspended"));
    }
}
