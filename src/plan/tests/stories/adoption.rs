//! Releases that somebody else made, taken over.

use super::{super::sim::*, *};
use crate::{
    plan::Note,
    release::{Adopt, FailureClass, Fault, InstallFailure, OwnerId, Record, RecordStatus},
    types::ObjectKey,
};

/// Somebody has installed a version, and an object that may take it over wants another or the same.
fn found(there: Colour, want: Colour) -> World {
    let mut world = World::new(want);
    world.policy.adopt = Adopt::Release;
    let record = Record {
        revision: 1,
        status: RecordStatus::Deployed,
        digest: None,
        owner: None,
        stamp: None,
        verified: None,
        cleared: None,
        adopted: None,
        written: world.now.as_second(),
    };
    world.revisions.push(Revision { record, colour: there, description: "Install complete".into() });
    world.live = Some(there);
    world
}

fn told(world: &World) -> Vec<bool> {
    let stays = |note: &Note| match note {
        Note::Adopted { stays, .. } => Some(*stays),
        _ => None,
    };
    world.notes.iter().filter_map(stays).collect()
}

#[test]
fn what_is_as_declared_is_taken_over_without_a_run_and_is_a_way_back() {
    let mut world = found("pink", "pink");
    let because = rests(&mut world, &[]);
    assert!(ends("pink", &because), "{because:?}");
    assert_eq!(told(&world), [true]);
    assert!(world.newest().unwrap().record.is_verified());
    world.policy.retries = 0;
    world.health.insert("red", Sick::Broken(Fault::Own));
    world.want("red");
    let because = rests(&mut world, &[(Upgrade, Some("red")), (Rollback, Some("pink"))]);
    assert!(matches!(because, Because::RolledBack { next: Next::Quarantined, .. }), "{because:?}");
}

#[test]
fn what_differs_is_looked_at_and_upgraded() {
    let mut world = found("alien", "pink");
    let because = rests(&mut world, &[(Upgrade, Some("pink"))]);
    assert!(ends("pink", &because), "{because:?}");
    assert_eq!(told(&world), [false]);
    assert!(world.revisions[0].record.is_verified());
}

#[test]
fn a_bad_upgrade_of_what_was_taken_over_is_rolled_back_to_it() {
    let mut world = found("alien", "red");
    world.policy.retries = 0;
    world.health.insert("red", Sick::Broken(Fault::Own));
    let because = rests(&mut world, &[(Upgrade, Some("red")), (Rollback, None)]);
    let Because::RolledBack { to, revision: 3, next: Next::Quarantined, .. } = because else { panic!("{because:?}") };
    assert_eq!((&*to, world.live), ("9.9.9 (alien)", Some("alien")), "what was there is named, not what is declared");
    world.crash();
    rests(&mut world, &[(Upgrade, Some("red")), (Rollback, None)]);
}

#[test]
fn what_is_not_good_is_waited_for_and_then_upgraded_without_a_mark() {
    let mut world = found("alien", "pink");
    world.health.insert("alien", Sick::Slow(Fault::Own));
    let plan = world.run();
    assert!(matches!(plan.because, Because::Judging { .. }), "{:?}", plan.because);
    assert!(world.runs.is_empty());
    world.wait();
    let because = rests(&mut world, &[(Upgrade, Some("pink"))]);
    assert!(ends("pink", &because), "{because:?}");
    assert!(!world.revisions[0].record.is_verified());
}

#[test]
fn what_is_as_declared_and_not_good_is_watched_until_it_is() {
    let mut world = found("pink", "pink");
    world.policy.install_failure = InstallFailure::Uninstall;
    world.health.insert("pink", Sick::Slow(Fault::Own));
    world.run();
    world.wait();
    let because = rests(&mut world, &[]);
    assert!(matches!(because, Because::Unhealthy { .. }), "{because:?}");
    world.health.clear();
    let because = rests(&mut world, &[]);
    assert!(ends("pink", &because), "{because:?}");
}

#[test]
fn a_bad_upgrade_without_a_way_back_does_not_remove_what_was_taken_over() {
    let mut world = found("alien", "red");
    world.policy.install_failure = InstallFailure::Uninstall;
    world.policy.retries = 0;
    for colour in ["alien", "red"] {
        world.health.insert(colour, Sick::Broken(Fault::Own));
    }
    let because = rests(&mut world, &[(Upgrade, Some("red"))]);
    assert!(matches!(because, Because::AttemptFailed { next: Next::Quarantined, .. }), "{because:?}");
}

#[test]
fn a_crash_at_any_moment_of_an_adoption_changes_nothing_about_its_end() {
    for (there, runs) in [("pink", &[][..]), ("alien", &[(Upgrade, Some("pink"))][..])] {
        for passes in 0..12 {
            let mut world = found(there, "pink");
            for _ in 0..passes {
                let running = world.running.is_some();
                world.pass();
                // What becomes of a run that is killed is another story.
                if running || world.running.is_some() {
                    break;
                }
                world.surroundings();
            }
            if world.running.is_none() {
                world.crash();
            }
            let because = rests(&mut world, runs);
            assert!(ends("pink", &because), "after {passes} passes: {because:?}");
            assert_eq!(told(&world).len(), 1, "after {passes} passes");
        }
    }
}

#[test]
fn a_release_that_its_object_has_left_is_taken_over_and_was_good_before() {
    let mut world = found("alien", "pink");
    let record = &mut world.revisions[0].record;
    record.owner = Some(OwnerId::of(&ObjectKey::new("apps", "gone")));
    (record.stamp, record.verified) = (Some(1), Some(1));
    world.health.insert("alien", Sick::Broken(Fault::Own));
    let because = rests(&mut world, &[(Upgrade, Some("pink"))]);
    assert!(ends("pink", &because), "{because:?}");
    assert!(world.revisions[0].record.is_verified(), "it was good once");
}

#[test]
fn a_stranger_who_upgrades_while_he_is_taken_over_is_waited_for() {
    let mut world = found("alien", "pink");
    let adopts = |world: &World| matches!(world.last, Some((Action::Adopt { .. }, _)));
    while !adopts(&world) {
        world.pass();
        world.surroundings();
    }
    world.manual_upgrade("alien", RecordStatus::PendingUpgrade);
    let plan = world.run();
    assert!(matches!(plan.because, Because::StrangerAtWork { .. }), "{:?}", plan.because);
    world.revisions.last_mut().unwrap().record.status = RecordStatus::Deployed;
    let because = rests(&mut world, &[(Upgrade, Some("pink"))]);
    assert!(ends("pink", &because), "{because:?}");
}

#[test]
fn objects_of_others_are_meant_until_the_release_is_as_declared_for_the_first_time() {
    let meant = |world: &World| !world.snapshot().was_deployed();
    let mut world = found("pink", "pink");
    assert!(meant(&world));
    rests(&mut world, &[]);
    assert!(!meant(&world), "taken over as it is");
    let mut world = found("alien", "pink");
    world.script = vec![Run::Failed(FailureClass::Ownership)].into();
    world.until_runs();
    assert!(meant(&world), "taken over, and not yet what is declared");
    world.run();
    assert!(meant(&world), "the first run has failed half way");
    world.wait();
    assert!(!meant(&world));
    world.manual_uninstall();
    assert!(!meant(&world), "history tells when the records are gone");
}
