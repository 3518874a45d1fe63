//! Objects of revisions that never became good and that helm left behind: it compares an upgrade with the last revision
//! that was deployed, and not with those that failed since, and a rollback with the newest alone, which is the remains of
//! another rollback where that failed (helm 3.22 and 4.3).

use crate::{
    plan::{
        Action,
        draft::{Decision, Draft},
    },
    release::{Health, Record, RecordStatus},
};

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    let (newest, _) = super::settled::reached(draft)?;
    let good = newest.is_verified() && draft.at_good().is_some() && matches!(draft.health(), Health::Healthy);
    if !good {
        return None;
    }
    let older = |record: &&Record| record.revision < newest.revision;
    // Also those before an older good revision: where that is a rollback, helm took away what the revision just before it
    // has, and nothing of those that came earlier.
    let revisions: Vec<u32> = draft
        .records()?
        .iter()
        .rev()
        .filter(older)
        .filter(|record| !record.is_verified() && left_something(draft, record))
        .map(|record| record.revision)
        .collect();
    if revisions.is_empty() {
        return None;
    }
    Decision::act(Action::Clear { revisions }, super::settled::here(draft))
}

fn left_something(draft: &Draft<'_>, record: &Record) -> bool {
    let over = match record.status {
        RecordStatus::Failed | RecordStatus::Superseded => true,
        RecordStatus::Unknown
        | RecordStatus::Deployed
        | RecordStatus::Uninstalled
        | RecordStatus::Uninstalling
        | RecordStatus::PendingInstall
        | RecordStatus::PendingUpgrade
        | RecordStatus::PendingRollback => false,
    };
    over && !record.is_cleared() && draft.is_ours(record)
}
