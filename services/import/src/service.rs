//! The imports' dependencies; answers the contract by delegation.

use std::sync::Arc;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use contracts::{
    Ctx, Permission,
    catalog::Catalog,
    import::{ImportError, ImportId, ImportView, Imports, ListImportErrors, StartImport},
    inventory::Inventory,
    pricing::Pricing,
};
use kernel::{Cursors, Failure, Page, Result, page_limit};
use platform_db::Db;

use crate::{ImportConfig, start::NewImport, store};

/// Imports that are listed.
const LISTED: u64 = 50;

/// The imports.
pub struct ImportService {
    pub(crate) db: Db,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) pricing: Arc<dyn Pricing>,
    pub(crate) inventory: Arc<dyn Inventory>,
    pub(crate) config: ImportConfig,
}

impl ImportService {
    /// Imports into these services; the failure names a configuration value that is out of range.
    pub fn new(
        db: Db,
        catalog: Arc<dyn Catalog>,
        pricing: Arc<dyn Pricing>,
        inventory: Arc<dyn Inventory>,
        config: ImportConfig,
    ) -> Result<Arc<Self>> {
        config.validate()?;
        Ok(Arc::new(Self { db, catalog, pricing, inventory, config }))
    }

    pub(crate) async fn view(&self, ctx: &Ctx, id: ImportId) -> Result<ImportView> {
        ctx.require(Permission::ImportRun)?;
        let row = store::find(self.db.read(), id).await?;
        row.map(ImportView::from).ok_or_else(|| Failure::not_found("import"))
    }

    /// Every error of an import that was kept.
    pub(crate) async fn all_errors(&self, ctx: &Ctx, id: ImportId) -> Result<Vec<ImportError>> {
        self.view(ctx, id).await?;
        let rows = store::errors(self.db.read(), id, 0, self.config.max_errors).await?;
        Ok(rows.into_iter().map(|(_, error)| error).collect())
    }
}

#[async_trait]
impl Imports for ImportService {
    async fn start(&self, ctx: &Ctx, command: StartImport) -> Result<ImportView> {
        ctx.require(Permission::ImportRun)?;
        let bytes = STANDARD.decode(command.bytes_base64).map_err(|_| {
            Failure::invalid("/bytes_base64", "must be base64 (RFC 4648, section 4, with padding)")
        })?;
        let new = NewImport { kind: command.kind, file_name: command.file_name, currency: command.currency };
        self.receive(ctx, new, &bytes).await
    }

    async fn import(&self, ctx: &Ctx, id: ImportId) -> Result<ImportView> {
        self.view(ctx, id).await
    }

    async fn imports(&self, ctx: &Ctx, (): ()) -> Result<Vec<ImportView>> {
        ctx.require(Permission::ImportRun)?;
        let rows = store::latest(self.db.read(), LISTED).await?;
        Ok(rows.into_iter().map(ImportView::from).collect())
    }

    async fn errors(&self, ctx: &Ctx, query: ListImportErrors) -> Result<Page<ImportError>> {
        self.view(ctx, query.import_id).await?;
        let limit = page_limit(query.limit)?;
        let cursors = Cursors::of("import.errors", &query.import_id);
        let after: i64 = cursors.read(query.cursor.as_deref())?.unwrap_or(0);
        let rows = store::errors(self.db.read(), query.import_id, after, u64::from(limit) + 1).await?;
        Ok(cursors.page(rows, limit, |(number, _)| *number).map(|(_, error)| error))
    }
}
