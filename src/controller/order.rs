//! What helm is told to do: made from the plan, after a look whether the release and the inputs still are what was
//! planned for.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{Context, floor::Known, inputs::Prepared, offload::decoded, operate::Attempt, prepare, spoilt, verdicts};
use crate::{
    api::OperationKind,
    cluster::RecordData,
    helm::{self, Command, Invocation},
    release::{
        Cause, Failure, FailureClass, Hooks, LABEL_DIGEST, LABEL_OWNER, LABEL_REVISION, Operation, OwnerId, Policy,
        Record, Records,
    },
    sources::StoredChart,
};

/// What helm's own limits get on top of the release's timeout before helm is ended from outside: the limit is helm's
/// for each step, the wall clock is ours for the whole run.
const WALL_CLOCK_EXTRA: Duration = Duration::from_secs(60);

/// The same for tests: time to write down what the last of them came to. A test that does not end is ended by helm.
const TESTS_EXTRA: Duration = Duration::from_secs(10);

/// Checks that the release is as planned, and makes what helm is given; with the chart, where one is deployed.
pub(super) async fn ready(
    context: &Context,
    attempt: &Attempt,
    records: &Records,
) -> Result<(Invocation, Option<StoredChart>), Failure> {
    let Attempt { operation, policy, .. } = attempt;
    let newest = records.newest().map_or(0, |record| record.revision);
    let expected = match operation.kind {
        OperationKind::Uninstall | OperationKind::Test => operation.revision,
        OperationKind::Install | OperationKind::Upgrade | OperationKind::Rollback => {
            operation.revision.saturating_sub(1)
        }
    };
    if newest != expected {
        let message = format!("the release is at revision {newest}, not at {expected}: somebody else acted on it");
        return Err(Failure { class: FailureClass::LostRace, message: message.into() });
    }
    let creates = !matches!(operation.kind, OperationKind::Uninstall | OperationKind::Test);
    if creates
        && attempt.was_refused
        && let Some(failure) = spoilt::stands_in_the_way(context, &policy.key(), operation.revision).await
    {
        return Err(failure);
    }
    let mut chart = None;
    let (command, wait_for_hooks) = match operation.kind {
        OperationKind::Install | OperationKind::Upgrade => {
            let prepared = prepared(context, attempt, records).await?;
            chart = Some(prepared.chart.clone());
            (deploying(attempt, &prepared, records), prepared.chart.facts.hooks)
        }
        OperationKind::Rollback => {
            let to = operation.target.unwrap_or_default();
            if !records.get(to).is_some_and(Record::is_verified) {
                let message = format!("revision {to}, which was good, is not there any more");
                return Err(Failure { class: FailureClass::LostRace, message: message.into() });
            }
            let force_conflicts = attempt.failed_rollbacks > 0 || operation.cause == Cause::Drift;
            (Command::Rollback { to, force_conflicts }, hooks_to_return(context, policy, to).await?)
        }
        OperationKind::Test => {
            (Command::Test { except: verdicts::left_out(context, policy, operation.revision).await? }, false)
        }
        OperationKind::Uninstall => (Command::Uninstall, hooks_to_remove(context, policy, newest).await?),
    };
    let (timeout, wall_clock) = limits(operation, policy, context.clock.now());
    let invocation = Invocation {
        release: policy.key(),
        command,
        history_max: records.history_max(policy.max_history, operation.target.or(attempt.way_back)),
        timeout,
        wall_clock,
        wait_for_hooks,
        skip_hooks: hooks_of(operation.kind, policy) == Hooks::Skip,
    };
    Ok((invocation, chart))
}

/// helm's own limit, and that of the whole run. Tests have what is left of their attempt, all of them together.
fn limits(operation: &Operation, policy: &Policy, now: Timestamp) -> (Duration, Duration) {
    match operation.kind {
        OperationKind::Test => {
            let left = Duration::try_from(operation.deadline.duration_since(now)).unwrap_or_default();
            (left, left.saturating_add(TESTS_EXTRA))
        }
        OperationKind::Install | OperationKind::Upgrade | OperationKind::Rollback | OperationKind::Uninstall => {
            let timeout = policy.timeout.as_std();
            (timeout, timeout.saturating_add(WALL_CLOCK_EXTRA))
        }
    }
}

