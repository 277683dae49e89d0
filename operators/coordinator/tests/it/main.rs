//! The coordinator on the journal in memory.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

mod cut;
mod field;
mod runs;
mod suite;
mod zombies;
