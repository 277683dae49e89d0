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
//! In a shop of several regions each SKU's stock is divided over them: a region sells its own part, reading no other's row, and
//! when that is too little for a request it reads every region's under lock and borrows. Whatever the parts are, the last unit
//! can be bought from any region, and there is no more than one decision about it. A region whose part is used up says so, and
//! stock is divided anew where the SKU's shard is at home; a job does the same for what lies in a region that is out.
//!
//! Events go to the shard of their SKU, in order. They say what was true when they were written: whoever needs to know what
//! is true now asks [`Inventory::availability`].
//!
//! Tables: `warehouse`, `stock_bucket`, `stock_level`, `hold`, `hold_line`, `stock_movement`.
//! Events out: `inventory.availability_changed.v1` (a SKU came into stock or went out of it),
//! `inventory.stock_low.v1` (it fell to its safety stock), `inventory.quota_short.v1` (a region's part is used up), which is
//! the only one in. Jobs: `inventory.expire`, `inventory.rebalance` in each region. Check: `audit.stock`.

mod adjust;
mod admission;
mod audit;
mod config;
mod consumers;
mod desk;
mod division;
mod expire;
mod forget_skus;
mod gatherer;
mod group;
mod http;
mod known_skus;
mod model;
mod rebalance;
mod service;
mod stock;
mod store;
mod turn;
mod warehouses;

use std::sync::Arc;

use contracts::{
    catalog::Catalog,
    inventory::{Inventory, InventoryDispatcher},
};
use platform_runtime::{Check, Job, Module};

pub use audit::Reconciliation;
pub use config::InventoryConfig;
pub use service::InventoryService;

/// The module `inventory`: routes, contract, and the job that takes stock back from holds whose time has run out. The catalog
/// is asked by the routes only, when staff name a SKU, so the module does not need it to start.
pub fn module(service: Arc<InventoryService>, catalog: Arc<dyn Catalog>) -> Module {
    let inventory: Arc<dyn Inventory> = Arc::clone(&service) as Arc<dyn Inventory>;
    let every = service.config.expire_every;
    let known = known_skus::KnownSkus { catalog, db: service.db.clone() };
    let (audited, rebalancing) = (Arc::clone(&service), Arc::clone(&service));
    let divided = service.desk.regions.me().is_some();
    let turn = Arc::new(turn::Turn::default());
    let check = Check::new("audit.stock", move |scope| Arc::clone(&audited).audit(scope, Arc::clone(&turn)));
    let expire = Job::every("inventory.expire", every, move |run| {
        let service = Arc::clone(&service);
        async move { Ok(format!("{} expired", service.expire_due(|| run.stopping()).await?)) }
    });
    let module = Module::new("inventory")
        .check(check)
        .routes(http::routes(Arc::clone(&inventory), known))
        .dispatch(Arc::new(InventoryDispatcher(inventory)))
        .job(expire);
    if divided { rebalanced(module, rebalancing) } else { module }
}

/// Keeps stock where it is bought.
fn rebalanced(module: Module, service: Arc<InventoryService>) -> Module {
    let (every, turn) = (service.config.rebalance_every, Arc::new(turn::Turn::default()));
    let quotas = consumers::Quotas(Arc::clone(&service));
    let job = Job::every("inventory.rebalance", every, move |run| {
        let (service, turn) = (Arc::clone(&service), Arc::clone(&turn));
        async move { Ok(format!("{} units moved", service.rebalance_next(&turn, || run.stopping()).await?)) }
    });
    module.consumer(Arc::new(quotas)).job(job.in_each_region())
}
