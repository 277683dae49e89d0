//! The inventory service on a real SQLite file.

mod contention;
mod fixture;
mod holds;
mod invariants;
mod stock;
