//! What people do with helm, with annotations and with other objects beside the operator.

use super::{super::sim::*, *};
use crate::{
    plan::Note,
    release::{Claim, FailureClass, Fault, Memory, Record, RecordStatus},
};

const GREEN: [(OperationKind, Option<Colour>); 3] =
    [(Install, Some("pink")), (Upgrade, Some("blue")), (Upgrade, Some("green"))];

fn rests_after(world: &mut World, runs: &[(OperationKind, Option<Colour>)]) -> Because {
    rests(world, &[&GREEN, runs].concat())
}

fn green() -> World {
    let mut world = good_at(&["pink", "blue", "green"]);
    world.notes.clear();
    world
}

#[test]
fn a_manual_upgrade_is_put_back_and_told_once() {
    let mut world = green();
    world.manual_upgrade("alien", RecordStatus::Deployed);
    let because = rests_after(&mut world, &[(Upgrade, Some("green"))]);
    assert!(ends("green", &because), "{because:?}");
    assert_eq!(world.notes.iter().filter(|n| matches!(n, Note::ManualUpgrade { .. })).count(), 1);
}

#[test]
fn a_manual_upgrade_over_a_quarantine_is_put_back_by_a_rollback() {
    let mut world = green();
    world.policy.retries = 0;
    world.health.insert("red", Sick::Broken(Fault::Own));
    world.want("red");
    world.run();
    world.manual_upgrade("alien", RecordStatus::Deployed);
    let because =
        rests_after(&mut world, &[(Upgrade, Some("red")), (Rollback, Some("green")), (Rollback, Some("green"))]);
    assert!(matches!(because, Because::RolledBack { .. }), "{because:?}");
}

#[test]
fn a_manual_rollback_is_respected_until_the_spec_is_new() {
    let mut world = green();
    world.manual_rollback(2, RecordStatus::Deployed);
    let because = rests_after(&mut world, &[]);
    assert!(matches!(because, Because::RolledBackByUser { .. }), "{because:?}");
    assert!(world.newest().unwrap().record.is_verified(), "it is a way back");
    world.crash();
    world.later(9000);
    let because = rests_after(&mut world, &[]);
    assert!(matches!(because, Because::RolledBackByUser { .. }), "{because:?}");
    assert_eq!(world.notes.iter().filter(|n| matches!(n, Note::ManualRollback { .. })).count(), 1);
    // The next upgrade fails: the way back is what the person chose, not what was newest before.
    world.policy.retries = 0;
    world.health.insert("red", Sick::Broken(Fault::Own));
    world.want("red");
    world.run();
    rests_after(&mut world, &[(Upgrade, Some("red")), (Rollback, Some("blue"))]);
}

#[test]
fn the_way_back_past_what_a_person_rolled_away_from_is_not_pruned() {
    let mut world = green();
    world.health.insert("blue", Sick::Slow(Fault::Own));
    world.manual_rollback(2, RecordStatus::Deployed);
    world.run();
    world.policy.retries = 0;
    world.want("red");
    world.script = vec![Run::Failed(FailureClass::Hook)].into();
    world.run();
    world.health.clear();
    let because = rests_after(&mut world, &[(Upgrade, Some("red")), (Rollback, Some("blue"))]);
    assert!(matches!(because, Because::RolledBack { .. }), "{because:?}");
}

#[test]
fn a_manual_rollback_can_be_taken_back_by_a_retry_request() {
    let mut world = green();
    world.manual_rollback(2, RecordStatus::Deployed);
    world.run();
    world.object.retry = Some("1".into());
    let because = rests_after(&mut world, &[(Upgrade, Some("green"))]);
    assert!(ends("green", &because), "{because:?}");
}

