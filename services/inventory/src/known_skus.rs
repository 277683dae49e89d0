//! Whether a SKU that staff name is one of the catalog's.
//!
//! Asked by the routes, not by the service: stock itself knows no catalog, and an import, which names only SKUs that the
//! catalog has just made, pays for no question.

use std::sync::Arc;

use contracts::{
    Ctx,
    catalog::{Catalog, SkuId},
};
use kernel::Result;
use platform_db::Db;

/// The catalog's SKUs, as far as stock asks for them.
pub(crate) struct KnownSkus {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) db: Db,
}

impl KnownSkus {
    /// Whether the catalog has this SKU: sold, retired or of a draft.
    pub(crate) async fn has(&self, ctx: &Ctx, sku: SkuId) -> Result<bool> {
        if !self.catalog.skus(ctx, vec![sku]).await?.is_empty() {
            return Ok(true);
        }
        // What this process keeps of the catalog may be older than the SKU.
        let again = platform_cache::since(self.db.now(), self.catalog.skus(ctx, vec![sku])).await?;
        Ok(!again.is_empty())
    }
}
