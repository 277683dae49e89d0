//! The catalog: category tree, brands, products (SPU) with their variants (SKU), images, publishing.
//!
//! Invariants:
//! - The tree has no cycles and no orphans; every change of it writes one row, so that two never decide on the same tree.
//! - A slug and a SKU's code belong to one product and one SKU over all shards: tables of their own decide. A slug that a
//!   product had before still finds it.
//! - A SKU keeps its id as long as its option values or its code stay; one that is not wanted any more is retired, never
//!   removed, because carts and orders name it.
//! - Only published products on the shelf are sold. State changes are guarded by the product's version.
//! - A product has its attributes in the form that its category's attribute sets ask for, as they were when it was saved; one
//!   that is published had all that are required.
//! - Descriptions are sanitised and text is normalised on its way in.
//! - What an import said last is remembered by hash: the same again changes nothing.
//! - A product always has an image: one that was uploaded, fetched (never from a private address), or drawn.
//!
//! Reads come from caches, which its own writes invalidate at once; other processes' changes show at once where there is a
//! Redis, else after `catalog.cache_ttl` at the latest. The public JSON of a product, with price and stock, is at most `catalog.page_ttl` old.
//!
//! Tables: `category`, `category_tree`, `attribute_set`, `category_attribute_set`, `brand`, `product`, `product_taken`, `sku`, `sku_code`, `product_slug`, `product_image`.
//! Events out: `catalog.product_changed.v1`, `catalog.category_changed.v1`; in: the same, from other processes.
//! Job: `catalog.fetch_images`.

mod arrange_attributes;
mod arrange_categories;
mod attributes;
mod brands;
mod config;
mod consumers;
mod draft;
mod fetch;
mod fetch_images;
mod http;
mod import_categories;
mod import_products;
mod media;
mod model;
mod move_product;
mod naming;
mod placeholder;
mod plan;
mod read_products;
mod sanitise;
mod service;
mod settle_imported;
mod store;
mod take_in;
#[cfg(test)]
mod tests;
mod tree;
mod warm;
mod write_product;

use std::sync::Arc;

use contracts::{
    catalog::{Catalog, CatalogDispatcher},
    inventory::Inventory,
    pricing::Pricing,
};
use platform_runtime::{Job, Module};

pub use config::{CatalogConfig, ImagesConfig};
pub use media::MediaStore;
pub use service::CatalogService;

/// The module `catalog`. Prices and stock are read for the public product routes only; wherever they are, they are asked
/// when a request comes, so the module needs neither of them to start.
pub fn module(
    service: Arc<CatalogService>,
    pricing: Arc<dyn Pricing>,
    inventory: Arc<dyn Inventory>,
) -> Module {
    let images = service.config.images.clone();
    let warm = Arc::clone(&service);
    let module = Module::new("catalog")
        .routes(http::routes(Arc::clone(&service), pricing, inventory))
        .dispatch(Arc::new(CatalogDispatcher(Arc::clone(&service) as Arc<dyn Catalog>)))
        .consumer(Arc::new(consumers::Forget(Arc::clone(&service))))
        .on_start(move |tasks| async move {
            let stopping = tasks.token();
            tasks.spawn("catalog.keep_up", async move {
                if let Err(failure) = warm.keep_up(stopping).await {
                    tracing::warn!(?failure, "the catalog's caches stay cold");
                }
            });
            Ok(())
        });
    if !images.fetch {
        return module;
    }
    module.job(Job::every("catalog.fetch_images", images.every, move |run| {
        let service = Arc::clone(&service);
        async move { service.fetch_images(|| run.stopping()).await }
    }))
}
