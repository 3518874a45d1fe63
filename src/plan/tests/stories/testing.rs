//! Tests as a part of an attempt.

use super::{super::sim::*, *};
use crate::{
    plan::Wake,
    release::{FailureClass, HistoryResult, OperationKind::Test},
};

/// Good at pink, with tests enabled before blue is asked for.
fn tested() -> World {
    let mut world = good_at(&["pink"]);
    world.policy.test.enabled = true;
    world
}

const FAILED: Run = Run::Failed(FailureClass::Hook);

#[test]
fn a_revision_is_good_after_its_tests_and_never_tested_again() {
    let mut world = tested();
    let idle = rests(&mut world, &[(Install, Some("pink"))]);
    assert!(ends("pink", &idle), "what is good is not tested later: {idle:?}");
    world.want("blue");
    let runs = [(Install, Some("pink")), (Upgrade, Some("blue")), (Test, Some("blue"))];
    assert!(ends("blue", &rests(&mut world, &runs)));
    world.crash();
    assert!(ends("blue", &rests(&mut world, &runs)));
    assert!(world.memory.tested.as_ref().is_some_and(|tested| tested.passed && tested.revision == 2));
    let last = world.memory.history.last().unwrap();
    assert_eq!((last.revision, last.action, last.result), (2, Upgrade, HistoryResult::Succeeded));
    // Also with the mark alone.
    world.memory = crate::release::Memory::default();
    assert!(ends("blue", &rests(&mut world, &runs)));
}

#[test]
fn an_upgrade_whose_tests_fail_is_rolled_back_and_quarantined() {
    let mut world = tested();
    world.policy.retries = 0;
    world.script.extend([Run::Good, FAILED]);
    world.want("red");
    let because = rests(
        &mut world,
        &[(Install, Some("pink")), (Upgrade, Some("red")), (Test, Some("red")), (Rollback, Some("pink"))],
    );
    assert!(matches!(because, Because::RolledBack { next: Next::Quarantined, .. }), "{because:?}");
    assert_eq!(&*world.memory.quarantined[0].reason, "TestFailed");
    assert!(world.memory.quarantined[0].message.contains("web-test"));
}

#[test]
fn a_first_install_whose_tests_fail_is_kept_and_tested_again_until_they_pass() {
    let mut world = World::new("pink");
    world.policy.test.enabled = true;
    world.script.extend([Run::Good, FAILED]);
    let reached = world.run();
    assert!(
        matches!(reached.because, Because::AttemptFailed { kind: Test, next: Next::RetryAt(_), .. }),
        "{reached:?}"
    );
    assert!(matches!(reached.wake, Wake::At(_)));
    world.script.push_back(FAILED);
    let reached = world.wait();
    assert!(matches!(reached.because, Because::AttemptFailed { kind: Test, .. }), "{reached:?}");
    assert!(ends("pink", &world.wait().because));
    let test = (Test, Some("pink"));
    assert!(ends("pink", &rests(&mut world, &[(Install, Some("pink")), test, test, test])));
    assert_eq!(world.newest().unwrap().record.revision, 1, "tests make no revision");
}

#[test]
fn an_operator_that_dies_over_tests_runs_them_again() {
    let mut world = tested();
    world.want("blue");
    world.run_until(Test);
    world.crash();
    world.later(20);
    let test = (Test, Some("blue"));
    let runs = [(Install, Some("pink")), (Upgrade, Some("blue")), test, test];
    assert!(ends("blue", &rests(&mut world, &runs)));
    assert_eq!(world.newest().unwrap().record.revision, 2);
}

#[test]
fn newer_inputs_end_tests() {
    let mut world = tested();
    world.want("blue");
    world.run_until(Test);
    world.want("green");
    let runs = [
        (Install, Some("pink")),
        (Upgrade, Some("blue")),
        (Test, Some("blue")),
        (Upgrade, Some("green")),
        (Test, Some("green")),
    ];
    assert!(ends("green", &rests(&mut world, &runs)));
}

