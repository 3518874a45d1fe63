//! The object is deleted: in every state of its release.

use super::{super::sim::*, *};
use crate::{
    api::DeletionPolicy,
    release::{Fault, OperationKind::Uninstall, RecordStatus},
};

fn deleted(mut world: World) -> World {
    world.object.deleting = true;
    world.run();
    world
}

#[test]
fn a_deleted_object_takes_its_release_with_it() {
    let world = deleted(good_at(&["pink", "blue"]));
    assert!(world.gone && world.revisions.is_empty());
    assert_eq!(world.runs.last(), Some(&(Uninstall, None)));
}

#[test]
fn an_object_that_never_had_a_release_just_goes() {
    let mut world = World::new("pink");
    world.object.finalizer = true;
    let world = deleted(world);
    assert!(world.gone && world.runs.is_empty());
}

#[test]
fn orphan_and_force_leave_the_release() {
    for force in [false, true] {
        let mut world = good_at(&["pink"]);
        if force {
            world.object.force_delete = Some("yes".into());
        } else {
            world.policy.deletion = DeletionPolicy::Orphan;
        }
        let world = deleted(world);
        assert!(world.gone && world.revisions.len() == 1);
    }
}

#[test]
fn suspension_and_an_invalid_spec_do_not_hold_a_deletion() {
    let mut world = good_at(&["pink"]);
    world.policy.suspend = true;
    world.invalid = true;
    let world = deleted(world);
    assert!(world.gone && world.revisions.is_empty());
}

#[test]
fn what_was_made_before_its_object_was_refused_is_left_and_holds_no_deletion() {
    let mut world = good_at(&["pink", "blue"]);
    world.refused = true;
    world.want("green");
    world.run();
    assert_eq!(world.last, Some((Action::Idle, Because::Refused("no account".into()))));
    let world = deleted(world);
    assert_eq!(world.last, Some((Action::RemoveFinalizer, Because::LeftBehind { why: "no account".into() })));
    assert!(world.gone && world.revisions.len() == 2, "nothing was removed with rights of somebody else");
    assert_eq!(world.runs.len(), 2);
}

#[test]
fn a_run_under_way_ends_before_the_removal() {
    let mut world = good_at(&["pink"]);
    world.want("blue");
    world.until_runs();
    world.object.deleting = true;
    assert_eq!(world.pass().action, Action::Idle);
    world.run();
    assert!(world.gone);
    assert_eq!(world.runs, [(Install, Some("pink")), (Upgrade, Some("blue")), (Uninstall, None)]);
}

#[test]
fn a_removal_that_fails_is_repeated_with_back_off() {
    let mut world = good_at(&["pink"]);
    world.script = vec![Run::Left(Left::Hook), Run::Left(Left::Unnoticed), Run::Left(Left::Killed)].into();
    let mut world = deleted(world);
    for _ in 0..3 {
        assert!(matches!(world.last, Some((_, Because::UninstallFailed { .. }))), "{:?}", world.last);
        world.wait();
    }
    assert!(world.gone);
    assert_eq!(world.runs.len(), 5);
}

#[test]
fn a_deletion_waits_for_a_stranger_at_work() {
    let mut world = good_at(&["pink"]);
    world.manual_upgrade("alien", RecordStatus::PendingUpgrade);
    let mut world = deleted(world);
    assert!(matches!(world.last, Some((_, Because::StrangerAtWork { .. }))), "{:?}", world.last);
    world.wait();
    assert!(world.gone && world.revisions.is_empty());
}

#[test]
fn a_bad_release_is_removed_like_a_good_one() {
    let mut world = good_at(&["pink"]);
    world.health.insert("red", Sick::Slow(Fault::Own));
    world.want("red");
    world.run();
    let world = deleted(world);
    assert!(world.gone && world.revisions.is_empty());
}

fn held() -> World {
    let mut world = good_at(&["pink"]);
    world.held = true;
    world
}

/// The passes up to the end of what goes on by itself, but for the end of what is on its way out.
fn until_it_waits(world: &mut World) -> Because {
    for _ in 0..60 {
        let because = world.pass().because;
        if matches!(because, Because::Terminating { .. }) {
            return because;
        }
        world.surroundings();
    }
    panic!("nothing is waited for: {:?}", world.last);
}

#[test]
fn a_removal_by_hand_is_waited_for_to_its_end_before_the_next_install() {
    let mut world = held();
    world.manual_uninstall();
    assert!(world.leaving);
    until_it_waits(&mut world);
    let because = rests(&mut world, &[(Install, Some("pink")), (Install, Some("pink"))]);
    assert!(ends("pink", &because), "{because:?}");
}

#[test]
fn an_install_waits_for_a_removal_of_ours_whose_end_was_lost() {
    let mut world = World::new("blue");
    world.held = true;
    world.health.insert("blue", Sick::Broken(Fault::Own));
    world.policy.install_failure = crate::api::InstallFailure::Uninstall;
    world.run();
    world.now = world.now.checked_add(jiff::SignedDuration::from_mins(1)).unwrap();
    world.run_until(Uninstall);
    world.manual_uninstall();
    world.crash();
    world.health.clear();
    until_it_waits(&mut world);
    let because = world.run().because;
    assert!(ends("blue", &because), "{because:?}");
}

#[test]
fn a_deletion_whose_removal_was_lost_with_its_operator_waits_for_what_is_left() {
    let mut world = held();
    world.object.deleting = true;
    world.run_until(Uninstall);
    world.manual_uninstall();
    world.crash();
    until_it_waits(&mut world);
    assert!(!world.gone);
    world.run();
    assert!(world.gone && world.runs.len() == 2, "{:?}", world.runs);
}

#[test]
fn what_is_left_and_stays_is_not_waited_for() {
    let mut world = good_at(&["pink"]);
    world.manual_uninstall();
    // Kept by a policy of its own: it is there and no part of a removal.
    world.live = Some("pink");
    let because = rests(&mut world, &[(Install, Some("pink")), (Install, Some("pink"))]);
    assert!(ends("pink", &because), "{because:?}");
}