#[test]
fn a_manual_rollback_to_a_strangers_revision_is_not_taken_for_what_its_labels_say() {
    let mut world = green();
    world.policy.max_history = 9;
    world.manual_upgrade("alien", RecordStatus::Deployed);
    world.run();
    world.manual_rollback(4, RecordStatus::Deployed);
    let because = rests_after(&mut world, &[(Upgrade, Some("green"))]);
    assert!(matches!(because, Because::RolledBackByUser { .. }), "{because:?}");
    assert_eq!(world.live, Some("alien"));
    assert!(!world.newest().unwrap().record.is_verified());
}

#[test]
fn a_manual_rollback_that_fails_is_completed_by_ours() {
    let mut world = green();
    world.manual_rollback(2, RecordStatus::Failed);
    let because = rests_after(&mut world, &[(Rollback, Some("blue"))]);
    assert!(matches!(because, Because::RolledBackByUser { .. }), "{because:?}");
}

#[test]
fn what_was_asked_for_since_a_manual_rollback_is_tried() {
    // Suspended, what is asked for since is known before the rollback is looked into.
    for suspended in [false, true] {
        let mut world = green();
        world.policy.suspend = suspended;
        if suspended {
            world.run();
        }
        world.manual_rollback(2, RecordStatus::Deployed);
        if suspended {
            world.run();
        }
        world.want("red");
        if suspended {
            world.run();
        }
        world.policy.suspend = false;
        let because = rests_after(&mut world, &[(Upgrade, Some("red"))]);
        assert!(ends("red", &because), "{because:?}");
        assert!(world.memory.quarantine_of(&digest("green")).is_some(), "that is what was rolled away from");
    }
}

#[test]
fn a_manual_rollback_from_an_attempt_that_is_judged_rejects_that_attempt() {
    for (wanted, runs) in [("red", vec![]), ("pink", vec![(Upgrade, Some("pink"))])] {
        let mut world = green();
        world.policy.max_history = 9;
        world.health.insert("red", Sick::Slow(Fault::Own));
        world.want("red");
        world.run();
        if wanted != "red" {
            world.want(wanted);
        }
        world.manual_rollback(2, RecordStatus::Deployed);
        let because = rests_after(&mut world, &[vec![(Upgrade, Some("red"))], runs].concat());
        let held: Vec<_> = world.memory.quarantined.iter().map(|q| (&q.digest, &*q.version, q.is_by_user())).collect();
        assert_eq!(held, [(&digest("red"), "4.0.0", true)], "{because:?}");
    }
}

#[test]
fn a_manual_rollback_after_an_automatic_one_also_ends_the_attempts_that_were_left() {
    let mut world = green();
    world.policy.max_history = 9;
    world.health.insert("red", Sick::Broken(Fault::Own));
    world.want("red");
    world.run();
    world.manual_rollback(2, RecordStatus::Deployed);
    let because = rests_after(&mut world, &[(Upgrade, Some("red")), (Rollback, Some("green"))]);
    assert!(matches!(because, Because::RolledBackByUser { .. }), "{because:?}");
    world.later(9000);
    assert_eq!(world.live, Some("blue"));
    // Forward again: the last word of the person counts.
    world.manual_rollback(3, RecordStatus::Deployed);
    world.run();
    assert!(world.memory.quarantine_of(&digest("green")).is_none());
}

#[test]
fn a_manual_rollback_is_respected_although_status_was_lost() {
    let mut world = green();
    world.manual_rollback(2, RecordStatus::Deployed);
    world.memory = Memory::default();
    let because = rests_after(&mut world, &[]);
    assert!(matches!(because, Because::RolledBackByUser { .. }), "{because:?}");
}

#[test]
fn a_manual_rollback_that_died_is_completed_and_never_upgraded_over() {
    let mut world = green();
    world.manual_rollback(2, RecordStatus::PendingRollback);
    let plan = world.run();
    assert!(matches!(plan.because, Because::StrangerAtWork { .. }), "{:?}", plan.because);
    world.wait();
    let because = rests_after(&mut world, &[(Rollback, Some("blue"))]);
    assert!(matches!(because, Because::RolledBackByUser { .. }), "{because:?}");
    assert_eq!(world.live, Some("blue"));
}

