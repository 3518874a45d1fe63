//! Claims of storage.

use super::object::Object;
use super::words::outside;
use crate::release::Verdict;

/// Storage is the cluster's to give, so what is wrong with a claim is a cause outside.
///
/// A claim whose class waits for the first consumer stays pending until a pod uses it; the claim does not say so,
/// and helm waits for it too.
pub(super) fn claim(object: Object<'_>) -> Verdict {
    match object.text("/status/phase") {
        "Bound" => Verdict::Healthy,
        "Lost" => Verdict::Failed(outside("has lost its volume")),
        _ => match object.text("/spec/storageClassName") {
            "" => Verdict::Progressing(outside("is not bound to a volume")),
            class => Verdict::Progressing(outside(&format!("is not bound to a volume of class {class}"))),
        },
    }
}
