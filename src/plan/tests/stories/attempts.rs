//! Attempts that fail: by their own fault, by causes outside, before a revision, in helm or in the objects.

use super::{super::sim::*, *};
use crate::{
    api::{InstallFailure, UpgradeFailure},
    plan::Wake,
    release::{FailureClass, Fault, HistoryResult, InputsView, OperationKind::Uninstall, RecordStatus},
};

const START: [(OperationKind, Option<Colour>); 2] = [(Install, Some("pink")), (Upgrade, Some("blue"))];

/// Runs after [`START`].
fn then(world: &World) -> Vec<(OperationKind, Option<Colour>)> {
    assert_eq!(world.runs[..2], START);
    world.runs[2..].to_vec()
}

fn rests_after(world: &mut World, runs: &[(OperationKind, Option<Colour>)]) -> Because {
    rests(world, &[&START, runs].concat())
}

#[test]
fn the_budget_is_one_attempt_and_the_retries_and_not_one_more() {
    for retries in 0..4 {
        let mut world = good_at(&["pink", "blue"]);
        world.policy.retries = retries;
        world.health.insert("red", Sick::Slow(Fault::Own));
        world.want("red");
        for _ in 0..40 {
            world.wait();
        }
        let attempts = then(&world).iter().filter(|run| run.0 == Upgrade).count();
        assert_eq!(attempts, retries as usize + 1);
        assert_eq!(world.live, Some("blue"));
    }
}

#[test]
fn a_fix_recovers_after_quarantine_and_a_revert_needs_no_run() {
    let mut world = good_at(&["pink", "blue"]);
    world.policy.retries = 0;
    world.health.insert("red", Sick::Broken(Fault::Own));
    world.want("red");
    world.run();
    world.want("blue");
    let because = rests_after(&mut world, &[(Upgrade, Some("red")), (Rollback, Some("blue"))]);
    assert!(ends("blue", &because), "{because:?}");
    world.want("green");
    let because =
        rests_after(&mut world, &[(Upgrade, Some("red")), (Rollback, Some("blue")), (Upgrade, Some("green"))]);
    assert!(ends("green", &because), "{because:?}");
    // The version that failed stays remembered.
    world.want("red");
    let because = world.run().because;
    assert!(matches!(because, Because::RolledBack { next: Next::Quarantined, .. }), "{because:?}");
}

#[test]
fn a_retry_request_clears_the_quarantine_and_attempts_at_once() {
    let mut world = good_at(&["pink", "blue"]);
    world.policy.retries = 0;
    world.health.insert("red", Sick::Broken(Fault::Own));
    world.want("red");
    world.run();
    world.health.clear();
    world.object.retry = Some("now".into());
    let because = rests_after(&mut world, &[(Upgrade, Some("red")), (Rollback, Some("blue")), (Upgrade, Some("red"))]);
    assert!(ends("red", &because), "{because:?}");
}

#[test]
fn a_cause_outside_is_never_quarantined_and_its_delay_grows_to_six_hours() {
    let mut world = good_at(&["pink", "blue"]);
    world.health.insert("red", Sick::Slow(Fault::Outside));
    world.want("red");
    let mut longest = 0;
    for _ in 0..60 {
        let before = world.now;
        world.wait();
        longest = longest.max(world.now.duration_since(before).as_mins());
    }
    assert!((360..=396).contains(&longest), "{longest}");
    assert!(world.memory.quarantined.is_empty());
    assert_eq!(world.memory.failures.own, 0);
    // One failure of its own after many from outside does not use up the budget.
    world.health.insert("red", Sick::Broken(Fault::Own));
    world.run();
    if world.memory.failures.own == 0 {
        world.wait();
    }
    assert_eq!(world.memory.failures.own, 1);
    assert!(world.memory.quarantined.is_empty(), "{:?}", world.memory.quarantined);
    world.health.clear();
    for _ in 0..3 {
        world.wait();
    }
    assert_eq!(world.live, Some("red"));
    assert!(matches!(world.last, Some((_, Because::Good { .. }))));
}

