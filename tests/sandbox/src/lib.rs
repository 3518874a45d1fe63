//! A Kubernetes control plane on loopback, with what tests of a Helm operator need around it.
//!
//! - [`tools`]: the programs, found or built once from pinned Go modules;
//! - [`Sandbox`]: etcd, the API server, the controllers, the scheduler and a simulated node, kept by a guardian
//!   process ([`guard`]) that leaves nothing behind.
//!
//! The crate knows nothing of the operator.

mod api;
mod cluster;
mod life;
mod runtime;
pub mod tools;
pub mod wait;

pub use api::ApiError;
pub use cluster::{Components, Options, Sandbox, SandboxError};
pub use life::guard;
