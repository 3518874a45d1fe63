//! A Kubernetes operator that keeps Helm releases as declared.

pub mod health;
pub mod types;
