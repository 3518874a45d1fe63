//! Puts together what a decision is made from: reads indexes, asks nobody, waits for nothing.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{Context, dependencies, drift, inputs::Schedule};
use crate::{
    api::{self, HelmRelease, ValuesKind},
    cluster::Ref,
    release::{
        Claim, Desired, Health, HealthView, InputsView, Memory, Object, OwnerId, Payload, Policy, RecordStatus,
        Records, Snapshot, Spec, Tenancy, Unread, View, policy_of_names,
    },
    types::{self, ObjectKey, ReleaseDigest, ReleaseKey},
};

/// How long a pass is put off while a view that has just been opened completes its first list: what is said in that
/// time would be taken back at once, and a restart would write every status twice.
const SETTLING: SignedDuration = SignedDuration::from_secs(5);

/// What was put together.
pub(super) enum Gathered {
    /// A view is about to complete; whoever completes it wakes the object.
    NotYet,
    Snapshot(Box<Snapshot>, Option<Box<Desired>>),
}

pub(super) fn gather(context: &Context, object: &HelmRelease, now: Timestamp) -> Gathered {
    let key = key_of(object);
    let (spec, desired) = spec(context, object);
    let memory = object.status.clone().map(Memory::from).unwrap_or_default();
    let settling = now.duration_since(context.since()) < SETTLING;
    let policy = spec.policy().cloned();
    let refused = matches!(spec, Spec::Refused { .. });
    let (records, version, claim, health) = match &policy {
        Some(policy) => {
            let release = policy.key();
            let seen = context.records.look(&release);
            let version = seen.is().map_or(0, |seen| seen.version);
            let records = seen.map(|seen| seen.records);
            let claim = claim(context, object, &release, records.is());
            let health =
                if refused { HealthView::default() } else { health(context, &release, (&memory, records.is()), now) };
            (records, version, claim, health)
        }
        None => (View::Pending, 0, Claim::Ours, HealthView::default()),
    };
    let inputs = desired.as_ref().and_then(|desired| inputs(context, object, &key, desired, &memory));
    let sources_unseen = desired.is_some() && inputs.is_none();
    // Without a valid spec nothing is looked up.
    let inputs = inputs.unwrap_or(if desired.is_some() { InputsView::Underway } else { InputsView::Stale });
    let (dependencies, cycle) = match &desired {
        Some(desired) => dependencies::look(&context.main, context.settings.tenancy, object, &key, &desired.depends_on),
        None => (Vec::new(), None),
    };
    let unseen = matches!(records, View::Pending) || matches!(health.health, Health::Unknown { .. });
    let members_wanted = !refused && memory.inventory.as_ref().is_some_and(|inventory| inventory.revision > 0);
    if settling
        && policy.is_some()
        && (matches!(records, View::Pending) || sources_unseen || (unseen && members_wanted))
    {
        return Gathered::NotYet;
    }
    let Seen { payload, unread, spoilt, untouched } =
        policy.as_ref().map_or(Seen::NOTHING, |policy| seen(context, &policy.key(), records.is(), version));
    let drift = drift::look(context, desired.as_deref(), &claim, &memory, &records, now);
    let flight = context.board.flight(&key);
    let snapshot = Snapshot {
        now,
        holder: context.holder.clone(),
        object: facts(object, &key),
        spec,
        claim,
        inputs,
        dependencies,
        cycle,
        records,
        version,
        payload,
        unread,
        spoilt,
        untouched,
        health,
        drift,
        flight,
        memory,
    };
    Gathered::Snapshot(Box::new(snapshot), desired)
}

fn spec(context: &Context, object: &HelmRelease) -> (Spec, Option<Box<Desired>>) {
    let defaults = &context.settings.defaults;
    let refused = context.settings.tenancy.refuses(defaults.account_of(object));
    if let (Some(why), Some(policy)) = (refused, policy_of_names(object)) {
        return (Spec::Refused { why: why.into(), policy }, None);
    }
    match Desired::parse(object, defaults) {
        Ok(desired) => (Spec::Valid(desired.policy.clone()), Some(Box::new(desired))),
        Err(error) => (Spec::Invalid { message: error.to_string().into(), policy: policy_of_names(object) }, None),
    }
}

/// What is known of the records of a release beside their labels.
struct Seen {
    payload: Option<Payload>,
    unread: Option<Unread>,
    spoilt: Vec<u32>,
    untouched: types::Duration,
}

impl Seen {
    const NOTHING: Self = Self { payload: None, unread: None, spoilt: Vec::new(), untouched: types::Duration::ZERO };
}

/// What the newest record tells, or where the release is gone, what a look at its objects told; and why it is not
/// known.
fn seen(context: &Context, release: &ReleaseKey, records: Option<&Records>, at: u64) -> Seen {
    let Some(records) = records else { return Seen::NOTHING };
    let Some(newest) = records.newest() else {
        context.ages.forget(release);
        let payload = context.payloads.get(release, None).filter(|payload| payload.revision == 0);
        return Seen { payload, unread: context.payloads.unread(release, (0, 0)), ..Seen::NOTHING };
    };
    let revision = newest.revision;
    let untouched = if newest.status.is_pending() || newest.status == RecordStatus::Uninstalling {
        context.ages.untouched(release, revision, at, Instant::now())
    } else {
        context.ages.forget(release);
        types::Duration::ZERO
    };
    let gone = newest.status == RecordStatus::Uninstalled;
    let tells = |payload: &Payload| payload.revision == revision || (gone && payload.revision == 0);
    let left = || context.payloads.unread(release, (0, 0)).filter(|_| gone);
    Seen {
        payload: context.payloads.get(release, Some(at)).filter(tells),
        unread: context.payloads.unread(release, (revision, at)).or_else(left),
        spoilt: context.payloads.spoilt(release, |revision| context.records.version(release, revision)),
        untouched,
    }
}

