//! The rules, most pressing first; one file each.

mod adoption;
mod attempt;
mod definitions;
mod deletion;
mod dependency;
mod deploy;
mod drift;
mod foreign;
mod inputs;
mod leaving;
mod leftovers;
mod outcome;
mod remediation;
mod running;
mod settled;
mod standing;
mod testing;

use crate::{
    plan::{
        Note, Wake,
        draft::{Decision, Draft},
    },
    release::{Cause, Failures, Inputs, InputsView, Quarantined, Snapshot},
};

pub(super) use outcome::reason;
pub(super) use remediation::state as back;

/// One rule: a situation, what is done about it, and the decision itself.
pub struct Rule {
    pub name: &'static str,
    /// In words, for the table of the README.
    pub situation: &'static str,
    pub action: &'static str,
    pub(super) decide: fn(&mut Draft<'_>) -> Option<Decision>,
}

/// All rules in the order in which they are asked. The first that answers decides.
pub const RULES: &[Rule] = &[
    Rule {
        name: "outcome",
        situation: "a run of helm has ended",
        action: "its result goes into status: kept for judging, counted as failed, or set aside as interrupted",
        decide: outcome::decide,
    },
    Rule {
        name: "running",
        situation: "helm is at work",
        action: "wait; end an install or upgrade whose inputs are out of date, after the hook that runs",
        decide: running::decide,
    },
    Rule {
        name: "deletion",
        situation: "the object is being deleted",
        action: "uninstall what is ours and wait until its objects are gone; then let the object go; where the newest record cannot be read, name its Secret and wait until it is deleted or restored",
        decide: deletion::decide,
    },
    Rule {
        name: "standing",
        situation: "the spec is invalid, the object is refused for want of a service account, or another object owns the release",
        action: "touch nothing, say what is wrong, and wait for a change; where the spec is invalid an attempt that is not over is judged and, if it is bad, rolled back",
        decide: standing::decide,
    },
    Rule {
        name: "view",
        situation: "the records of the release are not in view",
        action: "conclude nothing until they are",
        decide: standing::view,
    },
    Rule {
        name: "unreadable",
        situation: "the record of the newest revision cannot be read",
        action: "touch nothing, name the Secret, and wait until it is deleted or restored: helm writes no revision over it",
        decide: standing::unreadable,
    },
    Rule {
        name: "attempt",
        situation: "helm is done and its revision is being judged, or the process that held the attempt is gone",
        action: "healthy: run the tests of the chart where they are enabled; good: mark the revision as verified; bad: count it; gone: unlock the record and go on",
        decide: attempt::decide,
    },
    Rule {
        name: "suspended",
        situation: "the object is suspended",
        action: "run nothing; go on judging health",
        decide: standing::suspended,
    },
    Rule {
        name: "adoption",
        situation: "somebody else made the release and spec.adopt allows to take it over, or it was just taken over",
        action: "compare it with what is declared, and put our labels on its newest record; look whether that revision is good, so that it is a way back; then go on as with any other",
        decide: adoption::decide,
    },
    Rule {
        name: "foreign",
        situation: "the newest revision was not made by this object",
        action: "a release that is not ours and is not to be adopted is refused; a rollback by hand is respected; an upgrade or uninstall by hand is undone; a living process is waited for, and the record of a dead one unlocked",
        decide: foreign::decide,
    },
    Rule {
        name: "leaving",
        situation: "the release is gone, whoever removed it, and objects of it may still be on their way out",
        action: "look which are, and wait until they are gone: helm would take them for its own, and they would vanish",
        decide: leaving::decide,
    },
    Rule {
        name: "interrupted",
        situation: "a helm process of ours died over the newest revision",
        action: "unlock its record",
        decide: attempt::interrupted,
    },
    Rule {
        name: "unmarked",
        situation: "the newest revision is known to be good and its record does not say so",
        action: "mark it, so that it is a way back",
        decide: settled::unmarked,
    },
    Rule {
        name: "leftovers",
        situation: "the release is good, and older revisions that never were may have left objects behind",
        action: "delete those that are the release's own and not to be kept, and name them in an event",
        decide: leftovers::decide,
    },
    Rule {
        name: "restored",
        situation: "helm rolled the release back, and the result was not good by the deadline",
        action: "no second rollback: watch, and go on when it recovers or when newer inputs are there",
        decide: remediation::restored,
    },
    Rule {
        name: "remediation",
        situation: "the newest upgrade is bad, or was interrupted and its inputs are out of reach, or a version that is not tried again has left or lost its place, and an older revision was verified",
        action: "roll back to the newest verified revision, unless newer inputs are there to try",
        decide: remediation::decide,
    },
    Rule {
        name: "invalid",
        situation: "the spec is invalid, and the last attempt is over",
        action: "touch nothing, say what is wrong, and wait for a change",
        decide: standing::invalid,
    },
    Rule {
        name: "inputs",
        situation: "chart or values are not known, or a range is due to be looked up",
        action: "look them up in a task of their own; say what is missing",
        decide: inputs::decide,
    },
    Rule {
        name: "drift",
        situation: "the desired digest is deployed and was good, and drift is looked for",
        action: "compare objects that changed with what the chart states; name what differs; put it back by an upgrade where that is asked for, later each time it comes back",
        decide: drift::decide,
    },
    Rule {
        name: "settled",
        situation: "the desired digest is deployed",
        action: "mark it when it is good; say so when it is not; run tests again that failed; where it never was good and an object that helm made is gone, have helm make it again; do nothing else",
        decide: settled::decide,
    },
    Rule {
        name: "quarantined",
        situation: "the desired digest used up its attempts, or somebody rolled back from it",
        action: "leave the release where it is good until the inputs change or a retry is asked for; where somebody removed the release, it is tried again",
        decide: remediation::quarantined,
    },
    Rule {
        name: "backoff",
        situation: "an attempt failed and the next one is not due",
        action: "wait, and say until when",
        decide: remediation::backoff,
    },
    Rule {
        name: "dependency",
        situation: "an install or upgrade is due, and a release that it depends on is not ready",
        action: "wait for it by name; a cycle of dependencies waits until somebody breaks it",
        decide: dependency::decide,
    },
    Rule {
        name: "deploy",
        situation: "the desired digest is not deployed",
        action: "install where there is no release, upgrade where there is one",
        decide: deploy::decide,
    },
];

/// What a snapshot changes in memory before any rule is asked: requests by annotation, and newer inputs.
pub(super) fn notice(draft: &mut Draft<'_>) {
    let object = &draft.snapshot.object;
    draft.memory.observed_generation = object.generation;
    drift::forget(draft);
    let new =
        |asked: &Option<Box<str>>, handled: &Option<String>| asked.is_some() && asked.as_deref() != handled.as_deref();
    if new(&object.retry, &draft.memory.handled.retry) {
        draft.memory.handled.retry = object.retry.as_deref().map(ToOwned::to_owned);
        draft.memory.quarantined.clear();
        draft.memory.failures = Failures::default();
        if let Some(drift) = &mut draft.memory.drift {
            (drift.corrections, drift.not_before) = (0, None);
        }
        draft.notes.push(Note::RetryRequested);
    }
    let generation = object.generation;
    let Some(found) = draft.inputs() else { return };
    match &draft.memory.desired {
        Some(known) if known.digest == found.digest => {
            let terms = known.terms.as_ref().zip(found.terms.as_ref());
            let (cause, changed) = (known.cause, terms.is_some_and(|(before, now)| before != now));
            let digest = &found.digest;
            // The same content on other terms: a longer timeout, hooks or tests left out, conflicts forced. Somebody
            // has done something about the failure, and what was not tried that way is tried. A rollback by hand was
            // no failure.
            let by_user = draft.memory.quarantine_of(digest).is_some_and(Quarantined::is_by_user);
            if changed && !by_user {
                draft.memory.quarantined.retain(|entry| entry.digest != *digest);
                draft.memory.failures = Failures::default();
            }
            draft.memory.desired = Some(Inputs { generation, cause, ..found.clone() });
        }
        known => {
            // The generation that status speaks of is no measure: passes go by while a look-up is under way.
            let cause = match known {
                Some(known) if known.generation != generation => Cause::Spec,
                Some(known) if known.chart_digest != found.chart_digest => Cause::Chart,
                Some(_) => Cause::Values,
                None => Cause::Spec,
            };
            draft.memory.desired = Some(Inputs { generation, cause, ..found.clone() });
            draft.memory.failures = Failures::default();
            draft.memory.drift = None;
        }
    }
}

/// When a range is to be resolved anew, if that is ahead.
pub(super) fn look_again(snapshot: &Snapshot) -> Wake {
    match &snapshot.inputs {
        InputsView::Known { look_again: Some(moment), .. } if *moment > snapshot.now => Wake::At(*moment),
        InputsView::Known { .. } | InputsView::Stale | InputsView::Underway | InputsView::Failed { .. } => Wake::Never,
    }
}
