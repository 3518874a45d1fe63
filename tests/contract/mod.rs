//! What the planner relies on of helm, as a list of short stories.
//!
//! helm 3, helm 4 and the helm of the simulation play the same list through the seam by which the operator runs helm, so
//! the simulation cannot tell of a helm that does not exist. What is compared is what the planner sees: how a run ended,
//! the records that it left, and, where it looks there, the objects.
//!
//! What the majors differ in is told twice under one name, once for each ([`Differing`]): none of them is left out, and
//! the simulated helm plays both.

mod accidents;
mod losses;
mod majors;
mod others;
mod play;
mod stories;

use std::path::PathBuf;

use futures::future::LocalBoxFuture;
use helm_release_operator::{cluster::Requests, controller::RunsHelm, helm::ClusterAccess, types::ReleaseKey};
use serde_json::Value;

pub(crate) use play::play;

/// All stories, as helm of that major plays them, with their names.
pub(crate) fn stories(major: Major) -> impl Iterator<Item = (&'static str, &'static [Act])> {
    let same = [stories::STORIES, accidents::STORIES, losses::STORIES, others::STORIES].into_iter().flatten();
    let differing = majors::STORIES.iter().map(move |story| match major {
        Major::Three => (story.name, story.helm_3),
        Major::Four => (story.name, story.helm_4),
    });
    same.map(|story| (story.name, story.acts)).chain(differing)
}

/// The majors of helm that the operator runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Major {
    Three,
    Four,
}

/// What a chart turns out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Good, each another version of the same chart. Two has an object more.
    One,
    Two,
    Three,
    /// With an object that is to be kept whatever becomes of the release.
    Keeps,
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
    /// Its values are not as its schema wants them.
    Unfit,
    /// Not for this version of Kubernetes.
    Incompatible,
    /// With an object of a kind that nobody knows.
    UnknownKind,
    /// Larger than a record may be.
    TooLarge,
    /// With a test that passes.
    Tested,
    /// With a test that fails.
    TestFails,
    /// With a test that does not end.
    TestHangs,
    /// With hooks before a rollback to it and before its removal that fail.
    WayBackFails,
}

impl Flavour {
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::One => "1.0.0",
            Self::Two => "1.1.0",
            Self::Three => "1.2.0",
            Self::Keeps => "1.4.0",
            Self::Hooked => "2.0.0",
            Self::HookFails => "2.2.0",
            Self::HookHangs => "2.4.0",
            Self::NeverReady => "2.6.0",
            Self::Invalid => "3.1.0",
            Self::Unrendered => "3.2.0",
            Self::Unfit => "3.4.0",
            Self::Incompatible => "3.6.0",
            Self::UnknownKind => "3.8.0",
            Self::TooLarge => "3.10.0",
            Self::Tested => "4.0.0",
            Self::TestFails => "4.2.0",
            Self::TestHangs => "4.4.0",
            Self::WayBackFails => "5.0.0",
        }
    }

    fn has_hooks(self) -> bool {
        matches!(self, Self::Hooked | Self::HookFails | Self::HookHangs | Self::NeverReady | Self::WayBackFails)
    }
}

/// What helm is asked for by the operator.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ask {
    Install(Flavour),
    /// An install over what failed or was uninstalled.
    Replace(Flavour),
    Upgrade(Flavour),
    Rollback(u32),
    /// How the tests ended by the record follows how the run ended.
    Test,
    Uninstall,
    With(How, &'static Ask),
}

/// What is special about a run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum How {
    /// So many revisions are kept.
    Keeping(u32),
    /// Fields of other managers are taken.
    Forced,
    /// Objects of others are taken.
    Taking,
    /// Hooks are left out.
    NoHooks,
    /// helm waits for ready, or deleted, objects: as for a chart with hooks.
    Waiting,
    /// The one test of the chart is left out.
    NoTest,
    /// The namespace is made.
    NewNamespace,
    /// helm's own limit of a step is ten seconds.
    Hurried,
    /// The run is ended from outside after ten seconds.
    CutShort,
}

impl Ask {
    /// What is asked for, without what is special about it.
    fn bare(self) -> Self {
        match self {
            Self::With(_, ask) => ask.bare(),
            Self::Install(_)
            | Self::Replace(_)
            | Self::Upgrade(_)
            | Self::Rollback(_)
            | Self::Test
            | Self::Uninstall => self,
        }
    }

