//! Placement, from outside.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

mod agreement;
mod drilling;
mod drills;
mod leases;
mod planning;
mod preflight;
mod report;
mod worlds;
