//! Imports of products and categories from files.
//!
//! Products come as Shopify product CSV, categories as a JSON list; `product` and `categories` say how a row is read. A row with
//! something wrong is reported with its line, its column and the reason, and everything else is in.
//!
//! Invariants:
//! - Importing a file again changes nothing: the catalog compares, the same price is no new price, stock is set once.
//! - An import goes on after a crash where it stood. A batch may be taken in twice, then the second time as unchanged; two
//!   processes never count one batch twice (`position` is a guard).
//! - A reduced price is shown only where it is one: a price before that is not above the price is dropped.
//! - Negative and missing quantities are none; a variant without a price is not in.
//!
//! Tables: `import`, `import_chunk`, `import_error`. Events: none of its own. Job: `import.work`.

mod categories;
mod cells;
mod columns;
mod config;
mod handle;
mod http;
mod product;
mod products;
mod report;
mod rows;
mod service;
mod source;
mod start;
mod store;
mod take_in;
mod work;

use std::{sync::Arc, time::Duration};

use contracts::import::{Imports, ImportsDispatcher};
use platform_runtime::{Job, Module};

pub use config::ImportConfig;
pub use service::ImportService;

/// The module `import`.
pub fn module(service: Arc<ImportService>) -> Module {
    let worker = Arc::clone(&service);
    let job = Job::every("import.work", service.config.every, move |run| {
        let service = Arc::clone(&worker);
        async move { service.work(|| run.stopping()).await }
    });
    Module::new("import")
        .needs(["catalog", "pricing", "inventory"])
        .routes(http::routes(Arc::clone(&service)))
        .dispatch(Arc::new(ImportsDispatcher(Arc::clone(&service) as Arc<dyn Imports>)))
        .job(job.timeout(Duration::from_secs(3_600)))
}
