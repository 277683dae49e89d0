//! The migration's dependencies; looking at a source, and at how far a migration is.

use std::{sync::Arc, time::Duration};

use contracts::{Contracts, Ctx, intake::Intakes};
use kernel::{Failure, Result};
use platform_db::Db;

use crate::{
    changes::Asked,
    feed::{Feed, Orders, Payments, Products, Reading, Skus, Table, Users},
    map::{Mapper, Wrong},
    mapping::Mapping,
    offers::Offers,
    report::{EXAMPLES, Mode, Plan, PlannedTable, RowError, Status, TableStatus},
    store::{self, Source, SourceAddress},
    taxonomy::{Shelves, Taxonomy},
};

/// How long a batch may take.
const BATCH: Duration = Duration::from_secs(120);
/// Rows that are read at once where nothing is written.
pub(crate) const LOOK: usize = 500;

/// What a migration works with.
pub struct Deps {
    /// The shop's database, for this crate's own tables.
    pub db: Db,
    /// The shop.
    pub contracts: Contracts,
    /// The doors of the domains.
    pub intakes: Intakes,
}

/// A migration from one source.
pub struct MigrateIn {
    pub(crate) db: Db,
    pub(crate) contracts: Contracts,
    pub(crate) intakes: Intakes,
    pub(crate) offers: Offers,
    pub(crate) mapper: Mapper,
    pub(crate) source: Option<Source>,
}

impl MigrateIn {
    /// A migration of the source that `mapping` names. Without an address it can tell how far it is, and give back.
    pub async fn open(deps: Deps, mapping: Mapping, address: Option<&SourceAddress>) -> Result<Self> {
        let Deps { db, contracts, intakes } = deps;
        let source = match address {
            Some(address) => Some(Source::connect(address, mapping.clone()).await?),
            None => None,
        };
        let offers = Offers {
            db: db.clone(),
            pricing: Arc::clone(&contracts.pricing),
            inventory: Arc::clone(&contracts.inventory),
            prices: Arc::clone(&intakes.prices),
            stock: Arc::clone(&intakes.stock),
        };
        let mapper = Mapper::new(mapping, db.shards());
        Ok(Self { db, contracts, intakes, offers, mapper, source })
    }

    /// What the source is called.
    pub fn name(&self) -> &str {
        &self.mapper.mapping.source
    }

    pub(crate) fn ctx(&self) -> Ctx {
        Ctx::system("migrate-in", self.db.now().plus(BATCH))
    }