/// A removal runs its hooks whatever the spec says of those of other runs.
fn hooks_of(kind: OperationKind, policy: &Policy) -> Hooks {
    match kind {
        OperationKind::Install => policy.hooks.install,
        OperationKind::Upgrade => policy.hooks.upgrade,
        OperationKind::Rollback => policy.hooks.rollback,
        OperationKind::Test | OperationKind::Uninstall => Hooks::Run,
    }
}

/// Whether the revision to go back to has hooks other than tests; in doubt yes, because hooks expect ready and deleted
/// objects. One that cannot be read is no way back: helm would not find it.
async fn hooks_to_return(context: &Context, policy: &Policy, to: u32) -> Result<bool, Failure> {
    let Ok(Some(record)) = context.requests.read_record_data(&policy.key(), to).await else { return Ok(true) };
    has_hooks(&record).await.ok_or_else(|| spoilt::unreadable(context, &policy.key(), to, &record))
}

/// The same for what is to be removed. helm would remove the revision before one that it cannot read.
async fn hooks_to_remove(context: &Context, policy: &Policy, newest: u32) -> Result<bool, Failure> {
    let Ok(Some(record)) = context.requests.read_record_data(&policy.key(), newest).await else { return Ok(true) };
    has_hooks(&record).await.ok_or_else(|| spoilt::newest_unreadable(context, &policy.key(), newest, &record))
}

/// `None` where the record cannot be read.
async fn has_hooks(record: &RecordData) -> Option<bool> {
    let payload = decoded(record).await.ok()?;
    Some(payload.hooks.iter().any(|hook| hook.events.iter().any(|event| !event.starts_with("test"))))
}

/// What helm is to deploy, if it still is what the operation was planned for.
async fn prepared(context: &Context, attempt: &Attempt, records: &Records) -> Result<Arc<Prepared>, Failure> {
    let changed = |message: String| Failure { class: FailureClass::InputsChanged, message: message.into() };
    let Attempt { key, operation, desired, .. } = attempt;
    let desired = desired.as_ref().ok_or_else(|| changed("the spec is not valid any more".into()))?;
    let digest =
        operation.digest.as_ref().ok_or_else(|| changed("nothing is known of what is to be deployed".into()))?;
    // A good release lacks nothing where its own inputs are not to be had any more, or are others by now.
    let is_good =
        records.deployed().is_some_and(|record| record.is_verified() && record.digest.as_ref() == Some(digest));
    let now = context.clock.now();
    let owner = OwnerId::of(key);
    let known = is_good.then_some(Known { deployed: None, records, owner: &owner });
    let prepared = match prepare::at_hand(context, key, desired, attempt.prepared.clone(), known).await {
        Ok(prepared) => prepared,
        Err(problem) => {
            let message = problem.message.to_string();
            if is_good {
                context.inputs.look_again(key, digest, now);
            } else {
                context.inputs.fail(key, digest, problem, now);
            }
            return Err(changed(message));
        }
    };
    if *digest != prepared.inputs.digest {
        if is_good {
            context.inputs.look_again(key, digest, now);
        } else {
            context.inputs.outdate(key, digest);
        }
        return Err(changed("chart or values changed before helm started".into()));
    }
    Ok(prepared)
}

fn deploying(attempt: &Attempt, prepared: &Prepared, records: &Records) -> Command {
    let Attempt { key, operation, policy, desired, takes_objects: take_ownership, .. } = attempt;
    let take_ownership = *take_ownership;
    let create_namespace = desired.as_ref().is_some_and(|desired| desired.create_namespace);
    let inputs = helm::Inputs {
        chart: prepared.chart.path.clone(),
        values: prepared.values.clone(),
        labels: [
            (LABEL_DIGEST, prepared.inputs.digest.to_string()),
            (LABEL_OWNER, OwnerId::of(key).as_str().to_owned()),
            (LABEL_REVISION, operation.revision.to_string()),
        ]
        .map(|(label, value)| (label.to_owned(), value))
        .into(),
        description: format!("{} by helm-release-operator: {}", operation.kind.as_str(), operation.cause.as_str()),
    };
    match operation.kind {
        OperationKind::Install => {
            Command::Install { inputs, replace: !records.is_empty(), create_namespace, take_ownership }
        }
        OperationKind::Upgrade | OperationKind::Rollback | OperationKind::Test | OperationKind::Uninstall => {
            // Whoever changed a field holds it.
            let force_conflicts = policy.force_conflicts || operation.cause == Cause::Drift;
            Command::Upgrade { inputs, force_conflicts, take_ownership }
        }
    }
}
