//! One attempt from a granted slot to its outcome: a task that nobody waits for, with no choices to make.
//!
//! It begins and ends with a quorum read of the release's records. What stands between is helm. The last read is part
//! of the outcome, so no verdict is taken from a view that is older than the end of helm.

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Context, Defect, NoHelm, OWN_RIGHTS, aftermath, board::Halt, definitions, guarded, hooks, inputs::Prepared, order,
};
use crate::{
    api::OperationKind,
    helm::{self, Invocation, Stop},
    release::{Desired, Ended, Failure, FailureClass, Identity, Member, Operation, Outcome, Policy, Tenancy},
    sources::StoredChart,
    types::{self, Namespace, ObjectKey},
};

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
    /// The run before wrote nothing: something may stand where the next record is to be written.
    pub(super) was_refused: bool,
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
pub(super) async fn operate(context: Arc<Context>, mut attempt: Attempt) {
    // A seat that is not given back is a release that nobody looks after until the operator starts anew.
    let outcome = match guarded(run(&context, &mut attempt)).await {
        Ok(outcome) => outcome,
        Err(Defect) => broken_off(&context, &attempt).await,
    };
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

/// What there is after a defect of ours has ended a run; helm has ended with it. What the task panicked with stays out
/// of status, for it may quote values.
async fn broken_off(context: &Context, attempt: &Attempt) -> Outcome {
    tracing::error!(
        object = %attempt.key,
        operation = %attempt.operation.id,
        "the operator itself failed in the middle of a run; its standard error output names the place"
    );
    let release = attempt.policy.key();
    let records = guarded(context.read_records_again(&release)).await.ok().and_then(Result::ok);
    let message = "a defect of the operator ended the run; its log names the place".into();
    let ended = Ended::Failed(Failure { class: FailureClass::Internal, message });
    Outcome { ended, records, ..nothing(attempt) }
}

async fn run(context: &Context, attempt: &mut Attempt) -> Outcome {
    let begun = Instant::now();
    let release = attempt.policy.key();
    context.clearing.stop(&release).await;
    let before = match context.read_records(&release).await {
        Ok(records) => records,
        Err(error) => {
            let message = error.to_string().into();
            return not_started(attempt, Failure { class: FailureClass::Unreachable, message });
        }
    };
    if attempt.operation.kind == OperationKind::Uninstall && attempt.members.is_empty() {
        // Nobody has looked since the revision was made, as after a crash in a first install.
        let made = aftermath::members(context, &release, attempt.operation.revision).await;
        attempt.members = made.ok().flatten().unwrap_or_default();
    }
    let (ended, definitions, started) = match order::ready(context, attempt, &before).await {
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
/// lent to it, but for taking things away; and in strict tenancy to nothing at all.
fn identity_of(attempt: &Attempt, context: &Context) -> Result<Identity, Failure> {
    let Attempt { key, policy, operation, service_account, .. } = attempt;
    let identity = identity(key, service_account.as_deref(), context);
    if identity == Identity::Own && context.settings.tenancy == Tenancy::Strict {
        return Err(Failure { class: FailureClass::Forbidden, message: OWN_RIGHTS.into() });
    }
    let foreign = *policy.namespace.as_str() != *key.namespace;
    if identity == Identity::Own && foreign && operation.kind != OperationKind::Uninstall {
        let message = format!("a release in namespace {} needs spec.serviceAccountName", policy.namespace).into();
        return Err(Failure { class: FailureClass::Forbidden, message });
    }
    Ok(identity)
}

fn not_started(attempt: &Attempt, failure: Failure) -> Outcome {
    Outcome { ended: Ended::NotStarted(failure), ..nothing(attempt) }
}

/// The outcome of a run of which nothing is known.
fn nothing(attempt: &Attempt) -> Outcome {
    Outcome {
        operation: attempt.operation.id.clone(),
        ended: Ended::Cancelled,
        waited: types::Duration::ZERO,
        records: None,
        payload: None,
        awaited: None,
        left_over: None,
        definitions: Box::default(),
        tests: None,
    }
}
