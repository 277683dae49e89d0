//! Pricing: list and sale prices by currency and time, tax, shipping rates, signed quotes.
//!
//! Invariants:
//! - The past is never rewritten: a price is set from now on or later, and only ends that lie ahead move. So the history,
//!   and the lowest price of the thirty days before a reduction, are what shoppers saw.
//! - What one pays is decided when it is read, from all prices that are and will be: a window opens and closes on time,
//!   cached or not.
//! - The same price set again changes nothing.
//! - A quote adds up: `total = subtotal - discount + shipping + tax`; where a market's prices include tax, the tax is
//!   contained in the total and only told. Tax is rounded half up a line. Every rule and rounding step is in its explanation.
//! - Money is checked for overflow everywhere.
//! - A quote is signed bytes, no row: whoever has the key can check it.
//!
//! Tables: `price`, `price_boundary`. Events out: `pricing.price_changed.v1`, on the SKU's shard; in: the same
//! (`pricing.forget`), for this process's cache. Job: `pricing.windows`.

mod compute;
mod config;
mod consumers;
mod forget_skus;
mod http;
mod market;
mod model;
mod prices;
mod quote;
mod seal;
mod service;
mod set_prices;
mod store;
mod tables;
mod windows;

use std::sync::Arc;

use contracts::pricing::{Pricing, PricingDispatcher};
use platform_runtime::{Job, Module};

pub use config::{MarketConfig, PricingConfig, RegionConfig};
pub use consumers::Forget;
pub use service::{PRICES, PricingService};

/// The module `pricing`: routes, contract, the cache's consumer, and the job that announces windows.
pub fn module(service: Arc<PricingService>) -> Module {
    let pricing: Arc<dyn Pricing> = Arc::clone(&service) as Arc<dyn Pricing>;
    let announcing = Arc::clone(&service);
    let windows = Job::every("pricing.windows", service.config.windows_every, move |run| {
        let service = Arc::clone(&announcing);
        async move { Ok(format!("{} SKUs announced", service.announce_windows(|| run.stopping()).await?)) }
    });
    Module::new("pricing")
        .needs(["catalog"])
        .routes(http::routes(Arc::clone(&pricing)))
        .dispatch(Arc::new(PricingDispatcher(pricing)))
        .consumer(Arc::new(consumers::Forget(service)))
        .job(windows)
}
