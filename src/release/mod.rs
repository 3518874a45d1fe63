//! A release as values: what is wanted, what is there, what was tried, and what came of it.
//!
//! Nothing in this room waits, asks or remembers by itself.

mod operation;
mod record;
mod verdict;

pub use operation::{Ended, Failure, FailureClass, Operation, OperationKind, Outcome};
pub use record::{
    ForeignAction, LABEL_DIGEST, LABEL_OWNER, LABEL_REVISION, LABEL_VERIFIED, OwnerId, Record, RecordStatus, Records,
};
pub use verdict::{Fault, Health, Member, Verdict, Why};
