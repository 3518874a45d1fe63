//! The stage on which scenarios, the demo and the benchmark play: the operator as a process, and a client to look at it.
//!
//! Everything here blocks, so that a story reads from top to bottom. Whoever uses the stage calls [`play_role`] right
//! after `sandbox::guard()`.
#![allow(dead_code, reason = "each of the targets that share the stage uses a part of it")]

mod cluster;
mod log;
mod operator;
pub(crate) mod process;
pub(crate) mod status;

pub(crate) use cluster::Cluster;
pub(crate) use log::Log;
pub(crate) use operator::{Access, Operator, Settings, play_role};

/// What stops a story.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
