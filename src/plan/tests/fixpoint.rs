//! Planning the reached state again is idle, and the bytes of status are equal (invariant I5).
//!
//! What a plan does is done to its snapshot, as far as it is known what comes of it: memory and labels are written, a
//! place in the queue is taken or given back, a look-up or a run is under way. So nothing is done twice without end.

use jiff::SignedDuration;

use super::cases::CASES;
use crate::{
    api::HelmReleaseStatus,
    plan::{Action, Plan, Wake, check, plan},
    release::{DriftView, Flight, InputsView, Memory, Record, RecordStatus, Snapshot, View},
    status::render,
};

/// Plans until nothing changes any more: five are enough for every case, and the rest is for mixtures of them.
const ROUNDS: usize = 8;

/// Longer than any delay that a plan may have forgotten to ask for.
const LONG: SignedDuration = SignedDuration::from_hours(24 * 365);

/// Where it ends.
#[derive(Debug, PartialEq)]
pub(super) enum Rest {
    /// Nothing changes any more.
    Still,
    /// Something was begun, and nobody knows what will come of it.
    Waits,
}

/// Follows a snapshot to its rest, or tells what is wrong.
pub(super) fn rest(snapshot: &Snapshot) -> Result<Rest, String> {
    let mut snapshot = snapshot.clone();
    let mut way = Vec::new();
    for _ in 0..ROUNDS {
        let decided = plan(&snapshot);
        let wrong = check(&snapshot, &decided);
        if !wrong.is_empty() {
            return Err(format!("{wrong:?} after {way:?}"));
        }
        way.push(decided.action.clone());
        let before = snapshot.clone();
        if !decided.defers_status(&snapshot) {
            let wire = HelmReleaseStatus::from(decided.memory.clone());
            snapshot.memory = Memory::from(wire);
            if snapshot.memory != decided.memory {
                return Err(format!("status does not keep all that is remembered after {way:?}"));
            }
        }
        if !play(&mut snapshot, &decided.action) {
            return Ok(Rest::Waits);
        }
        if decided.action == Action::Idle && snapshot == before {
            return is_still(&snapshot, &decided).map(|()| Rest::Still);
        }
    }
    Err(format!("no rest after {way:?}"))
}

/// Nothing changes until the moment that the plan asks for, and where it asks for none, never: the plan is the same,
/// nothing is told, and status is the same, byte for byte.
fn is_still(snapshot: &Snapshot, decided: &Plan) -> Result<(), String> {
    let must = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{what}: {decided:#?}")) };
    let end = match decided.wake {
        Wake::At(moment) => moment.checked_sub(SignedDuration::from_nanos(1)).unwrap(),
        Wake::Never => snapshot.now.checked_add(LONG).unwrap(),
    };
    must(end >= snapshot.now, "nobody wakes up at once for nothing")?;
    let later = Snapshot { now: end, ..snapshot.clone() };
    let again = plan(&later);
    // What is looked at from time to time is looked at again so long after this look.
    let same = Plan { wake: decided.wake, ..again.clone() } == *decided;
    must(same, &format!("before the next pass is due the plan becomes {again:#?}, and was"))?;
    must(again.notes.is_empty(), "nothing is told again and again")?;
    let bytes = |status: &HelmReleaseStatus| serde_json::to_vec(status).unwrap();
    let first = render(None, snapshot, decided).status;
    let second = render(Some(&first), &later, &again);
    must(bytes(&first) == bytes(&second.status), "the same bytes of status")?;
    must(second.events.is_empty(), "no event for nothing")
}

/// Does an action, as far as it is known what comes of it.
fn play(snapshot: &mut Snapshot, action: &Action) -> bool {
    let owner = snapshot.object.owner();
    match action {
        Action::Idle => {}
        Action::AddFinalizer => snapshot.object.finalizer = true,
        Action::Prepare => snapshot.inputs = InputsView::Underway,
        Action::Detect { .. } => snapshot.drift = DriftView::Underway,
        Action::Ask(_) => snapshot.flight = Flight::Queued,
        Action::Withdraw => snapshot.flight = Flight::Idle,
        Action::Start(operation) => {
            snapshot.flight = Flight::Running { operation: operation.id.clone(), cancelled: false };
        }
        Action::Cancel => {
            if let Flight::Running { cancelled, .. } = &mut snapshot.flight {
                *cancelled = true;
            }
        }
        Action::Acknowledge { .. } => {
            if let Flight::Ended(outcome) = std::mem::take(&mut snapshot.flight)
                && let Some(records) = outcome.records
            {
                snapshot.records = View::Is(records);
                snapshot.payload = outcome.payload.map(|payload| *payload);
            }
        }
        Action::Adopt { revision, digest, .. } => write(snapshot, *revision, |record| {
            (record.owner, record.digest) = (Some(owner), digest.clone());
            (record.stamp, record.adopted) = (Some(record.revision), Some(record.revision));
        }),
        Action::Mark { revision, .. } => write(snapshot, *revision, |record| {
            record.owner = Some(owner);
            (record.stamp, record.verified) = (Some(record.revision), Some(record.revision));
        }),
        Action::Clear { revisions } => {
            for revision in revisions {
                write(snapshot, *revision, |record| record.cleared = Some(record.revision));
            }
        }
        Action::Unlock { revision, .. } => write(snapshot, *revision, |record| record.status = RecordStatus::Failed),
        Action::RemoveFinalizer | Action::Inspect { .. } | Action::Compare { .. } => return false,
    }
    true
}

fn write(snapshot: &mut Snapshot, revision: u32, labels: impl FnOnce(&mut Record)) {
    let mut records: Vec<Record> =
        snapshot.records.is().into_iter().flat_map(|records| records.iter().cloned()).collect();
    if let Some(record) = records.iter_mut().find(|record| record.revision == revision) {
        labels(record);
    }
    snapshot.records = View::Is(crate::release::Records::new(records));
}

#[test]
fn every_case_comes_to_rest() {
    let mut failed = Vec::new();
    let mut rests = Vec::new();
    for case in CASES.iter() {
        match rest(&case.snapshot) {
            Ok(rest) => rests.push(rest),
            Err(wrong) => failed.push(format!("{}: {wrong}", case.name)),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let still = rests.iter().filter(|rest| **rest == Rest::Still).count();
    assert!(still * 2 > rests.len(), "most cases are followed to their end: {still} of {}", rests.len());
}
