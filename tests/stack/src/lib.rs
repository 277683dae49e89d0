//! Real servers for tests and development, without a container engine: TiDB, Pulsar, Redis and an OpenTelemetry
//! collector.
//!
//! A [`Part`] has a pinned [`Recipe`]; [`build`] makes it once, into a cache outside `target/` keyed by everything that
//! went in. [`Tidb`], [`Pulsar`], [`Redis`], [`RedisCluster`] and [`Collector`] start it on free loopback ports and a
//! folder of its own, wait until it answers, and end it when they are dropped — or when the process that started it
//! dies, however it dies. [`Server`] is what they share: pause, resume, stop, kill, restart.
//!
//! Linux only: it reads `/proc`.

#![allow(
    clippy::disallowed_methods,
    clippy::missing_errors_doc,
    reason = "a program outside the shop: it has no platform to take time, tasks and configuration from"
)]

mod build;
mod cache;
mod certificates;
mod collector;
mod http;
mod ports;
mod process;
mod pulsar;
mod recipe;
mod redis;
mod server;
mod state;
mod tidb;
mod watchdog;

pub use build::{build, build_in};
pub use cache::{parts_folder, run_folder};
pub use certificates::Certificates;
pub use collector::{Collector, Signal};
pub use ports::{Ports, free_ports};
pub use process::Identity;
pub use pulsar::Pulsar;
pub use recipe::{Missing, Part, Recipe, Source};
pub use redis::{Redis, RedisCluster};
pub use server::{Place, Server};
pub use state::{Entry, State};
pub use tidb::Tidb;
pub use watchdog::Watchdog;
