//! Rules and the words that they say: whatever pair occurs anywhere in the suite has a case that shows it.

use std::{collections::BTreeSet, sync::LazyLock};

use super::cases::{CASES, name_of_reason, rule, smallest};
use crate::{
    plan::{Because, plan},
    release::Snapshot,
};

/// A rule, or none where there are no names to ask one of, and the reason that it gives.
type Pair = (Option<&'static str>, &'static str);

static SHOWN: LazyLock<BTreeSet<Pair>> =
    LazyLock::new(|| CASES.iter().map(|case| pair(&case.snapshot, &plan(&case.snapshot).because)).collect());

fn pair(snapshot: &Snapshot, because: &Because) -> Pair {
    (rule(snapshot), name_of_reason(because))
}

/// Nothing where some case shows what is decided; else the case that is missing.
pub(super) fn missing(snapshot: &Snapshot, because: &Because) -> Option<String> {
    let found = pair(snapshot, because);
    if SHOWN.contains(&found) {
        return None;
    }
    let same = |other: &Snapshot| pair(other, &plan(other).because) == found;
    let (rule, reason) = found;
    let rule = rule.unwrap_or("no rule");
    Some(format!("{rule} says {reason}, and no case shows it:\n\n{}", smallest(snapshot, same)))
}
