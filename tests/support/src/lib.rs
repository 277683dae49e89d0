//! The test platform: a [`Shop`] is the real binary on a folder of its own, all-in-one or split into three process
//! groups; a [`Client`] speaks its API; [`Shop::finish`] fails on anything left over.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::missing_errors_doc,
    reason = "a program outside the shop: it has no platform to take time, tasks and randomness from"
)]

mod client;
mod database;
mod leftovers;
mod process;
mod shop;

pub use client::{Answer, Client};
pub use leftovers::Leftovers;
pub use process::binary;
pub use shop::{Shape, Shop, ShopBuilder};
