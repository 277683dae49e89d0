//! The coordinator on the journals in memory and in databases; agents over them.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

mod agent;
mod audit;
mod cut;
mod deaths;
mod field;
mod flaky;
mod leaders;
mod reports;
mod runs;
mod schedule;
mod suite;
mod zombies;