#[test]
fn what_helm_refuses_before_it_writes_is_tried_for_ever_and_never_quarantined() {
    let mut world = good_at(&["pink", "blue"]);
    world.want("red");
    world.script = vec![Run::Refused(FailureClass::Template); 12].into();
    for _ in 0..11 {
        let plan = world.wait();
        assert!(matches!(plan.because, Because::AttemptFailed { next: Next::RetryAt(_), .. }), "{:?}", plan.because);
    }
    assert_eq!((world.memory.failures.own, world.live), (0, Some("blue")));
    // Written for the first time, and bad: that is the first attempt of the budget.
    world.script = vec![Run::Failed(FailureClass::Hook)].into();
    world.wait();
    assert!(world.memory.quarantined.is_empty());
    assert_eq!(world.memory.failures.own, 1);
}

#[test]
fn what_passes_by_itself_does_not_count() {
    let mut world = good_at(&["pink", "blue"]);
    world.want("red");
    world.script = vec![Run::Refused(FailureClass::Unreachable); 5].into();
    for _ in 0..5 {
        let plan = world.run();
        assert!(matches!(plan.because, Because::Hindered { .. }), "{:?}", plan.because);
        assert_eq!(world.memory.failures.count, 0);
        world.now = match plan.wake {
            Wake::At(moment) => moment,
            Wake::Never => panic!("no wake"),
        };
    }
    let because = rests_after(&mut world, &[(Upgrade, Some("red")); 6]);
    assert!(ends("red", &because), "{because:?}");
}

#[test]
fn an_install_that_fails_in_helm_is_installed_again_with_back_off() {
    let mut world = World::new("pink");
    world.script = vec![Run::Failed(FailureClass::Hook); 9].into();
    for _ in 0..8 {
        world.wait();
        assert!(matches!(world.last, Some((_, Because::AttemptFailed { kind: Install, .. }))), "{:?}", world.last);
    }
    assert!(world.memory.quarantined.is_empty());
    world.wait();
    let because = rests(&mut world, &[(Install, Some("pink")); 10]);
    assert!(ends("pink", &because), "{because:?}");
}

#[test]
fn an_install_that_is_only_unhealthy_is_watched_and_good_when_it_recovers() {
    let mut world = World::new("pink");
    world.health.insert("pink", Sick::Slow(Fault::Own));
    world.wait();
    world.wait();
    let because = rests(&mut world, &[(Install, Some("pink"))]);
    assert!(matches!(because, Because::AttemptFailed { next: Next::Watching, .. }), "{because:?}");
    world.later(600);
    world.health.clear();
    let because = rests(&mut world, &[(Install, Some("pink"))]);
    assert!(ends("pink", &because), "{because:?}");
    assert!(world.newest().unwrap().record.is_verified());
}

#[test]
fn an_install_is_removed_and_repeated_where_that_is_asked_for() {
    for run in [Run::Failed(FailureClass::Hook), Run::Good] {
        let mut world = World::new("pink");
        world.policy.install_failure = InstallFailure::Uninstall;
        world.script = vec![run].into();
        world.health.insert("pink", Sick::Broken(Fault::Own));
        world.run();
        world.health.clear();
        if run == Run::Good {
            // Not even asked for before the delay is over.
            world.health.insert("pink", Sick::Broken(Fault::Own));
        }
        let Wake::At(moment) = world.run().wake else { panic!("no wake") };
        world.now = moment;
        world.pass();
        world.surroundings();
        world.pass();
        world.health.clear();
        let because = rests(&mut world, &[(Install, Some("pink")), (Uninstall, None), (Install, Some("pink"))]);
        assert!(ends("pink", &because), "{because:?}");
    }
}

#[test]
fn without_a_way_back_an_upgrade_is_kept_and_retried_in_place() {
    let mut world = World::new("pink");
    world.health.insert("pink", Sick::Broken(Fault::Own));
    world.run();
    world.want("red");
    world.script = vec![Run::Failed(FailureClass::Invalid); 2].into();
    world.run();
    assert!(matches!(world.last, Some((_, Because::AttemptFailed { kind: Upgrade, .. }))), "{:?}", world.last);
    world.wait();
    let because = rests(&mut world, &[(Install, Some("pink")), (Upgrade, Some("red")), (Upgrade, Some("red"))]);
    assert!(matches!(because, Because::AttemptFailed { next: Next::Quarantined, .. }), "{because:?}");
}