#[test]
fn a_manual_rollback_that_failed_is_completed_to_where_it_was_going_however_many_tries_that_takes() {
    let mut world = green();
    world.policy.max_history = 9;
    world.want("red");
    world.run();
    // Past green, which was good as well.
    world.manual_rollback(2, RecordStatus::Failed);
    world.script = vec![Run::Failed(FailureClass::Hook), Run::Left(Left::Hook)].into();
    world.run();
    (0..3).for_each(|_| drop(world.wait()));
    let runs = [vec![(Upgrade, Some("red"))], vec![(Rollback, Some("blue")); 3]].concat();
    let because = rests_after(&mut world, &runs);
    assert!(matches!(because, Because::RolledBackByUser { .. }), "{because:?}");
}

/// Somebody deletes the record of the newest revision.
fn delete_newest(world: &mut World) {
    world.revisions.pop();
    world.counter = world.newest().unwrap().record.revision;
}

#[test]
fn a_number_that_is_given_again_after_its_record_was_deleted_is_judged_anew() {
    let mut world = green();
    delete_newest(&mut world);
    world.policy.retries = 0;
    world.health.insert("red", Sick::Broken(Fault::Own));
    world.want("red");
    let because = rests_after(&mut world, &[(Upgrade, Some("red")), (Rollback, Some("blue"))]);
    assert!(matches!(because, Because::RolledBack { .. }), "{because:?}");
}

#[test]
fn a_number_that_is_given_again_after_its_record_was_deleted_is_tested_anew() {
    let mut world = green();
    world.policy.test.enabled = true;
    world.want("pink");
    world.run();
    delete_newest(&mut world);
    world.policy.retries = 0;
    world.want("red");
    world.script = vec![Run::Good, Run::Failed(FailureClass::Hook)].into();
    let pink = [(Upgrade, Some("pink")), (OperationKind::Test, Some("pink"))];
    let red = [(Upgrade, Some("red")), (OperationKind::Test, Some("red")), (Rollback, Some("green"))];
    let because = rests_after(&mut world, &[&pink[..], &red].concat());
    assert!(matches!(because, Because::RolledBack { .. }), "{because:?}");
}

#[test]
fn a_strangers_revision_with_the_number_of_one_that_was_good_is_not_taken_for_that_one() {
    let mut world = green();
    world.crash();
    delete_newest(&mut world);
    world.manual_upgrade("alien", RecordStatus::Deployed);
    assert_eq!(world.newest().unwrap().record.revision, 3);
    let because = rests_after(&mut world, &[(Upgrade, Some("green"))]);
    assert!(ends("green", &because), "{because:?}");
    assert!(world.notes.contains(&Note::ManualUpgrade { revision: 3 }), "{:?}", world.notes);
}

#[test]
fn a_manual_uninstall_is_installed_again() {
    for keep in [false, true] {
        let mut world = green();
        if keep {
            world.revisions.last_mut().unwrap().record.status = RecordStatus::Uninstalled;
            world.live = None;
        } else {
            world.manual_uninstall();
        }
        let because = rests_after(&mut world, &[(Install, Some("green"))]);
        assert!(ends("green", &because), "{because:?}");
        assert!(world.notes.contains(&Note::ManualUninstall), "{:?}", world.notes);
    }
}

#[test]
fn a_manual_uninstall_of_what_was_rolled_back_is_installed_again_whoever_rolled_back() {
    for by_user in [false, true] {
        let mut world = green();
        world.policy.retries = 0;
        let mut runs = Vec::new();
        if by_user {
            world.manual_rollback(2, RecordStatus::Deployed);
        } else {
            world.health.insert("red", Sick::Broken(Fault::Own));
            world.want("red");
            runs = vec![(Upgrade, Some("red")), (Rollback, Some("green"))];
        }
        world.run();
        world.manual_uninstall();
        runs.push((Install, Some(world.want)));
        // What is installed is broken still: it is watched, and not installed again and again.
        for _ in 0..5 {
            world.later(60);
        }
        rests_after(&mut world, &runs);
        world.health.clear();
        let because = rests_after(&mut world, &runs);
        assert!(ends(world.want, &because), "{because:?}");
    }
}

