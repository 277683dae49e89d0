//! The bus on a real SQLite file; with the feature `pulsar` also on a real broker.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::cognitive_complexity, reason = "a test tells one story in order")]
#![allow(clippy::large_futures, reason = "the broker's client has them")]

#[cfg(feature = "pulsar")]
mod broker;
mod conformance;
mod embedded;
mod leftovers;
#[cfg(not(feature = "pulsar"))]
mod plain;
#[cfg(feature = "pulsar")]
mod pulsar;
mod regions;
mod stand;
