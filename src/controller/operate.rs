//! One attempt from a granted slot to its outcome: a task that nobody waits for, with no choices to make.
//!
//! It begins and ends with a quorum read of the release's records. What stands between is helm. The last read is part
//! of the outcome, so no verdict is taken from a view that is older than the end of helm.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Context, NoHelm, aftermath, board::Halt, definitions, hooks, inputs::Prepared, prepare, verdicts};
use crate::{
    api::OperationKind,
    helm::{self, Command, Invocation, Stop},
    release::{
        Cause, Desired, Ended, Failure, FailureClass, Hooks, Identity, LABEL_DIGEST, LABEL_OWNER, LABEL_REVISION,
        Member, Operation, Outcome, OwnerId, Policy, Record, Records,
    },
    sources::StoredChart,
    types::{self, Namespace, ObjectKey},
};

/// What helm's own limits get on top of the release's timeout before helm is ended from outside: the limit is helm's
/// for each step, the wall clock is ours for the whole run.
const WALL_CLOCK_EXTRA: Duration = Duration::from_secs(60);

/// The same for tests: time to write down what the last of them came to. A test that does not end is ended by helm.
const TESTS_EXTRA: Duration = Duration::from_secs(10);

/// What an attempt needs to know, taken when it starts.
pub(super) struct Attempt {
    pub(super) key: ObjectKey,
    pub(super) operation: Operation,
    pub(super) policy: Policy,
    /// Absent where the spec is not valid any more: then only a removal runs.
    pub(super) desired: Option<Desired>,
    /// As the spec names it, valid or not: whatever runs, runs with these rights.
    pub(super) service_account: Option<Box<str>>,
    pub(super) prepared: Option<Arc<Prepared>>,
    pub(super) members: Vec<Member>,
    /// The revision to go back to should this attempt be bad: helm must not prune it.
    pub(super) way_back: Option<u32>,
    /// Rollbacks in a row that failed: from the second try on, conflicts are forced.
    pub(super) failed_rollbacks: u32,
    /// Objects that are not the release's are taken over.
    pub(super) takes_objects: bool,
    pub(super) stop: Stop,
    /// Something else is to be done: [`Self::stop`] follows as soon as no hook runs.
    pub(super) wanted_to_end: CancellationToken,
}

impl Attempt {
    /// Before helm has started, every wish for an end is as good as another.
    async fn told_to_end(&self) {
        tokio::select! {
            () = self.stop.gently.cancelled() => {}
            () = self.stop.now.cancelled() => {}
            () = self.wanted_to_end.cancelled() => {}
        }
    }
}

/// The board's way to end a run.
#[derive(Default, Clone)]
pub(super) struct Brake {
    pub(super) stop: Stop,
    pub(super) wanted: CancellationToken,
}

impl Halt for Brake {
    fn when_fit(&self) {
        self.wanted.cancel();
    }

    fn gently(&self) {
        self.stop.gently.cancel();
    }

    fn now(&self) {
        self.stop.now.cancel();
    }
}

/// Runs an attempt and puts its outcome on the board.
pub(super) async fn operate(context: Arc<Context>, attempt: Attempt) {
    let outcome = run(&context, &attempt).await;
    let kind = attempt.operation.kind.as_str();
    let result = match &outcome.ended {
        Ended::Succeeded => "succeeded",
        Ended::Failed(_) => "failed",
        Ended::TimedOut => "timed_out",
        Ended::Cancelled => "cancelled",
        Ended::Killed { .. } => "killed",
        Ended::NotStarted(_) => "not_started",
    };
    context.metrics.operations.with_label_values(&[kind, result]).inc();
    if let Ended::Failed(failure) | Ended::NotStarted(failure) = &outcome.ended {
        context.metrics.failures.with_label_values(&[failure.class.as_str()]).inc();
    }
    tracing::info!(
        object = %attempt.key,
        release = %attempt.policy.key(),
        operation = %attempt.operation.id,
        kind,
        revision = attempt.operation.revision,
        cause = attempt.operation.cause.as_str(),
        result,
        "helm ended"
    );
    context.board.end(&attempt.key, outcome);
}

