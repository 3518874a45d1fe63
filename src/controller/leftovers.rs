//! Deletes what revisions that never became good have left behind, as the identity of the release, and says so.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Context, aftermath, guarded, operate::identity, sight::Sight};
use crate::{
    api::HelmRelease,
    cluster::{ClusterError, Event, EventKind, Target},
    release::{Desired, LABEL_CLEARED, Member, Records},
    types::{ObjectKey, ReleaseKey},
};

/// Objects that are looked at for one release. More are a defect of a chart, and stay.
const LEFT_OVER_MAX: usize = 100;

/// One try, as it is told to end and tells that it has.
#[derive(Clone, Default)]
struct Try {
    stop: CancellationToken,
    over: CancellationToken,
}

#[derive(Default)]
struct Tries {
    /// Being made, or waiting for the next one: no other is begun meanwhile.
    underway: Option<Try>,
    /// Tries that failed in a row.
    failed: u32,
}

/// Releases that are being cleared, and those where that failed.
#[derive(Default)]
pub struct Clearing(Mutex<HashMap<ReleaseKey, Tries>>);

impl Clearing {
    fn lock(&self) -> MutexGuard<'_, HashMap<ReleaseKey, Tries>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` when a release is being cleared.
    fn begin(&self, release: &ReleaseKey) -> Option<Try> {
        let mut releases = self.lock();
        let tries = releases.entry(release.clone()).or_default();
        match tries.underway {
            Some(_) => None,
            None => Some(tries.underway.insert(Try::default()).clone()),
        }
    }

    /// Ends what is under way, before helm runs: it may be about to deploy again what is left over. Returns after the
    /// last request of it.
    pub(super) async fn stop(&self, release: &ReleaseKey) {
        let underway = self.lock().get(release).and_then(|tries| tries.underway.clone());
        if let Some(underway) = underway {
            underway.stop.cancel();
            underway.over.cancelled().await;
        }
    }

    /// The try failed: how long to wait before [`Self::rest`], longer each time.
    fn fail(&self, release: &ReleaseKey) -> Duration {
        let mut releases = self.lock();
        let Some(tries) = releases.get_mut(release) else { return super::pause_after(0) };
        let pause = super::pause_after(tries.failed);
        tries.failed = tries.failed.saturating_add(1);
        pause
    }

    /// Another try may be begun.
    fn rest(&self, release: &ReleaseKey) {
        if let Some(tries) = self.lock().get_mut(release) {
            tries.underway = None;
        }
    }

    /// The release is cleared, or gone.
    pub(super) fn end(&self, release: &ReleaseKey) {
        self.lock().remove(release);
    }
}

/// What became of the objects.
#[derive(Default)]
struct Cleared {
    gone: Vec<Member>,
    /// With the reason why they stay.
    staying: Vec<(Member, String)>,
    /// Whose records cannot be read: what they have left over, or still have, is not known.
    unreadable: Vec<u32>,
}

/// How a try ended that did not fail.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Cleared,
    /// A run of helm is about to begin, or somebody has deployed since: it is planned anew.
    Overtaken,
}

/// Starts to clear away what `revisions` have and no later one, unless that is under way. The records are read anew:
/// somebody may have deployed since what the plan was made from.
pub(super) fn clear(
    context: &Arc<Context>,
    key: &ObjectKey,
    object: &HelmRelease,
    desired: Option<Box<Desired>>,
    revisions: &[u32],
) {
    let Some(desired) = desired else { return };
    let release = desired.policy.key();
    let Some(this) = context.clearing.begin(&release) else { return };
    let (context, key, about) = (Arc::clone(context), key.clone(), Target::of(&object.metadata));
    let (account, revisions) = (desired.service_account.clone(), revisions.to_vec());
    let tracker = context.tasks.clone();
    tracker.spawn(async move {
        let mut cleared = Cleared::default();
        let ended = {
            let _over = this.over.clone().drop_guard();
            let order = (revisions.as_slice(), &this.stop);
            guarded(remove(&context, &release, (&key, account.as_deref()), order, &mut cleared)).await
        };
        let ended = match ended {
            Ok(ended) => ended.map_err(|error| error.to_string()),
            Err(defect) => Err(defect.to_string()),
        };
        if !matches!(ended, Ok(Ended::Cleared)) {
            // What is gone is not found again; of the rest the try tells that comes to its end.
            cleared = Cleared { gone: cleared.gone, ..Cleared::default() };
        }
        tell(&context, &about, &cleared);
        match ended {
            Ok(Ended::Cleared | Ended::Overtaken) => {
                context.clearing.end(&release);
                context.wake(&key);
            }
            Err(error) => {
                let delay = context.clearing.fail(&release);
                tracing::warn!(object = %key, %error, again_in_ms = delay.as_millis(), "what was left over is not cleared away yet");
                tokio::time::sleep(delay).await;
                context.clearing.rest(&release);
                context.wake(&key);
            }
        }
    });
}

