//! The planner's own suite: cases from files, stories over a small helm, and a search of a small world.

mod cases;
mod search;
mod sim;
mod stories;
