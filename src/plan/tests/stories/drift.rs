//! Objects that somebody changes, and what becomes of a release whose objects are put back.

use super::{super::sim::*, *};
use crate::{
    plan::{Held, Wake},
    release::{
        Cause, DependencyState, DependencyView, DriftMode, DriftView, FailureClass, Fault, Health, HistoryResult,
        InputsView, OperationKind::Test, Snapshot,
    },
};

/// Good at pink, in that mode, with its objects compared.
fn watched(mode: DriftMode) -> World {
    let mut world = World::new("pink");
    world.policy.drift = mode;
    world.run();
    assert!(world.compared == Some((1, false)) && world.memory.drift.is_none());
    world
}

/// Somebody changes an object; passes until nothing moves without the clock.
fn disturbed(world: &mut World) -> Because {
    world.drifted = true;
    world.run().because
}

/// The next pass is told of drift for the first time, and corrects it.
fn found() -> Snapshot {
    let mut world = watched(DriftMode::Correct);
    world.drifted = true;
    while world.compared != Some((1, true)) {
        world.pass();
    }
    world.snapshot()
}

fn causes(world: &World) -> Vec<(OperationKind, Cause, HistoryResult)> {
    world.memory.history.iter().map(|entry| (entry.action, entry.cause, entry.result)).collect()
}

const DRIFT: (OperationKind, Option<Colour>) = (Upgrade, Some("pink"));
const FIRST: (OperationKind, Option<Colour>) = (Install, Some("pink"));

#[test]
fn drift_is_only_told_where_that_is_asked_for_and_forgotten_when_it_is_gone() {
    let mut world = watched(DriftMode::Warn);
    assert!(ends("pink", &disturbed(&mut world)));
    assert!(ends("pink", &rests(&mut world, &[FIRST])));
    assert_eq!(world.notes.iter().filter(|note| matches!(note, crate::plan::Note::Drifted { .. })).count(), 1);
    world.crash();
    rests(&mut world, &[FIRST]);
    assert_eq!(world.memory.drift.as_ref().map(|drift| drift.finding.count), Some(1));
    world.drifted = false;
    rests(&mut world, &[FIRST]);
    assert_eq!(world.memory.drift, None);
}

#[test]
fn drift_is_put_back_once_and_at_once() {
    let mut world = watched(DriftMode::Correct);
    assert!(ends("pink", &disturbed(&mut world)));
    rests(&mut world, &[FIRST, DRIFT]);
    assert!(!world.drifted);
    let told = (Upgrade, Cause::Drift, HistoryResult::Succeeded);
    assert_eq!(causes(&world), [(Install, Cause::Spec, HistoryResult::Succeeded), told]);
}

#[test]
fn two_that_write_the_same_make_fewer_revisions_each_time_until_one_of_them_stops() {
    let mut world = watched(DriftMode::Correct);
    let mut waited = Vec::new();
    while waited.len() < 15 {
        world.drifted = true;
        if let Wake::At(moment) = world.run().wake {
            waited.push(moment.duration_since(world.now).as_secs());
            world.now = moment;
        }
    }
    assert!(waited.is_sorted() && (10..=11).contains(&waited[0]), "{waited:?}");
    let six_hours = 6 * 3600;
    assert!(waited.last().is_some_and(|last| (six_hours..=six_hours * 11 / 10).contains(last)), "{waited:?}");
    assert!(world.memory.quarantined.is_empty());
    // One of them stops.
    world.wait();
    world.run();
    let runs = world.runs.len();
    world.later(120);
    assert_eq!(world.runs.len(), runs);
    disturbed(&mut world);
    assert_eq!(world.runs.len(), runs + 1, "corrected at once");
}

#[test]
fn a_correction_that_helm_refuses_is_made_again_later_each_time_and_the_release_stays_good() {
    let mut world = watched(DriftMode::Correct);
    world.policy.retries = 0;
    for class in
        [FailureClass::Template, FailureClass::Unreachable, FailureClass::Schema, FailureClass::HelmUnavailable]
    {
        world.script.push_back(Run::Refused(class));
    }
    assert!(ends("pink", &disturbed(&mut world)));
    for _ in 0..3 {
        assert!(ends("pink", &world.wait().because));
    }
    assert!(world.drifted && world.memory.quarantined.is_empty() && world.memory.failures.count == 0);
    assert!(ends("pink", &world.wait().because));
    rests(&mut world, &[FIRST, DRIFT, DRIFT, DRIFT, DRIFT, DRIFT]);
    assert!(!world.drifted && world.memory.quarantined.is_empty());
}

