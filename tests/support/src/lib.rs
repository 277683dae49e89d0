//! The test platform: a [`Shop`] is the real binary on a folder of its own, all-in-one or split into three process
//! groups; a [`Client`] speaks its API; [`Shop::finish`] fails on anything left over.

mod client;
mod leftovers;
mod process;
mod shop;

pub use client::{Answer, Client};
pub use leftovers::Leftovers;
pub use process::binary;
pub use shop::{Shape, Shop, ShopBuilder};
