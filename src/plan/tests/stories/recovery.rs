//! Ends in the middle: of the operator, of helm, of a view.

use super::{super::sim::*, *};
use crate::release::{
    FailureClass, Fault, InputsProblem, InputsProblemKind, InputsView, OperationKind::Uninstall, RecordStatus,
};

/// Passes until a run of this kind is under way.
fn until_runs(world: &mut World, kind: OperationKind) {
    for _ in 0..9 {
        world.until_runs();
        if world.running.as_ref().is_some_and(|(operation, _)| operation.kind == kind) {
            return;
        }
        world.surroundings();
    }
    panic!("{kind:?} was never started: {:?}", world.last);
}

/// The operator dies after so many steps of helm, for every number of them.
fn crashed(world: &World, kind: OperationKind, steps: usize) -> World {
    let mut world = world.clone();
    until_runs(&mut world, kind);
    for _ in 0..steps {
        world.helm_step();
    }
    world.crash();
    world
}

#[test]
fn an_install_goes_on_after_a_crash_anywhere() {
    for steps in 0..3 {
        let mut world = crashed(&World::new("pink"), Install, steps);
        let because = rests(&mut world, &[(Install, Some("pink")); 2]);
        assert!(ends("pink", &because), "{because:?}");
    }
}

#[test]
fn an_upgrade_goes_on_after_a_crash_anywhere() {
    let mut start = good_at(&["pink", "blue"]);
    start.want("red");
    for steps in 0..3 {
        let mut world = crashed(&start, Upgrade, steps);
        let runs = [(Install, Some("pink")), (Upgrade, Some("blue")), (Upgrade, Some("red")), (Upgrade, Some("red"))];
        let because = rests(&mut world, &runs);
        assert!(ends("red", &because), "{because:?}");
        assert_eq!(world.memory.failures.count, 0);
    }
}

#[test]
fn a_rollback_is_repeated_after_a_crash_anywhere_and_keeps_its_target() {
    let mut start = good_at(&["pink", "blue"]);
    start.policy.retries = 0;
    start.health.insert("red", Sick::Broken(Fault::Own));
    start.want("red");
    for steps in 0..3 {
        let mut world = crashed(&start, Rollback, steps);
        let because = rests(
            &mut world,
            &[
                (Install, Some("pink")),
                (Upgrade, Some("blue")),
                (Upgrade, Some("red")),
                (Rollback, Some("blue")),
                (Rollback, Some("blue")),
            ],
        );
        assert!(matches!(because, Because::RolledBack { .. }), "{because:?}");
    }
}

#[test]
fn a_removal_goes_on_after_a_crash_anywhere() {
    let mut start = good_at(&["pink"]);
    start.object.deleting = true;
    for steps in 0..3 {
        let mut world = crashed(&start, Uninstall, steps);
        world.run();
        assert!(world.gone && world.revisions.is_empty());
        assert_eq!(world.runs, [(Install, Some("pink")), (Uninstall, None), (Uninstall, None)]);
    }
}

#[test]
fn a_crash_after_the_run_leaves_its_verdict_to_the_successor() {
    let mut world = good_at(&["pink", "blue"]);
    world.health.insert("red", Sick::Slow(Fault::Own));
    world.policy.retries = 0;
    world.want("red");
    world.run();
    world.now = world.memory.operation.as_ref().unwrap().deadline;
    world.crash();
    // Nobody looked for a while, so the deadline alone proves nothing.
    let plan = world.run();
    assert!(matches!(plan.because, Because::Judging { .. }), "{:?}", plan.because);
    let plan = world.wait();
    assert!(matches!(plan.because, Because::RolledBack { next: Next::Quarantined, .. }), "{:?}", plan.because);
}

#[test]
fn a_deadline_without_a_view_is_no_verdict() {
    let mut world = good_at(&["pink", "blue"]);
    world.health.insert("red", Sick::Slow(Fault::Own));
    world.want("red");
    world.run();
    world.live_since = None;
    let plan = world.later(600);
    assert!(matches!(plan.because, Because::ViewPending(_)), "{:?}", plan.because);
    world.live_since = Some(world.now);
    world.health.clear();
    assert!(ends("red", &world.run().because));
}

