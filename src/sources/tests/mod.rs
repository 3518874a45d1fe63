//! The room against servers and archives that misbehave on purpose.

mod archives;
mod fetching;
mod indexes;
mod resolving;
mod scenery;
