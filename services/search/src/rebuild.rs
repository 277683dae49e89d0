//! Builds a new index from the database and swaps it in.

use std::{sync::atomic::Ordering, time::Duration};

use contracts::{
    Ctx, Permission,
    catalog::{ProductRecord, ScanProducts},
    search::{IndexReport, code as search_code},
};
use kernel::{Failure, Result, Timestamp, code};
use platform_index::{Change, IndexRebuild};
use uuid::Uuid;

use crate::{load::PRODUCTS, service::SearchService, store};

/// How often to look whether the process that writes the index is done.
const LOOK: Duration = Duration::from_millis(250);
/// With fewer changes left than this they are applied while the refresher waits.
const FEW: u64 = 500;
/// A rebuild may take this long.
const LONGEST: Duration = Duration::from_secs(6 * 3600);

impl SearchService {
    /// Builds the index anew and waits for it, here or in the process that writes it. When `ctx`'s time is up before, the
    /// work goes on and the answer is `server.timeout`.
    pub(crate) async fn rebuild_index(&self, ctx: &Ctx) -> Result<IndexReport> {
        ctx.require(Permission::OperationsWrite)?;
        if !self.may_write().await? {
            let id = store::request_rebuild(&self.db, &self.region).await?;
            return self.wait_for_rebuild(ctx, id).await;
        }
        let Some(service) = self.me.upgrade() else { return Err(Failure::new(code::UNAVAILABLE)) };
        let work = async move { service.rebuild_here().await };
        let Some(tasks) = self.tasks.get() else {
            // A command: nothing runs in the background.
            return work.await;
        };
        let (done, answer) = tokio::sync::oneshot::channel();
        tasks.spawn("search.rebuild", async move {
            let report = work.await;
            if let Err(failure) = &report {
                tracing::error!(?failure, "the search index was not rebuilt");
            }
            // Whoever asked may have gone.
            let _ = done.send(report);
        });
        let patience = ctx.deadline.since(self.db.now());
        match tokio::time::timeout(patience, answer).await {
            Ok(report) => report.map_err(Failure::internal)?,
            Err(_) => Err(Failure::new(code::TIMEOUT).detail("the rebuild goes on in the background")),
        }
    }

    async fn wait_for_rebuild(&self, ctx: &Ctx, id: Uuid) -> Result<IndexReport> {
        loop {
            if let Some(report) = store::rebuild_report(&self.db, id).await? {
                return serde_json::from_str(&report)
                    .map_err(|_| Failure::internal(format!("the rebuild failed: {report}")));
            }
            if self.db.now() >= ctx.deadline {
                return Err(Failure::new(code::TIMEOUT).detail(
                    "the process that writes the index has not finished; the rebuild stays requested",
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Does the rebuilds that other processes asked for.
    pub(crate) async fn rebuild_as_requested(&self) -> Result<()> {
        let open = store::open_rebuilds(&self.db, &self.region).await?;
        if open.is_empty() {
            return Ok(());
        }
        let report = match self.rebuild_here().await {
            Ok(report) => serde_json::to_string(&report).map_err(Failure::internal)?,
            // The one under way may have begun before they asked: theirs comes after it.
            Err(failure) if failure.is(search_code::REBUILDING) => return Ok(()),
            Err(failure) => failure.to_string().chars().take(2_000).collect(),
        };
        store::close_rebuilds(&self.db, open, report).await
    }

    /// Builds in this process, which writes the index. `search.rebuilding` while another build runs.
    pub(crate) async fn rebuild_here(&self) -> Result<IndexReport> {
        let Ok(_only) = self.rebuilding.try_lock() else { return Err(search_code::REBUILDING.into()) };
        let started = self.db.now();
        let ctx = Ctx::system("search-rebuild", started.plus(LONGEST));
        let building = self.index.rebuild().await?;
        {
            // What a batch under way has read is older than the scan; from the next batch on, marks stay.
            let _turn = self.refreshing.lock().await;
            self.building.store(true, Ordering::SeqCst);
        }
        let filled = self.fill_and_swap(&ctx, building).await;
        {
            let _turn = self.refreshing.lock().await;
            self.building.store(false, Ordering::SeqCst);
            // After a failure marks wait for an index that will not come; after success hardly any is left.
            store::unpark(&self.db, &self.region).await?;
        }
        self.wake.notify_one();
        let expected = filled?;
        let report = IndexReport { expected, indexed: self.index.count().await?, ..IndexReport::default() };
        tracing::info!(
            products = report.indexed,
            seconds = seconds(started, self.db.now()),
            "search index rebuilt"
        );
        Ok(report)
    }

    async fn fill_and_swap(&self, ctx: &Ctx, building: Box<dyn IndexRebuild>) -> Result<u64> {
        let mut expected = 0;
        let mut after = None;
        loop {
            let limit = u32::try_from(PRODUCTS).unwrap_or(u32::MAX);
            let records = self.catalog.scan_products(ctx, ScanProducts { after, limit }).await?;
            let Some(last) = records.last() else { break };
            after = Some(last.id);
            let sold: Vec<ProductRecord> = records.into_iter().filter(ProductRecord::is_sold).collect();
            let documents = self.documents(ctx, &sold).await?;
            expected += documents.len() as u64;
            building
                .apply(documents.into_iter().map(|document| Change::Upsert(Box::new(document))).collect())
                .await?;
        }
        // What changed meanwhile, in ever shorter rounds.
        let batch = u64::from(self.config.batch);
        while self.replay(ctx, &*building, batch).await? >= FEW {}
        // The rest while the refresher waits; then the swap. What is marked but not parked is applied to the new index after it.
        let _turn = self.refreshing.lock().await;
        while self.replay(ctx, &*building, batch).await? > 0 {}
        if !self.may_write().await? {
            return Err(
                Failure::new(code::UNAVAILABLE).detail("another process has begun to write the search index")
            );
        }
        building.finish().await?;
        self.building.store(false, Ordering::SeqCst);
        Ok(expected)
    }

    /// Applies a batch of parked marks to the new index; how many.
    async fn replay(&self, ctx: &Ctx, building: &dyn IndexRebuild, batch: u64) -> Result<u64> {
        let rows = store::parked(&self.db, &self.region, batch).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let products = self.products_of(ctx, &rows).await?;
        let resolved = self.resolve(ctx, &rows, products).await?;
        building.apply(resolved.changes).await?;
        // Those that wait for a newer version are due again after the swap.
        store::settle(&self.db, &resolved.done).await?;
        Ok(resolved.done.len() as u64)
    }

    /// Builds the index when it is empty and there is something to sell.
    pub(crate) async fn rebuild_if_empty(&self) -> Result<()> {
        if self.index.count().await? > 0 || !self.sells_anything().await? {
            return Ok(());
        }
        tracing::info!("the search index is empty: building it");
        match self.rebuild_here().await {
            Err(failure) if failure.is(search_code::REBUILDING) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn sells_anything(&self) -> Result<bool> {
        let ctx = self.own_ctx("search-start");
        let first = self.catalog.scan_products(&ctx, ScanProducts { after: None, limit: 1 }).await?;
        Ok(!first.is_empty())
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.since(from).as_secs_f64()
}
