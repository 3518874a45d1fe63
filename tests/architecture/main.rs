//! The rules of the code base that a compiler does not check: rooms, sizes, generated files, what is depended on.

mod calls;
mod dependencies;
mod files;
mod generated;
mod modules;
mod rooms;
mod sizes;
