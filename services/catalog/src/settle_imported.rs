//! Notes what files said of products, once all of it is taken in: prices too, which others keep. An import that broke off before
//! is applied again, and one that did not is as before the next time.

use std::collections::BTreeMap;

use contracts::{Ctx, Permission, catalog::SettleImported};
use futures::future::try_join_all;
use kernel::{Failure, Result, Shard};

use crate::{import_products::MOST, service::CatalogService, store::products};

impl CatalogService {
    pub(crate) async fn settle_imported(&self, ctx: &Ctx, all: Vec<SettleImported>) -> Result<()> {
        ctx.require(Permission::ImportRun)?;
        if all.len() > MOST {
            return Err(Failure::invalid("/", format!("at most {MOST} products a call")));
        }
        let mut by_shard: BTreeMap<Shard, Vec<SettleImported>> = BTreeMap::new();
        for it in all {
            by_shard.entry(it.product_id.shard()).or_default().push(it);
        }
        let writes = by_shard
            .into_iter()
            .map(|(shard, some)| self.db.write(shard, some, |tx, some| Box::pin(products::settle(tx, some))));
        try_join_all(writes).await.map(|_| ())
    }
}