#[test]
fn an_upgrade_that_is_kept_uses_its_budget_without_a_rollback() {
    let mut world = good_at(&["pink", "blue"]);
    world.policy.upgrade_failure = UpgradeFailure::Keep;
    world.want("red");
    world.script = vec![Run::Failed(FailureClass::Hook); 5].into();
    for _ in 0..10 {
        world.wait();
    }
    let because = rests_after(&mut world, &[(Upgrade, Some("red")), (Upgrade, Some("red"))]);
    assert!(matches!(because, Because::AttemptFailed { next: Next::Quarantined, .. }), "{because:?}");
}

#[test]
fn an_upgrade_that_is_kept_and_only_unhealthy_recovers_without_a_new_revision() {
    let mut world = good_at(&["pink", "blue"]);
    world.policy.upgrade_failure = UpgradeFailure::Keep;
    world.health.insert("red", Sick::Slow(Fault::Own));
    world.want("red");
    for _ in 0..10 {
        world.wait();
    }
    let because = rests_after(&mut world, &[(Upgrade, Some("red"))]);
    assert!(matches!(because, Because::AttemptFailed { next: Next::Watching, .. }), "{because:?}");
    world.health.clear();
    let because = rests_after(&mut world, &[(Upgrade, Some("red"))]);
    assert!(ends("red", &because), "{because:?}");
}

#[test]
fn a_rollback_that_helm_cannot_complete_is_repeated_to_the_same_target() {
    for run in [
        Run::Failed(FailureClass::Conflict),
        Run::Left(Left::Hook),
        Run::Left(Left::Killed),
        Run::Left(Left::Unnoticed),
        Run::Refused(FailureClass::Forbidden),
        Run::Refused(FailureClass::Unreachable),
        Run::Left(Left::Stuck),
        Run::Left(Left::Unanswered),
    ] {
        let mut world = good_at(&["pink", "blue"]);
        world.policy.retries = 0;
        world.want("red");
        world.script = [vec![Run::Failed(FailureClass::Hook)], vec![run; 6]].concat().into();
        world.run();
        for tries in 1..6 {
            assert!(matches!(world.last, Some((_, Because::RollbackFailed { to: 2, .. }))), "{run:?} {:?}", world.last);
            assert_eq!(world.memory.failures.rollbacks, tries);
            assert_eq!((world.memory.failures.own, world.memory.failures.count), (1, 1));
            world.wait();
        }
        world.wait();
        let mut runs = vec![(Upgrade, Some("red"))];
        runs.extend([(Rollback, Some("blue")); 7]);
        let because = rests_after(&mut world, &runs);
        assert!(matches!(because, Because::RolledBack { next: Next::Quarantined, .. }), "{because:?}");
        assert!(world.newest().unwrap().record.is_verified());
    }
}

#[test]
fn rolled_back_and_still_unhealthy_stands_still_until_something_is_new() {
    let broken = || {
        let mut world = good_at(&["pink", "blue"]);
        world.health.insert("red", Sick::Broken(Fault::Own));
        world.health.insert("blue", Sick::Broken(Fault::Own));
        world.want("red");
        world.run();
        world.later(600);
        let because = rests_after(&mut world, &[(Upgrade, Some("red")), (Rollback, Some("blue"))]);
        assert!(matches!(because, Because::RolledBackUnhealthy { .. }), "{because:?}");
        world
    };
    let mut world = broken();
    world.want("green");
    assert!(ends("green", &world.run().because));
    assert_eq!(then(&world).len(), 3);
    // It recovers by itself: then the second attempt is due.
    let mut world = broken();
    world.health.clear();
    assert!(ends("red", &world.run().because), "{:?}", world.last);
    let mut world = broken();
    world.object.retry = Some("again".into());
    world.health.remove("red");
    assert!(ends("red", &world.run().because), "{:?}", world.last);
}

#[test]
fn newer_inputs_end_a_run_and_are_deployed_instead() {
    let mut world = good_at(&["pink", "blue"]);
    world.want("red");
    world.until_runs();
    world.helm_step();
    world.want("green");
    let because = rests_after(&mut world, &[(Upgrade, Some("red")), (Upgrade, Some("green"))]);
    assert!(ends("green", &because), "{because:?}");
    assert_eq!(world.memory.failures.count, 0);
}

