//! Load and proofs against the real binary. Each scenario takes its size, so that CI runs it small and
//! `cargo xtask prove` at full size; each returns figures, and fails when the shop broke a promise.

pub mod buyers;
pub mod crash;
pub mod load;

mod catalog;
mod connection;
mod proof;

pub use proof::Proof;
