//! Begins imports: of uploaded files, which the job works on, and of files on disk, which the caller works on.

use std::{path::Path, sync::Arc, time::Duration};

use contracts::{
    Ctx, Permission,
    import::{ImportId, ImportKind, ImportView},
};
use kernel::{Currency, Failure, Result, code, normalise};

use crate::{
    service::ImportService,
    source::Source,
    store::{self, FAILED, ImportRow, LOCAL, RECEIVING, RUNNING},
};

/// A file that has not come in after this time does not come any more.
const ABANDONED: Duration = Duration::from_secs(600);

/// What to import.
#[derive(Clone, Debug)]
pub(crate) struct NewImport {
    pub(crate) kind: ImportKind,
    pub(crate) file_name: String,
    pub(crate) currency: Currency,
}

impl ImportService {
    /// Keeps an uploaded file for the job.
    pub(crate) async fn receive(&self, ctx: &Ctx, new: NewImport, bytes: &[u8]) -> Result<ImportView> {
        ctx.require(Permission::ImportRun)?;
        if bytes.is_empty() {
            return Err(Failure::new(code::INVALID).detail("the file is empty"));
        }
        if bytes.len() > self.config.max_bytes {
            let most = self.config.max_bytes;
            return Err(Failure::new(code::TOO_LARGE).detail(format!("a file has at most {most} bytes")));
        }
        let row = self.new_row(new, RECEIVING)?;
        let id = ImportId::from_uuid(row.id);
        store::insert(&self.db, row).await?;
        store::keep_file(&self.db, id, bytes).await?;
        if !store::begin(&self.db, id).await? {
            return Err(Failure::new(code::CONFLICT).detail("the import was given up while its file came in"));
        }
        self.view(ctx, id).await
    }

    /// Imports a file from disk and returns when it is done; `watch` is told after every batch. The import stands beside the
    /// uploaded ones, with its errors ([`contracts::import::Imports::errors`]). A file that cannot be read as a whole is an
    /// import that failed, not an error; an error is a fault on our side, and the same file can simply be imported again.
    pub async fn run_file(
        &self,
        kind: ImportKind,
        path: &Path,
        currency: Currency,
        mut watch: impl FnMut(&ImportView) + Send,
    ) -> Result<ImportView> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let new = NewImport { kind, file_name: name, currency };
        self.run_source(new, Source::Disk(path.to_owned()), &mut watch).await
    }

    /// As [`ImportService::run_file`], for a file that is part of the program.
    pub async fn run_bytes(
        &self,
        kind: ImportKind,
        file_name: &str,
        bytes: &[u8],
        currency: Currency,
    ) -> Result<ImportView> {
        let new = NewImport { kind, file_name: file_name.to_owned(), currency };
        self.run_source(new, Source::Memory(Arc::from(bytes)), &mut |_| {}).await
    }

    async fn run_source(
        &self,
        new: NewImport,
        source: Source,
        watch: &mut (dyn FnMut(&ImportView) + Send),
    ) -> Result<ImportView> {
        let row = self.new_row(new, LOCAL)?;
        let id = ImportId::from_uuid(row.id);
        store::insert(&self.db, row.clone()).await?;
        let outcome = self.work_on(row, source, || false, watch).await;
        if let Err(failure) = outcome {
            if let Some(row) = store::find(self.db.read(), id).await? {
                self.give_up(row, failure.message()).await?;
            }
            return Err(failure);
        }
        let row = store::find(self.db.read(), id).await?;
        row.map(ImportView::from).ok_or_else(|| Failure::internal("the import's row is gone"))
    }

    fn new_row(&self, new: NewImport, state: &str) -> Result<ImportRow> {
        let id = self.db.ids().mint::<contracts::import::Import>(self.db.random_shard());
        let file_name = normalise(&new.file_name);
        if file_name.chars().count() > 300 {
            return Err(Failure::invalid("file_name", "must have at most 300 characters"));
        }
        let now = self.db.now().micros();
        Ok(ImportRow {
            shard: i32::from(id.shard().number()),
            id: id.uuid(),
            kind: store::kind_name(new.kind).to_owned(),
            file_name,
            currency: new.currency.code().to_owned(),
            state: state.to_owned(),
            position: 0,
            row_count: 0,
            rows_done: 0,
            created: 0,
            updated: 0,
            unchanged: 0,
            failed: 0,
            attempts: 0,
            updated_at: now,
            error: None,
            started_at: now,
            finished_at: None,
        })
    }

    /// The job: works on every import that waits, the oldest first, and gives up those whose maker is gone.
    pub(crate) async fn work(&self, stopping: impl Fn() -> bool + Send + Sync) -> Result<String> {
        self.clear_abandoned().await?;
        let mut done = 0;
        for row in store::in_state(self.db.read(), RUNNING, 10).await? {
            if stopping() {
                break;
            }
            let id = ImportId::from_uuid(row.id);
            let bytes = store::file(&self.db, id).await?;
            let source = Source::Memory(Arc::from(bytes));
            match self.work_on(row, source, &stopping, &mut |_| {}).await {
                Ok(()) => done += 1,
                Err(failure) => self.note_break(id, &failure).await?,
            }
        }
        Ok(if done == 0 { "nothing to do".to_owned() } else { format!("{done} worked on") })
    }

    /// It broke off. It goes on at the next run of the job, but not for ever.
    async fn note_break(&self, id: ImportId, failure: &Failure) -> Result<()> {
        let Some(row) = store::find(self.db.read(), id).await? else { return Ok(()) };
        tracing::warn!(import.id = %id, ?failure, attempts = row.attempts + 1, "an import broke off");
        let attempts = row.attempts + 1;
        if attempts >= self.config.attempts {
            return self
                .give_up(row, &format!("given up after {attempts} attempts: {}", failure.message()))
                .await;
        }
        let from = row.position;
        store::advance(&self.db, ImportRow { attempts, ..row }, from, Vec::new(), 0).await.map(|_| ())
    }

    async fn give_up(&self, row: ImportRow, why: &str) -> Result<()> {
        let from = row.position;
        let row = ImportRow {
            state: FAILED.to_owned(),
            error: Some(why.chars().take(2_000).collect()),
            finished_at: Some(self.db.now().micros()),
            ..row
        };
        store::advance(&self.db, row, from, Vec::new(), 0).await.map(|_| ())
    }

    async fn clear_abandoned(&self) -> Result<()> {
        let long_ago = self.db.now().minus(ABANDONED).micros();
        for (state, why) in [
            (RECEIVING, "the file did not come in completely"),
            (LOCAL, "the command that read the file ended before it was done; run it again"),
        ] {
            for row in store::in_state(self.db.read(), state, 10).await? {
                if row.updated_at < long_ago {
                    self.give_up(row, why).await?;
                }
            }
        }
        Ok(())
    }
}