#[test]
fn a_removal_that_kept_the_history_is_undone_by_a_rollback_where_the_desired_version_is_not_tried() {
    let mut world = green();
    world.policy.retries = 0;
    world.health.insert("red", Sick::Broken(Fault::Own));
    world.want("red");
    world.run();
    world.revisions.last_mut().unwrap().record.status = RecordStatus::Uninstalled;
    world.live = None;
    let runs = [(Upgrade, Some("red")), (Rollback, Some("green")), (Rollback, Some("green"))];
    let because = rests_after(&mut world, &runs);
    assert!(matches!(because, Because::RolledBack { .. }), "{because:?}");
}

#[test]
fn a_strangers_process_is_waited_for_and_unlocked_when_it_is_dead() {
    let mut world = green();
    world.manual_upgrade("alien", RecordStatus::PendingUpgrade);
    let plan = world.run();
    assert!(matches!(plan.because, Because::StrangerAtWork { .. }), "{:?}", plan.because);
    world.wait();
    let because = rests_after(&mut world, &[(Upgrade, Some("green"))]);
    assert!(ends("green", &because), "{because:?}");
}

#[test]
fn a_strangers_removal_is_waited_for_and_completed_when_it_is_dead() {
    let mut world = green();
    world.revisions.last_mut().unwrap().record.status = RecordStatus::Uninstalling;
    world.revisions.last_mut().unwrap().record.written = world.server_second();
    world.live = None;
    let plan = world.run();
    assert!(matches!(plan.because, Because::StrangerAtWork { .. }), "{:?}", plan.because);
    world.wait();
    let because = rests_after(&mut world, &[(OperationKind::Uninstall, None), (Install, Some("green"))]);
    assert!(ends("green", &because), "{because:?}");
}

#[test]
fn a_strangers_removal_that_took_nothing_is_taken_back_and_nothing_is_removed() {
    for colours in [&["pink", "blue"][..], &["pink"]] {
        for lost in [false, true] {
            let mut world = good_at(colours);
            let last = colours[colours.len() - 1];
            let mut runs = world.runs.clone();
            world.revisions.last_mut().unwrap().record.status = RecordStatus::Uninstalling;
            world.revisions.last_mut().unwrap().record.written = world.server_second();
            if lost {
                world.memory = Memory::default();
            }
            let plan = world.run();
            assert!(matches!(plan.because, Because::StrangerAtWork { .. }), "{:?}", plan.because);
            // Nothing is concluded while its objects are out of view.
            world.live_since = None;
            let plan = world.wait();
            assert!(matches!(plan.because, Because::ViewPending(_)), "{:?}", plan.because);
            world.live_since = Some(world.now);
            runs.push((Upgrade, Some(last)));
            let because = rests(&mut world, &runs);
            assert!(ends(last, &because), "{because:?}");
        }
    }
}

#[test]
fn a_stranger_who_takes_our_revision_first_is_not_taken_for_our_run() {
    let mut world = green();
    world.want("red");
    world.until_runs();
    // Our helm died before it wrote, and a person upgraded.
    world.crash();
    world.manual_upgrade("alien", RecordStatus::PendingUpgrade);
    let plan = world.run();
    assert!(matches!(plan.because, Because::StrangerAtWork { .. }), "{:?}", plan.because);
    world.revisions.last_mut().unwrap().record.status = RecordStatus::Deployed;
    let because = rests_after(&mut world, &[(Upgrade, Some("red")), (Upgrade, Some("red"))]);
    assert!(ends("red", &because), "{because:?}");
}

