//! A field that another manager holds, in one sentence: which object, which field, whose, and what can be done.

use super::super::{argv::Command, message};

/// Fields that are named; the rest is counted.
const FIELDS_MAX: usize = 3;

/// `None` where helm's words are not those that are known.
///
/// `conflict occurred while applying object NAMESPACE/NAME VERSION, Kind=KIND: Apply failed with 2 conflicts: conflicts
/// with "MANAGER" using VERSION:` and a line `- FIELD` for each; of one alone: `1 conflict: conflict with "MANAGER":
/// FIELD`.
pub(super) fn sentence(raw: &str, command: &Command) -> Option<String> {
    let (_, told) = raw.split_once("while applying object ")?;
    let (object, conflicts) = told.split_once(": Apply failed with ")?;
    let (place, kind) = object.rsplit_once("Kind=")?;
    let name = place.split_whitespace().next()?.rsplit('/').next()?;
    let (mut owners, mut fields) = (Vec::new(), Vec::new());
    for part in conflicts.split("conflict").skip(1).filter_map(|part| part.split_once(" with \"")).map(|(_, rest)| rest)
    {
        let (owner, rest) = part.split_once('"')?;
        if !owners.contains(&owner) {
            owners.push(owner);
        }
        let listed = rest.lines().filter_map(|line| line.trim().strip_prefix("- "));
        let mut own: Vec<&str> = listed.collect();
        if own.is_empty() {
            own.extend(rest.rsplit_once(": ").map(|(_, field)| field.lines().next().unwrap_or_default().trim()));
        }
        fields.extend(own);
    }
    if owners.is_empty() || fields.is_empty() {
        return None;
    }
    let more = fields.len().saturating_sub(FIELDS_MAX);
    let (noun, verb) = if fields.len() == 1 { ("field", "is") } else { ("fields", "are") };
    let mut named = fields[..fields.len() - more].join(", ");
    if more > 0 {
        named = format!("{named} and {more} more");
    }
    let owners = owners.join(", ");
    let way_out = match command {
        Command::Upgrade { .. } => "let it go there, or set spec.upgrade.forceConflicts to take it over",
        Command::Rollback { .. } => "the next attempt takes it over",
        Command::Install { .. } | Command::Test { .. } | Command::Uninstall => "let it go there",
    };
    Some(message::clean(&format!("{kind} {name}: {noun} {named} {verb} held by the field manager {owners}; {way_out}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(raw: &str) -> Option<String> {
        sentence(raw, &Command::Rollback { to: 1, force_conflicts: false })
    }

    #[test]
    fn one_field_is_named_with_its_owner() {
        let raw = "conflict occurred while applying object meadow/unicorn apps/v1, Kind=Deployment: Apply failed with 1 conflict: conflict with \"kubectl-edit\" with subresource \"scale\" using apps/v1 at 2026-01-01T00:00:00Z: .spec.replicas";
        let expected = "Deployment unicorn: field .spec.replicas is held by the field manager kubectl-edit; the next attempt takes it over";
        assert_eq!(said(raw).as_deref(), Some(expected));
    }

    #[test]
    fn many_fields_of_several_owners_are_bounded() {
        let raw = "conflict occurred while applying object web /v1, Kind=ConfigMap: Apply failed with 5 conflicts: conflicts with \"a\" using v1:\n- .data.x\n- .data.y\nconflicts with \"b\":\n- .data.z\n- .data.v\n- .data.w";
        let expected = "ConfigMap web: fields .data.x, .data.y, .data.z and 2 more are held by the field manager a, b; the next attempt takes it over";
        assert_eq!(said(raw).as_deref(), Some(expected));
    }

    #[test]
    fn other_words_are_left_to_helm() {
        assert_eq!(said("Apply failed with 1 conflict: something"), None);
        assert_eq!(said("conflict occurred while applying object a v1, Kind=B: Apply failed with 1 conflict: x"), None);
    }
}
