//! Records that helm cannot work with: found out, remembered, and named.
//!
//! helm passes by a record that it cannot read, and by a Secret that is none by its labels. It then misses what it was
//! to go back to, or wants a number that is taken, and says neither why nor where. Planned anew, that would go on for
//! ever.

use super::{Context, aftermath::payload};
use crate::{
    cluster::RecordData,
    release::{Ended, Failure, FailureClass, ForeignAction, Payload, record_name},
    types::ReleaseKey,
};

/// A record that a run was going to need cannot be read: its revision is no way back from now on.
pub(super) fn unreadable(context: &Context, release: &ReleaseKey, revision: u32, record: &RecordData) -> Failure {
    context.metrics.malformed_payloads.inc();
    context.payloads.spoil(release, revision, record.version());
    let secret = record_name(&release.name, revision);
    let message = format!("helm's record of revision {revision}, Secret {secret}, cannot be read; restore the Secret");
    Failure { class: FailureClass::RecordSpoilt, message: message.into() }
}

/// The same for the newest record, over which nothing is done at all.
pub(super) fn newest_unreadable(
    context: &Context,
    release: &ReleaseKey,
    revision: u32,
    record: &RecordData,
) -> Failure {
    context.payloads.put(release, Payload::unreadable(revision), record.version());
    unreadable(context, release, revision, record)
}

/// The Secret of the next revision is there, and is no record.
pub(super) fn in_the_way(release: &ReleaseKey, revision: u32) -> Failure {
    let secret = record_name(&release.name, revision);
    let message = format!(
        "Secret {secret} has the name of the next record and not the labels of one, so that helm cannot write it; put the labels back, or delete the Secret"
    );
    Failure { class: FailureClass::RecordSpoilt, message: message.into() }
}

/// Whether something stands where the next record is to be written. What cannot be read now is left to helm.
pub(super) async fn stands_in_the_way(context: &Context, release: &ReleaseKey, revision: u32) -> Option<Failure> {
    let found = context.requests.read_record_data(release, revision).await.ok()??;
    found.record.is_none().then(|| in_the_way(release, revision))
}

/// Whether helm's words may come from a record that it passed by.
pub(super) fn may_be_told_by(ended: &Ended) -> bool {
    matches!(ended, Ended::Failed(Failure { class: FailureClass::LostRace | FailureClass::NotFound, .. }))
}

/// What a run came to that wrote nothing: the newest record, where that is what helm passed by.
pub(super) async fn explained(context: &Context, release: &ReleaseKey, newest: u32, ended: Ended) -> Ended {
    if !may_be_told_by(&ended) {
        return ended;
    }
    let Ok(Some(record)) = context.requests.read_record_data(release, newest).await else { return ended };
    let Ok(told) = payload(context, release, newest, &record).await else { return ended };
    if told.action == ForeignAction::Unreadable {
        return Ended::Failed(newest_unreadable(context, release, newest, &record));
    }
    ended
}
