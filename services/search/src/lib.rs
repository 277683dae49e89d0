//! Search: an index of sold products, fed by events.
//!
//! Invariants:
//! - Events only mark what they are about (`search_mark`); a refresher reads marked products from their owners in batches and
//!   indexes them again, at most twice a second however many events come. A mark is settled only when the index has the change on
//!   disk, and only at the value it was read with: an event that comes meanwhile is not lost.
//! - Results lag behind the database by about a second, two at most while nothing else is wrong; stock and prices go first,
//!   so a bulk import does not delay them. `search_lag_seconds` says how far behind the index is.
//! - A rebuild reads everything into a new generation while the old one answers and is kept up to date. What changes meanwhile stays
//!   marked and is applied to the new one before the swap.
//! - One process writes the index (the lock of its folder, or a lease); a rebuild or repair asked for elsewhere is handed over by the database.
//! - Results end after 10,000: nobody reads on, and deep pages cost.
//!
//! Prices are kept in every currency a product is sold in, and compared in the one the search names.
//!
//! Engines (`search.engine`): tantivy in this process, or a Meilisearch server. On a server any process could write, so the
//! one that may is told by a lease; whoever loses it while it stands still finds its marks gone and makes them again.
//!
//! In a shop of several regions each has an index of its own, with its own marks, its own writer and its own checks.
//!
//! Tables: `search_mark`, `search_sales`, `search_term`, `search_rebuild`.
//! Events in: `catalog.product_changed.v1`, `catalog.category_changed.v1`, `pricing.price_changed.v1`,
//! `inventory.availability_changed.v1`, `order.paid.v1`; none out. Jobs: `search.check`, `search.prune`.

mod check;
mod config;
mod consumers;
mod drain;
mod hot_words;
mod http;
mod load;
mod model;
mod place;
mod query;
mod rebuild;
mod refresh;
mod run;
mod service;
mod store;
mod suggest;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use contracts::search::{CheckIndex, Search, SearchDispatcher};
use platform_runtime::{Job, Module};

pub use config::{Engine, MeilisearchConfig, SearchConfig};
pub use service::SearchService;

/// The module `search`: routes, contract, consumers, the refresher, and the jobs that check the index and forget old words.
pub fn module(service: Arc<SearchService>) -> Module {
    let search: Arc<dyn Search> = Arc::clone(&service) as Arc<dyn Search>;
    let (checking, pruning) = (Arc::clone(&service), Arc::clone(&service));
    let check = Job::every("search.check", service.config.check_every, move |run| {
        let service = Arc::clone(&checking);
        async move {
            let report = service.check(&run.ctx(), CheckIndex { repair: true }).await?;
            Ok(format!(
                "{} sold, {} missing, {} extra, {} stale, {} repaired",
                report.expected, report.missing, report.extra, report.stale, report.repaired
            ))
        }
    })
    .in_each_region()
    .timeout(Duration::from_secs(3600));
    let prune = Job::every("search.prune", Duration::from_secs(3600), move |_| {
        let service = Arc::clone(&pruning);
        async move { Ok(format!("{} forgotten", service.prune().await?)) }
    });
    let (starting, stopping, waited_for, probed) =
        (Arc::clone(&service), Arc::clone(&service), Arc::clone(&service), service);
    // A process waits for its first index; one that loses it later sells on.
    let seen = Arc::new(AtomicBool::new(false));
    Module::new("search")
        .needs(["catalog", "pricing", "inventory"])
        .routes(http::routes(Arc::clone(&search)))
        .dispatch(Arc::new(SearchDispatcher(search)))
        .consumer(Arc::new(consumers::Mark(Arc::clone(&starting))))
        .consumer(Arc::new(consumers::CountSales(Arc::clone(&starting))))
        .job(check)
        .job(prune)
        .on_start(move |tasks| async move { starting.start(&tasks).await })
        .on_stop(move |_| async move { stopping.stop().await })
        .ready("search index", move || {
            let (service, seen) = (Arc::clone(&waited_for), Arc::clone(&seen));
            async move {
                if !seen.load(Ordering::Relaxed) {
                    service.index.count().await?;
                    seen.store(true, Ordering::Relaxed);
                }
                Ok(())
            }
        })
        .degraded("search", move || {
            let service = Arc::clone(&probed);
            async move { service.index.count().await.map(|_| ()) }
        })
}
