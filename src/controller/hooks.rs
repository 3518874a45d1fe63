//! When a run of helm may be told to end because something else is wanted: not in the middle of a hook. A migration
//! would go on without the run that it belongs to, and the next run deletes it half done, because by default helm
//! removes the object of a hook before it makes the new one.
//!
//! helm writes the record before each hook, and after a hook only with its next step. So the record tells which hook
//! was begun, and the object of that hook tells when it has ended. A hook whose object nobody has seen may not be made
//! yet, so what it does is not known until the record says more. All of this ends with helm itself, whose wall clock
//! bounds it. What is left is the moment between a look and the signal, in which helm may begin the next hook.

use std::{convert::Infallible, future::pending};

use super::{Context, offload::decoded, operate::Attempt, persistently};
use crate::{
    api::OperationKind,
    health,
    helm::{self, Hook, HookPhase},
    release::{Member, Policy},
};

/// Tells helm to end once that is wanted and no hook is under way. Never returns: whoever runs helm drops it.
pub(super) async fn end_between_hooks(context: &Context, attempt: &Attempt) -> Infallible {
    attempt.wanted_to_end.cancelled().await;
    match attempt.operation.kind {
        OperationKind::Install | OperationKind::Upgrade => {
            no_hook_runs(context, &attempt.policy, attempt.operation.revision).await;
        }
        // Tests are asked to end for their own sake; the others take no notice of the signal.
        OperationKind::Test | OperationKind::Rollback | OperationKind::Uninstall => {}
    }
    attempt.stop.gently.cancel();
    pending().await
}

/// Waits until no hook of the revision runs.
async fn no_hook_runs(context: &Context, policy: &Policy, revision: u32) {
    let release = policy.key();
    let mut over: Option<Hook> = None;
    loop {
        let known = context.records.version(&release, revision).unwrap_or_default();
        let hook = match persistently(|| context.requests.read_record_data(&release, revision)).await {
            // Nothing is written yet, and so no hook is begun.
            Ok(None) => return,
            Ok(Some(record)) => {
                if let Some(versioned) = &record.record {
                    context.records.observe_record(&release, versioned.clone());
                }
                match decoded(&record).await {
                    Ok(payload) => match under_way(&payload, over.as_ref()) {
                        None => return,
                        Some(hook) => (Some(hook.clone()), record.record.map_or(known, |read| read.version)),
                    },
                    Err(_) => (None, known),
                }
            }
            Err(_) => (None, known),
        };
        let (hook, than) = hook;
        tokio::select! {
            () = context.records.newer(&release, revision, than) => {}
            () = ends(context, policy, hook.as_ref()) => over = hook,
        }
    }
}

/// The hook that helm is at, as the record of the revision tells; `over` is known to have ended since. A record that is
/// not pending any more was written by a helm that has nothing left to do.
fn under_way<'p>(payload: &'p helm::Payload, over: Option<&Hook>) -> Option<&'p Hook> {
    let running = |hook: &&Hook| hook.phase == HookPhase::Running && Some(*hook) != over;
    payload.hooks.iter().filter(|_| payload.status.is_pending()).find(running)
}

/// Waits until the object of a hook has come to its end, or has gone after it was there.
async fn ends(context: &Context, policy: &Policy, hook: Option<&Hook>) {
    let Some(member) = hook.and_then(|hook| object_of(hook, policy)) else { return pending().await };
    let mut seen = false;
    let ended = |object: Option<&serde_json::Value>| match object {
        None => seen,
        Some(object) => {
            seen = true;
            health::has_ended(object)
        }
    };
    if let Err(error) = context.requests.until_member(&member, ended).await {
        tracing::warn!(%member, %error, "a hook cannot be watched; the run is ended after it, when the record says so");
        pending::<()>().await;
    }
}

/// What helm waits for is a Job or a Pod; of any other kind it only waits until it is made.
fn object_of(hook: &Hook, policy: &Policy) -> Option<Member> {
    let api_version = match &*hook.kind {
        "Job" => "batch/v1",
        "Pod" => "v1",
        _ => return None,
    };
    Some(Member {
        api_version: api_version.into(),
        kind: hook.kind.clone(),
        namespace: policy.namespace.as_str().into(),
        name: hook.name.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::RecordStatus;

    fn hook(name: &str, phase: HookPhase) -> Hook {
        Hook { name: name.into(), kind: "Job".into(), events: vec!["pre-upgrade".into()], phase }
    }

    fn payload(status: RecordStatus, hooks: Vec<Hook>) -> helm::Payload {
        helm::Payload {
            revision: 2,
            status,
            description: "".into(),
            rollback_to: None,
            chart_name: "".into(),
            chart_version: "".into(),
            app_version: "".into(),
            manifest: String::new(),
            hooks,
            apply_method: helm::ApplyMethod::ServerSide,
        }
    }

    #[test]
    fn run_may_end_unless_its_record_says_that_a_hook_runs() {
        let (done, runs, next) =
            (hook("a", HookPhase::Succeeded), hook("b", HookPhase::Running), hook("c", HookPhase::Unknown));
        let pending =
            |hooks: &[&Hook]| payload(RecordStatus::PendingUpgrade, hooks.iter().map(|hook| (*hook).clone()).collect());
        assert_eq!(under_way(&pending(&[]), None), None);
        assert_eq!(under_way(&pending(&[&done, &next]), None), None);
        assert_eq!(under_way(&pending(&[&done, &runs, &next]), None), Some(&runs));
        assert_eq!(under_way(&pending(&[&done, &runs, &next]), Some(&runs)), None, "its object has ended");
        assert_eq!(under_way(&pending(&[&runs]), Some(&hook("a", HookPhase::Running))), Some(&runs));
        assert_eq!(under_way(&payload(RecordStatus::Failed, vec![runs]), None), None, "helm has ended it");
    }
}
