//! Seeded simulation of the real coordinator and the real placement code on the journal in memory, in virtual time.
//!
//! A seed decides everything: how many regions, shards and coordinators there are, who does what next, what breaks, and
//! whether the hour of a drill by schedule is near. Persons begin and abort operations, take regions out and let them back,
//! add and change them, say under whose law shards are, pin, pause, set the pace, and schedule drills. After every step
//! [`audit`] holds the journal to the invariants of regions; in the end everything is healed, and the whole must come to
//! rest with every shard served. The same seed does the same again, step by step.

pub mod audit;
mod cast;
mod link;
mod persons;
mod run;
mod seed;

pub use link::Mutant;
pub use run::{Failed, Report, run, run_with};