#[test]
fn records_that_are_out_of_view_stop_everything_and_nothing_is_concluded() {
    let mut world = good_at(&["pink", "blue"]);
    world.want("red");
    until_runs(&mut world, Upgrade);
    world.blind = true;
    let plan = world.run();
    assert!(matches!(plan.because, Because::ViewPending(_)), "{:?}", plan.because);
    world.later(600);
    world.blind = false;
    assert!(ends("red", &world.run().because), "{:?}", world.last);
}

#[test]
fn a_run_without_a_result_is_counted_by_its_cause() {
    for (left, own) in [(Left::Killed, 0), (Left::Unnoticed, 0), (Left::Unanswered, 0), (Left::Stuck, 1)] {
        let mut world = good_at(&["pink", "blue"]);
        world.want("red");
        world.script = vec![Run::Left(left)].into();
        world.run();
        assert_eq!((world.memory.failures.own, world.memory.failures.count), (own, 1), "{left:?}");
        assert_eq!(world.live, Some("blue"), "{left:?}");
        world.wait();
        assert!(ends("red", &world.run().because), "{left:?} {:?}", world.last);
    }
}

#[test]
fn the_end_of_our_own_process_is_not_the_fault_of_the_version() {
    let mut world = good_at(&["pink", "blue"]);
    world.want("red");
    until_runs(&mut world, Upgrade);
    // helm was told to end together with its operator, and said so in the record.
    world.helm_step();
    world.revisions.last_mut().unwrap().record.status = RecordStatus::Failed;
    world.crash();
    assert!(ends("red", &world.run().because), "{:?}", world.last);
    assert_eq!(world.memory.failures.count, 0);
}

#[test]
fn a_rollback_of_ours_that_was_killed_stays_ours_when_the_next_one_writes_nothing() {
    let mut world = good_at(&["pink", "blue"]);
    world.policy.retries = 0;
    world.want("red");
    let nothing = Run::Refused(FailureClass::Unreachable);
    world.script = vec![Run::Failed(FailureClass::Hook), Run::Left(Left::Killed), nothing, nothing].into();
    world.run();
    (0..3).for_each(|_| drop(world.wait()));
    let mut runs = vec![(Install, Some("pink")), (Upgrade, Some("blue")), (Upgrade, Some("red"))];
    runs.extend([(Rollback, Some("blue")); 4]);
    let because = rests(&mut world, &runs);
    assert!(matches!(because, Because::RolledBack { .. }), "{because:?}");
}

/// Clocks that are two minutes apart, one way and the other, in seconds.
const APART: [i64; 2] = [-120, 120];

#[test]
fn a_rollback_of_ours_that_failed_stays_ours_with_clocks_apart() {
    for ahead in APART {
        let mut world = World::new("pink");
        world.ahead = ahead;
        world.run();
        world.policy.retries = 0;
        world.want("red");
        world.script =
            vec![Run::Failed(FailureClass::Hook), Run::Failed(FailureClass::Hook), Run::Left(Left::Hook)].into();
        world.run();
        (0..3).for_each(|_| drop(world.wait()));
        let runs = [vec![(Install, Some("pink")), (Upgrade, Some("red"))], vec![(Rollback, Some("pink")); 3]].concat();
        let because = rests(&mut world, &runs);
        assert!(matches!(because, Because::RolledBack { .. }), "{ahead}: {because:?}");
    }
}

#[test]
fn a_rollback_that_is_unhealthy_is_not_called_good_with_clocks_apart() {
    for ahead in APART {
        let mut world = World::new("pink");
        world.ahead = ahead;
        world.run();
        world.policy.retries = 0;
        world.want("red");
        world.script = vec![Run::Failed(FailureClass::Hook)].into();
        world.health.insert("pink", Sick::Slow(Fault::Own));
        world.run();
        (0..3).for_each(|_| drop(world.wait()));
        let runs = [(Install, Some("pink")), (Upgrade, Some("red")), (Rollback, Some("pink"))];
        let because = rests(&mut world, &runs);
        assert!(matches!(because, Because::RolledBackUnhealthy { .. }), "{ahead}: {because:?}");
    }
}

