//! Prices and stock of SKUs: pricing and inventory are told, and what they were told is noted.
//!
//! The note is written first: what is to be told, and that it was not told yet. A crash before, between or after is made up
//! for by telling again, which changes nothing: the same price is no new price, a first stock is set once, an adjustment has a
//! key of its own.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use contracts::{
    Ctx,
    catalog::SkuId,
    intake::{Brought, Digest, ForgetSkus, GivenBack, Intake, Kept, Row, TakenIn, Verdict, digest, judge},
    inventory::{AdjustReason, AdjustStock, InitialStock, Inventory},
    pricing::{PriceKind, PricesOf, Pricing, SetPrice},
};
use kernel::{Currency, Money, Result, Shard};
use platform_db::Db;
use serde::Serialize;
use uuid::Uuid;

use crate::store::{self, OfferRow};

/// Prices and stock.
pub(crate) struct Offers {
    pub(crate) db: Db,
    pub(crate) pricing: Arc<dyn Pricing>,
    pub(crate) inventory: Arc<dyn Inventory>,
    pub(crate) prices: Arc<dyn ForgetSkus>,
    pub(crate) stock: Arc<dyn ForgetSkus>,
}

/// Price and stock of a SKU of another shop.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TakeOffer {
    pub(crate) key: String,
    pub(crate) facts: OfferFacts,
}

/// What is read back of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct OfferFacts {
    pub(crate) id: SkuId,
    pub(crate) price: Money,
    /// Units that can be bought.
    pub(crate) quantity: i64,
}

impl Row for TakeOffer {
    fn id(&self) -> Uuid {
        self.facts.id.uuid()
    }
    fn key(&self) -> &str {
        &self.key
    }
    fn kept(&self) -> Result<Digest> {
        digest(&self.facts)
    }
}

impl OfferRow {
    fn sku(&self) -> SkuId {
        SkuId::from_uuid(self.id)
    }

    fn money(&self) -> Money {
        Money::new(self.price, Currency::from_code(&self.currency).unwrap_or(Currency::CNY))
    }

    fn facts(&self) -> OfferFacts {
        OfferFacts { id: self.sku(), price: self.money(), quantity: self.quantity }
    }

    fn said(&self) -> Digest {
        self.said.as_slice().try_into().unwrap_or_default()
    }

    fn is_told(&self) -> bool {
        self.price_told && self.quantity_told == Some(self.quantity)
    }
}

#[async_trait]
impl Intake<TakeOffer> for Offers {
    async fn take_in(&self, ctx: &Ctx, source: &str, rows: Vec<TakeOffer>) -> Result<Vec<TakenIn>> {
        let ids: Vec<Uuid> = rows.iter().map(Row::id).collect();
        let known = store::offers(self.db.read(), &ids).await?;
        // What broke off is told first: then everything that is noted is true here, or was changed here.
        self.tell(ctx, known.values().filter(|row| !row.is_told()).cloned().collect()).await?;
        let here = self.here(ctx, &known).await?;
        let (mut outcome, mut news) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            let before = known.get(&row.id());
            let noted = before.map(|it| Ok::<_, kernel::Failure>((it.said(), digest(&it.facts())?)));
            let now = here.get(&row.id()).map(digest).transpose()?;
            outcome.push(match judge(noted.transpose()?, row.said()?, now) {
                Verdict::Same => TakenIn::Unchanged,
                Verdict::ChangedHere => TakenIn::ChangedHere,
                Verdict::Create | Verdict::Replace => {
                    news.push(noted_as(source, &row, before)?);
                    if before.is_some() { TakenIn::Updated } else { TakenIn::Created }
                }
            });
        }
        if let Some(first) = news.first() {
            let shard = first.sku().shard();
            self.write(shard, news.clone()).await?;
            self.tell(ctx, news).await?;
        }
        Ok(outcome)
    }

    async fn kept(&self, ctx: &Ctx, ids: &[Uuid]) -> Result<Vec<Option<Kept>>> {
        let known = store::offers(self.db.read(), ids).await?;
        let here = self.here(ctx, &known).await?;
        ids.iter()
            .map(|id| {
                let Some(row) = known.get(id) else { return Ok(None) };
                let now = here.get(id).map(digest).transpose()?.unwrap_or_default();
                Ok(Some(Kept { said: row.said(), now, lived: now != digest(&row.facts())? }))
            })
            .collect()
    }

    async fn brought(
        &self,
        _ctx: &Ctx,
        source: &str,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<Brought>> {
        let rows = store::offers_after(self.db.read(), source, after, limit).await?;
        Ok(rows.into_iter().map(|row| Brought { id: row.id, key: row.source_key }).collect())
    }

    async fn count(&self, _ctx: &Ctx, source: &str) -> Result<u64> {
        store::offers_count(self.db.read(), source).await
    }

    async fn give_back(&self, ctx: &Ctx, ids: &[Uuid], lived_too: bool) -> Result<Vec<GivenBack>> {
        let skus: Vec<SkuId> = ids.iter().copied().map(SkuId::from_uuid).collect();
        // What a crash left half removed has not lived: only what people did counts.
        let moved = self.stock.lived(ctx, &skus).await?;
        let priced = self.prices.lived(ctx, &skus).await?;
        let (mut outcome, mut gone) = (Vec::with_capacity(ids.len()), Vec::new());
        for sku in skus {
            let why = if moved.contains(&sku) {
                Some("was ordered, or its stock was changed here")
            } else if priced.contains(&sku) {
                Some("got another price here")
            } else {
                None
            };
            outcome.push(match why.filter(|_| !lived_too) {
                Some(why) => GivenBack::Kept(why.to_owned()),
                None => GivenBack::Removed,
            });
            if why.is_none() || lived_too {
                gone.push(sku);
            }
        }
        let Some(first) = gone.first() else { return Ok(outcome) };
        match self.stock.forget_skus(ctx, &gone).await {
            // Held for an order right now: none of them goes.
            Err(failure) if failure.is(kernel::code::CONFLICT) => {
                let why = || GivenBack::Kept(failure.message().to_owned());
                return Ok(outcome.iter().map(|_| why()).collect());
            }
            other => other?,
        }
        self.prices.forget_skus(ctx, &gone).await?;
        let ids: Vec<Uuid> = gone.iter().map(|sku| sku.uuid()).collect();
        self.db
            .write(first.shard(), ids, |tx, ids| Box::pin(async move { store::remove_offers(tx, ids).await }))
            .await?;
        Ok(outcome)
    }
}

