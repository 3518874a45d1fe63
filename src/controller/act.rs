//! Does the one action of a plan. Whatever takes time becomes a task; nothing here decides.

use std::sync::Arc;

use super::{
    Context, adoption,
    aftermath::{leaving, read_payload},
    drift,
    floor::Known,
    gather, guarded, leftovers,
    offload::offload,
    operate::{Attempt, Brake, identity, operate},
    prepare, rights,
    sight::Sight,
};
use crate::{
    api::HelmRelease,
    cluster::{ClusterError, RecordData},
    helm,
    plan::{Action, Because, Plan, Priority},
    release::{
        Adopt, Desired, InputsProblem, InputsProblemKind, Inventory, LABEL_OWNER, LABEL_REVISION, LABEL_VERIFIED,
        Operation, OperationKind, OwnerId, Payload, Policy, RecordStatus, Records, Snapshot, Tenancy, View,
    },
    types::ObjectKey,
};

/// When the pass after an action is made.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Followed {
    /// By the same task: what the action was for is there.
    AtOnce,
    /// By whatever wakes the object.
    Later,
}

pub(super) async fn act(
    context: &Arc<Context>,
    key: &ObjectKey,
    object: &Arc<HelmRelease>,
    snapshot: &Snapshot,
    desired: Option<Box<Desired>>,
    plan: &Plan,
) -> Result<Followed, ClusterError> {
    let policy = snapshot.spec.policy();
    let service_account = object.spec.service_account_name.as_deref();
    match &plan.action {
        Action::Idle => settle(context, key, policy, plan),
        Action::AddFinalizer => {
            let with = context.requests.add_finalizer(&object.metadata).await?;
            context.main.observe(with);
            context.wake(key);
        }
        Action::RemoveFinalizer => {
            if let Some(without) = context.requests.remove_finalizer(&object.metadata).await? {
                context.main.observe(without);
            }
            context.forget(key);
        }
        Action::Prepare => {
            if let Some(desired) = desired {
                look_up(context, key, object, *desired, snapshot, plan);
            }
        }
        Action::Inspect { revision } => {
            if let Some(policy) = policy {
                inspect(context, (key, service_account), policy, (*revision, plan.memory.inventory.as_ref()))?;
            }
        }
        Action::Compare { revision } => adoption::compare(context, key, desired, &snapshot.inputs, *revision),
        Action::Detect { .. } => drift::detect(context, key, desired, snapshot),
        Action::Adopt { revision, resource_version, digest } => {
            adoption::adopt(context, key, desired, (*revision, resource_version), digest.as_ref()).await?;
        }
        Action::Ask(priority) => {
            let waits = *priority == Priority::Test || context.inputs.has_hooks(key);
            if context.board.ask(key, *priority, waits) {
                return Ok(Followed::AtOnce);
            }
        }
        Action::Withdraw => context.board.withdraw(key),
        Action::Cancel => context.board.cancel(key),
        Action::Acknowledge { operation } => {
            context.board.acknowledge(key, operation);
            context.wake(key);
        }
        Action::Start(operation) => {
            if let Some(policy) = policy {
                start(context, (key, service_account.map(Into::into)), policy, desired, operation, snapshot);
            }
        }
        Action::Mark { revision, version } => mark(context, key, policy, (*revision, *version)).await?,
        Action::Clear { revisions } => {
            leftovers::clear(context, key, object, desired, revisions);
        }
        Action::Unlock { revision, version } => {
            if let Some(policy) = policy {
                unlock(context, (key, service_account), policy, (*revision, *version), &snapshot.records).await?;
            }
        }
    }
    Ok(Followed::Later)
}

/// Lets go of what only an attempt needs: the values, and the members that status names as well.
fn settle(context: &Context, key: &ObjectKey, policy: Option<&Policy>, plan: &Plan) {
    if !matches!(plan.because, Because::Good { .. }) {
        return;
    }
    context.inputs.settle(key);
    if let Some(policy) = policy {
        context.payloads.settle(&policy.key());
    }
}