    pub(crate) fn reading(&self) -> Result<Reading<'_>> {
        let source = self.source.as_ref().ok_or_else(|| Failure::internal("no source was named"))?;
        Ok(Reading { source, mapper: &self.mapper, changes: None })
    }

    /// The source's brands and categories here; made where they are not and `make` says so.
    pub(crate) async fn taxonomy(&self, make: bool) -> Result<Taxonomy> {
        let (ctx, reading) = (self.ctx(), self.reading()?);
        let shelves = Shelves {
            db: &self.db,
            catalog: self.contracts.catalog.as_ref(),
            ctx: &ctx,
            source: self.name(),
        };
        shelves.taxonomy(reading.source, make).await
    }

    /// What the source holds, which rows cannot be taken in as they are, and how the next run reads them. Reads every row,
    /// and writes nothing.
    pub async fn plan(&self) -> Result<Plan> {
        let from = self.reading()?;
        let missing = from.source.missing().await?;
        let mut tables = Vec::new();
        if missing.is_empty() {
            let now = from.source.now().await?;
            let taxonomy = self.taxonomy(false).await?;
            tables.push(self.look_at(&Users(from)).await?);
            tables.push(self.look_at(&Products { from, taxonomy: &taxonomy }).await?);
            tables.push(self.look_at(&Skus { from, products: None }).await?);
            tables.push(self.look_at(&Orders { from, users: None }).await?);
            tables.push(self.look_at(&Payments { from, orders: None }).await?);
            let asked = Asked::of(from, &self.db, &taxonomy, now, false).await?;
            let progress = store::progress(self.db.read(), self.name()).await?;
            for (table, planned) in Table::ALL.into_iter().zip(&mut tables) {
                planned.run = asked.mode(table, &progress);
            }
        }
        Ok(Plan { source: self.name().to_owned(), missing, tables })
    }

    async fn look_at<F: Feed>(&self, feed: &F) -> Result<PlannedTable> {
        let name = feed.table().name();
        let (mut rows, mut refused, mut examples, mut after) = (0, 0, Vec::new(), store::START);
        loop {
            let batch = feed.batch(&self.ctx(), after, LOOK).await?;
            rows += batch.read;
            refused += batch.wrong.iter().filter(|wrong| wrong.name == name).count() as u64;
            examples.extend(batch.wrong.iter().take(EXAMPLES - examples.len().min(EXAMPLES)).map(example));
            match batch.last {
                Some(last) => after = last,
                None => break,
            }
        }
        Ok(PlannedTable { table: name.to_owned(), rows, refused, run: Mode::Full, examples })
    }

    /// How far the migration is.
    pub async fn status(&self) -> Result<Status> {
        let progress = store::progress(self.db.read(), self.name()).await?;
        let mut tables = Vec::new();
        for table in Table::ALL {
            let here = self.count(table).await?;
            let row = progress.iter().find(|row| row.name == table.name());
            tables.push(row.map_or_else(TableStatus::default, store::ProgressRow::status));
            if let Some(status) = tables.last_mut() {
                table.name().clone_into(&mut status.table);
                status.here = here;
                status.extra = row.and_then(|row| row.extra(here));
            }
        }
        Ok(Status { source: self.name().to_owned(), tables })
    }

    /// Rows of the source that are here.
    pub(crate) async fn count(&self, table: Table) -> Result<u64> {
        use contracts::intake::Intake as _;
        let (ctx, name) = (self.ctx(), self.name());
        match table {
            Table::Users => self.intakes.users.count(&ctx, name).await,
            Table::Products => self.intakes.products.count(&ctx, name).await,
            Table::Skus => self.offers.count(&ctx, name).await,
            Table::Orders => self.intakes.orders.count(&ctx, name).await,
            Table::Payments => self.intakes.payments.count(&ctx, name).await,
        }
    }

    /// Calls `each` with every row that is not in, or not whole, by table and key.
    pub async fn errors(&self, mut each: impl FnMut(RowError) + Send) -> Result<()> {
        let mut after = None;
        loop {
            let rows = store::errors(&self.db, self.name(), after.clone(), LOOK as u64).await?;
            let Some((name, key, ..)) = rows.last() else { return Ok(()) };
            after = Some((name.clone(), key.clone()));
            for (table, key, reason, _) in rows {
                each(RowError { table, key, reason });
            }
        }
    }
}

pub(crate) fn example(wrong: &Wrong) -> RowError {
    RowError { table: wrong.name.to_owned(), key: wrong.key.clone(), reason: wrong.reason.clone() }
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

impl store::ProgressRow {
    /// Rows here that the source had no more at the end of the pass, or had spoiled: all rows that are here or refused, less
    /// those that it had. None before the end of a pass.
    fn extra(&self, here: u64) -> Option<u64> {
        let there = self.there.filter(|_| self.finished)?;
        Some((here + unsigned(self.refused)).saturating_sub(unsigned(there)))
    }

    fn status(&self) -> TableStatus {
        TableStatus {
            table: self.name.clone(),
            mode: Mode::of(self.since()),
            since: self.since(),
            pass: unsigned(self.passes),
            finished: self.finished,
            position: unsigned(self.position),
            read: unsigned(self.rows_read),
            created: unsigned(self.created),
            updated: unsigned(self.updated),
            unchanged: unsigned(self.unchanged),
            changed_here: unsigned(self.changed_here),
            refused: unsigned(self.refused),
            here: 0,
            extra: None,
        }
    }
}
