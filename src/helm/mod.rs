//! helm as a program: what it is asked, as whom it acts, how it is kept on a leash, and what its words and records mean.
//!
//! The only room that starts processes. It knows nothing of plans, of queues or of the Kubernetes client: a run takes
//! plain data and gives plain data, and every way in which helm can end is a value.
//!
//! ```text
//! Invocation ──argv──┐
//! ClusterAccess ─kubeconfig─┤► workspace ► spawner thread ► leash ► helm
//! Identity ──────────┘                                         │
//!                          Ended ◄──classify── Run ◄──attend───┘
//! ```
//!
//! What a run leaves behind is read from the release's records ([`decode`], [`manifest_objects`]), never from its
//! exit code alone: an install can end with 0 and leave a pending record.

mod argv;
mod classify;
mod content;
mod declared;
mod environment;
mod error;
mod kubeconfig;
mod leash;
mod manifest;
mod message;
mod process;
mod record;
mod run;
mod runner;
mod version;
mod workspace;

pub use argv::{Command, Inputs, Invocation};
pub use classify::ended;
pub use content::{RecordContent, content};
pub use declared::{Declared, DeclaredError, declared};
pub use error::HelmError;
pub use kubeconfig::{Auth, Authority, ClusterAccess};
pub use leash::{EXIT_NOT_STARTED, LeashError, SUBCOMMAND, leash, leash_main};
pub use manifest::{ManifestError, ManifestObject, manifest_objects};
pub use record::{ApplyMethod, Hook, HookPhase, Payload, RecordError, decode, foreign_action, unlock};
pub use run::{Exit, Run, Stop};
pub use runner::{Runner, RunnerSettings};
pub use version::{Helm, HelmVersion};