fn look_up(
    context: &Arc<Context>,
    key: &ObjectKey,
    object: &HelmRelease,
    desired: Desired,
    snapshot: &Snapshot,
    plan: &Plan,
) {
    let Some(fingerprint) = gather::fingerprint(context, object, key, &desired) else { return };
    if !context.inputs.begin(key, &fingerprint) {
        return;
    }
    let (records, owner) = (snapshot.records.is().cloned().unwrap_or_default(), snapshot.object.owner());
    let deployed = plan.memory.deployed.clone();
    let anew = plan.memory.handled.reconcile != snapshot.memory.handled.reconcile;
    let (context, key) = (Arc::clone(context), key.clone());
    let tracker = context.tasks.clone();
    tracker.spawn(async move {
        let known = Known { deployed: deployed.as_ref(), records: &records, owner: &owner };
        let found = prepare::prepare(&context, &key, &desired, Some(known), (&fingerprint, anew));
        let found = guarded(found).await.unwrap_or_else(|defect| {
            let message = format!("chart and values cannot be looked up: {defect}").into();
            Err(InputsProblem { kind: InputsProblemKind::Chart, message, transient: true })
        });
        let schedule = gather::schedule(&context, &desired.policy, desired.version.is_moving());
        context.inputs.end(&key, &fingerprint, found, schedule, context.clock.now());
        context.wake(&key);
    });
}

/// With revision 0 the release is gone, and what is looked at are the objects of the inventory.
fn inspect(
    context: &Arc<Context>,
    (key, service_account): (&ObjectKey, Option<&str>),
    policy: &Policy,
    (revision, inventory): (u32, Option<&Inventory>),
) -> Result<(), ClusterError> {
    let sight = Sight::of(context, key, service_account)?;
    let of = inventory.filter(|_| revision == 0).map(|inventory| inventory.members.clone()).unwrap_or_default();
    let (context, key, release) = (Arc::clone(context), key.clone(), policy.key());
    if !context.payloads.begin(&release, revision) {
        return Ok(());
    }
    let tracker = context.tasks.clone();
    tracker.spawn(async move {
        let read = guarded(async {
            match revision {
                0 => leaving(&context, &sight, &release, of).await.map(|members| (Payload::left(members), 0)),
                _ => read_payload(&context, &sight, &release, revision).await,
            }
        });
        let unread = |error: String, transient| {
            tracing::warn!(object = %key, %release, revision, %error, "what there is of a release cannot be read");
            let why = match revision {
                0 => {
                    format!("whether objects of the release that is gone are still there cannot be found out: {error}")
                }
                _ => format!("the record of revision {revision}, or its objects, cannot be read: {error}"),
            };
            context.payloads.fail(&release, revision, (&why, transient), context.clock.now());
        };
        match read.await {
            Ok(Ok((payload, version))) => context.payloads.put(&release, payload, version),
            // A record that is gone is so for the index too in a moment.
            Ok(Err(error @ ClusterError::NotFound(_))) => unread(error.to_string(), true),
            Ok(Err(error)) => unread(error.to_string(), error.is_transient()),
            Err(defect) => unread(defect.to_string(), true),
        }
        context.forget_unclaimed(&release);
        context.wake(&key);
    });
    Ok(())
}

