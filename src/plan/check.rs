//! The linter of plans: what must hold for every plan, whatever the rules say. Asked in every test, and in debug builds
//! on every pass.

use super::{Action, Because, Plan, Wake};
use crate::release::{
    Adopt, Cause, Claim, DependencyState, DriftMode, Flight, InputsView, Operation, OperationKind, Record,
    RecordStatus, Records, Snapshot, Spec,
};

/// What is wrong with a plan; empty when nothing is.
#[must_use]
pub fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, rule: &str| {
        if !holds {
            wrong.push(rule.to_owned());
        }
    };
    let records = snapshot.records.is();
    let newest = records.and_then(Records::newest);
    match &plan.action {
        Action::Start(operation) => start(snapshot, plan, operation, &mut must),
        Action::Acknowledge { .. } => must(matches!(snapshot.flight, Flight::Ended(_)), "only an end is acknowledged"),
        Action::Cancel => must(matches!(snapshot.flight, Flight::Running { .. }), "only a run is cancelled"),
        Action::RemoveFinalizer => must(snapshot.object.deleting, "the finalizer stays while the object lives"),
        Action::AddFinalizer => must(!snapshot.object.deleting, "a deleted object gets no finalizer"),
        Action::Adopt { revision, digest, .. } => {
            must(newest.is_some_and(|n| n.revision == *revision), "only the newest revision is adopted");
            let declared = match &snapshot.inputs {
                InputsView::Known { inputs, .. } => Some(&inputs.digest),
                InputsView::Stale | InputsView::Underway | InputsView::Failed { .. } => None,
            };
            must(declared.is_some(), "nothing is adopted before the inputs are known");
            must(digest.is_none() || digest.as_ref() == declared, "what is adopted as it is, is what is declared");
            adoption(snapshot, &mut must);
        }
        Action::Compare { .. } => adoption(snapshot, &mut must),
        Action::Detect { revision } => detection(snapshot, *revision, &mut must),
        Action::Mark { revision, version } => {
            must(newest.is_some_and(|n| n.revision == *revision), "only the newest revision is marked");
            must(*version == snapshot.version, "what is marked is what was judged");
        }
        Action::Clear { revisions } => {
            let bad = |revision: &u32| records.and_then(|r| r.get(*revision)).is_some_and(|r| !r.is_verified());
            must(revisions.iter().all(bad), "nothing of a revision that was good is cleared away");
            must(newest.is_some_and(Record::is_verified), "only a good release is cleared of what is left over");
        }
        Action::Unlock { revision, version } => {
            let locked = |record: &Record| record.status.is_pending() || record.status == RecordStatus::Uninstalling;
            let record = newest.filter(|newest| newest.revision == *revision);
            must(
                record.is_some_and(locked),
                "only the newest record is unlocked, and only of a run that came to no end",
            );
            must(*version == snapshot.version, "what is unlocked is what was seen standing still");
            must(!matches!(snapshot.flight, Flight::Running { .. }), "the record of a living run is not unlocked");
        }
        Action::Inspect { .. } => {
            must(!matches!(snapshot.spec, Spec::Refused { .. }), "nothing is read for a refused object");
        }
        Action::Idle | Action::Prepare | Action::Ask(_) | Action::Withdraw => {}
    }
    let good = matches!(plan.because, Because::Good { .. });
    must(
        !good || plan.memory.observed_generation == snapshot.object.generation,
        "good is said of the present generation",
    );
    if let Wake::At(moment) = plan.wake {
        let soon = moment >= snapshot.now || plan.action == Action::Idle;
        must(soon, "a wake lies ahead");
    }
    wrong
}

/// What must hold for every comparison of objects with what a revision states.
fn detection(snapshot: &Snapshot, revision: u32, must: &mut impl FnMut(bool, &str)) {
    let wanted = matches!(&snapshot.spec, Spec::Valid(policy) if policy.drift != DriftMode::Off && !policy.suspend);
    must(wanted && !snapshot.object.deleting, "drift is looked for only where that is asked for");
    let newest = snapshot.records.is().and_then(Records::newest);
    let good = newest.is_some_and(|n| n.revision == revision && n.status == RecordStatus::Deployed && n.is_verified());
    must(good, "drift is looked for only in the newest revision, and only while that is good");
}

