//! A Kubernetes control plane on loopback, with what tests of a Helm operator need around it.
//!
//! - [`tools`]: the programs, found or built once from pinned Go modules;
//! - [`Sandbox`]: etcd, the API server, the controllers, the scheduler and a simulated node whose pods turn out as
//!   annotated, kept by a guardian process ([`guard`]) that leaves nothing behind;
//! - [`proxy`]: a proxy in front of the API server that counts requests and plays faults;
//! - [`charts`] and [`repository`]: charts made in code or from `charts/unicorn`, and a server of them that misbehaves
//!   when told to;
//! - [`wait`]: waiting for a predicate instead of sleeping.
//!
//! Everything is called without an async runtime and from any thread. The crate knows nothing of the operator.
//!
//! ```no_run
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     sandbox::guard();
//!     let sandbox = sandbox::Sandbox::start(sandbox::Options::default())?;
//!     eprintln!("ready in {:?}: {}", sandbox.started_in(), sandbox.kubeconfig_path().display());
//!     Ok(())
//! }
//! ```

mod api;
pub mod charts;
mod cluster;
mod digest;
mod gate;
mod life;
pub mod proxy;
pub mod repository;
mod runtime;
mod serve;
pub mod tools;
pub mod wait;

pub use api::ApiError;
pub use cluster::{Components, NODE, Options, Sandbox, SandboxError};
pub use life::guard;
pub use proxy::Proxy;
pub use repository::Repository;