async fn run(context: &Context, attempt: &Attempt) -> Outcome {
    let begun = Instant::now();
    let release = attempt.policy.key();
    let before = match context.read_records(&release).await {
        Ok(records) => records,
        Err(error) => {
            let message = error.to_string().into();
            return not_started(attempt, Failure { class: FailureClass::Unreachable, message });
        }
    };
    let (ended, definitions, started) = match ready(context, attempt, &before).await {
        Ok((invocation, chart)) => {
            // Known for certain only now: the record of a way back, or of what is removed, was read for it.
            context.board.reseat(&attempt.key, invocation.waits());
            deploy(context, attempt, invocation, chart).await
        }
        Err(failure) => (Ended::NotStarted(failure), Vec::new(), None),
    };
    if let Ended::NotStarted(failure) = ended {
        return Outcome { records: Some(before), ..not_started(attempt, failure) };
    }
    let waited = started.map_or(Duration::ZERO, |started| started.duration_since(begun));
    let waited = types::Duration::at_most_a_year(waited);
    let definitions = definitions.into();
    Outcome { waited, definitions, ..aftermath::look(context, attempt, before, ended).await }
}

/// The definitions of the chart first, then helm. Also the names of definitions that differ and were left alone, and
/// when helm started.
async fn deploy(
    context: &Context,
    attempt: &Attempt,
    invocation: Invocation,
    chart: Option<StoredChart>,
) -> (Ended, Vec<Box<str>>, Option<Instant>) {
    let policy = &attempt.policy;
    let identity = match identity_of(attempt, context) {
        Ok(identity) => identity,
        Err(failure) => return (Ended::NotStarted(failure), Vec::new(), None),
    };
    let mut left_alone = Vec::new();
    if let Some(chart) = chart.filter(|chart| chart.facts.crds) {
        let put = tokio::select! {
            biased;
            () = attempt.told_to_end() => return (Ended::Cancelled, Vec::new(), None),
            put = definitions::put_into_effect(context, &chart, policy.crds, &identity) => put,
        };
        match put {
            Ok(names) => left_alone = names,
            Err(failure) => return (Ended::NotStarted(failure), Vec::new(), None),
        }
    }
    let (ended, started) = helm(context, attempt, invocation, &identity).await;
    (explained(context, attempt.operation.kind, &identity, ended).await, left_alone, started)
}

/// A removal that is forbidden to an account that is gone stays forbidden. That is looked for only then: the rights of
/// an account are bound to its name, and may have outlived it.
async fn explained(context: &Context, kind: OperationKind, identity: &Identity, ended: Ended) -> Ended {
    let (OperationKind::Uninstall, Identity::ServiceAccount { namespace, name }) = (kind, identity) else {
        return ended;
    };
    let Ended::Failed(Failure { class: FailureClass::Forbidden, message }) = &ended else { return ended };
    let account = Member {
        api_version: "v1".into(),
        kind: "ServiceAccount".into(),
        namespace: namespace.as_str().into(),
        name: name.clone(),
    };
    match context.requests.read_member(&account).await {
        Ok(None) => {
            let message = format!("the service account {name} is gone, and without its rights helm says: {message}");
            Ended::Failed(Failure { class: FailureClass::AccountMissing, message: message.into() })
        }
        Ok(Some(_)) | Err(_) => ended,
    }
}