#[test]
fn an_attempt_that_was_rejected_stays_so_with_clocks_apart() {
    for ahead in APART {
        let mut world = World::new("pink");
        world.ahead = ahead;
        world.run();
        world.policy.retries = 0;
        world.policy.upgrade_failure = crate::api::UpgradeFailure::Keep;
        world.health.insert("red", Sick::Slow(Fault::Own));
        world.want("red");
        world.run();
        (0..9).for_each(|_| drop(world.wait()));
        let because = rests(&mut world, &[(Install, Some("pink")), (Upgrade, Some("red"))]);
        assert!(matches!(because, Because::AttemptFailed { next: Next::Quarantined, .. }), "{ahead}: {because:?}");
    }
}

#[test]
fn a_failed_install_that_somebody_removes_is_another_one_than_the_next_of_its_number() {
    let mut world = World::new("pink");
    world.script = vec![Run::Failed(FailureClass::Hook)].into();
    world.run();
    let failed = world.newest().unwrap().record.clone();
    assert!(world.memory.entry_of(&failed).is_some());
    world.manual_uninstall();
    world.run();
    assert!(world.notes.contains(&crate::plan::Note::ManualUninstall), "{:?}", world.notes);
    assert_eq!(world.memory.entry_of(&failed), None);
    world.wait();
    let because = rests(&mut world, &[(Install, Some("pink")); 2]);
    assert!(ends("pink", &because), "{because:?}");
}

#[test]
fn rollbacks_that_go_on_failing_do_not_let_the_history_grow() {
    let mut world = good_at(&["pink", "blue"]);
    world.policy.retries = 0;
    world.health.insert("red", Sick::Broken(Fault::Own));
    world.want("red");
    world.script = vec![Run::Failed(FailureClass::Hook); 30].into();
    world.script.push_front(Run::Good);
    for _ in 0..20 {
        world.wait();
        // What was good, what helm calls deployed, and the last try.
        assert!(world.revisions.len() <= 3, "{:?}", world.revisions);
    }
    world.script.clear();
    let plan = world.wait();
    assert!(matches!(plan.because, Because::RolledBack { .. }), "{:?}", plan.because);
    assert_eq!(world.live, Some("blue"));
}

#[test]
fn failures_on_top_of_what_is_deployed_do_not_let_the_history_grow() {
    let mut world = good_at(&["pink", "blue"]);
    world.policy.upgrade_failure = crate::api::UpgradeFailure::Keep;
    world.want("red");
    world.script = vec![Run::Failed(FailureClass::Admission); 30].into();
    for _ in 0..20 {
        world.wait();
        assert!(world.revisions.len() <= 2, "{:?}", world.revisions);
        assert!(world.records().deployed().is_some_and(crate::release::Record::is_verified));
    }
}

#[test]
fn a_strangers_run_is_given_its_time_with_clocks_apart() {
    for ahead in [-900, 900] {
        let mut world = World::new("pink");
        world.ahead = ahead;
        world.run();
        world.manual_upgrade("alien", RecordStatus::PendingUpgrade);
        for minutes in [0, 7, 7] {
            let because = world.later(minutes).because;
            assert!(matches!(because, Because::StrangerAtWork { .. }), "{ahead}: {because:?}");
        }
        assert!(ends("pink", &world.later(2).because), "{ahead}: {:?}", world.last);
    }
}

/// An upgrade to red that was under way when its process died, and cannot be gone on with.
fn left_half_way(lose: impl Fn(&mut World)) -> World {
    let mut world = good_at(&["pink", "blue"]);
    world.want("red");
    until_runs(&mut world, Upgrade);
    world.helm_step();
    world.helm_step();
    lose(&mut world);
    world.crash();
    world
}