#[test]
fn a_correction_that_fails_in_helm_is_rolled_back_to_the_same_and_never_quarantined() {
    for class in [FailureClass::Hook, FailureClass::Admission, FailureClass::Conflict] {
        let mut world = watched(DriftMode::Correct);
        world.policy.retries = 0;
        world.script.push_back(Run::Failed(class));
        assert!(ends("pink", &disturbed(&mut world)));
        let back = (Rollback, Some("pink"));
        rests(&mut world, &[FIRST, DRIFT, back]);
        assert!(world.memory.quarantined.is_empty() && !world.drifted, "{class:?}");
        assert!(world.newest().unwrap().record.is_verified());
    }
}

#[test]
fn a_correction_that_fails_again_and_again_is_never_quarantined_where_failures_are_kept() {
    let mut world = watched(DriftMode::Correct);
    world.policy.retries = 0;
    world.policy.upgrade_failure = crate::release::UpgradeFailure::Keep;
    world.script.extend([Run::Failed(FailureClass::Hook); 4]);
    disturbed(&mut world);
    for _ in 0..4 {
        world.wait();
    }
    assert!(ends("pink", &rests(&mut world, &[FIRST, DRIFT, DRIFT, DRIFT, DRIFT, DRIFT])));
    assert!(world.memory.quarantined.is_empty() && !world.drifted);
    assert!(causes(&world).iter().skip(1).all(|(_, cause, _)| *cause == Cause::Drift), "{:?}", causes(&world));
}

#[test]
fn a_correction_whose_objects_do_not_become_healthy_is_watched_and_good_when_they_recover() {
    for fault in [Fault::Own, Fault::Outside] {
        let mut world = watched(DriftMode::Correct);
        world.policy.retries = 0;
        // What the chart states works no more, and somebody had put in its place what does.
        world.health.insert("pink", Sick::Broken(fault));
        let because = disturbed(&mut world);
        assert!(matches!(because, Because::AttemptFailed { next: Next::Watching, .. }), "{because:?}");
        let because = rests(&mut world, &[FIRST, DRIFT]);
        assert!(matches!(because, Because::AttemptFailed { next: Next::Watching, .. }), "{because:?}");
        assert!(world.memory.quarantined.is_empty());
        world.health.clear();
        assert!(ends("pink", &rests(&mut world, &[FIRST, DRIFT])));
    }
}

#[test]
fn a_correction_whose_tests_fail_is_tested_again_and_never_quarantined() {
    let mut world = watched(DriftMode::Correct);
    (world.policy.retries, world.policy.test.enabled) = (0, true);
    let failed = Run::Failed(FailureClass::Hook);
    world.script.extend([Run::Good, failed, failed, failed]);
    let because = disturbed(&mut world);
    assert!(matches!(because, Because::AttemptFailed { kind: Test, next: Next::RetryAt(_), .. }), "{because:?}");
    for _ in 0..3 {
        world.wait();
    }
    let test = (Test, Some("pink"));
    assert!(ends("pink", &rests(&mut world, &[FIRST, DRIFT, test, test, test, test])));
    assert!(world.memory.quarantined.is_empty());
}

#[test]
fn an_operator_that_dies_in_the_middle_of_a_correction_brings_it_to_its_end_without_blame() {
    for steps in 0..3 {
        for left in [Left::Killed, Left::Unnoticed] {
            let mut world = watched(DriftMode::Correct);
            world.policy.retries = 0;
            world.drifted = true;
            world.until_runs();
            for _ in 0..steps {
                world.helm_step();
            }
            world.crash();
            // The next run fails by its own fault: that is not held against what was good.
            world.script.push_back(Run::Left(left));
            world.run();
            for _ in 0..4 {
                world.wait();
            }
            assert!(world.memory.quarantined.is_empty(), "{steps} {left:?}: {:?}", world.memory);
            assert!(world.newest().unwrap().record.is_verified(), "{steps} {left:?}: {:?}", world.revisions);
            assert!(ends("pink", &world.run().because), "{steps} {left:?}: {:?}", world.last);
        }
    }
}

#[test]
fn newer_inputs_end_a_correction_and_what_held_it_back() {
    let mut world = watched(DriftMode::Correct);
    world.drifted = true;
    world.until_runs();
    world.helm_step();
    world.want("blue");
    world.pass();
    world.inputs = InputsView::Known { inputs: inputs("blue"), look_again: None, passed_over: None };
    world.pass();
    assert!(matches!(world.last, Some((Action::Cancel, _))), "{:?}", world.last);
    assert!(ends("blue", &world.run().because));
    assert_eq!(world.memory.drift, None);
}