/// What must hold for every step of taking over somebody else's release.
fn adoption(snapshot: &Snapshot, must: &mut impl FnMut(bool, &str)) {
    let records = snapshot.records.is();
    let ours = records.is_some_and(|records| records.belong_to(&snapshot.object.owner()));
    must(!ours, "what is ours is not adopted");
    must(snapshot.claim == Claim::Ours, "an adoption never touches a release whose recorded owner lives");
    let at_rest = records.and_then(Records::newest).is_some_and(|newest| !newest.status.is_pending());
    must(at_rest, "a record that another run holds is not adopted");
    must(!snapshot.object.deleting, "an object that is being deleted adopts nothing");
    match &snapshot.spec {
        Spec::Valid(policy) => {
            must(policy.adopt != Adopt::Never, "nothing is adopted without being asked for");
            must(!policy.suspend, "a suspended object adopts nothing");
        }
        Spec::Invalid { .. } => must(false, "an invalid spec adopts nothing"),
        Spec::Refused { .. } => must(false, "a refused object adopts nothing"),
    }
}

/// What must hold for every start of helm.
fn start(snapshot: &Snapshot, plan: &Plan, operation: &Operation, must: &mut impl FnMut(bool, &str)) {
    let records = snapshot.records.is();
    let newest = records.and_then(Records::newest);
    must(snapshot.flight == Flight::Granted, "helm starts only with a slot in hand");
    must(plan.memory.operation.as_ref() == Some(operation), "the intent is in memory before helm starts");
    must(records.is_some(), "helm starts only on a complete view of the records");
    must(snapshot.claim == Claim::Ours, "helm starts only for the owner of the release");
    let uninstall = operation.kind == OperationKind::Uninstall;
    let valid = matches!(snapshot.spec, Spec::Valid(_));
    must(!matches!(snapshot.spec, Spec::Refused { .. }), "helm never starts for a refused object");
    let back = operation.kind == OperationKind::Rollback;
    must(valid || uninstall || back, "an invalid spec starts nothing but a removal or a rollback");
    if let Spec::Valid(policy) = &snapshot.spec {
        must(!policy.suspend || snapshot.object.deleting, "a suspended release is left alone");
    }
    let theirs = records.is_some_and(|records| !records.is_empty() && !records.belong_to(&snapshot.object.owner()));
    let free = newest.is_some_and(|n| matches!(n.status, RecordStatus::Uninstalled | RecordStatus::Uninstalling));
    must(!theirs || (free && adopts(snapshot)), "helm runs on a release of somebody else only after its adoption");
    let digest = operation.digest.as_ref();
    let deploys = matches!(operation.kind, OperationKind::Install | OperationKind::Upgrade);
    let quarantined = digest.is_some_and(|digest| plan.memory.quarantine_of(digest).is_some());
    must(!(deploys && quarantined), "a quarantined digest is not tried again");
    let held = snapshot.cycle.is_some()
        || snapshot.dependencies.iter().any(|dependency| dependency.state != DependencyState::Ready);
    must(!(deploys && held), "an install or upgrade waits for its dependencies");
    let newest_status = newest.map(|newest| newest.status);
    let correction = deploys && operation.cause == Cause::Drift && newest_status == Some(RecordStatus::Deployed);
    let asked = matches!(&snapshot.spec, Spec::Valid(policy) if policy.drift == DriftMode::Correct);
    let same = newest.and_then(|newest| newest.digest.as_ref()) == digest;
    must(!correction || (asked && same), "drift is corrected only where that is asked for, to what is deployed");
    must(!(deploys && digest.is_none()), "an install or upgrade names its digest");
    let was_good = records.is_some_and(|records| records.iter().any(Record::is_verified));
    let removing = snapshot.object.deleting || newest.is_some_and(|n| n.status.as_str() == "uninstalling");
    must(!(uninstall && was_good && !removing), "a release that was good once is never uninstalled to repair it");
    let adopted = records.is_some_and(Records::were_adopted);
    must(!(uninstall && adopted && !removing), "a release that was adopted is never uninstalled to repair it");
    let tests = operation.kind == OperationKind::Test;
    let deployed =
        newest.is_some_and(|newest| newest.revision == operation.revision && newest.status == RecordStatus::Deployed);
    must(!tests || deployed, "tests run on the newest revision, and only while it is deployed");
    let busy = newest.is_some_and(|newest| newest.status.is_pending());
    must(!busy || uninstall, "helm does not start over a record that another run holds");
    let back = operation.target.and_then(|to| records?.get(to));
    let way_back = operation.kind != OperationKind::Rollback || back.is_some_and(Record::is_verified);
    must(way_back, "a rollback goes to a revision that was verified");
}

fn adopts(snapshot: &Snapshot) -> bool {
    snapshot.spec.policy().is_some_and(|policy| policy.adopt != Adopt::Never)
}
