//! A snapshot together with what is decided from it, as it stands in a file: what a user sends with a report, and what
//! the planner's tests play.

use serde::{Deserialize, Serialize};

use super::{Action, Because, plan};
use crate::release::Snapshot;

/// Among the tests a case is corrected by editing `expect` to what should have been decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    pub snapshot: Snapshot,
    pub expect: Expected,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    pub action: Action,
    pub because: Because,
}

impl Case {
    pub fn of(snapshot: &Snapshot) -> Self {
        let decided = plan(snapshot);
        let expect = Expected { action: decided.action, because: decided.because };
        Self { snapshot: snapshot.clone(), expect }
    }
}
