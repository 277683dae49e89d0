//! Events from the log to their consumers: retry with backoff, dead letters, replay.
//!
//! The port is [`Bus`] with its [`Consumer`]s; the embedded adapter is [`EmbeddedBus`], which follows `event_log`.
//!
//! - Delivery is at least once. A consumer's effect is one write whose closure first asks [`platform_db::Tx::first_time`],
//!   so an event that comes again has no second effect.
//! - Events of one aggregate come in order: while one of them is parked for a retry, the later ones wait behind it. Events
//!   of other aggregates never wait for it.
//! - An event that keeps failing becomes a dead letter, which stays readable and can be replayed.
//! - Leases keep two processes from doing the same work; nothing is safe because of them.
//!
//! Tables: `subscription_cursor`, `retry`; prunes `event_log` and `inbox`.

mod config;
mod deliver;
mod embedded;
mod port;
mod prune;
mod retry;
mod sequence;
mod store;
mod subscription;
mod tail;
mod turn;
mod watch;

pub use config::BusConfig;
pub use embedded::EmbeddedBus;
pub use port::{Bus, Consumer, DeadLetter, Pruned, Selection};
