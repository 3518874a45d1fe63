//! What the planner relies on of helm, as a list of short stories.
//!
//! helm 3, helm 4 and the helm of the simulation play the same list through the seam by which the operator runs helm, so
//! the simulation cannot tell of a helm that does not exist. What is compared is what the planner sees: how a run ended,
//! and the records that it left.

mod play;
mod stories;

use std::path::PathBuf;

use futures::future::BoxFuture;
use helm_release_operator::{cluster::Requests, controller::RunsHelm, helm::ClusterAccess, types::ReleaseKey};

pub(crate) use play::play;
pub(crate) use stories::STORIES;

/// What a chart turns out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Good, each another version of the same chart.
    One,
    Two,
    Three,
    /// With a hook that works, and objects that become ready.
    Hooked,
    /// With a hook that fails.
    HookFails,
    /// With a hook that does not end.
    HookHangs,
    /// With a hook that works, for which helm waits for objects that never become ready.
    NeverReady,
    /// Refused by the API server.
    Invalid,
    /// Does not render.
    Unrendered,
    /// With a test that passes.
    Tested,
    /// With a test that fails.
    TestFails,
    /// With hooks before a rollback to it and before its removal that fail.
    WayBackFails,
}

impl Flavour {
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::One => "1.0.0",
            Self::Two => "1.1.0",
            Self::Three => "1.2.0",
            Self::Hooked => "2.0.0",
            Self::HookFails => "2.1.0",
            Self::HookHangs => "2.2.0",
            Self::NeverReady => "2.3.0",
            Self::Invalid => "3.0.0",
            Self::Unrendered => "3.1.0",
            Self::Tested => "4.0.0",
            Self::TestFails => "4.1.0",
            Self::WayBackFails => "5.0.0",
        }
    }

    fn has_hooks(self) -> bool {
        match self {
            Self::Hooked | Self::HookFails | Self::HookHangs | Self::NeverReady | Self::WayBackFails => true,
            Self::One | Self::Two | Self::Three | Self::Invalid | Self::Unrendered | Self::Tested | Self::TestFails => {
                false
            }
        }
    }
}

/// What helm is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ask {
    Install(Flavour),
    /// An install over what failed or was uninstalled.
    Replace(Flavour),
    Upgrade(Flavour),
    /// An upgrade that keeps so many revisions.
    UpgradeKeeping(Flavour, u32),
    Rollback(u32),
    /// How the test ended by the record follows how the run ended.
    Test,
    Uninstall,
}

impl Ask {
    fn flavour(self) -> Option<Flavour> {
        match self {
            Self::Install(flavour)
            | Self::Replace(flavour)
            | Self::Upgrade(flavour)
            | Self::UpgradeKeeping(flavour, _) => Some(flavour),
            Self::Rollback(_) | Self::Test | Self::Uninstall => None,
        }
    }
}

/// Where a run is when it is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before its record is there.
    Before,
    /// Its record is there, or is said to be in removal, and no object was touched.
    Begun,
    /// In a hook.
    Hook,
    /// Waiting for objects.
    Waiting,
    /// The revision before is superseded and its own is not deployed yet.
    Last,
}

/// How it is cut off: as the operator can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Halt {
    /// SIGTERM where helm has a handler for it; otherwise nothing.
    Gently,
    /// SIGKILL.
    Now,
}

/// One step of a story, with what is seen after it.
#[derive(Debug)]
pub(crate) enum Act {
    /// A run to its end: how it ended, and the records.
    Run(Ask, &'static str, &'static str),
    /// A run that is cut off.
    Cut(Ask, Moment, Halt, &'static str, &'static str),
    /// The operator marks a revision as good.
    Mark(u32),
    /// The operator unlocks the record of a process that died.
    Unlock(u32),
}

#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) name: &'static str,
    pub(crate) acts: &'static [Act],
}

/// Where a story is played.
pub(crate) trait Ground {
    fn helm(&self) -> &dyn RunsHelm;
    fn access(&self) -> &ClusterAccess;
    fn requests(&self) -> &Requests;
    fn release(&self) -> &ReleaseKey;
    /// Path of the chart and its values.
    fn chart(&self, flavour: Flavour) -> (PathBuf, Vec<u8>);
    /// Resolves when the run that makes `revision` is at that moment, and holds it there as far as need be. To be
    /// called before the run.
    fn at(&self, moment: Moment, halt: Halt, revision: u32, flavour: Option<Flavour>) -> BoxFuture<'_, ()>;
    /// Lets go of what was held.
    fn release_all(&self);
}
