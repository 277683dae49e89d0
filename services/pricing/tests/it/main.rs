//! The pricing service on a real SQLite file, with a catalog that knows a few SKUs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a fixture that cannot be made fails its test")]

mod fixture;
mod prices;
mod quotes;
