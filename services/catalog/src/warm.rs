//! What this process learns at its start and while it runs: ids for the filter, and what shoppers will ask for first.

use std::{sync::Arc, time::Duration};

use contracts::catalog::{ListProducts, ProductId};
use kernel::Result;
use tokio_util::sync::CancellationToken;

use crate::{service::CatalogService, store::listing};

/// Ids read at a time.
const PAGE: u64 = 10_000;
/// How often to look for products that other processes made.
const EVERY: Duration = Duration::from_secs(10);
/// Ids minted by another process's clock, or committed late, are younger than they seem.
const OVERLAP: Duration = Duration::from_secs(60);

impl CatalogService {
    /// Another process, or this one, changed a product.
    pub(crate) async fn learn(&self, id: ProductId) {
        self.filter.insert(&id);
        self.known.invalidate(&id).await;
        self.documents.invalidate(&id).await;
    }

    /// Fills the filter of ids, warms the caches, then follows what is new until `stopping`.
    pub(crate) async fn keep_up(self: Arc<Self>, stopping: CancellationToken) -> Result<()> {
        self.warm().await?;
        let mut room = self.fill_filter().await?;
        let mut since = self.db.now();
        loop {
            tokio::select! {
                () = stopping.cancelled() => return Ok(()),
                () = tokio::time::sleep(EVERY) => {}
            }
            let now = self.db.now();
            match self.follow(since.minus(OVERLAP)).await {
                Ok(new) if new < room => {
                    since = now;
                    room -= new;
                }
                // Fuller than it was made for: it would be wrong too often.
                Ok(_) => room = self.fill_filter().await?,
                Err(failure) => tracing::warn!(?failure, "new products are not known to the filter yet"),
            }
        }
    }

    /// Loads what the first page of the shop shows.
    async fn warm(&self) -> Result<()> {
        self.product_counts().await?;
        self.list(ListProducts { limit: Some(100), ..ListProducts::default() }).await.map(|_| ())
    }

    /// Reads every id; returns how many more have room.
    async fn fill_filter(&self) -> Result<usize> {
        let existing = usize::try_from(listing::count(self.db.read()).await?).unwrap_or(usize::MAX / 4);
        let room = existing.max(100_000);
        let rebuild = self.filter.rebuild(existing + room);
        let mut after = None;
        loop {
            let ids = listing::scan(self.db.read(), after, PAGE).await?;
            for id in &ids {
                rebuild.insert(id);
            }
            match ids.last() {
                Some(&last) => after = Some(last),
                None => break,
            }
        }
        rebuild.finish();
        Ok(room)
    }

    async fn follow(&self, since: kernel::Timestamp) -> Result<usize> {
        let mut after = listing::first_made(since);
        let mut new = 0;
        loop {
            let ids = listing::scan(self.db.read(), Some(after), PAGE).await?;
            for id in ids.iter().filter(|id| self.filter.is_absent(*id)) {
                self.filter.insert(id);
                new += 1;
            }
            match ids.last() {
                Some(&last) => after = last,
                None => return Ok(new),
            }
        }
    }
}
