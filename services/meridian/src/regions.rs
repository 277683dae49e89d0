//! Regions for staff: the contract over the journal, and its routes.

mod audit;
pub(crate) mod first;
mod http;
mod lead;
mod noted;
pub(crate) mod place;
pub(crate) mod report;
pub(crate) mod view;

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{
    Ctx, Permission,
    region::{
        AbortOperation, BeginOperation, OperationKind, OperationView, Regions, RegionsDispatcher,
        RegionsView, code,
    },
};
use coordinator::{DatabaseJournal, Journal, JournalError};
use kernel::{Failure, Region, Result};
use placement::{Kind, MapVersion, Operation, OperationId, Spec};
use platform_db::Db;
use platform_runtime::{Check, Job, Module};
use sha2::{Digest as _, Sha256};

/// The journal of a database.
pub(crate) fn journal(db: &Db) -> Arc<dyn Journal> {
    Arc::new(DatabaseJournal::new(db.clone()))
}

/// Answers staff from the journal.
pub(crate) struct RegionsDesk {
    journal: Arc<dyn Journal>,
    here: Option<Region>,
}

impl RegionsDesk {
    /// A desk in region `here`.
    pub(crate) fn new(journal: Arc<dyn Journal>, here: Option<Region>) -> Arc<Self> {
        Arc::new(Self { journal, here })
    }

    async fn find(&self, id: u64) -> Result<Operation> {
        let found = self.journal.operation(OperationId(id)).await.map_err(failure)?;
        found.ok_or_else(|| Failure::not_found("operation"))
    }
}

/// The module `region`: contract, routes, and in a region the jobs that place the database's leaders and note what the audit
/// found after an operation.
pub(crate) fn module(desk: Arc<RegionsDesk>, db: &Db) -> Module {
    let journal = Arc::clone(&desk.journal);
    let jobs: Vec<Job> = match desk.here {
        Some(_) => {
            let noted = noted::job(db, Arc::clone(&journal));
            lead::job(db, Arc::clone(&journal)).into_iter().chain([noted]).collect()
        }
        None => Vec::new(),
    };
    let regions: Arc<dyn Regions> = desk;
    let module = Module::new("region")
        .check(map_check(journal))
        .routes(http::routes(Arc::clone(&regions)))
        .dispatch(Arc::new(RegionsDispatcher(regions)));
    jobs.into_iter().fold(module, Module::job)
}

/// What must be true of the map. A shop without regions has none, and nothing is looked at.
fn map_check(journal: Arc<dyn Journal>) -> Check {
    Check::new("audit.regions", move |_| {
        let journal = Arc::clone(&journal);
        async move { audit::look(&*journal, audit::BETWEEN).await }
    })
}

#[async_trait]
impl Regions for RegionsDesk {
    async fn regions(&self, ctx: &Ctx, (): ()) -> Result<RegionsView> {
        ctx.require(Permission::OperationsRead)?;
        Ok(view::regions(&self.journal.read().await.map_err(failure)?, self.here.as_ref()))
    }

    async fn operation(&self, ctx: &Ctx, id: u64) -> Result<OperationView> {
        ctx.require(Permission::OperationsRead)?;
        let found = self.find(id).await?;
        let scene = self.journal.read().await.map_err(failure)?;
        Ok(view::operation(&found, Some(&scene.world)))
    }

    async fn last(&self, ctx: &Ctx, (): ()) -> Result<Option<OperationView>> {
        ctx.require(Permission::OperationsRead)?;
        let found = last(&*self.journal).await.map_err(failure)?;
        Ok(found.map(|found| view::operation(&found, None)))
    }

    async fn begin(&self, ctx: &Ctx, asked: BeginOperation) -> Result<OperationView> {
        ctx.require(Permission::OperationsWrite)?;
        let scene = self.journal.read().await.map_err(failure)?;
        if scene.world.observed.version == MapVersion(0) {
            return Err(Failure::new(code::NO_MAP));
        }
        let region = Region::new(asked.region);
        if !scene.world.desired.regions.contains_key(&region) {
            return Err(Failure::not_found("region"));
        }
        let kind = match asked.kind {
            OperationKind::Switchover => Kind::Switchover { region, outside: [].into() },
            OperationKind::Drill => Kind::Drill { region },
        };
        let mut spec = Spec::asked(ctx.principal(), kind);
        if let Some(key) = &ctx.idempotency_key {
            // As long as the journal's column has room for, whatever the client's is.
            spec = spec.keyed(hex::encode(Sha256::digest(format!("{}/{key}", ctx.principal()))));
        }
        let begun = self.journal.begin(&spec).await.map_err(failure)?;
        let id = begun.ok_or_else(|| Failure::new(code::BUSY))?;
        Ok(view::operation(&self.find(id.0).await?, None))
    }

    async fn abort(&self, ctx: &Ctx, asked: AbortOperation) -> Result<OperationView> {
        ctx.require(Permission::OperationsWrite)?;
        self.find(asked.id).await?;
        let why = format!("{} ({})", asked.why, ctx.principal());
        // Stale: it has ended, or somebody else asked before. Either is what was wanted.
        let _ = self.journal.abort(OperationId(asked.id), &why).await.map_err(failure)?;
        Ok(view::operation(&self.find(asked.id).await?, None))
    }
}

/// What a caller hears of storage's trouble.
fn failure(error: JournalError) -> Failure {
    match error {
        JournalError::Unreachable(why) => Failure::new(kernel::code::UNAVAILABLE).because(why),
        JournalError::Forbidden(why) => Failure::new(kernel::code::CONFLICT).detail(why),
    }
}

/// The operation that began last, running or ended.
pub(crate) async fn last(journal: &dyn Journal) -> coordinator::Result<Option<Operation>> {
    Ok(journal.operations(1).await?.into_iter().next())
}
