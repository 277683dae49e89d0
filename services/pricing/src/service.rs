//! The service: its dependencies, and the contract by delegation.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{
    Ctx,
    catalog::{Catalog, SkuId},
    pricing::{PriceRecord, PriceView, PricesOf, Pricing, QuotePromise, QuoteRequest, QuoteView, SetPrice},
};
use kernel::Result;
use platform_cache::{Cache, Caches, Codec, Settings};
use platform_db::Db;
use platform_runtime::SecretKey;
use tracing::Instrument;

use crate::{config::PricingConfig, model::SkuPrices, seal};

/// The name of the cache of prices, and of the news of their changes: SKUs.
pub const PRICES: &str = "prices";

/// Prices and quotes over a database and the catalog.
pub struct PricingService {
    pub(crate) db: Db,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) key: SecretKey,
    pub(crate) config: PricingConfig,
    pub(crate) cache: Cache<SkuId, Arc<SkuPrices>>,
}

impl PricingService {
    /// The service; `quote_key` signs quotes and is the same in every process. `request.invalid` names a setting out of range.
    pub fn new(
        db: Db,
        caches: &Caches,
        catalog: Arc<dyn Catalog>,
        quote_key: SecretKey,
        config: PricingConfig,
    ) -> Result<Arc<Self>> {
        config.validate()?;
        let settings = Settings::new(PRICES, config.cached_skus, config.cache_ttl);
        let cache = caches.shared(settings, Codec::json_shared());
        Ok(Arc::new(Self { db, catalog, key: quote_key, config, cache }))
    }
}

#[async_trait]
impl Pricing for PricingService {
    async fn prices(&self, _: &Ctx, query: PricesOf) -> Result<Vec<PriceView>> {
        self.prices_of(query).await
    }

    async fn every_price(&self, _: &Ctx, sku_ids: Vec<SkuId>) -> Result<Vec<PriceView>> {
        self.every_price_of(&sku_ids).await
    }

    async fn set_prices(&self, ctx: &Ctx, prices: Vec<SetPrice>) -> Result<()> {
        self.set_all(ctx, prices).await
    }

    async fn history(&self, ctx: &Ctx, sku: SkuId) -> Result<Vec<PriceRecord>> {
        self.history_of(ctx, sku).await
    }

    async fn quote(&self, ctx: &Ctx, request: QuoteRequest) -> Result<QuoteView> {
        self.quote_for(ctx, request).instrument(platform_trace::step("pricing.quote")).await
    }

    async fn verify(&self, _: &Ctx, quote: String) -> Result<QuotePromise> {
        seal::open(&self.key, &quote)
    }
}
