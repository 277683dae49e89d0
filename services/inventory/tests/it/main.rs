//! The inventory service on a real SQLite file.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a fixture that cannot be made fails its test")]

mod admission;
mod contention;
mod fixture;
mod holds;
mod invariants;
mod quota_model;
mod quotas;
mod routes;
mod stock;
mod three;
