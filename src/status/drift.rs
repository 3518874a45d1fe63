//! Drift in words.

use super::words::at;
use crate::{
    api::OperationKind,
    plan::{Because, Plan},
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
        text = format!("{text}; and {more} more objects");
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
    // Also when that moment is past, or the words would change with nothing but time.
    match drift.not_before {
        _ if is_correcting(plan) => format!("{text}; it is being corrected"),
        Some(until) => format!("{text}; next correction not before {}", at(until).trim_start_matches("at ")),
        None => format!("{text}; it will be corrected"),
    }
}

fn is_correcting(plan: &Plan) -> bool {
    let running = matches!(plan.because, Because::Running { kind: OperationKind::Upgrade, .. });
    running && plan.memory.operation.as_ref().is_some_and(|operation| operation.cause == Cause::Drift)
}
