//! The test platform: a [`Shop`] is the real binary on a folder of its own, all-in-one or split into three process
//! groups; a [`Client`] speaks its API; [`Shop::finish`] fails on anything left over.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::missing_errors_doc,
    reason = "a program outside the shop: it has no platform to take time, tasks and randomness from"
)]

mod broker;
mod client;
mod database;
mod leftovers;
mod links;
mod meilisearch_stand_in;
mod parts;
mod process;
mod receiver;
mod redis;
mod shop;

pub use client::{Answer, Client};
pub use leftovers::{Leftovers, execute, number};
pub use links::{Cut, Links, Node};
pub use meilisearch_stand_in::MeilisearchStandIn;
pub use parts::Parts;
pub use process::binary;
pub use receiver::{Receiver, ToldLine, ToldSpan, lines_of, spans_of};
pub use shop::{REGIONS, Shape, Shop, ShopBuilder};

/// Whether this run is to try real servers: `cargo xtask test --real` says so by `MERIDIAN_TEST_PARTS=real`.
pub fn on_real_parts() -> bool {
    std::env::var("MERIDIAN_TEST_PARTS").is_ok_and(|parts| parts == "real")
}
