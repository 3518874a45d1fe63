//! Rules that judge live objects, and the way from a release that is not healthy to the container that is the cause.
//!
//! An object comes in as JSON and leaves as a [`Judgement`]; a pod leaves as [`PodFacts`]; [`combine`] makes the
//! health of a release of them. Nothing here has a client, a clock or a memory, and nothing fails: JSON that is wrong
//! is judged as an object that is not there yet, or that has no health.
//!
//! A rule never calls an object failed earlier than its own controller does. Words are for persons: bounded, one line,
//! and made of status only, never of values.

mod combine;
mod conditions;
mod images;
mod jobs;
mod judgement;
mod object;
mod platform;
mod pods;
mod selector;
mod storage;
mod trouble;
mod words;
mod workloads;

pub use combine::{MemberView, combine};
pub use judgement::{Judgement, has_ended, has_health, judge};
pub use pods::{Owner, PodFacts};
pub use selector::Selector;
pub use trouble::{PodTrouble, pod_trouble};

#[cfg(test)]
mod tests;
