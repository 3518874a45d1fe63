//! The Lease as the API server has it.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::core::ObjectMeta;
use std::time::Duration;

use super::super::watch::number;
use super::decide::{Holder, TERM};

/// In a Lease that nobody holds. Zero would not be accepted.
const RELEASED_SECONDS: i32 = 1;

pub(super) fn version(lease: &Lease) -> u64 {
    number(lease.metadata.resource_version.as_deref())
}

/// The name in the Lease; empty for nobody.
pub(super) fn holder_name(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

pub(super) fn holder(lease: &Lease, us: &str) -> Holder {
    match holder_name(lease) {
        "" => Holder::Nobody,
        name if name == us => Holder::Us,
        _ => {
            let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or_default();
            Holder::Other(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
        }
    }
}

/// A Lease in our name where there is none.
pub(super) fn fresh(namespace: &str, name: &str, us: &str, now: Timestamp) -> Lease {
    let metadata = ObjectMeta { name: Some(name.into()), namespace: Some(namespace.into()), ..ObjectMeta::default() };
    held(&Lease { metadata, ..Lease::default() }, us, now)
}

/// The Lease as it was seen, with us as its holder. The times are for people; no operator reads them.
pub(super) fn held(seen: &Lease, us: &str, now: Timestamp) -> Lease {
    let before = seen.spec.clone().unwrap_or_default();
    let ours = holder_name(seen) == us;
    let transitions = before.lease_transitions.unwrap_or_default();
    let spec = LeaseSpec {
        holder_identity: Some(us.to_owned()),
        lease_duration_seconds: i32::try_from(TERM.as_secs()).ok(),
        acquire_time: if ours { before.acquire_time } else { Some(MicroTime(now)) },
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(if ours { transitions } else { transitions.saturating_add(1) }),
        ..before
    };
    Lease { spec: Some(spec), ..bare(seen) }
}

/// The Lease as it was seen, with nobody as its holder.
pub(super) fn released(seen: &Lease, now: Timestamp) -> Lease {
    let spec = LeaseSpec {
        holder_identity: None,
        lease_duration_seconds: Some(RELEASED_SECONDS),
        renew_time: Some(MicroTime(now)),
        ..seen.spec.clone().unwrap_or_default()
    };
    Lease { spec: Some(spec), ..bare(seen) }
}

/// Everything that others have put there stays; who wrote what is the API server's to say.
fn bare(seen: &Lease) -> Lease {
    Lease { metadata: ObjectMeta { managed_fields: None, ..seen.metadata.clone() }, ..Lease::default() }
}
