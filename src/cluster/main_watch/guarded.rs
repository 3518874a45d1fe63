//! Objects as they come from the API server: one that is malformed must not spoil the list or the watch that it is in.
//!
//! kube's `DeserializeGuard` builds a tree of values of every object and a copy of that tree, for the one in many that
//! may be malformed. Here an object stays text until somebody wants it, which is not so for the echo of a write of our
//! own; a good one is then read once, and only a malformed one a second time.

use std::borrow::Cow;

use kube::Resource;
use kube::core::error_boundary::InvalidObject;
use kube::core::{ObjectMeta, PartialObjectMeta};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::HelmRelease;

/// An object of which no more is read than which one it is, and of what version.
#[derive(Debug, Clone)]
pub struct Guarded {
    /// Name, namespace and resource version; nothing else.
    head: ObjectMeta,
    text: Box<RawValue>,
}

#[derive(Deserialize)]
struct Headed {
    metadata: Head,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
}

impl<'de> Deserialize<'de> for Guarded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let Headed { metadata } = serde_json::from_str(text.get()).map_err(serde::de::Error::custom)?;
        let Head { name, namespace, resource_version } = metadata;
        Ok(Self { head: ObjectMeta { name, namespace, resource_version, ..ObjectMeta::default() }, text })
    }
}

impl Guarded {
    /// The object, or what is wrong with it.
    pub fn read(&self) -> Result<HelmRelease, Box<InvalidObject>> {
        serde_json::from_str(self.text.get()).or_else(|_| self.read_slowly())
    }

    /// Says what is wrong by the tree and not by the text: a place in the text is another one after each write of
    /// whatever stands before it.
    fn read_slowly(&self) -> Result<HelmRelease, Box<InvalidObject>> {
        let tree: Value = serde_json::from_str(self.text.get()).map_err(|error| self.invalid(&error))?;
        HelmRelease::deserialize(&tree).map_err(|error| {
            let meta = PartialObjectMeta::<HelmRelease>::deserialize(&tree);
            let metadata = meta.map_or_else(|_| self.head.clone(), |meta| meta.metadata);
            Box::new(InvalidObject { error: error.to_string(), metadata })
        })
    }

    fn invalid(&self, error: &serde_json::Error) -> Box<InvalidObject> {
        Box::new(InvalidObject { error: error.to_string(), metadata: self.head.clone() })
    }
}

impl Resource for Guarded {
    type DynamicType = <HelmRelease as Resource>::DynamicType;
    type Scope = <HelmRelease as Resource>::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        HelmRelease::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        HelmRelease::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        HelmRelease::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        HelmRelease::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.head
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.head
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(object: &Value) -> Result<Guarded, serde_json::Error> {
        serde_json::from_str(&object.to_string())
    }

    #[test]
    fn a_malformed_object_tells_its_metadata_and_what_is_wrong_without_a_place_in_the_text() {
        let object = json!({"metadata": {"name": "web", "generation": 3}, "spec": {"maxHistory": "many"}});
        let InvalidObject { error, metadata } = *read(&object).unwrap().read().unwrap_err();
        assert_eq!((metadata.name.as_deref(), metadata.generation), (Some("web"), Some(3)));
        assert!(error.contains("many") && !error.contains("column"), "{error}");
    }

    #[test]
    fn metadata_of_which_a_part_cannot_be_read_still_tell_which_object_it_is() {
        let object = json!({"metadata": {"name": "web", "resourceVersion": "7", "labels": []}, "spec": {}});
        let invalid = read(&object).unwrap().read().unwrap_err();
        assert_eq!((invalid.metadata.name.as_deref(), invalid.metadata.generation), (Some("web"), None));
    }

    #[test]
    fn what_does_not_tell_which_object_it_is_is_an_error() {
        assert!(read(&json!({"metadata": 7, "spec": {}})).is_err());
        assert!(read(&json!([])).is_err());
    }

    #[test]
    fn a_list_and_an_event_take_in_good_ones_beside_a_malformed_one() {
        let good = json!({"metadata": {"name": "good"}, "spec": {}});
        let bad = json!({"metadata": {"name": "bad"}, "spec": {"maxHistory": "many"}});
        let list = json!({"metadata": {}, "items": [good, bad]}).to_string();
        let list: kube::api::ObjectList<Guarded> = serde_json::from_str(&list).unwrap();
        assert_eq!(list.items.iter().map(|one| one.read().is_ok()).collect::<Vec<_>>(), [true, false]);
        let event = format!(r#"{{"type":"MODIFIED","object":{bad}}}"#);
        let event: kube::api::WatchEvent<Guarded> = serde_json::from_str(&event).unwrap();
        let kube::api::WatchEvent::Modified(event) = event else { panic!("{event:?}") };
        assert!(event.read().is_err());
    }
}
