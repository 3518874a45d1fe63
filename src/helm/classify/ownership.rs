//! An object that exists and is not the release's, in one sentence: which one, whose, and what can be done.

use super::super::message;

/// `None` where helm's words are not those that are known.
///
/// `KIND "NAME" in namespace "NAMESPACE" exists and cannot be imported into the current release: invalid ownership
/// metadata; label validation error: …; annotation validation error: key "meta.helm.sh/release-name" must equal "ONE":
/// current value is "OTHER"`.
pub(super) fn sentence(raw: &str) -> Option<String> {
    let (object, why) = raw.split_once(" exists and cannot be imported into the current release")?;
    let (object, _namespace) = object.rsplit_once("\" in namespace \"")?;
    let (words, name) = object.rsplit_once(" \"")?;
    let kind = words.rsplit(char::is_whitespace).next()?;
    let present = |key: &str| {
        let (_, told) = why.split_once(&format!("key \"meta.helm.sh/{key}\" must equal "))?;
        told.split_once("current value is \"")?.1.split('"').next()
    };
    let whose = match (present("release-name"), present("release-namespace")) {
        (Some(release), Some(namespace)) => format!("belongs to the release {release} in namespace {namespace}"),
        (Some(release), None) => format!("belongs to the release {release}"),
        (None, Some(namespace)) => format!("belongs to a release in namespace {namespace}"),
        (None, None) => "belongs to no release".to_owned(),
    };
    Some(message::clean(&format!(
        "{kind} {name} exists and {whose}; remove it, or set spec.adopt to ReleaseAndObjects, by which the first deployment takes it over"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAY_OUT: &str =
        "remove it, or set spec.adopt to ReleaseAndObjects, by which the first deployment takes it over";

    #[test]
    fn an_object_without_a_release_is_named() {
        let raw = "Unable to continue with install: ConfigMap \"unicorn\" in namespace \"meadow\" exists and cannot be imported into the current release: invalid ownership metadata; label validation error: missing key \"app.kubernetes.io/managed-by\": must be set to \"Helm\"; annotation validation error: missing key \"meta.helm.sh/release-name\": must be set to \"unicorn\"";
        assert_eq!(sentence(raw), Some(format!("ConfigMap unicorn exists and belongs to no release; {WAY_OUT}")));
    }

    #[test]
    fn the_release_that_an_object_belongs_to_is_named() {
        let raw = "unable to continue with update: ClusterRole \"web\" in namespace \"\" exists and cannot be imported into the current release: invalid ownership metadata; annotation validation error: key \"meta.helm.sh/release-name\" must equal \"a\": current value is \"b\"; annotation validation error: key \"meta.helm.sh/release-namespace\" must equal \"x\": current value is \"y\"";
        let expected = format!("ClusterRole web exists and belongs to the release b in namespace y; {WAY_OUT}");
        assert_eq!(sentence(raw), Some(expected));
    }

    #[test]
    fn other_words_are_left_to_helm() {
        assert_eq!(sentence("invalid ownership metadata"), None);
    }
}
