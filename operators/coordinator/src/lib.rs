//! Runs the protocol of [`placement`] over a [`Journal`].
//!
//! - [`Journal`] is the port to storage: every change is one compare-and-set, every read is of one moment. [`testing`] has
//!   the suite that every implementation passes.
//! - [`Store`] says what a journal means: a value and pure functions. [`MemoryJournal`] keeps one behind a lock, with
//!   whatever clock it is given; tests and simulations give it a fake one. [`DatabaseJournal`] keeps one in tables.
//! - [`Coordinator`] looks and acts. It remembers nothing between two ticks: after a crash at any step another one goes on,
//!   and two at once only lose compare-and-sets to each other. Being elected saves work; nothing is safe because of it.
//! - [`Leaders`] lets the database's own placement (TiDB's policies) follow the map.
//! - [`Agent`] is what every process of a region runs: it follows the journal, holds leases, coordinates, observes.

mod agent;
mod audit;
mod config;
mod coordinator;
mod database;
mod journal;
mod leaders;
mod memory;
mod store;
pub mod testing;

pub use agent::{Agent, Snapshot, SnapshotError};
pub use audit::{Broken, journalled, renewed, served, standing};
pub use config::RegionConfig;
pub use coordinator::{Coordinator, Deed, Intent};
pub use database::DatabaseJournal;
pub use journal::{Applied, Journal, JournalError, Result, Scene};
pub use leaders::{Change, Leaders};
pub use memory::MemoryJournal;
pub use store::Store;
