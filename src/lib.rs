//! A Kubernetes operator that keeps Helm releases as declared.

pub mod api;
pub mod release;
pub mod types;
