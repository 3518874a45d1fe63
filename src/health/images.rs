//! Images that can not be pulled: whether the chart names what does not exist, or the registry does not give it.

use crate::release::Fault;

/// What the kubelet gives as reason of a container that waits for its image.
pub(super) const REASONS: [&str; 8] = [
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RegistryUnavailable",
    "SignatureValidationFailed",
    "ErrImageVolumePull",
];

/// Asked first: registries hide what they refuse behind words about existence, as in
/// `repository does not exist or may require authorization`.
const REFUSED_OR_UNREACHABLE: [&str; 13] = [
    "may require",
    "unauthorized",
    "authorization failed",
    "authentication required",
    "denied",
    "forbidden",
    "toomanyrequests",
    "too many requests",
    "no such host",
    "dial tcp",
    "timeout",
    "x509",
    "connection refused",
];

/// In lower case; from containerd, CRI-O and Docker.
const DOES_NOT_EXIST: [&str; 8] = [
    "manifest unknown",
    "name unknown",
    "not found",
    "does not exist",
    "invalid reference",
    "couldn't parse image",
    "failed to apply default image tag",
    "no match for platform",
];

pub(super) fn fault(reason: &str, message: &str) -> Fault {
    if matches!(reason, "InvalidImageName" | "ErrImageNeverPull") {
        return Fault::Own;
    }
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if !says(&REFUSED_OR_UNREACHABLE) && says(&DOES_NOT_EXIST) { Fault::Own } else { Fault::Outside }
}

/// The message without what goes and comes with each try, so that the text is the same while the cause is.
pub(super) fn cause(message: &str) -> &str {
    let message = match message.split_once("ErrImagePull: ") {
        Some((_, cause)) => cause,
        None if message.starts_with("Back-off pulling image") => "",
        None => message,
    };
    match message.strip_prefix("rpc error: code = ").and_then(|rest| rest.split_once(" desc = ")) {
        Some((_, cause)) => cause,
        None => message,
    }
}
