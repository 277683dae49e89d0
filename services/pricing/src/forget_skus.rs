//! Forgets SKUs that go away with the product that a migration brought.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{
    Ctx,
    catalog::SkuId,
    intake::{ForgetSkus, system_only},
};
use kernel::Result;

use crate::{service::PricingService, store};

#[async_trait]
impl ForgetSkus for PricingService {
    async fn lived(&self, ctx: &Ctx, skus: &[SkuId]) -> Result<Vec<SkuId>> {
        system_only(ctx)?;
        store::priced_by_people(self.db.read(), skus).await
    }

    async fn forget_skus(&self, ctx: &Ctx, skus: &[SkuId]) -> Result<()> {
        system_only(ctx)?;
        let Some(first) = skus.first() else { return Ok(()) };
        self.db
            .write(first.shard(), skus.to_vec(), |tx, skus| {
                Box::pin(async move { store::remove_prices(tx, skus).await })
            })
            .await?;
        self.forget(skus.iter().copied()).await;
        Ok(())
    }
}

impl PricingService {
    /// As what forgets SKUs.
    pub fn forgetting(self: &Arc<Self>) -> Arc<dyn ForgetSkus> {
        Arc::clone(self) as Arc<dyn ForgetSkus>
    }
}
