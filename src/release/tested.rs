//! The tests of a chart: what a run of them came to, and what is remembered of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api;

/// What the record of a revision tells of its tests after a run of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestRun {
    /// Tests that the chart has.
    pub all: u32,
    /// Those of them that the filters let run.
    pub selected: u32,
    /// The first that did not pass, and why.
    pub failed: Option<Box<str>>,
}

impl TestRun {
    /// What is said where none failed: nothing that was not tested is called tested.
    pub fn passed(&self) -> String {
        match (self.all, self.selected) {
            (0, _) => "the chart has no tests".to_owned(),
            (1, 0) => "the test of the chart is not chosen by spec.test.filters".to_owned(),
            (all, 0) => format!("none of the {all} tests of the chart is chosen by spec.test.filters"),
            (1, 1) => "the test of the chart passed".to_owned(),
            (all, selected) if all == selected => format!("all {all} tests of the chart passed"),
            (all, selected) => format!("{selected} of the {all} tests of the chart ran and passed"),
        }
    }
}

/// The last run of tests that came to a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    pub revision: u32,
    pub passed: bool,
    pub message: Box<str>,
    pub end: Timestamp,
}

impl From<api::Tested> for Tested {
    fn from(wire: api::Tested) -> Self {
        Self { revision: wire.revision, passed: wire.passed, message: wire.message.into(), end: wire.end }
    }
}

impl From<Tested> for api::Tested {
    fn from(tested: Tested) -> Self {
        Self { revision: tested.revision, passed: tested.passed, message: tested.message.into(), end: tested.end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_tested_is_not_called_tested() {
        let said = |all, selected| TestRun { all, selected, failed: None }.passed();
        assert_eq!(said(0, 0), "the chart has no tests");
        assert_eq!(said(1, 0), "the test of the chart is not chosen by spec.test.filters");
        assert_eq!(said(2, 0), "none of the 2 tests of the chart is chosen by spec.test.filters");
        assert_eq!(said(1, 1), "the test of the chart passed");
        assert_eq!(said(3, 3), "all 3 tests of the chart passed");
        assert_eq!(said(3, 1), "1 of the 3 tests of the chart ran and passed");
    }
}
