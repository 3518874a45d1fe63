//! Deletes what revisions that never became good have left behind, as the identity of the release, and says so.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use super::{Context, aftermath, operate::identity};
use crate::{
    api::HelmRelease,
    cluster::{ClusterError, Event, EventKind, Target},
    release::{Desired, Identity, LABEL_CLEARED, Member},
    types::{ObjectKey, ReleaseKey},
};

/// Objects that are looked at for one release. More are a defect of a chart, and stay.
const LEFT_OVER_MAX: usize = 100;

/// Releases that are being cleared.
#[derive(Default)]
pub struct Clearing(Mutex<HashSet<ReleaseKey>>);

impl Clearing {
    fn begin(&self, release: &ReleaseKey) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(release.clone())
    }

    fn end(&self, release: &ReleaseKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(release);
    }
}

/// What became of the objects.
#[derive(Default)]
struct Cleared {
    gone: Vec<Member>,
    /// With the reason why they stay.
    staying: Vec<(Member, String)>,
}

/// Starts to clear away what `revisions` have and no later one, unless that is under way. The records are read anew:
/// somebody may have deployed since what the plan was made from.
pub(super) fn clear(
    context: &Arc<Context>,
    key: &ObjectKey,
    object: &HelmRelease,
    desired: &Desired,
    revisions: &[u32],
) {
    let release = desired.policy.key();
    if !context.clearing.begin(&release) {
        return;
    }
    let (context, key, about) = (Arc::clone(context), key.clone(), Target::of(&object.metadata));
    let (identity, revisions) = (identity(&key, desired.service_account.as_deref(), &context), revisions.to_vec());
    let tracker = context.tasks.clone();
    tracker.spawn(async move {
        let cleared = remove(&context, &release, &identity, &revisions).await;
        context.clearing.end(&release);
        match cleared {
            Ok(cleared) => {
                tell(&context, &about, &cleared);
                context.wake(&key);
            }
            Err(error) => {
                let delay = context.comes_back(&key);
                tracing::warn!(object = %key, %error, again_in_ms = delay.as_millis(), "what was left over is not cleared away yet");
                tokio::time::sleep(delay).await;
                context.wake(&key);
            }
        }
    });
}

async fn remove(
    context: &Context,
    release: &ReleaseKey,
    identity: &Identity,
    revisions: &[u32],
) -> Result<Cleared, ClusterError> {
    let as_release = context.requests_as(identity)?;
    // Whatever else was deployed since the oldest of them is in use, or may be again: also what a run that began after
    // the plan does not have any more.
    let mut kept: Vec<Member> = Vec::new();
    let oldest = revisions.iter().min().copied().unwrap_or(u32::MAX);
    for record in context.read_records(release).await?.iter().filter(|record| record.revision > oldest) {
        if !revisions.contains(&record.revision) {
            let unreadable = || ClusterError::Malformed(format!("revision {} cannot be read", record.revision).into());
            kept.extend(aftermath::members(context, release, record.revision).await?.ok_or_else(unreadable)?);
        }
    }
    let mut cleared = Cleared::default();
    let mut left: Vec<Member> = Vec::new();
    for revision in revisions {
        let members = aftermath::members(context, release, *revision).await?.unwrap_or_default();
        left.extend(members.into_iter().filter(|member| !kept.contains(member)));
    }
    left.sort();
    left.dedup();
    for member in left.into_iter().take(LEFT_OVER_MAX) {
        let Some(object) = context.requests.read_member(&member).await? else { continue };
        if !is_of(&object, release) || aftermath::keeps(&object) {
            continue;
        }
        if takes_more_along(&member) {
            cleared.staying.push((member, "what depends on it would go with it".to_owned()));
            continue;
        }
        let uid = object.pointer("/metadata/uid").and_then(Value::as_str);
        match as_release.delete_member(&member, uid).await {
            Ok(()) => cleared.gone.push(member),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => cleared.staying.push((member, error.to_string())),
        }
    }
    for revision in revisions {
        let number = revision.to_string();
        let marked = context.requests.mark(release, *revision, &[(LABEL_CLEARED, Some(&number))]).await?;
        if let Some(record) = marked {
            context.records.observe_record(release, record);
        }
    }
    Ok(cleared)
}

/// Whether more than the object itself would be lost: all objects of a kind, a namespace's content, data. A person
/// decides about that.
fn takes_more_along(member: &Member) -> bool {
    let kinds = ["CustomResourceDefinition", "Namespace", "PersistentVolumeClaim", "PersistentVolume"];
    kinds.contains(&&*member.kind)
}

/// Whether helm says that the object belongs to the release; what somebody else has taken over is left alone.
pub(super) fn is_of(object: &Value, release: &ReleaseKey) -> bool {
    let said = |path| object.pointer(path).and_then(Value::as_str);
    said("/metadata/labels/app.kubernetes.io~1managed-by") == Some("Helm")
        && said("/metadata/annotations/meta.helm.sh~1release-name") == Some(release.name.as_str())
        && said("/metadata/annotations/meta.helm.sh~1release-namespace") == Some(release.namespace.as_str())
}

fn tell(context: &Context, about: &Target, cleared: &Cleared) {
    let say = |kind, reason: &str, note: String| {
        let note = crate::status::bounded(&note, crate::status::NOTE_MAX_BYTES);
        let event =
            Event { about: about.clone(), kind, reason: reason.into(), action: "Clear".into(), note: note.into() };
        context.events.say(event);
    };
    if !cleared.gone.is_empty() {
        let names: Vec<String> = cleared.gone.iter().map(ToString::to_string).collect();
        let note = format!("deleted what revisions that never became good had left behind: {}", names.join(", "));
        say(EventKind::Normal, "LeftOversDeleted", note);
    }
    if !cleared.staying.is_empty() {
        let names: Vec<String> = cleared.staying.iter().map(|(member, why)| format!("{member} ({why})")).collect();
        let note = format!("left over by revisions that never became good, and not deleted: {}", names.join(", "));
        say(EventKind::Warning, "LeftOversStay", note);
    }
}
