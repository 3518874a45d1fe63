//! What the tests of a revision came to: helm writes it into the record, and the test's own object says why.

use super::{Context, offload::decoded, sight::Sight, spoilt};
use crate::{
    cluster::RecordData,
    health,
    helm::{Hook, HookPhase},
    release::{Failure, FailureClass, Member, Policy, TestRun, Verdict},
};

/// Names of the tests that the filters do not let run.
pub(super) async fn left_out(context: &Context, policy: &Policy, revision: u32) -> Result<Vec<Box<str>>, Failure> {
    let test = &policy.test;
    if test.only.is_empty() && test.except.is_empty() {
        return Ok(Vec::new());
    }
    let failure = |class, message: String| Failure { class, message: message.into() };
    let record = context.requests.read_record_data(&policy.key(), revision).await;
    let record = record.map_err(|error| failure(FailureClass::Unreachable, error.to_string()))?;
    let gone = || failure(FailureClass::LostRace, format!("revision {revision} is gone"));
    let record = record.ok_or_else(gone)?;
    let Ok(decoded) = decoded(&record).await else {
        return Err(spoilt::newest_unreadable(context, &policy.key(), revision, &record));
    };
    let hooks = decoded.hooks;
    let mut names: Vec<Box<str>> =
        hooks.into_iter().filter(|hook| hook.is_test() && !test.selects(&hook.name)).map(|hook| hook.name).collect();
    names.dedup();
    Ok(names)
}

/// `None` where the record cannot be read.
pub(super) async fn look(sight: &Sight, policy: &Policy, record: &RecordData) -> Option<Box<TestRun>> {
    let decoded = decoded(record).await.ok()?;
    let tests: Vec<&Hook> = decoded.hooks.iter().filter(|hook| hook.is_test()).collect();
    let selected: Vec<&Hook> = tests.iter().copied().filter(|hook| policy.test.selects(&hook.name)).collect();
    // One that still runs is what was waited for when the time was up.
    let of = |phase| selected.iter().copied().find(|hook| hook.phase == phase);
    let bad =
        of(HookPhase::Failed).map(|hook| (hook, "failed")).or_else(|| Some((of(HookPhase::Running)?, "did not end")));
    let failed = match bad {
        Some((hook, how)) => Some(tell(sight, policy, hook, how).await),
        None => None,
    };
    let count = |hooks: &[&Hook]| u32::try_from(hooks.len()).unwrap_or(u32::MAX);
    Some(Box::new(TestRun { all: count(&tests), selected: count(&selected), failed }))
}

/// The test by name, and the last reason that its object gives; a delete policy may have taken the object away.
async fn tell(sight: &Sight, policy: &Policy, hook: &Hook, how: &str) -> Box<str> {
    let api_version = match &*hook.kind {
        "Job" => "batch/v1",
        _ => "v1",
    };
    let member = Member {
        api_version: api_version.into(),
        kind: hook.kind.clone(),
        namespace: policy.namespace.as_str().into(),
        name: hook.name.clone(),
    };
    let reason = match sight.read(&member).await {
        Ok(Some(object)) => match health::judge(&object).verdict {
            Verdict::Failed(why) | Verdict::Progressing(why) => Some(why.text),
            Verdict::Healthy => None,
        },
        Ok(None) | Err(_) => None,
    };
    match reason {
        Some(reason) => format!("{member} {how}: {reason}").into(),
        None => format!("{member} {how}").into(),
    }
}
