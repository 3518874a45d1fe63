//! A release as values: what is wanted, what is there, what was tried, and what came of it.
//!
//! Nothing in this room waits, asks or remembers by itself.

mod content;
mod definitions;
mod desired;
mod drift;
mod identity;
mod memory;
mod operation;
mod record;
mod snapshot;
mod terms;
mod tested;
mod values;
mod verdict;
mod view;

pub use crate::api::{
    Adopt, DeletionPolicy, DriftMode, HistoryResult, Hooks, InstallFailure, LastFailure, OperationKind, UpgradeFailure,
};
pub use content::{ChartContent, Difference, digest_of_values};
pub use definitions::LeftAlone;
pub use desired::{
    Dependency, Desired, HooksPolicy, Policy, SpecDefaults, SpecError, TestPolicy, ValuesSource, dependency_keys,
    policy_of_names, release_key,
};
pub use drift::{Deviation, Drift, DriftView, Drifted, Finding, IgnoreRule, digest_of_rules};
pub use identity::{Identity, Impersonated, Tenancy};
pub use memory::{Cause, Deployed, Failures, HistoryEntry, Inputs, Inventory, Memory, Quarantined, version_label};
pub use operation::{Ended, Failure, FailureClass, Operation, Outcome};
pub use record::{
    ForeignAction, LABEL_ADOPTED, LABEL_CLEARED, LABEL_DIGEST, LABEL_OWNER, LABEL_REVISION, LABEL_VERIFIED, OwnerId,
    RECORD_NAME_PREFIX, Record, RecordStatus, Records, record_name, rollback_told_by, unlocked_description,
};
pub use snapshot::{
    Claim, Compared, Comparison, DependencyState, DependencyView, Flight, HealthView, InputsProblem, InputsProblemKind,
    InputsView, Object, Payload, Snapshot, Spec, Unread,
};
pub use tested::{TestRun, Tested};
pub use values::{ValuesError, merge, set_path};
pub use verdict::{Fault, Health, Member, Verdict, Why};
pub use view::View;
