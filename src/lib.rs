//! A Kubernetes operator that keeps Helm releases as declared.

pub mod api;
pub mod cluster;
pub mod health;
pub mod release;
pub mod types;
