//! Takes a source in: a pass over all tables, from where the last one stood.

use contracts::intake::{Intake, Row, TakenIn};
use kernel::{Failure, Result, Shard, code};

use crate::{
    changes::{Asked, Changes},
    feed::{Batch, Feed, Orders, Payments, Products, Reading, Skus, Table, Users},
    map::Wrong,
    report::Mode,
    service::MigrateIn,
    store::{self, Begin, ProgressRow},
};

/// Our own tables are not sharded.
pub(crate) const SHARD: Shard = Shard::new(0);

/// How far a command is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The table it is at.
    pub table: &'a str,
    /// How the table is read.
    pub mode: Mode,
    /// Rows dealt with.
    pub done: u64,
    /// Rows in all.
    pub total: u64,
}

/// Told after every batch.
pub type Watch<'a> = &'a mut (dyn FnMut(Progress<'_>) + Send);

/// How a command came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All is done.
    Finished,
    /// It was told to stop; run again, it goes on.
    Stopped,
}

impl MigrateIn {
    /// Takes the source in, `batch` rows a transaction, until its end or until `stopping`. After a pass that was finished a
    /// new one begins; one that was not goes on. A new one reads what the source changed since the last, table by table,
    /// where the source tells it; every row where it does not, and where `full` asks for it. Fails where the mapping names
    /// what is not there.
    pub async fn run(
        &self,
        batch: usize,
        full: bool,
        stopping: &(dyn Fn() -> bool + Sync),
        watch: Watch<'_>,
    ) -> Result<Ended> {
        let from = self.reading()?;
        let missing = from.source.missing().await?;
        if !missing.is_empty() {
            let none = Failure::new(code::INVALID).detail("the mapping does not fit the source");
            return Err(missing.iter().fold(none, |failure, it| {
                let (pointer, detail) = it.split_once(": ").unwrap_or(("mapping", it));
                failure.field(pointer, detail)
            }));
        }
        let now = from.source.now().await?;
        let taxonomy = self.taxonomy(true).await?;
        self.note_taxonomy(&taxonomy.wrong).await?;
        let asked = Asked::of(from, &self.db, &taxonomy, now, full).await?;
        let pass = self.pass(&asked).await?;
        let mut changes = Vec::with_capacity(Table::ALL.len());
        for table in Table::ALL {
            changes.push(Changes::of(from, table, &pass, &asked).await?);
        }
        let [users, products, skus, orders, payments] =
            [0, 1, 2, 3, 4].map(|at: usize| Reading { changes: changes[at].as_ref(), ..from });
        let mut work = Work { migration: self, from, size: batch, stopping, watch, pass };
        let products = Products { from: products, taxonomy: &taxonomy };
        let skus = Skus { from: skus, products: Some(self.intakes.products.as_ref()) };
        let orders = Orders { from: orders, users: Some(self.intakes.users.as_ref()) };
        let payments = Payments { from: payments, orders: Some(self.intakes.orders.as_ref()) };
        let done = work.table(&Users(users), self.intakes.users.as_ref()).await?
            && work.table(&products, self.intakes.products.as_ref()).await?
            && work.table(&skus, &self.offers).await?
            && work.table(&orders, self.intakes.orders.as_ref()).await?
            && work.table(&payments, self.intakes.payments.as_ref()).await?;
        Ok(if done { Ended::Finished } else { Ended::Stopped })
    }

    /// The pass that goes on; a new one where there is none.
    async fn pass(&self, asked: &Asked) -> Result<Vec<ProgressRow>> {
        self.db
            .write(SHARD, (self.name().to_owned(), asked.clone()), |tx, (source, asked)| {
                Box::pin(async move {
                    let rows = store::progress(tx, source).await?;
                    if asked.goes_on(&rows) {
                        return Ok(rows);
                    }
                    let passes = rows.iter().map(|row| row.passes).max().unwrap_or(0) + 1;
                    let mut begun = Vec::with_capacity(Table::ALL.len());
                    for way in &asked.ways {
                        let since = asked.since(way, &rows);
                        let begin = Begin { passes, mark: asked.now, since, way: way.digest };
                        begun.push(store::start_pass(tx, source, way.table.name(), begin).await?);
                    }
                    Ok(begun)
                })
            })
            .await
    }

    async fn note_taxonomy(&self, wrong: &[Wrong]) -> Result<()> {
        let input = (self.name().to_owned(), wrong.to_vec());
        self.db
            .write(SHARD, input, |tx, (source, wrong)| {
                Box::pin(async move { store::put_errors(tx, source, wrong).await })
            })
            .await
    }
}

/// A pass under way.
struct Work<'a, 'w> {
    migration: &'a MigrateIn,
    from: Reading<'a>,
    size: usize,
    stopping: &'a (dyn Fn() -> bool + Sync),
    watch: Watch<'w>,
    pass: Vec<ProgressRow>,
}

impl Work<'_, '_> {
    /// Takes a table in; false when it was stopped before the end.
    async fn table<F: Feed>(&mut self, feed: &F, intake: &dyn Intake<F::Row>) -> Result<bool> {
        let name = feed.table().name();
        let found = self.pass.iter().position(|row| row.name == name);
        let mut row = found.map(|at| self.pass.swap_remove(at)).ok_or_else(|| Failure::internal(name))?;
        let total = feed.total().await?;
        while !row.finished {
            if (self.stopping)() {
                return Ok(false);
            }
            let ctx = self.migration.ctx();
            let batch = feed.batch(&ctx, row.position, self.size).await?;
            let from = row.position;
            let (wrong, looked_at) = match batch.last {
                Some(last) => {
                    let taken = self.take(name, batch, intake, &mut row).await?;
                    row.position = last;
                    taken
                }
                None => {
                    row.finished = true;
                    row.there = self.there(feed.table(), &row).await?;
                    (Vec::new(), Vec::new())
                }
            };
            self.note(&row, from, wrong, looked_at).await?;
            let done = u64::try_from(row.rows_read).unwrap_or(0);
            let mode = Mode::of(row.since());
            (self.watch)(Progress { table: name, mode, done, total: total.max(done) });
        }
        Ok(true)
    }

    /// How many rows the source has at the end of a pass.
    async fn there(&self, table: Table, row: &ProgressRow) -> Result<Option<i64>> {
        match row.since() {
            None => Ok(Some(row.rows_read)),
            Some(_) => Ok(i64::try_from(self.from.there(table).await?).ok()),
        }
    }

    /// Takes a batch in and counts what became of it.
    async fn take<R: Row>(
        &self,
        name: &'static str,
        batch: Batch<R>,
        intake: &dyn Intake<R>,
        row: &mut ProgressRow,
    ) -> Result<(Vec<Wrong>, Vec<LookedAt>)> {
        let Batch { read, rows, mut wrong, looked_at, .. } = batch;
        let keys: Vec<String> = rows.iter().map(|it| it.key().to_owned()).collect();
        let outcome = intake.take_in(&self.migration.ctx(), self.migration.name(), rows).await?;
        row.rows_read += i64::try_from(read).unwrap_or(i64::MAX);
        for (key, taken) in keys.into_iter().zip(outcome) {
            match taken {
                TakenIn::Created => row.created += 1,
                TakenIn::Updated => row.updated += 1,
                TakenIn::Unchanged => row.unchanged += 1,
                TakenIn::ChangedHere => row.changed_here += 1,
                TakenIn::Refused(reason) => wrong.push(Wrong { name, key, reason }),
            }
        }
        let refused = wrong.iter().filter(|wrong| wrong.name == name).count();
        row.refused += i64::try_from(refused).unwrap_or(i64::MAX);
        Ok((wrong, looked_at))
    }

    async fn note(
        &self,
        row: &ProgressRow,
        from: i64,
        wrong: Vec<Wrong>,
        looked_at: Vec<LookedAt>,
    ) -> Result<()> {
        let input = (row.clone(), from, wrong, looked_at);
        let noted = self
            .migration
            .db
            .write(SHARD, input, |tx, (row, from, wrong, looked_at)| {
                Box::pin(async move {
                    if !store::advance(tx, row, *from).await? {
                        return Ok(false);
                    }
                    for (names, keys) in looked_at {
                        store::clear_errors(tx, &row.source, names, keys).await?;
                    }
                    store::put_errors(tx, &row.source, wrong).await?;
                    Ok(true)
                })
            })
            .await?;
        if noted {
            return Ok(());
        }
        Err(Failure::new(code::CONFLICT).detail("another process takes this source in"))
    }
}

/// Names and keys of what a batch looked at.
type LookedAt = (&'static [&'static str], Vec<String>);
