//! The way of the memory from and to the wire, which is the status of an object.

use std::collections::BTreeSet;

use super::{Cause, Deployed, Failures, HistoryEntry, Inputs, Inventory, Memory, Quarantined};
use crate::{
    api::{self, HelmReleaseStatus},
    release::{Drift, LeftAlone, Member, Operation, Tested},
    types::{ChartDigest, ReleaseDigest},
};

/// Lenient: a piece that another program has damaged is dropped, the rest counts. What is dropped is found out anew
/// from the records.
impl From<HelmReleaseStatus> for Memory {
    fn from(status: HelmReleaseStatus) -> Self {
        let digest = |text: &str| ReleaseDigest::parse(text).ok();
        let mut seen = BTreeSet::new();
        Self {
            observed_generation: status.observed_generation,
            desired: status.desired.and_then(|d| {
                Some(Inputs {
                    chart: d.chart.into(),
                    version: d.version.into(),
                    app_version: d.app_version.into(),
                    chart_digest: ChartDigest::parse(&d.chart_digest).ok()?,
                    digest: digest(&d.digest)?,
                    generation: d.generation,
                    fingerprint: d.inputs.into(),
                    terms: digest(&d.terms),
                    cause: Cause::parse(&d.cause),
                })
            }),
            deployed: status.deployed.map(|d| Deployed {
                revision: d.revision,
                chart: d.chart.into(),
                version: d.version.into(),
                app_version: d.app_version.into(),
                digest: digest(&d.digest),
                since: d.since,
            }),
            operation: status.operation.map(Operation::from),
            failures: status.failures.map_or_else(Failures::default, |f| Failures {
                count: f.count,
                own: f.own,
                rollbacks: f.rollbacks,
                hindered: f.hindered,
                not_before: f.not_before,
                last: f.last,
            }),
            quarantined: status
                .quarantined
                .into_iter()
                .filter_map(|q| {
                    Some(Quarantined {
                        digest: digest(&q.digest)?,
                        version: q.version.into(),
                        reason: q.reason.into(),
                        message: q.message.into(),
                        since: q.since,
                    })
                })
                .filter(|q| seen.insert(q.digest.clone()))
                .collect(),
            inventory: status.inventory.map(Inventory::from),
            tested: status.tested.map(Tested::from),
            drift: status.drift.map(Drift::from),
            history: status.history.into_iter().map(HistoryEntry::from).collect(),
            definitions: status.crds.and_then(|crds| LeftAlone::try_from(crds).ok()),
            handled: status.handled.unwrap_or_default(),
        }
    }
}

impl From<api::Inventory> for Inventory {
    fn from(wire: api::Inventory) -> Self {
        let short_lived = wire.objects.iter().filter(|object| object.short_lived).cloned();
        Self {
            revision: wire.revision,
            complete: wire.complete,
            short_lived: short_lived.map(Member::from).collect(),
            members: wire.objects.into_iter().map(Member::from).collect(),
        }
    }
}

impl From<Inventory> for api::Inventory {
    fn from(inventory: Inventory) -> Self {
        let Inventory { revision, complete, members, short_lived } = inventory;
        let object = |member: Member| {
            let short_lived = short_lived.contains(&member);
            api::InventoryObject { short_lived, ..member.into() }
        };
        Self { revision, complete, objects: members.into_iter().map(object).collect() }
    }
}

impl From<api::HistoryEntry> for HistoryEntry {
    fn from(wire: api::HistoryEntry) -> Self {
        Self {
            revision: wire.revision,
            action: wire.action,
            chart: wire.chart.into(),
            version: wire.version.into(),
            digest: ReleaseDigest::parse(&wire.digest).ok(),
            cause: Cause::parse(&wire.cause),
            result: wire.result,
            start: wire.start,
            end: wire.end,
        }
    }
}

impl From<HistoryEntry> for api::HistoryEntry {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            revision: entry.revision,
            action: entry.action,
            chart: entry.chart.into(),
            version: entry.version.into(),
            digest: entry.digest.map(String::from).unwrap_or_default(),
            cause: entry.cause.as_str().to_owned(),
            result: entry.result,
            start: entry.start,
            end: entry.end,
        }
    }
}

impl From<Memory> for HelmReleaseStatus {
    fn from(memory: Memory) -> Self {
        let Memory {
            observed_generation,
            desired,
            deployed,
            operation,
            failures,
            quarantined,
            inventory,
            tested,
            drift,
            history,
            definitions,
            handled,
        } = memory;
        Self {
            observed_generation,
            release: None,
            conditions: Vec::new(),
            desired: desired.map(|d| api::Desired {
                chart: d.chart.into(),
                version: d.version.into(),
                app_version: d.app_version.into(),
                chart_digest: d.chart_digest.into(),
                digest: d.digest.into(),
                generation: d.generation,
                inputs: d.fingerprint.into(),
                terms: d.terms.map(String::from).unwrap_or_default(),
                cause: d.cause.as_str().to_owned(),
            }),
            deployed: deployed.map(|d| api::Deployed {
                revision: d.revision,
                chart: d.chart.into(),
                version: d.version.into(),
                app_version: d.app_version.into(),
                digest: d.digest.map(String::from).unwrap_or_default(),
                since: d.since,
            }),
            operation: operation.map(Into::into),
            failures: (failures != Failures::default()).then_some(api::Failures {
                count: failures.count,
                own: failures.own,
                rollbacks: failures.rollbacks,
                hindered: failures.hindered,
                not_before: failures.not_before,
                last: failures.last,
            }),
            quarantined: quarantined
                .into_iter()
                .map(|q| api::Quarantined {
                    digest: q.digest.into(),
                    version: q.version.into(),
                    reason: q.reason.into(),
                    message: q.message.into(),
                    since: q.since,
                })
                .collect(),
            inventory: inventory.map(Into::into),
            tested: tested.map(Into::into),
            drift: drift.map(Into::into),
            history: history.into_iter().map(Into::into).collect(),
            crds: definitions.map(Into::into),
            handled: (handled != api::Handled::default()).then_some(handled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::{Payload, Record, RecordStatus, Records};

    fn member(kind: &str, name: &str) -> Member {
        let api_version = if kind == "Job" { "batch/v1" } else { "v1" };
        Member { api_version: api_version.into(), kind: kind.into(), namespace: "a".into(), name: name.into() }
    }

    #[test]
    fn members_that_may_be_gone_are_told_by_status_and_by_the_mark() {
        let (passing, other, pod) = (member("Job", "passing"), member("Job", "other"), member("Pod", "pod"));
        let members = vec![pod.clone(), other.clone(), passing.clone()];
        let payload = Payload { members, short_lived: vec![passing.clone()], ..Payload::unreadable(2) };
        let before = Memory { inventory: Some(Inventory::of(&payload)), ..Memory::default() };
        let memory = Memory::from(HelmReleaseStatus::from(before.clone()));
        assert_eq!(memory, before, "also after a restart");
        let records = |verified| {
            let record = Record {
                revision: 2,
                status: RecordStatus::Deployed,
                digest: None,
                owner: None,
                stamp: None,
                verified,
                cleared: None,
                adopted: None,
                written: 0,
            };
            Records::new(vec![record])
        };
        let may = |records: &Records| [&passing, &other, &pod].map(|member| memory.may_be_gone(member, Some(records)));
        assert_eq!(may(&records(None)), [true, false, false], "its attempt is open");
        assert_eq!(may(&records(Some(2))), [true, true, false]);
        assert_eq!(may(&records(Some(1))), [true, false, false], "the mark is that of another revision");
    }
}