/// Checks that the release is as planned, and makes what helm is given; with the chart, where one is deployed.
async fn ready(
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
    let mut chart = None;
    let (command, wait_for_hooks) = match operation.kind {
        OperationKind::Install | OperationKind::Upgrade => {
            let prepared = prepared(context, attempt).await?;
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
            (Command::Rollback { to, force_conflicts }, has_hooks(context, policy, to).await)
        }
        OperationKind::Test => {
            (Command::Test { except: verdicts::left_out(context, policy, operation.revision).await? }, false)
        }
        OperationKind::Uninstall => (Command::Uninstall, has_hooks(context, policy, newest).await),
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

/// Whether a revision has hooks other than tests; in doubt yes, because hooks expect ready and deleted objects.
async fn has_hooks(context: &Context, policy: &Policy, revision: u32) -> bool {
    let Ok(Some(record)) = context.requests.read_record_data(&policy.key(), revision).await else { return true };
    let Ok(payload) = helm::decode(&record.bytes) else { return true };
    payload.hooks.iter().any(|hook| hook.events.iter().any(|event| !event.starts_with("test")))
}

/// What helm is to deploy, if it still is what the operation was planned for.
async fn prepared(context: &Context, attempt: &Attempt) -> Result<Arc<Prepared>, Failure> {
    let changed = |message: String| Failure { class: FailureClass::InputsChanged, message: message.into() };
    let Attempt { key, operation, desired, .. } = attempt;
    let desired = desired.as_ref().ok_or_else(|| changed("the spec is not valid any more".into()))?;
    let prepared = match attempt.prepared.clone() {
        Some(prepared) => prepared,
        // After a restart the digest is remembered and the values are not.
        None => Arc::new(
            prepare::prepare(context, key, desired, None, ("", false))
                .await
                .map_err(|problem| changed(problem.message.into()))?,
        ),
    };
    if operation.digest.as_ref() != Some(&prepared.inputs.digest) {
        context.inputs.forget(key);
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

async fn helm(
    context: &Context,
    attempt: &Attempt,
    invocation: Invocation,
    identity: &Identity,
) -> (Ended, Option<Instant>) {
    let slot = if invocation.waits() { &context.hook_slots } else { &context.helm_slots };
    let slot = tokio::select! {
        biased;
        () = attempt.told_to_end() => return (Ended::Cancelled, None),
        slot = slot.acquire() => slot,
    };
    if let Err(error) = context.helm.find().await {
        return (no_helm(&error), None);
    }
    // The slot, or the program, may have been waited for.
    if !context.leadership.may_act() {
        return (Ended::Cancelled, None);
    }
    let started = Some(Instant::now());
    let run = tokio::select! {
        run = context.helm.run(&invocation, &context.access, identity, &attempt.stop) => run,
        never = hooks::end_between_hooks(context, attempt) => match never {},
    };
    drop(slot);
    match run {
        Ok(run) => (helm::ended(&run, &invocation.command), started),
        Err(error) => (no_helm(&error), None),
    }
}

fn no_helm(error: &NoHelm) -> Ended {
    let message = error.to_string().into();
    Ended::NotStarted(Failure { class: FailureClass::HelmUnavailable, message })
}

pub(super) fn identity(key: &ObjectKey, service_account: Option<&str>, context: &Context) -> Identity {
    let name = service_account.map(Into::into).or_else(|| context.settings.defaults.service_account.clone());
    match (name, Namespace::parse(&key.namespace)) {
        (Some(name), Ok(namespace)) => Identity::ServiceAccount { namespace, name },
        (None, _) | (Some(_), Err(_)) => Identity::Own,
    }
}

/// Refused where the spec of a release in another namespace lost its service account: the operator's own rights are not
/// lent to it, but for taking things away.
fn identity_of(attempt: &Attempt, context: &Context) -> Result<Identity, Failure> {
    let Attempt { key, policy, operation, service_account, .. } = attempt;
    let identity = identity(key, service_account.as_deref(), context);
    let foreign = *policy.namespace.as_str() != *key.namespace;
    if identity == Identity::Own && foreign && operation.kind != OperationKind::Uninstall {
        let message = format!("a release in namespace {} needs spec.serviceAccountName", policy.namespace).into();
        return Err(Failure { class: FailureClass::Forbidden, message });
    }
    Ok(identity)
}

fn not_started(attempt: &Attempt, failure: Failure) -> Outcome {
    Outcome {
        operation: attempt.operation.id.clone(),
        ended: Ended::NotStarted(failure),
        waited: types::Duration::ZERO,
        records: None,
        payload: None,
        awaited: None,
        left_over: Vec::new(),
        definitions: Box::default(),
        tests: None,
    }
}
