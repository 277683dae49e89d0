//! Gives back what was taken in: the last first, so that nothing stays that names what is gone.

use std::collections::{BTreeSet, HashSet};

use contracts::{
    Caller, Ctx, SessionId, UserId,
    catalog::SkuId,
    intake::{Brought, GivenBack, Intake, Row},
    order::ListOrders,
};
use kernel::Result;
use uuid::Uuid;

use crate::{
    feed::Table,
    report::{EXAMPLES, Mode, Reverted, RevertedTable, RowError},
    run::{Ended, Progress, SHARD, Watch},
    service::{MigrateIn, example},
    store,
    taxonomy::Shelves,
};

/// How rows are given back.
struct Way<'a, 'w> {
    batch: u64,
    /// Those that have lived, too.
    lived_too: bool,
    stopping: &'a (dyn Fn() -> bool + Sync),
    watch: Watch<'w>,
}

impl MigrateIn {
    /// Removes what the source brought, `batch` rows a transaction; what has lived here stays unless `lived_too`, and a user
    /// with orders that stay, or a product whose stock does, stays in any case. Run again it goes on, and tries what stayed.
    pub async fn revert(
        &self,
        batch: usize,
        lived_too: bool,
        stopping: &(dyn Fn() -> bool + Sync),
        watch: Watch<'_>,
    ) -> Result<(Ended, Reverted)> {
        // From now on a pass begins anew.
        self.forget_progress().await?;
        let mut way = Way { batch: batch as u64, lived_too, stopping, watch };
        let mut tables = Vec::new();
        let none = HashSet::new();
        let (_, payments) =
            self.give_back(Table::Payments, self.intakes.payments.as_ref(), &none, &mut way).await?;
        let (_, orders) =
            self.give_back(Table::Orders, self.intakes.orders.as_ref(), &none, &mut way).await?;
        let (skus_kept, skus) = self.give_back(Table::Skus, &self.offers, &none, &mut way).await?;
        let stay = self.products_of(skus_kept).await?;
        let (_, products) =
            self.give_back(Table::Products, self.intakes.products.as_ref(), &stay, &mut way).await?;
        let (_, users) = self.give_users_back(&mut way).await?;
        tables.extend([payments, orders, skus, products, users]);
        let stopped = stopping();
        if !stopped {
            tables.push(self.give_taxonomy_back().await?);
        }
        let complete = !stopped && tables.iter().all(|table| table.kept == 0);
        let report = Reverted { source: self.name().to_owned(), complete, tables };
        Ok((if stopped { Ended::Stopped } else { Ended::Finished }, report))
    }

    async fn forget_progress(&self) -> Result<()> {
        self.db
            .write(SHARD, self.name().to_owned(), |tx, source| {
                Box::pin(async move { store::forget_source(tx, source).await })
            })
            .await
    }

    /// Gives a table back, all but `stay`; which rows stay, and the report.
    async fn give_back<R: Row>(
        &self,
        table: Table,
        intake: &dyn Intake<R>,
        stay: &HashSet<Uuid>,
        way: &mut Way<'_, '_>,
    ) -> Result<(Vec<Uuid>, RevertedTable)> {
        let mut report = RevertedTable { table: table.name().to_owned(), ..RevertedTable::default() };
        let total = intake.count(&self.ctx(), self.name()).await?;
        let (mut after, mut kept) = (None, Vec::new());
        while !(way.stopping)() {
            let ctx = self.ctx();
            let rows = intake.brought(&ctx, self.name(), after, way.batch).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.id);
            let (held, free): (Vec<Brought>, Vec<Brought>) =
                rows.into_iter().partition(|row| stay.contains(&row.id));
            for row in held {
                keep(&mut report, &row, "what belongs to it stays".to_owned());
                kept.push(row.id);
            }
            let ids: Vec<Uuid> = free.iter().map(|row| row.id).collect();
            for (row, outcome) in free.iter().zip(intake.give_back(&ctx, &ids, way.lived_too).await?) {
                match outcome {
                    GivenBack::Removed => report.removed += 1,
                    GivenBack::Kept(why) => {
                        keep(&mut report, row, why);
                        kept.push(row.id);
                    }
                }
            }
            let done = report.removed + report.kept;
            let (table, mode) = (table.name(), Mode::Full);
            (way.watch)(Progress { table, mode, done, total: total.max(done) });
        }
        Ok((kept, report))
    }

    /// Products that have any of these SKUs.
    async fn products_of(&self, skus: Vec<Uuid>) -> Result<HashSet<Uuid>> {
        let ctx = self.ctx();
        let mut products = HashSet::new();
        for some in skus.chunks(1_000) {
            let ids = some.iter().copied().map(SkuId::from_uuid).collect();
            let found = self.contracts.catalog.skus(&ctx, ids).await?;
            products.extend(found.into_iter().map(|info| info.product_id.uuid()));
        }
        Ok(products)
    }

    /// Users go last, those with orders not at all.
    async fn give_users_back(&self, way: &mut Way<'_, '_>) -> Result<(Vec<Uuid>, RevertedTable)> {
        let users = self.intakes.users.as_ref();
        let (mut after, mut stay) = (None, HashSet::new());
        while !(way.stopping)() {
            let rows = users.brought(&self.ctx(), self.name(), after, way.batch).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.id);
            for row in &rows {
                if self.has_orders(UserId::from_uuid(row.id)).await? {
                    stay.insert(row.id);
                }
            }
        }
        self.give_back(Table::Users, users, &stay, way).await
    }

    async fn has_orders(&self, user: UserId) -> Result<bool> {
        let caller = Caller::User {
            id: user,
            session: SessionId::from_uuid(Uuid::nil()),
            permissions: BTreeSet::new(),
        };
        let ctx = Ctx { caller, ..self.ctx() };
        let page = ListOrders { limit: Some(1), ..ListOrders::default() };
        Ok(!self.contracts.orders.orders(&ctx, page).await?.items.is_empty())
    }

    async fn give_taxonomy_back(&self) -> Result<RevertedTable> {
        let ctx = self.ctx();
        let shelves = Shelves {
            db: &self.db,
            catalog: self.contracts.catalog.as_ref(),
            ctx: &ctx,
            source: self.name(),
        };
        let (removed, kept) = shelves.give_back().await?;
        Ok(RevertedTable {
            table: "brands, categories".to_owned(),
            removed,
            kept: kept.len() as u64,
            examples: kept.iter().take(EXAMPLES).map(example).collect(),
        })
    }
}

fn keep(report: &mut RevertedTable, row: &Brought, reason: String) {
    report.kept += 1;
    if report.examples.len() < EXAMPLES {
        let table = report.table.clone();
        report.examples.push(RowError { table, key: row.key.clone(), reason });
    }
}