#[test]
fn newer_inputs_overtake_an_attempt_that_is_being_judged() {
    let mut world = good_at(&["pink", "blue"]);
    world.health.insert("red", Sick::Slow(Fault::Own));
    world.want("red");
    world.run();
    assert!(matches!(world.last, Some((_, Because::Judging { .. }))));
    world.want("green");
    let because = rests_after(&mut world, &[(Upgrade, Some("red")), (Upgrade, Some("green"))]);
    assert!(ends("green", &because), "{because:?}");
    assert_eq!(world.memory.deployed.as_ref().unwrap().digest, Some(digest("green")));
}

#[test]
fn a_verdict_on_what_is_not_desired_any_more_is_not_told_of_its_successor() {
    for sick in [None, Some(Sick::Broken(Fault::Own))] {
        let mut world = good_at(&["pink", "blue"]);
        world.policy.retries = 0;
        world.health.insert("red", Sick::Slow(Fault::Own));
        world.want("red");
        world.run();
        world.want("green");
        world.inputs = InputsView::Known { inputs: inputs("green"), look_again: None, passed_over: None };
        match sick {
            Some(sick) => world.health.insert("red", sick),
            None => world.health.remove("red"),
        };
        let plan = world.pass();
        assert!(!matches!(plan.because, Because::Good { .. }), "{:?}", plan.because);
        let deployed = world.memory.deployed.clone().unwrap();
        assert_eq!(deployed.digest, Some(digest(if sick.is_none() { "red" } else { "blue" })));
        assert_eq!(world.memory.failures.count, 0);
        let because = rests_after(&mut world, &[(Upgrade, Some("red")), (Upgrade, Some("green"))]);
        assert!(ends("green", &because), "{because:?}");
    }
}

#[test]
fn newer_inputs_that_helm_refuses_do_not_keep_a_bad_upgrade_in_place() {
    let mut world = good_at(&["pink", "blue"]);
    world.health.insert("red", Sick::Slow(Fault::Own));
    world.want("red");
    world.run();
    world.want("green");
    world.script = vec![Run::Refused(FailureClass::Schema); 3].into();
    world.run();
    world.later(6);
    assert_eq!(world.newest().unwrap().record.status, RecordStatus::Deployed);
    let runs = then(&world);
    assert_eq!(runs[..3], [(Upgrade, Some("red")), (Upgrade, Some("green")), (Rollback, Some("blue"))]);
}

#[test]
fn a_rollback_does_not_wait_for_inputs_that_are_being_looked_up() {
    let mut world = good_at(&["pink", "blue"]);
    world.policy.retries = 0;
    world.health.insert("red", Sick::Slow(Fault::Own));
    world.want("red");
    world.run();
    world.slow_inputs = true;
    world.inputs = InputsView::Underway;
    world.later(10);
    assert_eq!(then(&world), [(Upgrade, Some("red")), (Rollback, Some("blue"))]);
    world.slow_inputs = false;
    let because = rests_after(&mut world, &[(Upgrade, Some("red")), (Rollback, Some("blue"))]);
    assert!(matches!(because, Because::RolledBack { .. }), "{because:?}");
}

#[test]
fn what_passes_by_itself_is_waited_for_longer_each_time() {
    let mut world = good_at(&["pink"]);
    world.want("blue");
    let mut delays = Vec::new();
    for attempt in 0..9 {
        world.script.push_back(Run::Refused(FailureClass::Unreachable));
        let reached = if attempt == 0 { world.run() } else { world.wait() };
        let Wake::At(until) = reached.wake else { panic!("{reached:?}") };
        delays.push(until.duration_since(world.now).as_secs());
        // A restart changes neither the count nor the moment.
        world.crash();
    }
    assert!(delays.is_sorted() && delays[0] < 12 && delays[8] >= 900, "{delays:?}");
    assert_eq!(world.memory.failures.count, 0);
    assert!(ends("blue", &world.wait().because));
    assert_eq!(world.memory.failures, crate::release::Failures::default());
}

