//! Inventory: warehouses, stock, reservations, the ledger of movements.
//!
//! Invariants:
//! - On hand = available + reserved + unavailable, in every bucket, and none of them is ever below zero: decided in
//!   memory over rows read for writing, guarded by the row's version when written, checked by the table at last.
//! - A reservation takes all lines or none. "Out of stock" is said only after every bucket was read in the transaction.
//! - A hold moves on by one pure function; what has ended stays ended. The same id asked for again is the same hold.
//! - Every change of a bucket has a line in the ledger, in the same transaction: the ledger adds up to the stock, and live
//!   holds to what is reserved ([`InventoryService::reconcile`]).
//! - A hold that nobody confirms or releases ends by itself: a crash of its caller frees the stock. Until the job has taken
//!   it back its stock is still set aside, so a confirmation that is only a little late succeeds.
//!
//! Requests about holds go through one gatherer a process, which decides groups of them in one transaction each. With a Redis,
//! buyers of what is surely gone are turned away before that (`inventory.admission`).
//!
//! Events go to the shard of their SKU, in order. They say what was true when they were written: whoever needs to know what
//! is true now asks [`Inventory::availability`].
//!
//! Tables: `warehouse`, `stock_bucket`, `stock_level`, `hold`, `hold_line`, `stock_movement`.
//! Events out: `inventory.availability_changed.v1` (a SKU came into stock or went out of it),
//! `inventory.stock_low.v1` (it fell to its safety stock); none in. Job: `inventory.expire`. Check:
//! `audit.stock`.

mod adjust;
mod admission;
mod audit;
mod config;
mod desk;
mod expire;
mod forget_skus;
mod gatherer;
mod http;
mod model;
mod service;
mod stock;
mod store;
mod warehouses;

use std::sync::Arc;

use contracts::inventory::{Inventory, InventoryDispatcher};
use platform_runtime::{Check, Job, Module};

pub use audit::Reconciliation;
pub use config::InventoryConfig;
pub use service::InventoryService;

/// The module `inventory`: routes, contract, and the job that takes stock back from holds whose time has run out.
pub fn module(service: Arc<InventoryService>) -> Module {
    let inventory: Arc<dyn Inventory> = Arc::clone(&service) as Arc<dyn Inventory>;
    let every = service.config.expire_every;
    let audited = Arc::clone(&service);
    let turn = Arc::new(audit::Turn::default());
    let check = Check::new("audit.stock", move |scope| Arc::clone(&audited).audit(scope, Arc::clone(&turn)));
    let expire = Job::every("inventory.expire", every, move |run| {
        let service = Arc::clone(&service);
        async move { Ok(format!("{} expired", service.expire_due(|| run.stopping()).await?)) }
    });
    Module::new("inventory")
        .check(check)
        .routes(http::routes(Arc::clone(&inventory)))
        .dispatch(Arc::new(InventoryDispatcher(inventory)))
        .job(expire)
}