fn start(
    context: &Arc<Context>,
    (key, service_account): (&ObjectKey, Option<Box<str>>),
    policy: &Policy,
    desired: Option<Box<Desired>>,
    operation: &Operation,
    snapshot: &Snapshot,
) {
    let brake = Brake::default();
    let prepared = match operation.kind {
        // What was looked up meanwhile is for the run that follows.
        OperationKind::Test => None,
        OperationKind::Install | OperationKind::Upgrade | OperationKind::Rollback | OperationKind::Uninstall => {
            context.inputs.take(key)
        }
    };
    let hooks = prepared.as_ref().is_some_and(|prepared| prepared.chart.facts.hooks);
    let waits = operation.kind == OperationKind::Test || hooks;
    if !context.board.start(key, &operation.id, waits, Box::new(brake.clone())) {
        // The board was closed in between: the intent is recovered by whoever comes next.
        return;
    }
    let (inventory, failures) = (snapshot.memory.inventory.as_ref(), &snapshot.memory.failures);
    let attempt = Attempt {
        key: key.clone(),
        operation: operation.clone(),
        policy: policy.clone(),
        desired: desired.map(|desired| *desired),
        service_account,
        prepared,
        members: inventory.map(|inventory| inventory.members.clone()).unwrap_or_default(),
        way_back: snapshot.way_back(operation.revision).map(|record| record.revision),
        failed_rollbacks: failures.rollbacks,
        was_refused: failures.hindered > 0 || failures.rollbacks > 0,
        takes_objects: policy.adopt == Adopt::ReleaseAndObjects && !snapshot.was_deployed(),
        stop: brake.stop,
        wanted_to_end: brake.wanted,
    };
    tracing::info!(
        object = %key,
        release = %policy.key(),
        operation = %operation.id,
        kind = operation.kind.as_str(),
        revision = operation.revision,
        cause = operation.cause.as_str(),
        "helm is asked"
    );
    context.tasks.spawn(operate(Arc::clone(context), attempt));
}

/// Says on the record that the revision is ours and good. A rollback's record has the labels of its target, so both
/// are said.
async fn mark(
    context: &Context,
    key: &ObjectKey,
    policy: Option<&Policy>,
    (revision, version): (u32, u64),
) -> Result<(), ClusterError> {
    let Some(release) = policy.map(Policy::key) else { return Ok(()) };
    let number = revision.to_string();
    let owner = OwnerId::of(key);
    let labels = [
        (LABEL_OWNER, Some(owner.as_str())),
        (LABEL_REVISION, Some(number.as_str())),
        (LABEL_VERIFIED, Some(number.as_str())),
    ];
    match context.requests.mark(&release, (revision, Some(version)), &labels).await {
        Ok(Some(record)) => context.records.observe_record(&release, record),
        Ok(None) => {}
        // It is planned anew on the records as they are.
        Err(ClusterError::Conflict(_) | ClusterError::NotFound(_)) => drop(context.read_records(&release).await?),
        Err(error) => return Err(error),
    }
    context.wake(key);
    Ok(())
}

