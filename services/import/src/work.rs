//! Works through a file: from the position an import stood at, a few batches under way at a time, noting each in order.

use std::{collections::BTreeSet, io::Read, sync::Arc, time::Duration};

use contracts::{
    Ctx,
    catalog::ImportCounts,
    import::{ImportError, ImportId, ImportKind, ImportView},
};
use futures::{FutureExt, StreamExt, stream::FuturesOrdered};
use kernel::{Failure, Result, code};

use crate::{
    categories,
    products::{Entry, Products, Survey, unreadable},
    service::ImportService,
    source::Source,
    store::{self, DONE, FAILED, ImportRow},
    take_in::Taken,
};

/// How long a batch may take.
const BATCH: Duration = Duration::from_secs(60);

/// Told after every batch.
pub(crate) type Watch<'a> = &'a mut (dyn FnMut(&ImportView) + Send);

/// A batch that was taken in, in the file's order.
struct Step {
    /// Entries in it.
    entries: u64,
    rows_done: u64,
    counts: ImportCounts,
    errors: Vec<ImportError>,
}

/// An import while it is being worked on.
struct Ledger<'a> {
    service: &'a ImportService,
    row: ImportRow,
    /// Errors kept so far.
    errors: i64,
    watch: Watch<'a>,
}

impl Ledger<'_> {
    async fn note(&mut self, step: Step) -> Result<()> {
        let from = self.row.position;
        let most = i64::try_from(self.service.config.max_errors).unwrap_or(i64::MAX);
        let lines: BTreeSet<u64> = step.errors.iter().map(|error| error.line).collect();
        let kept = usize::try_from((most - self.errors).max(0)).unwrap_or(0);
        let errors: Vec<ImportError> = step.errors.into_iter().take(kept).collect();
        let first = self.errors + 1;
        let new = signed(errors.len() as u64);
        let row = &mut self.row;
        row.position += signed(step.entries);
        row.rows_done = row.rows_done.max(signed(step.rows_done));
        row.created += signed(step.counts.created);
        row.updated += signed(step.counts.updated);
        row.unchanged += signed(step.counts.unchanged);
        row.failed += signed(lines.len() as u64);
        // It got on: what broke off before does not count any more.
        row.attempts = 0;
        if !store::advance(&self.service.db, row.clone(), from, errors, first).await? {
            return Err(Failure::new(code::CONFLICT).detail("another process works on this import"));
        }
        self.errors += new;
        (self.watch)(&self.row.clone().into());
        Ok(())
    }

    async fn end(&mut self, state: &str, error: Option<String>) -> Result<()> {
        let from = self.row.position;
        state.clone_into(&mut self.row.state);
        self.row.error = error.map(|text| text.chars().take(2_000).collect());
        self.row.finished_at = Some(self.service.db.now().micros());
        if state == DONE {
            self.row.rows_done = self.row.row_count;
        }
        store::advance(&self.service.db, self.row.clone(), from, Vec::new(), 0).await?;
        (self.watch)(&self.row.clone().into());
        Ok(())
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl ImportService {
    /// Goes on with an import until its end or until `stopping`. A file that cannot be read ends it; a fault of ours, such as
    /// a database that is busy, is returned, and the import stands where it stood.
    pub(crate) async fn work_on(
        &self,
        row: ImportRow,
        source: Source,
        stopping: impl Fn() -> bool + Send + Sync,
        watch: Watch<'_>,
    ) -> Result<()> {
        let id = ImportId::from_uuid(row.id);
        let errors = store::last_error(self.db.read(), id).await?;
        let kind = store::kind_of(&row);
        let mut ledger = Ledger { service: self, row, errors, watch };
        let outcome = match kind {
            ImportKind::Products => self.work_on_products(&mut ledger, source, &stopping).await,
            ImportKind::Categories => self.work_on_categories(&mut ledger, source, &stopping).await,
        };
        match outcome {
            Ok(true) => ledger.end(DONE, None).await,
            Ok(false) => Ok(()),
            Err(failure) if failure.is(code::INVALID) => {
                ledger.end(FAILED, Some(failure.message().to_owned())).await
            }
            Err(failure) => Err(failure),
        }
    }

    /// True at the end of the file.
    async fn work_on_products(
        &self,
        ledger: &mut Ledger<'_>,
        source: Source,
        stopping: &(impl Fn() -> bool + Sync),
    ) -> Result<bool> {
        let currency = store::currency_of(&ledger.row)?;
        let (survey, mut products) = blocking(move || {
            let survey = Survey::of(source.open()?)?;
            let products = Products::new(source.open()?, &survey, currency)?;
            Ok((survey, products))
        })
        .await?;
        ledger.row.row_count = signed(survey.rows);
        let mut skip = usize::try_from(ledger.row.position).unwrap_or(usize::MAX);
        let size = self.config.batch;
        while skip > 0 {
            let some = skip.min(size);
            let (left, batch) = read(products, some).await?;
            products = left;
            skip = if batch.is_empty() { 0 } else { skip.saturating_sub(batch.len()) };
        }
        let ctx = self.ctx(&ledger.row);
        // Read ahead while batches are under way; their steps are noted in the file's order.
        let mut under_way = FuturesOrdered::new();
        let mut rest = Some(products);
        loop {
            while under_way.len() < self.config.concurrency
                && let Some(products) = rest.take()
            {
                if stopping() {
                    break;
                }
                let (products, batch) = read(products, size).await?;
                if batch.is_empty() {
                    break;
                }
                let (ctx, columns) = (self.fresh(&ctx), Arc::clone(products.columns()));
                under_way.push_back(async move { self.take_in_entries(&ctx, &columns, batch).await }.boxed());
                rest = Some(products);
            }
            match under_way.next().await {
                Some(step) => ledger.note(step?).await?,
                None => break,
            }
        }
        Ok(!stopping() || ledger.row.rows_done >= ledger.row.row_count)
    }

    async fn take_in_entries(
        &self,
        ctx: &Ctx,
        columns: &crate::columns::Columns,
        batch: Vec<Entry>,
    ) -> Result<Step> {
        let entries = batch.len() as u64;
        let rows_done = batch.last().map_or(0, |entry| entry.rows);
        let (mut errors, mut products) = (Vec::new(), Vec::with_capacity(batch.len()));
        for entry in batch {
            errors.extend(entry.errors);
            products.extend(entry.product);
        }
        let Taken { counts, errors: refused } = self.take_in_products(ctx, columns, products).await?;
        errors.extend(refused);
        errors.sort_by_key(|error| error.line);
        Ok(Step { entries, rows_done, counts, errors })
    }

    async fn work_on_categories(
        &self,
        ledger: &mut Ledger<'_>,
        source: Source,
        stopping: &(impl Fn() -> bool + Sync),
    ) -> Result<bool> {
        let found = blocking(move || {
            let mut text = Vec::new();
            source.open()?.read_to_end(&mut text).map_err(unreadable)?;
            categories::read(&text)
        })
        .await?;
        ledger.row.row_count = signed(found.rows);
        if ledger.row.position == 0 {
            let rows_done = found.errors.len() as u64;
            // The first position stands for the errors, so that they are noted once.
            ledger
                .note(Step { entries: 1, rows_done, counts: ImportCounts::default(), errors: found.errors })
                .await?;
        }
        let ctx = self.ctx(&ledger.row);
        let done = usize::try_from(ledger.row.position - 1).unwrap_or(0);
        // One batch after the other: children come after their parents.
        for batch in found.list.get(done..).unwrap_or_default().chunks(self.config.batch) {
            if stopping() {
                return Ok(false);
            }
            let Taken { counts, errors } = self.take_in_categories(&self.fresh(&ctx), batch.to_vec()).await?;
            let rows_done = count(ledger.row.rows_done) + batch.len() as u64;
            let rows_done = rows_done.min(found.rows);
            ledger.note(Step { entries: batch.len() as u64, rows_done, counts, errors }).await?;
        }
        Ok(true)
    }

    /// Meridian itself imports, whoever handed the file in.
    fn ctx(&self, row: &ImportRow) -> Ctx {
        Ctx::system(ImportId::from_uuid(row.id).to_string(), self.db.now().plus(BATCH))
    }

    fn fresh(&self, ctx: &Ctx) -> Ctx {
        Ctx { deadline: self.db.now().plus(BATCH), ..ctx.clone() }
    }
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

type Reader = Products<Box<dyn Read + Send>>;

/// Reads a batch where blocking is allowed.
async fn read(mut products: Reader, most: usize) -> Result<(Reader, Vec<Entry>)> {
    blocking(move || {
        let batch = products.batch(most)?;
        Ok((products, batch))
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Failure::internal)?
}
