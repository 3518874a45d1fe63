//! Tables that are made from the code, for the README and for the terminal.

use std::fmt::Write as _;

use crate::{plan::RULES, status::Reason};

/// Situations and actions, in the order in which the rules are asked.
pub fn rules() -> String {
    let mut table = String::from("| | situation | what is done |\n|---|---|---|\n");
    for (number, rule) in RULES.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| {} `{}` | {} | {} |", number + 1, rule.name, rule.situation, rule.action);
    }
    table
}

/// Reasons, what they mean and what to do.
pub fn reasons() -> String {
    let mut table = String::from("| reason | what it means | what to do |\n|---|---|---|\n");
    for reason in Reason::ALL {
        let _ = writeln!(table, "| `{reason}` | {} | {} |", reason.meaning(), reason.to_do());
    }
    table
}
