//! Reading the status of a release as its users do: nothing counts that is said of another generation.

use helm_release_operator::api::HelmRelease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The condition of that type that speaks of the object's generation.
pub(crate) fn condition<'a>(object: &'a HelmRelease, kind: &str) -> Option<&'a Condition> {
    let status = object.status.as_ref()?;
    let current = |one: &&Condition| one.type_ == kind && one.observed_generation == object.metadata.generation;
    status.conditions.iter().find(current)
}

/// Ready, and said of the generation that the object has.
pub(crate) fn is_ready(object: &HelmRelease) -> bool {
    let observed = object.status.as_ref().map(|status| status.observed_generation);
    observed == object.metadata.generation && condition(object, "Ready").is_some_and(|ready| ready.status == "True")
}
