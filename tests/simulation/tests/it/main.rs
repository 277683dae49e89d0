//! The simulation and the model.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a fixture that cannot be made fails its test; the model tells its states"
)]

mod audit;
mod model;
mod seeds;
