//! Reads objects that hold values.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Resource;
use kube::api::GetParams;
use kube::core::{ObjectMeta, PartialObjectMeta, Request};

use super::super::error::ClusterError;
use super::super::values::{Ref, Version};
use super::Requests;
use crate::api::ValuesKind;

/// Bytes of one object's data: what the API server accepts (1 MiB) with room for other servers.
const VALUES_MAX_BYTES: usize = 2 << 20;

/// The data of one object and the version that it is of.
#[derive(Clone, PartialEq, Eq)]
pub struct ValuesData {
    pub version: Version,
    pub data: BTreeMap<String, Vec<u8>>,
}

impl std::fmt::Debug for ValuesData {
    /// The data may be secret, the names of its keys are not.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ValuesData({:?}, keys {:?})", self.version, self.data.keys())
    }
}

impl Requests {
    /// The data of an object; `None` where there is none.
    pub async fn read_values(&self, reference: &Ref) -> Result<Option<ValuesData>, ClusterError> {
        let request = objects(reference).get(&reference.name, &GetParams::default());
        let (metadata, data) = match reference.kind {
            ValuesKind::ConfigMap => {
                let Some(found) = self.send_opt::<ConfigMap>(request).await? else { return Ok(None) };
                (found.metadata, of_config_map(found.data, found.binary_data))
            }
            ValuesKind::Secret => {
                let Some(found) = self.send_opt::<Secret>(request).await? else { return Ok(None) };
                (found.metadata, decoded(found.data))
            }
        };
        let bytes: usize = data.values().map(Vec::len).sum();
        if bytes > VALUES_MAX_BYTES {
            let (kind, name) = (reference.kind.as_str(), &reference.name);
            let text = format!("{kind} {name} holds {bytes} bytes, at most {VALUES_MAX_BYTES} are read");
            return Err(ClusterError::Refused(text.into()));
        }
        Ok(Some(ValuesData { version: version(metadata), data }))
    }

    /// Which version is there, without its data.
    pub(in super::super) async fn read_values_version(&self, of: &Ref) -> Result<Option<Version>, ClusterError> {
        let request = objects(of).get_metadata(&of.name, &GetParams::default());
        let found: Option<PartialObjectMeta<Secret>> = self.send_opt(request).await?;
        Ok(found.map(|found| version(found.metadata)))
    }
}

fn objects(reference: &Ref) -> Request {
    Request::new(match reference.kind {
        ValuesKind::ConfigMap => ConfigMap::url_path(&(), Some(&reference.namespace)),
        ValuesKind::Secret => Secret::url_path(&(), Some(&reference.namespace)),
    })
}

fn version(meta: ObjectMeta) -> Version {
    Version {
        uid: meta.uid.unwrap_or_default().into(),
        resource_version: meta.resource_version.unwrap_or_default().into(),
    }
}

fn of_config_map(
    text: Option<BTreeMap<String, String>>,
    binary: Option<BTreeMap<String, ByteString>>,
) -> BTreeMap<String, Vec<u8>> {
    let mut data = decoded(binary);
    data.extend(text.into_iter().flatten().map(|(key, text)| (key, text.into_bytes())));
    data
}

fn decoded(data: Option<BTreeMap<String, ByteString>>) -> BTreeMap<String, Vec<u8>> {
    data.into_iter().flatten().map(|(key, ByteString(bytes))| (key, bytes)).collect()
}
