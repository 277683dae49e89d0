//! Indexes again what is marked.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::Ordering,
    time::Duration,
};

use contracts::{
    Ctx,
    catalog::{BrandId, CategoryId, ListProducts, ProductId},
};
use kernel::{Failure, Result, Shard, code};
use metrics::{counter, gauge};
use platform_index::Change;

use crate::{
    model::{Kind, Priority, product_id},
    service::SearchService,
    store::{self, Dirty, Mark},
};

/// A round may take this long.
const ROUND: Duration = Duration::from_secs(60);
/// So long a product is waited for that is older than the event said; then what is there is indexed.
const PATIENCE: Duration = Duration::from_secs(60);

/// So long an event has to reach the caches of the products' owners.
const GRACE: Duration = Duration::from_millis(150);

/// What marks come to.
pub(crate) struct Resolved {
    pub(crate) changes: Vec<Change>,
    /// Marks that are done with once the changes are applied.
    pub(crate) done: Vec<Dirty>,
}

impl SearchService {
    /// The context of work that nobody waits for.
    pub(crate) fn own_ctx(&self, name: &str) -> Ctx {
        Ctx::system(name, self.db.now().plus(ROUND))
    }

    /// Works on one batch of marks; how many there were. `server.unavailable` in a process that may not write the index.
    pub(crate) async fn refresh_once(&self) -> Result<usize> {
        let _turn = self.refreshing.lock().await;
        let rows = store::due(&self.db, &self.region, u64::from(self.config.batch)).await?;
        self.tell_lag(&rows);
        if rows.is_empty() {
            return Ok(0);
        }
        if !self.may_write().await? {
            return Err(Failure::new(code::UNAVAILABLE).detail("another process writes the search index"));
        }
        // The first build: nothing answers yet that could be kept up to date, and marks wait for what will.
        if self.building.load(Ordering::SeqCst) && self.index.count().await? == 0 {
            return Ok(0);
        }
        let ctx = self.own_ctx("search-refresh");
        let (rows, products) = self.with_their_products(&ctx, rows).await?;
        self.let_caches_hear(&rows).await;
        let resolved = self.resolve(&ctx, &rows, products).await?;
        counter!("search_indexed_total").increment(resolved.changes.len() as u64);
        if !resolved.changes.is_empty() {
            self.index.apply(resolved.changes).await?;
        }
        if self.building.load(Ordering::SeqCst) {
            store::park(&self.db, &resolved.done).await?;
        } else {
            store::settle(&self.db, &resolved.done).await?;
        }
        // Those that wait for a newer version are still there: they are not progress.
        Ok(resolved.done.len())
    }

    /// Adds the marks of the products that marked SKUs belong to: one reading settles both. An import marks every product and
    /// its SKUs at once; without this it would be indexed twice.
    async fn with_their_products(
        &self,
        ctx: &Ctx,
        mut rows: Vec<Dirty>,
    ) -> Result<(Vec<Dirty>, HashSet<ProductId>)> {
        let products = self.products_of(ctx, &rows).await?;
        let known: HashSet<uuid::Uuid> = rows.iter().map(|row| row.id).collect();
        let others: Vec<ProductId> =
            products.iter().copied().filter(|id| !known.contains(&id.uuid())).collect();
        rows.extend(store::due_of(&self.db, &self.region, &others).await?);
        Ok((rows, products))
    }

    /// Prices, categories and brands are read through their owners' caches, which hear of a change by the same events as we do.
    /// Stock is not cached; a full batch is old enough; and a command has caches of its own that are empty.
    async fn let_caches_hear(&self, rows: &[Dirty]) {
        let cached = rows.iter().any(|row| row.priority != Priority::Stock.number());
        let full = rows.len() >= usize::try_from(self.config.batch).unwrap_or(usize::MAX);
        if cached && !full && self.tasks.get().is_some() {
            tokio::time::sleep(GRACE).await;
        }
    }

    /// Reads what marked products, and these of marked SKUs, are now.
    pub(crate) async fn resolve(
        &self,
        ctx: &Ctx,
        rows: &[Dirty],
        of_skus: HashSet<ProductId>,
    ) -> Result<Resolved> {
        for row in of_kind(rows, Kind::Category) {
            let category = CategoryId::from_uuid(row.id);
            let query = ListProducts { category: Some(category.to_string()), ..ListProducts::default() };
            self.mark_all_of(ctx, category.shard(), query).await?;
        }
        for row in of_kind(rows, Kind::Brand) {
            let brand = BrandId::from_uuid(row.id);
            let query = ListProducts { brand: Some(brand.to_string()), ..ListProducts::default() };
            self.mark_all_of(ctx, brand.shard(), query).await?;
        }
        let mut wanted: HashMap<ProductId, i64> = of_skus.into_iter().map(|product| (product, 0)).collect();
        for row in of_kind(rows, Kind::Product) {
            wanted.insert(product_id(row.id), row.version);
        }
        let (changes, behind) = self.changes(ctx, &wanted).await?;
        let waiting = self.still_waiting(rows, &behind);
        let done = rows.iter().filter(|row| !waiting.contains(&row.id)).cloned().collect();
        Ok(Resolved { changes, done })
    }

    /// Marks every product below a category or of a brand: what that is called, and where a category stands, is part of their
    /// documents.
    async fn mark_all_of(&self, ctx: &Ctx, shard: Shard, query: ListProducts) -> Result<()> {
        let mut query = ListProducts { limit: Some(kernel::MAX_LIMIT), ..query };
        loop {
            let (products, next) = self.page_of(ctx, query.clone()).await?;
            let marks = products.into_iter().map(|id| Mark::new(id, Kind::Product, Priority::Bulk)).collect();
            store::mark(&self.db, &self.region, shard, marks).await?;
            if next.is_none() {
                return Ok(());
            }
            query.cursor = next;
        }
    }

    /// Marks of products that are older than their event said: a cache between has not heard of it yet.
    fn still_waiting(&self, rows: &[Dirty], behind: &HashSet<ProductId>) -> HashSet<uuid::Uuid> {
        let latest = self.db.now().minus(PATIENCE).micros();
        rows.iter()
            .filter(|row| row.marked_at > latest && behind.contains(&product_id(row.id)))
            .map(|row| row.id)
            .collect()
    }

    fn tell_lag(&self, rows: &[Dirty]) {
        let oldest = rows.iter().map(|row| row.marked_at).min();
        let lag = oldest.map_or(Duration::ZERO, |at| self.db.now().since(kernel::Timestamp::from_micros(at)));
        gauge!("search_lag_seconds").set(lag.as_secs_f64());
    }
}

/// The rows of a kind.
pub(crate) fn of_kind(rows: &[Dirty], kind: Kind) -> impl Iterator<Item = &Dirty> {
    rows.iter().filter(move |row| Kind::of(row.kind) == kind)
}
