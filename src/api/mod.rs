//! The wire format: what users write and read. No logic beyond what serde, the schema and CEL rules say.

mod crd;
mod drift;
mod spec;
mod status;

pub use crd::{crd, crd_yaml};
pub use drift::{
    DRIFTED_MAX, DRIFTED_PATHS_MAX, Drift, DriftDetection, DriftIgnore, DriftMode, DriftTarget, DriftedObject,
};
pub use spec::{
    Adopt, Chart, CrdsPolicy, DeletionPolicy, Dependency, HelmRelease, HelmReleaseSpec, Hooks, Install, InstallFailure,
    Rollback, SecretRef, Test, TestFilter, Upgrade, UpgradeFailure, ValuesFrom, ValuesKind,
};
pub use status::{
    ConditionType, CrdsLeftAlone, DIFFERING_CRDS_MAX, Deployed, Desired, Failures, HISTORY_MAX, Handled,
    HelmReleaseStatus, HistoryEntry, HistoryResult, INVENTORY_MAX, Inventory, InventoryObject, LastFailure, Operation,
    OperationKind, QUARANTINE_MAX, Quarantined, Tested,
};

/// The API group.
pub const GROUP: &str = "helmrelease.dev";
/// Annotation: look now. A new value acts once.
pub const ANNOTATION_RECONCILE: &str = "helmrelease.dev/reconcile";
/// Annotation: clear quarantine and counts. A new value acts once.
pub const ANNOTATION_RETRY: &str = "helmrelease.dev/retry";
/// Annotation: let go of an object whose release cannot be removed. A new value acts once.
pub const ANNOTATION_FORCE_DELETE: &str = "helmrelease.dev/force-delete";
/// Finalizer: the release is removed before the object is gone.
pub const FINALIZER: &str = "helmrelease.dev/uninstall";
