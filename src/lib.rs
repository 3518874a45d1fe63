//! A Kubernetes operator that keeps Helm releases as declared: installs, upgrades, rolls back what fails, and says why.
//!
//! # The flow
//!
//! ```text
//!    watches                                one pass, no waiting in it                            tasks
//!  HelmRelease ──┐                gather → plan → render → write → act                   ┌ board: helm slots
//!  Secrets*      ├─► indexes ────►   │      pure    pure             │   ◄─ wakes (keys) ─┤ look-ups of chart and values
//!  live objects  ┘   (slim)                                          └──────────────────► └ reads of records
//!                                 * owner=helm, metadata only
//! ```
//!
//! # The rooms, arrows only downwards
//!
//! | room | noun |
//! |---|---|
//! | [`cli`] | flags to settings, endpoints, subcommands |
//! | [`controller`] | the pass, and the tasks that it starts |
//! | [`cluster`] | everything that speaks to the API server |
//! | [`health`] | how the live objects of a release are |
//! | [`sources`] | chart bytes |
//! | [`helm`] | helm as a program |
//! | [`metrics`] | counters |
//! | [`status`] | what is said |
//! | [`plan`] | the next action, and why |
//! | [`release`] | a release as values |
//! | [`types`] | scalars that cannot be wrong |
//! | [`api`] | the wire format |
//!
//! # One upgrade, followed through the code
//!
//! 1. Somebody changes `releaseVersion`. [`cluster::MainIndex`] hears of it, and the loop of [`controller`] makes a pass.
//! 2. The pass gathers a [`release::Snapshot`]: the spec as [`release::Policy`], the records of the release from
//!    [`cluster::RecordIndex`], health from [`cluster::LiveIndex`], what status remembers as [`release::Memory`].
//! 3. [`plan::plan`] finds that the inputs are out of date and answers [`plan::Action::Prepare`]. A task reads the
//!    values, resolves the version and fetches the chart ([`sources::Sources`]), and makes the
//!    [`types::ReleaseDigest`] of it all.
//! 4. The next pass finds another digest than the deployed one and asks the [`controller::Board`] for a slot
//!    ([`plan::Action::Ask`]). Nothing is decided yet: the pass that holds the slot plans anew.
//! 5. [`plan::Action::Start`] carries the [`release::Operation`]. [`status::render`] puts it into status, the write goes
//!    through, and only then a task runs [`helm::Runner::run`]; helm sits on a leash ([`helm::leash`]).
//! 6. helm ends. The task reads the records again and puts a [`release::Outcome`] on the board. A pass takes it into
//!    status ([`plan::Action::Acknowledge`]) and the revision is judged by [`health::combine`].
//! 7. Good: the record is labelled as verified ([`plan::Action::Mark`]) and `Ready` is true. Bad: the attempt is
//!    counted, and the newest verified revision is rolled back to; when the budget is used up the digest is
//!    quarantined, and the release stays where it is good.

pub mod api;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod health;
pub mod helm;
pub mod metrics;
pub mod plan;
pub mod release;
pub mod sources;
pub mod status;
pub mod types;
