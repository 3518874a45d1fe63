//! What the versions of the chart are like.

/// How a version of the chart turns out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Good {
        ready: u64,
    },
    /// Good, with a hook that works.
    Hooks {
        ready: u64,
    },
    /// Good, but long after any deadline.
    Late {
        ready: u64,
    },
    /// Ready and not ready in turn, and ready in the end.
    Flapping {
        every: u64,
        times: u32,
    },
    /// Kept from getting ready by something outside, until that passes: no pod is made, none finds a node, or its
    /// image cannot be had.
    Outside,
    Unschedulable,
    Registry,
    Never,
    /// Its image does not exist.
    NoImage,
    Crashing,
    /// Its own controller gives it up.
    Stuck {
        known: u64,
    },
    /// Refused by helm before anything is written, in its words: it does not render.
    Refused {
        words: &'static str,
    },
    /// Refused by the API server.
    Invalid,
    HookFails,
    /// With a hook that does not end. In no scenario.
    HookHangs,
    /// Good, with an object that is to be kept. In no scenario.
    Keeps,
    /// Good, with hooks before a rollback to it and before its removal that fail. In no scenario: only the contract
    /// plays it.
    WayBackFails,
}

pub const TEMPLATE: Behaviour =
    Behaviour::Refused { words: "execution error at (unicorn/templates/page.yaml:3:4): colour is not a colour" };

impl Behaviour {
    pub fn has_hooks(self) -> bool {
        matches!(self, Self::Hooks { .. } | Self::HookFails | Self::HookHangs | Self::WayBackFails)
    }

    /// Good in the end, if only it is deployed.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Good { .. } | Self::Hooks { .. } | Self::Keeps | Self::WayBackFails)
            || self.is_kept_by_others()
    }

    /// Not ready for as long as something outside lasts.
    pub fn is_kept_by_others(self) -> bool {
        matches!(self, Self::Outside | Self::Unschedulable | Self::Registry)
    }

    /// Never gets ready.
    pub fn is_never_ready(self) -> bool {
        matches!(self, Self::Never | Self::NoImage | Self::Crashing)
    }

    /// Bad, and nobody else's fault.
    pub fn is_bad_by_itself(self) -> bool {
        self.is_never_ready() || matches!(self, Self::Stuck { .. } | Self::Invalid | Self::HookFails | Self::HookHangs)
    }
}

/// How the test of a version of the chart turns out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    Absent,
    Passes,
    Fails,
    /// The first run on a release that comes to its end fails, every other passes.
    FailsOnce,
    /// Does not end by itself.
    Hangs,
}
