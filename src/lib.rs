//! A Kubernetes operator that keeps Helm releases as declared.

pub mod api;
pub mod cluster;
pub mod health;
pub mod helm;
pub mod plan;
pub mod release;
pub mod sources;
pub mod status;
pub mod types;
