//! Reads prices: from the cache, and what is missing in one query for all of it.
//!
//! The cache keeps what is and will be, not what one pays now: which price counts is decided when it is read, so that a
//! window opens and closes on time whatever the age of the entry.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use contracts::{
    Ctx, Permission,
    catalog::{DEFAULT_CURRENCY, SkuId},
    pricing::{PriceRecord, PriceView, PricesOf},
};
use kernel::{Currency, Failure, Result, Timestamp};
use platform_db::Db;

use crate::{
    model::{LOOK_BACK, Price, SkuPrices},
    service::PricingService,
    store,
};

/// The most SKUs in a call.
pub(crate) const MOST_SKUS: usize = 1_000;

impl PricingService {
    pub(crate) async fn prices_of(&self, query: PricesOf) -> Result<Vec<PriceView>> {
        if query.sku_ids.len() > MOST_SKUS {
            return Err(Failure::invalid("/sku_ids", format!("at most {MOST_SKUS} SKUs")));
        }
        let known = self.known(&query.sku_ids).await?;
        let now = self.db.now();
        let view = |sku: &SkuId| known.get(sku).and_then(|prices| shown(prices, *sku, query.currency, now));
        Ok(query.sku_ids.iter().filter_map(view).collect())
    }

    pub(crate) async fn every_price_of(&self, skus: &[SkuId]) -> Result<Vec<PriceView>> {
        if skus.len() > MOST_SKUS {
            return Err(Failure::invalid("", format!("at most {MOST_SKUS} SKUs")));
        }
        let known = self.known(skus).await?;
        let now = self.db.now();
        let mut views = Vec::with_capacity(skus.len());
        for (sku, prices) in skus.iter().filter_map(|sku| Some((sku, known.get(sku)?))) {
            let currencies = prices.currencies(now).into_iter().filter_map(Currency::from_code);
            views.extend(currencies.filter_map(|currency| prices.view(*sku, currency, now)));
        }
        Ok(views)
    }

    /// The prices of these SKUs, those without any left out.
    pub(crate) async fn known(&self, skus: &[SkuId]) -> Result<HashMap<SkuId, Arc<SkuPrices>>> {
        self.cache
            .get_many_or_load(skus, |missing| {
                let db = self.db.clone();
                async move { load(&db, missing).await }
            })
            .await
    }

    /// Forgets what is kept of these SKUs.
    pub(crate) async fn forget(&self, skus: impl IntoIterator<Item = SkuId> + Send) {
        let skus: Vec<SkuId> = skus.into_iter().collect();
        self.cache.invalidate_many(&skus).await;
    }

    pub(crate) async fn history_of(&self, ctx: &Ctx, sku: SkuId) -> Result<Vec<PriceRecord>> {
        ctx.require(Permission::PricingRead)?;
        Ok(store::history(self.db.read(), sku).await?.iter().map(Price::record).collect())
    }
}

/// The price in force in the wanted currency; without one, in the shop's default currency, else in the first that the SKU
/// is sold in.
fn shown(prices: &SkuPrices, sku: SkuId, currency: Option<Currency>, now: Timestamp) -> Option<PriceView> {
    if let Some(currency) = currency {
        return prices.view(sku, currency, now);
    }
    prices.view(sku, DEFAULT_CURRENCY, now).or_else(|| {
        let first = prices.currencies(now).into_iter().find_map(Currency::from_code)?;
        prices.view(sku, first, now)
    })
}

async fn load(db: &Db, mut skus: Vec<SkuId>) -> Result<HashMap<SkuId, Arc<SkuPrices>>> {
    skus.sort_unstable();
    skus.dedup();
    let now = db.now();
    let floor = now.minus(LOOK_BACK);
    let mut found = store::prices(db.read(), &skus, floor, false).await?;
    // What began long ago is compared with prices that ended longer ago still: seldom, and then one query more.
    let mut older: BTreeMap<SkuId, Timestamp> = BTreeMap::new();
    for (sku, prices) in &found {
        let from = prices.looks_back_to(now);
        if from < floor && prices.is_reduced(now) {
            older.insert(*sku, from);
        }
    }
    if let Some(from) = older.values().min() {
        let skus: Vec<SkuId> = older.keys().copied().collect();
        found.extend(store::prices(db.read(), &skus, *from, false).await?);
    }
    Ok(found.into_iter().map(|(sku, prices)| (sku, Arc::new(prices))).collect())
}
