//! Load and proofs against the real binary. Each scenario takes its size, so that CI runs it small and
//! `cargo xtask prove` at full size; each returns figures, and fails when the shop broke a promise.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::missing_errors_doc,
    reason = "a program outside the shop: it has no platform to take time, tasks and randomness from"
)]

pub mod buyers;
pub mod crash;
pub mod faults;
pub mod load;
pub mod real;
pub mod regions;

mod audit;
mod catalog;
mod clients;
mod connection;
mod history;
mod holds;
mod proof;
mod readiness;
mod servers;
mod traffic;

pub use proof::Proof;
pub use servers::Servers;

/// A failure with its cause: outside the shop nobody else sees it.
fn told(failure: kernel::Failure) -> anyhow::Error {
    anyhow::anyhow!("{failure:?}")
}