impl Offers {
    async fn write(&self, shard: Shard, rows: Vec<OfferRow>) -> Result<()> {
        self.db
            .write(shard, rows, |tx, rows| Box::pin(async move { store::put_offers(tx, rows).await }))
            .await
    }

    /// Tells pricing and inventory what is noted, and notes that they were told.
    async fn tell(&self, ctx: &Ctx, mut rows: Vec<OfferRow>) -> Result<()> {
        let Some(shard) = rows.first().map(|row| row.sku().shard()) else { return Ok(()) };
        let prices = rows.iter().filter(|row| !row.price_told).map(|row| SetPrice {
            sku_id: row.sku(),
            kind: PriceKind::List,
            price: row.money(),
            compare_at: None,
            starts_at: None,
            ends_at: None,
        });
        self.pricing.set_prices(ctx, prices.collect()).await?;
        let first = rows.iter().filter(|row| row.quantity_told.is_none());
        let first = first.map(|row| InitialStock { sku_id: row.sku(), quantity: row.quantity });
        self.inventory.set_initial(ctx, first.collect()).await?;
        for row in &rows {
            let Some(told) = row.quantity_told.filter(|told| *told != row.quantity) else { continue };
            let key = format!("migrate-in:{}:{}", row.sku(), row.turn);
            let ctx = Ctx { idempotency_key: Some(key), ..ctx.clone() };
            let adjust = AdjustStock {
                sku_id: row.sku(),
                warehouse_id: None,
                delta: row.quantity - told,
                reason: AdjustReason::Count,
                note: format!("{} has {} now", row.source, row.quantity),
            };
            self.inventory.adjust(&ctx, adjust).await?;
        }
        for row in &mut rows {
            (row.price_told, row.quantity_told) = (true, Some(row.quantity));
        }
        self.write(shard, rows).await
    }

    /// Prices and stock as they are.
    async fn here(&self, ctx: &Ctx, known: &HashMap<Uuid, OfferRow>) -> Result<HashMap<Uuid, OfferFacts>> {
        let mut by_currency: BTreeMap<&str, Vec<SkuId>> = BTreeMap::new();
        for row in known.values() {
            by_currency.entry(row.currency.as_str()).or_default().push(row.sku());
        }
        let mut prices = HashMap::with_capacity(known.len());
        for (currency, sku_ids) in by_currency {
            let query = PricesOf { sku_ids, currency: Currency::from_code(currency) };
            let views = self.pricing.prices(ctx, query).await?;
            prices.extend(views.into_iter().map(|view| (view.sku_id, view.price)));
        }
        let skus: Vec<SkuId> = known.values().map(OfferRow::sku).collect();
        let stock = self.inventory.availability(ctx, skus).await?;
        Ok(stock
            .into_iter()
            .filter_map(|it| {
                let price = *prices.get(&it.sku_id)?;
                Some((it.sku_id.uuid(), OfferFacts { id: it.sku_id, price, quantity: it.available }))
            })
            .collect())
    }
}

/// The note of an offer, before anybody was told.
fn noted_as(source: &str, row: &TakeOffer, before: Option<&OfferRow>) -> Result<OfferRow> {
    let OfferFacts { id, price, quantity } = row.facts;
    let same_price = before.is_some_and(|before| before.money() == price && before.price_told);
    Ok(OfferRow {
        id: id.uuid(),
        source: source.to_owned(),
        source_key: row.key.clone(),
        said: row.said()?.to_vec(),
        currency: price.currency.code().to_owned(),
        price: price.amount,
        price_told: same_price,
        quantity,
        // What broke off was told before: the note may be older than that.
        quantity_told: before.map(|before| before.quantity),
        turn: before.map_or(0, |before| before.turn + 1),
    })
}