/// In strict tenancy the record of somebody else is unlocked only for a service account that may write it. Records of
/// the object's own runs were written with its rights.
async fn may_unlock(
    context: &Context,
    (key, service_account): (&ObjectKey, Option<&str>),
    policy: &Policy,
    (revision, version): (u32, u64),
    planned_on: &View<Records>,
) -> Result<bool, ClusterError> {
    let own = planned_on.is().is_some_and(|records| records.belong_to(&OwnerId::of(key)));
    if own || context.settings.tenancy == Tenancy::Trusted {
        return Ok(true);
    }
    let writer = identity(key, service_account, context);
    let release = policy.key();
    match context.requests_as(&writer)?.try_writing_record(&release, revision).await {
        Ok(()) => Ok(true),
        Err(error @ ClusterError::Forbidden(_)) => {
            let remedy = rights::remedy(&error.to_string(), &writer, "get and update", &release);
            let why = format!(
                "the lock of another helm process on revision {revision} stays, for it may not be taken away: {error}; \
                 {remedy}"
            );
            context.payloads.refuse(&release, (revision, version), &why, context.clock.now());
            context.wake(key);
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

async fn unlock(
    context: &Context,
    (key, service_account): (&ObjectKey, Option<&str>),
    policy: &Policy,
    (revision, version): (u32, u64),
    planned_on: &View<Records>,
) -> Result<(), ClusterError> {
    if !may_unlock(context, (key, service_account), policy, (revision, version), planned_on).await? {
        return Ok(());
    }
    let release = policy.key();
    let Some(record) = context.requests.read_record_data(&release, revision).await? else { return Ok(()) };
    // The view may be of the time before helm's last write, and whose record was written since then is alive.
    if record.version() != version {
        context.read_records(&release).await?;
        context.wake(key);
        return Ok(());
    }
    let description = "The helm process died; unlocked by helm-release-operator";
    let unlocked =
        offload(move || helm::unlock(&record.bytes, description).map(|bytes| RecordData { bytes, ..record }));
    let Ok(data) = unlocked.await else {
        // What cannot be read cannot be unlocked.
        context.payloads.put(&release, Payload::unreadable(revision), version);
        context.wake(key);
        return Ok(());
    };
    let (requests, now) = (&context.requests, context.clock.now());
    if let Some(record) = requests.replace_record_data(&release, revision, data, RecordStatus::Failed, now).await? {
        context.records.observe_record(&release, record);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cluster::mock::{failure, log_of},
        controller::mock::{self, NO_RECORDS, Repository},
    };

    const READ: (u32, u64) = (1, 7);

    fn key() -> ObjectKey {
        ObjectKey::new("apps", "unicorn")
    }

    #[tokio::test]
    async fn a_mark_is_for_the_record_that_was_judged_and_its_loss_is_looked_into() {
        let (context, log) = mock::context(Repository { breaks: true }, |asked| match &*asked.method {
            "PATCH" => failure(409, "Conflict", "it has changed"),
            _ => (200, NO_RECORDS.to_owned()),
        });
        mark(&context, &key(), Some(&mock::desired(&context).policy), READ).await.unwrap();
        let asked = log_of(&log);
        assert_eq!(asked[0].body["metadata"]["resourceVersion"], "7");
        assert!(asked[1].path.ends_with("/secrets"), "the records are read anew: {asked:?}");
    }

    #[tokio::test]
    async fn a_record_that_was_written_since_its_age_was_judged_stays_locked() {
        let (context, log) = mock::context(Repository { breaks: true }, |asked| {
            let labels =
                serde_json::json!({"owner": "helm", "name": "unicorn", "version": "1", "status": "pending-upgrade"});
            let secret = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "data": {"release": ""}, "metadata": {
                "name": "sh.helm.release.v1.unicorn.v1", "namespace": "apps", "resourceVersion": "8", "labels": labels}});
            (200, if asked.path.ends_with("/secrets") { NO_RECORDS.to_owned() } else { secret.to_string() })
        });
        let policy = mock::desired(&context).policy;
        unlock(&context, (&key(), None), &policy, READ, &View::Is(Records::default())).await.unwrap();
        assert!(context.payloads.get(&policy.key(), None).is_none(), "nothing was made of what it holds");
        assert!(log_of(&log).iter().all(|asked| asked.method == "GET"), "{:?}", log_of(&log));
    }

    #[tokio::test]
    async fn a_record_that_may_not_be_read_is_told_with_who_needs_which_right() {
        let (context, _) = mock::context(Repository { breaks: true }, |_| failure(403, "Forbidden", "not allowed"));
        let policy = mock::desired(&context).policy;
        context.main.observe(mock::object());
        inspect(&context, (&key(), None), &policy, (1, None)).unwrap();
        context.tasks.close();
        context.tasks.wait().await;
        let unread = context.payloads.unread(&policy.key(), (1, 0)).unwrap();
        assert!(unread.why.ends_with("not allowed; let the operator get Secrets in namespace apps"), "{unread:?}");
    }

    #[tokio::test]
    async fn a_look_that_outlives_its_object_leaves_nothing_of_the_release() {
        for is_there in [true, false] {
            let (context, _) = mock::context(Repository { breaks: true }, |asked| panic!("{asked:?}"));
            let policy = mock::desired(&context).policy;
            if is_there {
                context.main.observe(mock::object());
            }
            inspect(&context, (&key(), None), &policy, (0, None)).unwrap();
            context.tasks.close();
            context.tasks.wait().await;
            assert_eq!(context.payloads.get(&policy.key(), None).is_some(), is_there);
        }
    }
}
