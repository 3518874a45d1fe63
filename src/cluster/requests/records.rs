//! Requests about helm's records.

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Resource;
use kube::api::{DeleteParams, GetParams, ListParams, Patch, PostParams};
use kube::core::{ObjectList, PartialObjectMeta, Request};
use serde_json::{Value, json};

use super::super::FIELD_MANAGER;
use super::super::error::ClusterError;
use super::super::records::{LABELS, RecordsRead, VersionedRecord, versioned_record};
use super::super::watch::number;
use super::{Requests, patch_params};
use crate::release::{RecordStatus, record_name};
use crate::types::ReleaseKey;

/// Records in a page of a list; more than any history that helm keeps by default.
const PAGE_RECORDS: u32 = 100;
/// The key of the data under which helm keeps the payload.
const DATA_KEY: &str = "release";

/// The payload of one record: what helm wrote, still in helm's own encoding.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordData {
    pub bytes: Vec<u8>,
    pub resource_version: Box<str>,
    /// What its labels say; `None` where they are not those of a record.
    pub record: Option<VersionedRecord>,
}

impl RecordData {
    /// As a number, which later versions are compared with.
    pub fn version(&self) -> u64 {
        number(Some(&self.resource_version))
    }
}

impl std::fmt::Debug for RecordData {
    /// A payload holds values.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecordData({} bytes at {})", self.bytes.len(), self.resource_version)
    }
}

impl Requests {
    /// All records of a release, with a quorum.
    pub async fn read_records(&self, key: &ReleaseKey) -> Result<RecordsRead, ClusterError> {
        let mut page = ListParams::default().limit(PAGE_RECORDS).labels(&format!("{LABELS},name={}", key.name));
        let mut read = RecordsRead::default();
        loop {
            let list: ObjectList<PartialObjectMeta<Secret>> = self.send(secrets(key).list_metadata(&page)).await?;
            // All pages are of the version of the first.
            read.version = read.version.max(number(list.metadata.resource_version.as_deref()));
            read.held.extend(list.items.iter().filter_map(|item| versioned_record(&item.metadata)));
            page.continue_token = list.metadata.continue_.filter(|token| !token.is_empty());
            if page.continue_token.is_none() {
                return Ok(read);
            }
        }
    }

    /// The payload of a revision; `None` where there is none.
    pub async fn read_record_data(&self, key: &ReleaseKey, revision: u32) -> Result<Option<RecordData>, ClusterError> {
        let request = secrets(key).get(&record_name(&key.name, revision), &GetParams::default());
        let Some(secret) = self.send_opt::<Secret>(request).await? else { return Ok(None) };
        // A record without a payload is there, and cannot be read.
        let bytes = secret.data.and_then(|mut data| data.remove(DATA_KEY)).unwrap_or_default().0;
        let record = versioned_record(&secret.metadata);
        let resource_version: Box<str> = secret.metadata.resource_version.unwrap_or_default().into();
        Ok(Some(RecordData { bytes, resource_version, record }))
    }

    /// Puts labels on the record of a revision; one without a value is taken off. `None` if what is there now is no
    /// record any more.
    pub async fn mark(
        &self,
        key: &ReleaseKey,
        (revision, version): (u32, Option<u64>),
        labels: &[(&str, Option<&str>)],
    ) -> Result<Option<VersionedRecord>, ClusterError> {
        let labels: Value = labels.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        let mut metadata = json!({ "labels": labels });
        if let Some(version) = version {
            metadata["resourceVersion"] = version.to_string().into();
        }
        self.patch_record(key, revision, json!({ "metadata": metadata })).await
    }

    /// Puts labels on the record of a revision as [`Self::mark`] does, if it still is what it was at `resource_version`,
    /// else it is `Conflict`. The record is written whole: to read and to update it are the rights that helm needs, and
    /// whoever may run helm on a release may do this.
    pub async fn mark_unchanged(
        &self,
        key: &ReleaseKey,
        revision: u32,
        resource_version: &str,
        labels: &[(&str, Option<&str>)],
    ) -> Result<Option<VersionedRecord>, ClusterError> {
        let name = record_name(&key.name, revision);
        let mut secret: Secret = self.send(secrets(key).get(&name, &GetParams::default())).await?;
        if secret.metadata.resource_version.as_deref() != Some(resource_version) {
            return Err(ClusterError::Conflict("the record has changed".into()));
        }
        let on_it = secret.metadata.labels.get_or_insert_default();
        for (label, value) in labels {
            match value {
                Some(value) => on_it.insert((*label).to_owned(), (*value).to_owned()),
                None => on_it.remove(*label),
            };
        }
        let body = serde_json::to_vec(&secret).map_err(|error| ClusterError::malformed(&error))?;
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let written: PartialObjectMeta<Secret> = self.send(secrets(key).replace(&name, &params, body)).await?;
        Ok(versioned_record(&written.metadata))
    }

    /// Replaces payload and status of a record that was read at `resource_version`, as helm would write them;
    /// `Conflict` if it has changed since.
    pub async fn replace_record_data(
        &self,
        key: &ReleaseKey,
        revision: u32,
        data: RecordData,
        status: RecordStatus,
        now: Timestamp,
    ) -> Result<Option<VersionedRecord>, ClusterError> {
        let labels = json!({ "status": status.as_str(), "modifiedAt": now.as_second().to_string() });
        let patch = json!({
            "metadata": { "resourceVersion": data.resource_version, "labels": labels },
            "data": { DATA_KEY: ByteString(data.bytes) },
        });
        self.patch_record(key, revision, patch).await
    }

    /// Deletes the record of a revision; it is no error if there is none.
    pub async fn delete_record(&self, key: &ReleaseKey, revision: u32) -> Result<(), ClusterError> {
        let request = secrets(key).delete(&record_name(&key.name, revision), &DeleteParams::default());
        match self.text(request).await {
            Ok(_) | Err(ClusterError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether a record may be written: by a write that the API server checks and does not make.
    pub async fn try_writing_record(&self, key: &ReleaseKey, revision: u32) -> Result<(), ClusterError> {
        let name = record_name(&key.name, revision);
        let secret: Secret = self.send(secrets(key).get(&name, &GetParams::default())).await?;
        let body = serde_json::to_vec(&secret).map_err(|error| ClusterError::malformed(&error))?;
        let params = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()) };
        self.text(secrets(key).replace(&name, &params, body)).await.map(drop)
    }

    async fn patch_record(
        &self,
        key: &ReleaseKey,
        revision: u32,
        patch: Value,
    ) -> Result<Option<VersionedRecord>, ClusterError> {
        let name = record_name(&key.name, revision);
        let request = secrets(key).patch_metadata(&name, &patch_params(), &Patch::Merge(patch));
        let meta: PartialObjectMeta<Secret> = self.send(request).await?;
        Ok(versioned_record(&meta.metadata))
    }
}

fn secrets(key: &ReleaseKey) -> Request {
    Request::new(Secret::url_path(&(), Some(key.namespace.as_str())))
}
