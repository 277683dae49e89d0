//! Sets prices.

use std::collections::{BTreeMap, BTreeSet};

use contracts::{
    Caller, Ctx, Permission,
    catalog::SkuId,
    pricing::{PriceChanged, PriceId, PriceKind, SetPrice, code},
};
use kernel::{Failure, Result, Timestamp, code as general};
use platform_db::{Db, Rows, Tx};

use crate::{
    model::{Change, SkuPrices, Wanted},
    prices::MOST_SKUS,
    service::PricingService,
    store,
};

const DEAREST: i64 = 1_000_000_000_000;
/// The most prices of a SKU that are or will be in force, in all currencies: every read looks through them.
const MOST_OPEN: usize = 1_000;

impl PricingService {
    pub(crate) async fn set_all(&self, ctx: &Ctx, prices: Vec<SetPrice>) -> Result<()> {
        ctx.require(Permission::PricingWrite)?;
        if prices.len() > MOST_SKUS {
            return Err(Failure::invalid("/prices", format!("at most {MOST_SKUS} prices")));
        }
        let Some(first) = prices.first() else { return Ok(()) };
        let shard = first.sku_id.shard();
        let now = self.db.now();
        let by = ctx.principal();
        let mut wanted: BTreeMap<SkuId, Vec<Wanted>> = BTreeMap::new();
        for (index, price) in prices.iter().enumerate() {
            check(price, now).map_err(|(field, failure)| failure(format!("/prices/{index}{field}")))?;
            // An id of a shard that this database does not have names nothing, and its event would never be sequenced.
            if price.sku_id.shard().number() >= self.db.shards() {
                return Err(Failure::invalid(format!("/prices/{index}/sku_id"), "there is no such SKU"));
            }
            wanted.entry(price.sku_id).or_default().push(Wanted {
                place: index,
                id: self.db.ids().mint(price.sku_id.shard()),
                kind: price.kind,
                money: price.price,
                compare_at: price.compare_at.map(|money| money.amount),
                starts_at: price.starts_at,
                ends_at: price.ends_at,
                by: by.clone(),
            });
        }
        self.must_exist(ctx, &prices).await?;
        for of_sku in wanted.values_mut() {
            // Ids minted within a microsecond are in no order: theirs is to be the order in which they were named.
            let mut ids: Vec<PriceId> = of_sku.iter().map(|price| price.id).collect();
            ids.sort_unstable();
            of_sku.iter_mut().zip(ids).for_each(|(price, id)| price.id = id);
        }
        let skus: Vec<SkuId> = wanted.keys().copied().collect();
        let published = self
            .db
            .write(shard, (self.db.clone(), wanted), |tx, (db, wanted)| Box::pin(set(tx, db, wanted)))
            .await;
        // Even when it failed: whether it was committed may be unknown.
        self.forget(skus).await;
        if published? {
            self.db.outbox().wrote_somewhere();
        }
        Ok(())
    }

    /// Staff name SKUs by hand: the catalog must have each of them, sold, retired or of a draft. Meridian itself sets prices
    /// of what the catalog has just made; it is not asked again for the rows of a file.
    async fn must_exist(&self, ctx: &Ctx, prices: &[SetPrice]) -> Result<()> {
        if ctx.caller == Caller::System {
            return Ok(());
        }
        let mut unknown: BTreeSet<SkuId> = prices.iter().map(|price| price.sku_id).collect();
        self.strike_known(ctx, &mut unknown).await?;
        if !unknown.is_empty() {
            // What this process keeps of the catalog may be older than the SKU.
            platform_cache::since(self.db.now(), self.strike_known(ctx, &mut unknown)).await?;
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let named = prices.iter().enumerate().filter(|(_, price)| unknown.contains(&price.sku_id));
        Err(named.fold(Failure::new(general::INVALID), |failure, (index, _)| {
            failure.field(format!("/prices/{index}/sku_id"), "there is no such SKU")
        }))
    }

    /// Takes those that the catalog has out of `skus`.
    async fn strike_known(&self, ctx: &Ctx, skus: &mut BTreeSet<SkuId>) -> Result<()> {
        for info in self.catalog.skus(ctx, skus.iter().copied().collect()).await? {
            skus.remove(&info.sku.id);
        }
        Ok(())
    }
}

type Refusal = (&'static str, fn(String) -> Failure);

/// The field that is wrong and the failure that names it.
fn check(price: &SetPrice, now: Timestamp) -> Result<(), Refusal> {
    let amount = |amount: i64| (0..=DEAREST).contains(&amount);
    if !amount(price.price.amount) {
        return Err(("/price", |field| {
            Failure::invalid(field, "amount must lie between 0 and 1000000000000")
        }));
    }
    if let Some(before) = price.compare_at {
        if price.kind == PriceKind::Sale {
            return Err(("/compare_at", |field| {
                Failure::invalid(field, "a sale price is compared with the list price")
            }));
        }
        if before.currency != price.price.currency {
            return Err(("/compare_at", |field| Failure::invalid(field, "must be in the price's currency")));
        }
        if !amount(before.amount) {
            return Err(("/compare_at", |field| {
                Failure::invalid(field, "amount must lie between 0 and 1000000000000")
            }));
        }
    }
    let starts_at = price.starts_at.map_or(now, |start| start.max(now));
    if price.ends_at.is_some_and(|end| end <= starts_at) {
        return Err(("/ends_at", over));
    }
    Ok(())
}

fn over(field: String) -> Failure {
    Failure::new(code::WINDOW).field(field, "must lie after the start, and after now")
}

/// True when something changed that is in force now.
async fn set(tx: &Tx, db: &Db, wanted: &BTreeMap<SkuId, Vec<Wanted>>) -> Result<bool> {
    let now = tx.now();
    let skus: Vec<SkuId> = wanted.keys().copied().collect();
    // What a price becomes depends on all of its SKU's, those that somebody else is about to insert included.
    tx.guard(skus.iter().map(|sku| sku.uuid())).await?;
    let mut known = store::prices(tx, &skus, now, true).await?;
    let mut changed: BTreeMap<SkuId, SkuPrices> = BTreeMap::new();
    let mut events = Rows::new();
    let mut published = false;
    for (&sku_id, wanted) in wanted {
        let mut prices = known.remove(&sku_id).unwrap_or_default();
        let before = prices.seen(now);
        let at = prices.next_moment(now);
        for price in wanted {
            // The write may have waited: the window was open when the call came.
            if price.is_over(at) {
                return Err(over(format!("/prices/{}/ends_at", price.place)));
            }
            let open = prices.open(now);
            prices.set(price, at);
            if prices.open(now) > MOST_OPEN.max(open) {
                let detail = format!(
                    "is one too many: a SKU has at most {MOST_OPEN} prices that are or will be in force"
                );
                return Err(Failure::invalid(format!("/prices/{}", price.place), detail));
            }
        }
        if prices.seen(now) != before {
            tx.touch(sku_id.uuid());
            events = events.event(db, sku_id.shard(), &PriceChanged { sku_id })?;
            published = true;
        }
        if prices.0.iter().any(|price| price.change != Change::None) {
            changed.insert(sku_id, prices);
        }
    }
    store::save(tx, &changed).await?;
    events.insert(tx).await?;
    Ok(published)
}