/// What becomes of the objects is in `cleared`, however it ends.
async fn remove(
    context: &Context,
    release: &ReleaseKey,
    (key, service_account): (&ObjectKey, Option<&str>),
    (revisions, stop): (&[u32], &CancellationToken),
    cleared: &mut Cleared,
) -> Result<Ended, ClusterError> {
    let as_release = context.requests_as(&identity(key, service_account, context))?;
    let sight = Sight::of(context, key, service_account)?;
    // Reads may be hundreds, and helm waits: any of them may be broken off. A request to delete is seen to its end.
    let found = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(Ended::Overtaken),
        found = find(context, release, &sight, revisions, cleared) => found?,
    };
    let Some(doomed) = found else { return Ok(Ended::Overtaken) };
    for (member, object) in doomed {
        if stop.is_cancelled() {
            return Ok(Ended::Overtaken);
        }
        // Not as it was seen, somebody uses it.
        let said = |path| object.pointer(path).and_then(Value::as_str);
        let seen = said("/metadata/uid").zip(said("/metadata/resourceVersion"));
        match as_release.delete_member(&member, seen).await {
            Ok(()) => cleared.gone.push(member),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => cleared.staying.push((member, error.to_string())),
        }
    }
    for revision in revisions {
        let number = revision.to_string();
        let marked = context.requests.mark(release, (*revision, None), &[(LABEL_CLEARED, Some(&number))]).await?;
        if let Some(record) = marked {
            context.records.observe_record(release, record);
        }
    }
    Ok(Ended::Cleared)
}

/// What is to be deleted, as it was seen; `None` where somebody has deployed meanwhile. What is known to stay is added
/// to `cleared`.
async fn find(
    context: &Context,
    release: &ReleaseKey,
    sight: &Sight,
    revisions: &[u32],
    cleared: &mut Cleared,
) -> Result<Option<Vec<(Member, Value)>>, ClusterError> {
    let records = context.read_records(release).await?;
    let mut doomed = Vec::new();
    let left = left(context, release, revisions, &records, cleared).await?;
    for member in sight.reach(left).await? {
        if doomed.len() == LEFT_OVER_MAX {
            cleared.staying.push((member, format!("{LEFT_OVER_MAX} are deleted at most")));
            continue;
        }
        let object = match sight.read(&member).await {
            Ok(Some(object)) => object,
            Ok(None) => continue,
            // Who may not look at it may not decide whether it goes.
            Err(error @ ClusterError::Forbidden(_)) => {
                cleared.staying.push((member, error.to_string()));
                continue;
            }
            Err(error) => return Err(error),
        };
        if !is_of(&object, release) || aftermath::keeps(&object) {
            continue;
        }
        if takes_more_along(&member) {
            cleared.staying.push((member, "what depends on it would go with it".to_owned()));
        } else {
            doomed.push((member, object));
        }
    }
    let unchanged = context.read_records(release).await? == records;
    Ok(unchanged.then_some(doomed))
}

/// What `revisions` have and nothing since: whatever else was deployed since the oldest of them is in use, or may be
/// again, also by a run that began after the plan. Where it is not known what that is, nothing is left over.
async fn left(
    context: &Context,
    release: &ReleaseKey,
    revisions: &[u32],
    records: &Records,
    cleared: &mut Cleared,
) -> Result<Vec<Member>, ClusterError> {
    let oldest = revisions.iter().min().copied().unwrap_or(u32::MAX);
    let (mut kept, mut left): (Vec<Member>, Vec<Member>) = (Vec::new(), Vec::new());
    for revision in records.iter().map(|record| record.revision).filter(|revision| *revision >= oldest) {
        let Some(members) = aftermath::members(context, release, revision).await? else {
            cleared.unreadable.push(revision);
            continue;
        };
        if revisions.contains(&revision) { left.extend(members) } else { kept.extend(members) }
    }
    if cleared.unreadable.iter().any(|revision| !revisions.contains(revision)) {
        return Ok(Vec::new());
    }
    left.retain(|member| !kept.iter().any(|kept| kept.is_same_object(member)));
    left.sort();
    left.dedup_by(|one, other| one.is_same_object(other));
    Ok(left)
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
    if !cleared.unreadable.is_empty() {
        let records: Vec<String> = cleared.unreadable.iter().map(ToString::to_string).collect();
        let note = format!(
            "what revisions that never became good have left behind is not known, since records cannot be read: \
             revision {}",
            records.join(", ")
        );
        say(EventKind::Warning, "LeftOversStay", note);
    }
    if !cleared.staying.is_empty() {
        let names: Vec<String> = cleared.staying.iter().map(|(member, why)| format!("{member} ({why})")).collect();
        let note = format!("left over by revisions that never became good, and not deleted: {}", names.join(", "));
        say(EventKind::Warning, "LeftOversStay", note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        controller::mock::{self, Repository},
        types::{Namespace, ReleaseName},
    };

    #[tokio::test]
    async fn clearing_reads_nothing_more_once_helm_waits_for_it() {
        let (context, _) = mock::context(Repository { breaks: true }, |asked| panic!("{asked:?}"));
        let (key, stop) = (ObjectKey::new("apps", "unicorn"), CancellationToken::new());
        stop.cancel();
        let release = mock::desired(&context).policy.key();
        let ended = remove(&context, &release, (&key, None), (&[1], &stop), &mut Cleared::default()).await;
        assert_eq!(ended, Ok(Ended::Overtaken));
    }

    #[test]
    fn clearing_that_fails_is_tried_again_later_each_time_and_by_nobody_meanwhile() {
        let release = ReleaseKey { namespace: Namespace::parse("n").unwrap(), name: ReleaseName::parse("a").unwrap() };
        let clearing = Clearing::default();
        let pauses = [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000].map(Duration::from_millis);
        for pause in pauses {
            assert!(clearing.begin(&release).is_some());
            assert_eq!(clearing.fail(&release), pause);
            assert!(clearing.begin(&release).is_none(), "a pass meanwhile begins none");
            clearing.rest(&release);
        }
        assert!(clearing.begin(&release).is_some());
        clearing.end(&release);
        assert!(clearing.begin(&release).is_some());
        assert_eq!(clearing.fail(&release), pauses[0], "cleared, it counts from the beginning");
    }
}