#[test]
fn a_release_of_somebody_else_is_refused() {
    let mut world = World::new("pink");
    let record = Record {
        revision: 1,
        status: RecordStatus::Deployed,
        digest: None,
        owner: None,
        stamp: None,
        verified: None,
        cleared: None,
        adopted: None,
        written: 0,
    };
    world.revisions.push(Revision { record, colour: "alien", description: "Install complete".into() });
    world.live = Some("alien");
    let because = rests(&mut world, &[]);
    assert_eq!(because, Because::NotOurs { revision: 1 });
    world.object.deleting = true;
    world.run();
    assert!(world.gone && world.runs.is_empty());
}

#[test]
fn of_two_claimants_the_other_stands_still_and_takes_nothing_with_it() {
    let mut world = World::new("pink");
    world.claim = Claim::Theirs("apps/other".into());
    let because = rests(&mut world, &[]);
    assert!(matches!(because, Because::ClaimedByAnother(_)), "{because:?}");
    world.object.deleting = true;
    world.object.finalizer = true;
    world.run();
    assert!(world.gone && world.runs.is_empty());
}

#[test]
fn a_lost_status_is_found_again_without_a_run() {
    let mut world = green();
    world.memory = Memory::default();
    let because = rests_after(&mut world, &[]);
    assert!(ends("green", &because), "{because:?}");
    assert_eq!(world.memory.deployed.as_ref().unwrap().revision, 3);
    // Lost while it is unhealthy: that is not called good.
    world.memory = Memory::default();
    world.health.insert("green", Sick::Broken(Fault::Own));
    let because = rests_after(&mut world, &[]);
    assert!(matches!(because, Because::Unhealthy { .. }), "{because:?}");
}

#[test]
fn a_status_lost_while_an_attempt_is_judged_still_leads_to_a_verdict() {
    let mut world = green();
    world.health.insert("red", Sick::Slow(Fault::Own));
    world.policy.retries = 0;
    world.want("red");
    world.run();
    world.memory = Memory::default();
    world.wait();
    world.wait();
    let because = rests_after(&mut world, &[(Upgrade, Some("red")), (Rollback, Some("green"))]);
    assert!(matches!(because, Because::RolledBack { .. }), "{because:?}");
}

#[test]
fn suspension_runs_nothing_and_a_run_under_way_ends_and_is_judged() {
    let mut world = green();
    world.want("red");
    world.until_runs();
    world.policy.suspend = true;
    world.want("blue");
    let because = world.run().because;
    assert_eq!(because, Because::Suspended { deployed: false });
    assert_eq!(world.live, Some("red"));
    assert!(world.newest().unwrap().record.is_verified());
    world.manual_upgrade("alien", RecordStatus::Deployed);
    rests_after(&mut world, &[(Upgrade, Some("red"))]);
    world.policy.suspend = false;
    let because = rests_after(&mut world, &[(Upgrade, Some("red")), (Upgrade, Some("blue"))]);
    assert!(ends("blue", &because), "{because:?}");
}

#[test]
fn a_request_to_look_is_answered_once() {
    let mut world = green();
    world.object.reconcile = Some("1".into());
    let mut looked = 0;
    for _ in 0..6 {
        looked += u32::from(world.pass().action == Action::Prepare);
        world.surroundings();
    }
    assert_eq!(looked, 1);
    rests_after(&mut world, &[]);
}

#[test]
fn an_object_that_is_refused_in_the_middle_of_an_upgrade_goes_on_when_it_has_an_account_again() {
    let mut world = good_at(&["pink"]);
    world.health.insert("red", Sick::Broken(Fault::Own));
    world.want("red");
    world.until_runs();
    world.refused = true;
    world.run();
    assert_eq!(world.last, Some((Action::Idle, Because::Refused("no account".into()))));
    assert_eq!(world.runs, [(Install, Some("pink")), (Upgrade, Some("red"))], "no way back is taken without rights");
    world.refused = false;
    world.run();
    assert_eq!(world.runs.get(2), Some(&(Rollback, Some("pink"))), "{:?}", world.runs);
}
