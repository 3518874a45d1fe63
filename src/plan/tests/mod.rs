//! The planner's own suite: cases from files, mixtures of them, stories over a small helm, and searches of small worlds.

mod cases;
mod fixpoint;
mod mixtures;
mod pairs;
mod search;
mod sim;
mod stories;
mod twins;
mod whole;