#[test]
fn an_upgrade_that_died_is_rolled_back_where_the_spec_has_become_invalid() {
    let mut world = left_half_way(|world| {
        world.invalid = true;
        world.object.generation += 1;
    });
    let runs = [(Install, Some("pink")), (Upgrade, Some("blue")), (Upgrade, Some("red")), (Rollback, Some("blue"))];
    world.run();
    let because = rests(&mut world, &runs);
    assert!(matches!(because, Because::InvalidSpec(_)), "{because:?}");
    assert_eq!((world.live, world.memory.failures.count), (Some("blue"), 0));
    // Valid again, it is upgraded anew.
    world.invalid = false;
    world.want("red");
    assert!(ends("red", &world.run().because), "{:?}", world.last);
}

#[test]
fn an_upgrade_that_died_is_rolled_back_where_its_inputs_are_gone() {
    let lost = |world: &mut World, transient| {
        let problem = InputsProblem { kind: InputsProblemKind::Chart, message: "gone".into(), transient };
        world.inputs = InputsView::Failed { problem, tries: 9, at: world.now };
    };
    for transient in [false, true] {
        let mut world = left_half_way(|_| {});
        lost(&mut world, transient);
        world.run();
        // What may pass by itself is waited for.
        assert_eq!(world.live == Some("red"), transient, "{:?}", world.last);
        world.now = world.now.checked_add(jiff::SignedDuration::from_mins(6)).unwrap();
        lost(&mut world, transient);
        world.run();
        let runs = [(Install, Some("pink")), (Upgrade, Some("blue")), (Upgrade, Some("red")), (Rollback, Some("blue"))];
        let because = rests(&mut world, &runs);
        assert!(matches!(because, Because::Inputs(_)), "{because:?}");
        assert_eq!(world.live, Some("blue"));
        world.inputs = InputsView::Stale;
        assert!(ends("red", &world.run().because), "{:?}", world.last);
    }
}

#[test]
fn what_newer_inputs_overtook_is_judged_although_the_spec_has_become_invalid() {
    let mut world = good_at(&["pink", "blue"]);
    world.policy.retries = 0;
    world.health.insert("red", Sick::Slow(Fault::Own));
    world.want("red");
    world.run();
    world.want("green");
    world.inputs = InputsView::Known { inputs: inputs("green"), look_again: None, passed_over: None };
    world.pass();
    assert!(world.memory.operation.is_none(), "{:?}", world.last);
    world.invalid = true;
    world.inputs = InputsView::Stale;
    world.run();
    world.later(10);
    assert_eq!(world.live, Some("blue"), "{:?}", world.last);
}

#[test]
fn a_way_back_that_cannot_be_read_leaves_the_one_before_it() {
    let mut world = World::new("pink");
    world.policy.max_history = 5;
    world.policy.retries = 0;
    world.run();
    world.want("blue");
    world.run();
    world.want("red");
    world.script = vec![Run::Failed(FailureClass::Hook), Run::Refused(FailureClass::RecordSpoilt)].into();
    let because = world.run().because;
    assert!(matches!(because, Because::RollbackFailed { to: 2, .. }), "{because:?}");
    world.spoilt = vec![2];
    let because = world.wait().because;
    assert!(matches!(because, Because::RolledBack { .. }), "{because:?}");
    assert_eq!(world.live, Some("pink"));
}

#[test]
fn without_a_way_back_that_can_be_read_the_secret_is_named() {
    let mut world = good_at(&["pink"]);
    world.policy.retries = 0;
    world.want("red");
    world.script = vec![Run::Failed(FailureClass::Hook), Run::Refused(FailureClass::RecordSpoilt)].into();
    world.run();
    world.spoilt = vec![1];
    world.wait();
    let because = rests(&mut world, &[(Install, Some("pink")), (Upgrade, Some("red")), (Rollback, Some("pink"))]);
    let Because::AttemptFailed { why, next: Next::Quarantined, .. } = &because else { panic!("{because:?}") };
    assert!(why.contains("sh.helm.release.v1.unicorn.v1"), "{why}");
}