#[test]
fn failures_that_are_ignored_are_said_and_change_nothing() {
    let mut world = tested();
    world.policy.test.ignore_failures = true;
    world.script.extend([Run::Good, FAILED]);
    world.want("blue");
    let runs = [(Install, Some("pink")), (Upgrade, Some("blue")), (Test, Some("blue"))];
    assert!(ends("blue", &rests(&mut world, &runs)));
    assert!(world.memory.tested.as_ref().is_some_and(|tested| !tested.passed));
    assert!(world.notes.iter().any(|note| matches!(note, crate::plan::Note::TestsFailed { revision: 2, .. })));
}

#[test]
fn tests_that_something_outside_hinders_are_run_again_and_do_not_count() {
    let mut world = tested();
    world.script.extend([Run::Good, Run::Left(Left::Killed), Run::Refused(FailureClass::Unreachable)]);
    world.want("blue");
    let because = world.run().because;
    assert!(matches!(because, Because::Hindered { .. }), "{because:?}");
    let because = world.wait().because;
    assert!(matches!(because, Because::Hindered { .. }), "{because:?}");
    assert_eq!((world.memory.failures.count, world.memory.failures.hindered), (0, 2));
    assert!(ends("blue", &world.wait().because));
    assert_eq!(world.memory.failures, crate::release::Failures::default());
}

#[test]
fn an_upgrade_that_is_kept_is_tested_until_its_attempts_are_used_up() {
    let mut world = tested();
    world.policy.upgrade_failure = crate::api::UpgradeFailure::Keep;
    world.script.extend([Run::Good, FAILED, FAILED]);
    world.want("blue");
    world.run();
    let because = world.wait().because;
    let test = (Test, Some("blue"));
    assert!(matches!(because, Because::AttemptFailed { kind: Test, next: Next::Quarantined, .. }), "{because:?}");
    let because = rests(&mut world, &[(Install, Some("pink")), (Upgrade, Some("blue")), test, test]);
    assert!(matches!(because, Because::AttemptFailed { kind: Test, next: Next::Quarantined, .. }), "{because:?}");
    world.object.retry = Some("again".into());
    assert!(ends("blue", &world.run().because));
}

#[test]
fn a_suspension_holds_tests_back_and_takes_nothing_from_them() {
    let mut world = tested();
    world.want("blue");
    world.until_runs();
    world.policy.suspend = true;
    assert!(matches!(world.run().because, Because::Suspended { deployed: false }));
    world.later(60);
    world.policy.suspend = false;
    let runs = [(Install, Some("pink")), (Upgrade, Some("blue")), (Test, Some("blue"))];
    assert!(ends("blue", &rests(&mut world, &runs)));
}

/// Kept at blue, whose objects were bad for as long as its attempts lasted, and recover now.
fn recovered(retries: u32) -> World {
    let mut world = tested();
    world.policy.upgrade_failure = crate::api::UpgradeFailure::Keep;
    world.policy.retries = retries;
    world.health.insert("blue", Sick::Broken(crate::release::Fault::Own));
    world.want("blue");
    let because = world.run().because;
    assert!(matches!(because, Because::AttemptFailed { kind: Upgrade, .. }), "{because:?}");
    world.health.remove("blue");
    world
}

#[test]
fn an_upgrade_that_recovers_after_its_attempt_is_tested_and_good() {
    for retries in [0, 3] {
        let mut world = recovered(retries);
        let runs = [(Install, Some("pink")), (Upgrade, Some("blue")), (Test, Some("blue"))];
        assert!(ends("blue", &rests(&mut world, &runs)));
        assert!(world.memory.quarantined.is_empty());
    }
}

#[test]
fn an_upgrade_that_recovers_and_fails_its_tests_stays_quarantined() {
    let mut world = recovered(0);
    world.script.push_back(FAILED);
    let runs = [(Install, Some("pink")), (Upgrade, Some("blue")), (Test, Some("blue"))];
    let because = rests(&mut world, &runs);
    assert!(matches!(because, Because::AttemptFailed { kind: Test, next: Next::Quarantined, .. }), "{because:?}");
}