#[test]
fn a_correction_that_helm_never_came_to_is_not_counted_and_waits_longer_each_time() {
    let mut world = watched(DriftMode::Correct);
    for class in [FailureClass::LostRace, FailureClass::Unreachable, FailureClass::Unreachable] {
        world.script.push_back(Run::Refused(class));
    }
    disturbed(&mut world);
    let mut waited = Vec::new();
    while let Wake::At(moment) = world.run().wake {
        let drift = world.memory.drift.as_ref().unwrap();
        assert_eq!((drift.corrections, drift.not_before), (0, Some(moment)));
        waited.push(moment.duration_since(world.now).as_secs());
        world.now = moment;
    }
    assert!(waited.len() == 2 && waited.is_sorted() && waited[0] >= 10, "{waited:?}");
    assert_eq!(world.memory.drift.as_ref().map(|drift| drift.corrections), Some(1));
}

#[test]
fn a_correction_that_is_held_back_says_by_what() {
    let mut snapshot = found();
    let said = |snapshot: &Snapshot| plan(snapshot).held;
    assert_eq!(said(&snapshot), None);
    let missing = DependencyView { name: "apps/db".into(), state: DependencyState::Missing };
    snapshot.dependencies = vec![missing.clone()];
    assert_eq!(said(&snapshot), Some(Held::Waits(Because::DependencyNotReady(missing))));
    snapshot.cycle = Some(vec!["apps/db".into()]);
    assert!(matches!(said(&snapshot), Some(Held::Waits(Because::DependencyCycle(_)))));
}

#[test]
fn a_correction_that_is_held_back_says_so_while_it_is_compared_anew_too() {
    let mut snapshot = found();
    let missing = DependencyView { name: "apps/db".into(), state: DependencyState::Missing };
    snapshot.dependencies = vec![missing.clone()];
    snapshot.memory = plan(&snapshot).memory;
    for view in [DriftView::Underway, DriftView::Due { at: snapshot.now }] {
        snapshot.drift = view;
        assert_eq!(plan(&snapshot).held, Some(Held::Waits(Because::DependencyNotReady(missing.clone()))));
    }
}

#[test]
fn what_cannot_be_compared_any_more_is_told_and_not_corrected() {
    let mut snapshot = found();
    let DriftView::Is { finding, .. } = snapshot.drift.clone() else { panic!("{:?}", snapshot.drift) };
    assert!(matches!(plan(&snapshot).action, Action::Ask(_)), "{:?}", plan(&snapshot).action);
    let again = snapshot.now.checked_add(jiff::SignedDuration::from_secs(4)).unwrap();
    snapshot.drift = DriftView::Is { finding, certain: false, again: Some(again) };
    let planned = plan(&snapshot);
    assert_eq!((&planned.action, planned.wake), (&Action::Idle, Wake::At(again)));
    assert_eq!(planned.memory.drift.map(|drift| drift.finding.count), Some(1));
}

#[test]
fn a_correction_that_could_not_be_judged_is_not_begun() {
    let mut snapshot = found();
    snapshot.health.health = Health::Unknown { why: "Deployments may not be watched".into(), refused: true };
    let planned = plan(&snapshot);
    assert_eq!(planned.action, Action::Idle);
    assert!(matches!(planned.held, Some(Held::Waits(Because::ViewRefused { .. }))), "{:?}", planned.held);
}

#[test]
fn a_correction_that_ended_before_helm_wrote_anything_is_not_counted() {
    let mut world = watched(DriftMode::Correct);
    world.drifted = true;
    for _ in 0..3 {
        world.until_runs();
        assert_eq!(world.memory.drift.as_ref().map(|drift| drift.corrections), Some(1));
        world.crash();
        // Not at once: it may be what brings the operator down.
        let Wake::At(moment) = world.run().wake else { panic!("{:?}", world.last) };
        world.now = moment;
    }
    assert!(ends("pink", &world.run().because));
    assert!(!world.drifted);
}

#[test]
fn what_hindered_a_correction_is_forgotten_when_nothing_is_to_be_corrected_any_more() {
    let mut world = watched(DriftMode::Correct);
    world.script.extend([Run::Refused(FailureClass::Unreachable); 4]);
    disturbed(&mut world);
    for _ in 0..3 {
        world.wait();
    }
    assert!(world.memory.failures.hindered > 0);
    world.drifted = false;
    rests(&mut world, &[FIRST, DRIFT, DRIFT, DRIFT, DRIFT]);
    assert_eq!((world.memory.failures.hindered, &world.memory.drift), (0, &None));
}

#[test]
fn a_correction_that_failed_counts_although_its_way_back_met_with_another_release() {
    let mut world = watched(DriftMode::Correct);
    world.policy.retries = 0;
    world.script.extend([Run::Failed(FailureClass::Hook), Run::Refused(FailureClass::LostRace)]);
    assert!(ends("pink", &disturbed(&mut world)));
    let back = (Rollback, Some("pink"));
    rests(&mut world, &[FIRST, DRIFT, back, back]);
    let drift = world.memory.drift.as_ref().map(|drift| (drift.corrections, drift.not_before.is_some()));
    assert_eq!(drift, Some((1, true)));
}
