//! Orders: quote, place, pay, settle, cancel, expire.
//!
//! Invariants:
//! - A request to place has one effect: ids follow from the caller and the key, and the answer is written with the order.
//! - Nothing a client says about money counts: prices, tax, shipping and totals are computed here and now, and checked once
//!   more by [`Order::draft`](model) before we bind ourselves to them.
//! - Every change of an order is a pure move to its next version, saved under the guard that the order still is the one the
//!   move was made from, with its line of history and its event in the same transaction.
//! - An order is paid when its stock is deducted and its money is captured; where only one of the two can be had, the other
//!   goes back by itself.
//! - Stock is held a little longer than an order waits for its payment. A crash between the two leaves a hold that ends by
//!   itself.
//!
//! Tables: `orders`, `order_taken`, `order_line`, `order_history`, `order_number`.
//! Events out: `order.placed.v1`, `order.paid.v1`, `order.cancelled.v1`. Events in: `payment.captured.v1`,
//! `payment.conflicted.v1`, `payment.refunded.v1` (`order.settle`), `order.cancelled.v1` (`order.unwind`).
//! Job: `order.expire`. Checks: `audit.orders`, `audit.requests`.

use std::sync::Arc;

use contracts::order::{Orders, OrdersDispatcher};
use platform_runtime::{Check, Job, Module};

mod acknowledged;
mod audit;
mod cancel;
mod config;
mod consumers;
mod demand;
mod expire;
mod http;
mod list;
mod model;
mod moves;
mod number;
mod pay;
mod place;
mod promise;
mod quote;
mod service;
mod settle;
mod states;
mod store;
mod take_in;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod unwind;

pub use config::OrderConfig;
pub use service::OrderService;

/// The module `order`: routes, contract, consumers, and the job that expires orders.
pub fn module(service: Arc<OrderService>) -> Module {
    let orders: Arc<dyn Orders> = Arc::clone(&service) as Arc<dyn Orders>;
    let expiring = Arc::clone(&service);
    let expire = Job::every("order.expire", service.config.expire_every, move |run| {
        let service = Arc::clone(&expiring);
        async move { Ok(format!("{} expired", service.expire_all(&run).await?)) }
    });
    let audited = Arc::clone(&service);
    let check = Check::new("audit.orders", move |scope| Arc::clone(&audited).audit(scope));
    Module::new("order")
        .check(check)
        .check(acknowledged::check(&service))
        .needs(["account", "cart", "pricing", "inventory", "payment"])
        .routes(http::routes(Arc::clone(&orders), Arc::clone(&service.payments)))
        .dispatch(Arc::new(OrdersDispatcher(orders)))
        .consumer(Arc::new(consumers::Settle(Arc::clone(&service))))
        .consumer(Arc::new(consumers::Unwind(Arc::clone(&service))))
        .job(expire)
}
