//! Kinds through which others are reached or defined: services, namespaces, definitions, served APIs.

use super::object::Object;
use super::words::{detailed, outside, own, progressing};
use crate::release::Verdict;

/// Only a load balancer has to be waited for; whoever gives the address is not part of the release.
pub(super) fn service(object: Object<'_>) -> Verdict {
    let has_address = || {
        object.list("/status/loadBalancer/ingress").next().is_some()
            || object.list("/spec/externalIPs").next().is_some()
    };
    if object.text("/spec/type") != "LoadBalancer" || has_address() {
        return Verdict::Healthy;
    }
    Verdict::Progressing(outside("has no address from a load balancer"))
}

pub(super) fn namespace(object: Object<'_>) -> Verdict {
    match object.text("/status/phase") {
        "Active" => Verdict::Healthy,
        phase => progressing(&detailed("is not active", phase)),
    }
}

/// Names that are taken stay taken until somebody acts, so waiting for them is pointless.
pub(super) fn definition(object: Object<'_>) -> Verdict {
    if let Some(names) = object.condition("NamesAccepted").filter(|names| names.status == "False") {
        return Verdict::Failed(own(&detailed("its names are not accepted", names.says())));
    }
    match object.condition("Established") {
        Some(established) if established.status == "True" => Verdict::Healthy,
        Some(established) => progressing(&detailed("is not established", established.says())),
        None => progressing("is not established"),
    }
}

/// The server behind it is nearly always part of the same release.
pub(super) fn served_api(object: Object<'_>) -> Verdict {
    match object.condition("Available") {
        Some(available) if available.status == "True" => Verdict::Healthy,
        Some(available) => progressing(&detailed("is not available", available.says())),
        None => progressing("is not available"),
    }
}
