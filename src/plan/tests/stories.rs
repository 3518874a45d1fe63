//! Releases followed from pass to pass: what helm is run for, and where it comes to rest.

mod adoption;
mod attempts;
mod drift;
mod people;
mod recovery;
mod removal;
mod testing;

use super::sim::{Colour, World};
use crate::{
    plan::{Action, Because, Next, plan},
    release::OperationKind::{self, Install, Rollback, Upgrade},
};

/// A release that is good at each of the versions, one after the other.
fn good_at(colours: &[Colour]) -> World {
    let mut world = World::new(colours[0]);
    for colour in colours {
        if world.want != *colour {
            world.want(colour);
        }
        world.run();
        assert!(matches!(world.last, Some((Action::Idle, Because::Good { .. }))), "{:?}", world.last);
    }
    world
}

/// The end of a story: planning again changes nothing, no lock is left, and helm ran exactly so often.
fn rests(world: &mut World, runs: &[(OperationKind, Option<Colour>)]) -> Because {
    let reached = world.run();
    let snapshot = world.snapshot();
    let (one, two) = (plan(&snapshot), plan(&snapshot));
    assert_eq!(one, two);
    assert_eq!((one.action, &one.memory), (Action::Idle, &snapshot.memory));
    assert!(one.notes.is_empty(), "{:?}", one.notes);
    assert!(!world.revisions.iter().any(|r| r.record.status.is_pending()), "{:?}", world.revisions);
    assert_eq!(world.runs, runs);
    reached.because
}

fn ends(label: Colour, because: &Because) -> bool {
    matches!(because, Because::Good { label: said, .. } if said.contains(label))
}

#[test]
fn a_release_follows_its_versions_and_a_broken_one_is_rolled_back_and_stays_so() {
    let mut world = good_at(&["pink", "blue", "green"]);
    world.health.insert("red", super::sim::Sick::Broken(crate::release::Fault::Own));
    world.want("red");
    let first = world.run().because;
    assert!(matches!(first, Because::RolledBack { next: Next::RetryAt(_), .. }), "{first:?}");
    world.wait();
    for _ in 0..5 {
        world.later(60);
    }
    let because = rests(
        &mut world,
        &[
            (Install, Some("pink")),
            (Upgrade, Some("blue")),
            (Upgrade, Some("green")),
            (Upgrade, Some("red")),
            (Rollback, Some("green")),
            (Upgrade, Some("red")),
            (Rollback, Some("green")),
        ],
    );
    assert!(matches!(because, Because::RolledBack { next: Next::Quarantined, .. }), "{because:?}");
    assert_eq!(world.memory.quarantined.len(), 1);
}