    fn flavour(self) -> Option<Flavour> {
        match self {
            Self::Install(flavour) | Self::Replace(flavour) | Self::Upgrade(flavour) => Some(flavour),
            Self::With(_, ask) => ask.flavour(),
            Self::Rollback(_) | Self::Test | Self::Uninstall => None,
        }
    }
}

/// What a person does with helm: with no labels and no description.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hand {
    Upgrade(Flavour),
    Rollback(u32),
    Uninstall { keep_history: bool },
}

/// A write that a run makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// The record of the new revision is created.
    First,
    /// The revision before is written as superseded.
    Superseding,
    /// The own record is written: for an uninstall before objects go, else last of all.
    Own,
    /// An object of the chart.
    Object,
    /// The own record is deleted.
    Purge,
}

/// How a write goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// An error is answered, and nothing done.
    Refused,
    /// It is done, and the answer does not come.
    Done,
}

/// An object of the chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// In every flavour. It tells the version of the chart.
    Page,
    /// In those of an odd minor version.
    Extra,
    /// To be kept.
    Kept,
}

/// What happens to a cluster besides helm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Somebody makes an object of that name.
    Makes(Part),
    Deletes(Part),
    /// Somebody's field manager takes what tells the version.
    Holds(Part),
    /// Another release takes it, or makes it, and may.
    IsTaken(Part),
    /// It does not go when it is deleted.
    Pins(Part),
    /// The namespace is gone.
    NamespaceGone,
    /// The namespace is being deleted, is empty but for one object, and does not go.
    NamespaceEnds,
}

/// Where a run is when it is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before its record is there, or is said to be in removal.
    Before,
    /// Its record is there, or is said to be in removal, and no object was touched.
    Begun,
    /// In a hook or a test.
    Hook,
    /// Waiting for objects to become ready, or to go.
    Waiting,
    /// The revision before is superseded and its own is not deployed yet, or objects are deleted and its own is there.
    Last,
}

/// How it is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Halt {
    /// SIGTERM where helm has a handler for it or needs none; otherwise nothing.
    Gently,
    /// SIGKILL.
    Now,
    /// SIGTERM by somebody else than the operator, whatever helm does: to a run that has no handler for it.
    BySomebody,
}

/// One step of a story, with what is seen after it.
#[derive(Debug)]
pub(crate) enum Act {
    /// A run to its end: how it ended, and the records.
    Run(Ask, &'static str, &'static str),
    /// A run that is cut off.
    Cut(Ask, Moment, Halt, &'static str, &'static str),
    /// A run of which one write goes wrong.
    Broken(Ask, Write, Loss, &'static str, &'static str),
    /// A person runs helm; the records.
    By(Hand, &'static str),
    /// The operator marks a revision as good.
    Mark(u32),
    /// The operator unlocks the record of a process that died.
    Unlock(u32),
    /// The operator deletes a record that nobody misses.
    Forget(u32),
    /// What is in a record cannot be read any more.
    Spoil(u32),
    Happens(Deed),
    /// What the newest record says beside its labels.
    Tells(&'static str),
    /// The objects: of which version, and whose where they are not the release's.
    There(&'static str),
}

#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) name: &'static str,
    pub(crate) acts: &'static [Act],
}

/// What helm 3 and helm 4 do each in their own way.
#[derive(Debug)]
pub(crate) struct Differing {
    pub(crate) name: &'static str,
    pub(crate) helm_3: &'static [Act],
    pub(crate) helm_4: &'static [Act],
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
    fn at(&self, moment: Moment, halt: Halt, revision: u32, flavour: Option<Flavour>) -> LocalBoxFuture<'_, ()>;
    /// The next run, which makes or removes `revision`, has that write go wrong. To be called before the run.
    fn breaks(&self, write: Write, loss: Loss, revision: u32);
    /// Somebody sends SIGTERM to the run.
    fn signals(&self);
    /// Lets go of what was held or broken.
    fn release_all(&self);
    /// A person runs helm to its end.
    fn by_hand(&self, hand: Hand) -> LocalBoxFuture<'_, ()>;
    fn happens(&self, deed: Deed) -> LocalBoxFuture<'_, ()>;
    fn object(&self, part: Part) -> LocalBoxFuture<'_, Option<Value>>;
    /// The name of the test that a chart has.
    fn test_name(&self) -> String;
}
