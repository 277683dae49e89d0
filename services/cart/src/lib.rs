//! Carts of guests and members.
//!
//! Invariants:
//! - A member has one cart; its id follows from the user's, so two first requests at once make one cart.
//! - A guest's cart is opened by a token and nothing else. The database keeps the hash of the token's secret only.
//! - Every change of lines goes through the cart's row, so none is lost between two requests.
//! - Merging on login moves lines in one transaction: nothing is lost and nothing counted twice.
//! - What a cart costs does not grow with its lines: one question to the catalog, one to pricing, one to inventory. Reading
//!   a cart whose prices the shopper has seen writes nothing.
//!
//! Tables: `cart`, `cart_line`. Events in: `order.placed.v1` (`cart.ordered`). Job: `cart.prune`.

use std::sync::Arc;

use contracts::cart::{Carts, CartsDispatcher};
use platform_runtime::{Job, Module};

mod config;
mod consumers;
mod http;
mod merge;
mod model;
mod prune;
mod put;
mod service;
mod store;
#[cfg(test)]
mod tests;
mod token;
mod view;

pub use config::CartConfig;
pub use service::CartService;

/// The module `cart`: routes, contract, the consumer that empties carts that were ordered, and the job that prunes.
pub fn module(service: Arc<CartService>) -> Module {
    let carts: Arc<dyn Carts> = Arc::clone(&service) as Arc<dyn Carts>;
    let pruning = Arc::clone(&service);
    let prune = Job::every("cart.prune", service.config.prune_every, move |run| {
        let service = Arc::clone(&pruning);
        async move { Ok(format!("{} guests' carts deleted", service.prune(&run).await?)) }
    });
    Module::new("cart")
        .needs(["catalog", "pricing", "inventory"])
        .routes(http::routes(Arc::clone(&carts)))
        .dispatch(Arc::new(CartsDispatcher(carts)))
        .consumer(Arc::new(consumers::Ordered(service)))
        .job(prune)
}
