//! Everything that speaks to the API server: watches and the indexes that they feed, small requests, events.
//!
//! A watch is a task that folds what it hears into an index by a synchronous function, under a lock that is never held
//! over an await, and wakes the keys that are concerned. An index is asked without waiting, and says `Pending` or
//! `Refused` where it does not know. What the operator reads or writes itself is folded in too, and no entry ever
//! moves back behind such a read, however late its watch is.
//!
//! The room decides nothing about releases, and holds no payload and no value of any object.

mod client;
mod clock;
mod definitions;
mod discovery;
mod drift;
mod error;
mod events;
mod lease;
mod live;
mod locked;
mod main_watch;
mod records;
mod requests;
mod scope;
mod standing;
mod table;
mod values;
mod wakes;
mod watch;

pub use client::{Access, Identities, config, connect};
pub use clock::Clock;
pub use definitions::{
    Definition, DefinitionError, Differing, EstablishError, Established, establish, read_definitions,
};
pub use discovery::{Discovery, Resolved};
pub use drift::{Asked, ComparedObject, Refusal, compare};
pub use error::{ClusterError, NOT_IMPERSONATED, UNAUTHENTICATED};
pub use events::{EVENTS_MAX, Event, EventKind, Events};
pub use lease::{Election, Leadership, LeaseSettings, Lost, RUN_UNTIL, START_UNTIL, Standing};
pub use live::{LiveIndex, LivePrint, MemberLook, PodsAsked, Print};
pub use main_watch::{Claimant, MainIndex, MainWakes, Malformed, Seen};
pub use records::{OwnLabel, RecordIndex, RecordsRead, VersionedRecord};
pub use requests::{REQUEST_DEADLINE, RecordData, Requests, Target, ValuesData};
pub use scope::Scope;
pub use values::{Ref, ValuesIndex, Version};
pub use wakes::Wakes;
pub use watch::{Change, Pulse};

/// Field manager of what the operator writes, and its name in events.
pub const FIELD_MANAGER: &str = "helm-release-operator";

#[cfg(test)]
pub(crate) mod mock;
#[cfg(test)]
mod tests;
