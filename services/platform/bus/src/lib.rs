//! Events from the log to their consumers: retry with backoff, dead letters, replay.
//!
//! The port is [`Bus`] with its [`Consumer`]s; [`open`] makes the one that the configuration names. The embedded adapter is
//! [`EmbeddedBus`], which follows `event_log`; `PulsarBus` (cargo feature `pulsar`) relays the log to a broker by position
//! and takes the events from there.
//!
//! - Delivery is at least once. A consumer's effect is one write whose closure first asks [`platform_db::Tx::first_time`],
//!   so an event that comes again has no second effect.
//! - Events of one aggregate come in order: while one of them is parked for a retry, the later ones wait behind it. Events
//!   of other aggregates never wait for it.
//! - An event that keeps failing becomes a dead letter, which stays readable and can be replayed.
//! - In a shop of several regions each works on the shards whose work lease it holds ([`platform_regions::Regions`]); with a
//!   broker that goes for sequencing, relaying and retries, and the broker shares the events among the processes of all
//!   regions. What every region needs for itself has [`Scope::Region`].
//! - Leases keep two processes from doing the same work; nothing is safe because of them.
//! - What is kept for a subscription that nobody takes any more is told by [`check`] and forgotten by [`forget`].
//!
//! Tables: `subscription_cursor`, `retry`; prunes `event_log` and `inbox`. An event that a broker kept for longer than the
//! log, and that fails, gets its row in the log again.

mod audit;
mod beat;
mod config;
mod deliver;
mod embedded;
mod lag;
mod leftover;
mod open;
mod port;
mod prune;
#[cfg(feature = "pulsar")]
mod pulsar;
mod regional;
mod retries;
mod retry;
mod sequence;
mod store;
mod subscription;
mod subscriptions;
mod tail;
mod turn;
mod watch;

pub use audit::{Ailment, examine};
pub use config::{BusConfig, BusEngine, Peer, PulsarConfig};
pub use embedded::EmbeddedBus;
pub use leftover::{Leftover, check, forget};
pub use open::{SetupStep, open, setup};
pub use port::{Bus, Consumer, DeadLetter, Pruned, Scope, Selection, Sharing, Subscribed};
#[cfg(feature = "pulsar")]
pub use pulsar::PulsarBus;
