//! Objects of revisions that never became good and that helm left behind: it compares an upgrade with the last revision
//! that was deployed, and not with those that failed since, and a rollback with the newest alone, which is the remains of
//! another rollback where that failed (helm 3.22 and 4.3).

use crate::{
    plan::{
        Action,
        draft::{Decision, Draft},
    },
    release::{Health, Record, RecordStatus, Records},
};

pub(super) fn decide(draft: &mut Draft<'_>) -> Option<Decision> {
    let (newest, _) = super::settled::reached(draft)?;
    let good = newest.is_verified() && draft.at_good().is_some() && matches!(draft.health(), Health::Healthy);
    if !good {
        return None;
    }
    let records = draft.records()?;
    let older = |record: &&Record| record.revision < newest.revision;
    // What came before a good revision was cleared away after that one, or by the rollback that made it.
    let revisions: Vec<u32> = records
        .iter()
        .rev()
        .filter(older)
        .take_while(|record| !record.is_verified() || was_rolled_back_twice(records, record))
        .filter(|record| !record.is_verified() && left_something(draft, record))
        .map(|record| record.revision)
        .collect();
    if revisions.is_empty() {
        return None;
    }
    Decision::act(Action::Clear { revisions }, super::settled::here(draft))
}

/// Whether a revision is that of a rollback which helm compared with the remains of another one, so that it removed
/// nothing of what was there before. The remains may be pruned by now.
fn was_rolled_back_twice(records: &Records, record: &Record) -> bool {
    let is_rollback = |record: &Record| record.stamp.is_some_and(|stamp| stamp != record.revision);
    let before = records.get(record.revision.saturating_sub(1));
    is_rollback(record) && before.is_none_or(|before| before.status == RecordStatus::Failed && is_rollback(before))
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