#[test]
fn a_bad_upgrade_is_rolled_back_although_the_spec_has_become_invalid() {
    for late in [false, true] {
        let mut world = good_at(&["pink", "blue"]);
        world.policy.retries = 0;
        world.health.insert("red", Sick::Slow(Fault::Own));
        world.want("red");
        if late {
            world.run();
        } else {
            world.until_runs();
        }
        world.invalid = true;
        world.object.generation += 1;
        world.inputs = InputsView::Stale;
        world.run();
        let because = {
            world.later(10);
            rests(
                &mut world,
                &[(Install, Some("pink")), (Upgrade, Some("blue")), (Upgrade, Some("red")), (Rollback, Some("blue"))],
            )
        };
        assert!(matches!(because, Because::InvalidSpec(_)), "{because:?}");
        assert_eq!(world.live, Some("blue"));
    }
}

#[test]
fn history_tells_what_helm_refused_and_what_others_did_and_decides_nothing_from_it() {
    let mut world = good_at(&["pink", "blue"]);
    world.script.extend([Run::Refused(FailureClass::Template), Run::Refused(FailureClass::Template)]);
    world.want("red");
    world.run();
    world.wait();
    let told: Vec<_> =
        world.memory.history.iter().map(|e| (e.revision, e.action, e.result, e.cause.as_str())).collect();
    let before = [(1, Install, HistoryResult::Succeeded, "spec"), (2, Upgrade, HistoryResult::Succeeded, "spec")];
    assert_eq!(told, [&before[..], &[(0, Upgrade, HistoryResult::Failed, "retry")]].concat());
    world.want("blue");
    world.run();
    world.manual_rollback(1, RecordStatus::Deployed);
    world.run();
    world.manual_uninstall();
    world.want("green");
    world.run();
    let told: Vec<_> =
        world.memory.history.iter().skip(3).map(|e| (e.revision, e.action, e.result, &*e.version)).collect();
    assert_eq!(
        told,
        [
            (3, Rollback, HistoryResult::External, "1.0.0"),
            (3, Uninstall, HistoryResult::External, "1.0.0"),
            (1, Install, HistoryResult::Succeeded, "3.0.0")
        ]
    );
    assert!(world.memory.history.iter().all(|entry| &*entry.chart == "unicorn"));
    assert_eq!(world.memory.history.last().unwrap().cause.as_str(), "external");
}

#[test]
fn an_object_that_vanished_after_an_install_is_made_again_by_another_run() {
    let mut world = World::new("pink");
    world.vanishing = 4;
    world.policy.retries = 0;
    world.run();
    for _ in 0..20 {
        world.wait();
    }
    let upgrade = (Upgrade, Some("pink"));
    let because = rests(&mut world, &[(Install, Some("pink")), upgrade, upgrade, upgrade, upgrade]);
    assert!(ends("pink", &because), "{because:?}");
}

#[test]
fn an_object_that_vanished_after_an_upgrade_that_is_kept_is_made_again_by_another_run() {
    let mut world = good_at(&["pink"]);
    world.policy.upgrade_failure = UpgradeFailure::Keep;
    world.vanishing = 2;
    world.want("blue");
    world.run();
    for _ in 0..10 {
        world.wait();
    }
    let upgrade = (Upgrade, Some("blue"));
    let because = rests(&mut world, &[(Install, Some("pink")), upgrade, upgrade, upgrade]);
    assert!(ends("blue", &because), "{because:?}");
}

#[test]
fn races_that_are_lost_in_a_row_are_waited_out_and_helm_is_quoted() {
    let mut world = good_at(&["pink"]);
    world.want("blue");
    world.script = vec![Run::Refused(FailureClass::LostRace); 4].into();
    let reached = world.run();
    assert!(matches!(&reached.because, Because::Hindered { why, .. } if &**why == "helm said so"), "{reached:?}");
    assert_eq!(world.runs.len(), 3, "the first is planned anew at once, the second waits");
    let mut delays = Vec::new();
    for _ in 0..2 {
        let Wake::At(until) = world.wait().wake else { panic!("{:?}", world.last) };
        delays.push(until.duration_since(world.now).as_secs());
    }
    assert!(delays[0] >= 40 && delays[1] >= 80, "{delays:?}");
    assert!(ends("blue", &world.wait().because));
    assert_eq!(world.memory.failures, crate::release::Failures::default());
}