pub(super) fn key_of(object: &HelmRelease) -> ObjectKey {
    ObjectKey::new(
        object.metadata.namespace.as_deref().unwrap_or_default(),
        object.metadata.name.as_deref().unwrap_or_default(),
    )
}

fn facts(object: &HelmRelease, key: &ObjectKey) -> Object {
    let annotation = |name: &str| {
        let annotations = object.metadata.annotations.as_ref()?;
        annotations.get(name).map(|value| crate::status::bounded(value, 253).into())
    };
    Object {
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        uid: object.metadata.uid.as_deref().unwrap_or_default().into(),
        generation: object.metadata.generation.unwrap_or_default(),
        deleting: object.metadata.deletion_timestamp.is_some(),
        finalizer: object
            .metadata
            .finalizers
            .as_ref()
            .is_some_and(|finalizers| finalizers.iter().any(|finalizer| finalizer == api::FINALIZER)),
        reconcile: annotation(api::ANNOTATION_RECONCILE),
        retry: annotation(api::ANNOTATION_RETRY),
        force_delete: annotation(api::ANNOTATION_FORCE_DELETE),
    }
}

/// The owner in the record wins; where none is recorded, the older object, then the one whose name sorts first.
fn claim(context: &Context, object: &HelmRelease, release: &ReleaseKey, records: Option<&Records>) -> Claim {
    let own = object.metadata.uid.as_deref().unwrap_or_default();
    let claimants = context.main.claimants(release);
    if claimants.iter().all(|claimant| *claimant.uid == *own) {
        return Claim::Ours;
    }
    let recorded = records.and_then(|records| {
        let mut owners =
            records.iter().rev().filter_map(|record| record.owner.as_ref().filter(|_| record.stamp.is_some()));
        owners.find_map(|owner| claimants.iter().find(|claimant| OwnerId::of(&claimant.object) == *owner))
    });
    // In strict tenancy a release belongs to its namespace: nobody keeps the names of others by naming them first.
    let at_home = claimants.iter().find(|claimant| *claimant.object.namespace == *release.namespace.as_str());
    let at_home = at_home.filter(|_| context.settings.tenancy == Tenancy::Strict);
    // The index has the oldest first.
    match recorded.or(at_home).or_else(|| claimants.first()) {
        Some(winner) if *winner.uid != *own => Claim::Theirs(winner.object.to_string().into()),
        Some(_) | None => Claim::Ours,
    }
}

fn health(
    context: &Context,
    release: &ReleaseKey,
    (memory, records): (&Memory, Option<&Records>),
    now: Timestamp,
) -> HealthView {
    let Some(inventory) = &memory.inventory else {
        let health = Health::Healthy;
        return HealthView { health, live_since: Some(context.since()), ..HealthView::default() };
    };
    context.live.want(release, &inventory.members, now);
    context.live.health_of(&inventory.members, |member| memory.may_be_gone(member, records))
}

/// References whose versions decide whether the inputs have to be looked up again.
pub(super) fn references(key: &ObjectKey, desired: &Desired) -> Vec<Ref> {
    let reference = |kind, name: &str| Ref { kind, namespace: key.namespace.clone(), name: name.into() };
    let mut refs: Vec<Ref> = desired.values_from.iter().map(|source| reference(source.kind, &source.name)).collect();
    refs.extend(desired.repository_secret.iter().map(|name| reference(ValuesKind::Secret, name)));
    refs
}

/// `None` while the versions of the sources are not in view; the index wakes the object when they are.
fn inputs(
    context: &Context,
    object: &HelmRelease,
    key: &ObjectKey,
    desired: &Desired,
    memory: &Memory,
) -> Option<InputsView> {
    let fingerprint = fingerprint(context, object, key, desired)?;
    let schedule = schedule(context, &desired.policy, desired.version.is_moving());
    Some(context.inputs.look(key, &fingerprint, memory.desired.as_ref(), schedule))
}

pub(super) fn schedule(context: &Context, policy: &Policy, moving: bool) -> Schedule {
    let interval = SignedDuration::try_from(policy.interval.as_std()).ok().filter(|_| moving);
    Schedule { interval, since: context.since() }
}

/// Digest of what the inputs come from. `None` while a version is not in view.
pub(super) fn fingerprint(
    context: &Context,
    object: &HelmRelease,
    key: &ObjectKey,
    desired: &Desired,
) -> Option<Box<str>> {
    let refs = references(key, desired);
    context.values.refer(key, refs.clone());
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let generation = object.metadata.generation.unwrap_or_default().to_string();
    let mut parts = vec![uid.to_owned(), generation, desired.repository.to_string()];
    for reference in &refs {
        match context.values.look(reference) {
            View::Is(Some(version)) => parts.push(format!("{} {}", version.uid, version.resource_version)),
            View::Is(None) => parts.push("absent".to_owned()),
            // Without a watch a change is not noticed, but what is there can still be read.
            View::Refused(_) => parts.push("unwatched".to_owned()),
            View::Pending => return None,
        }
    }
    let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
    Some(ReleaseDigest::v1(&parts).as_str().into())
}
