//! Divides stock over the regions again where their parts are far from what is bought there.

use std::{collections::HashMap, future::ready, sync::Arc};

use contracts::catalog::SkuId;
use kernel::Result;
use platform_db::{Db, Tx};

use crate::{
    desk::{Desk, Order},
    division::Division,
    service::InventoryService,
    store,
    turn::Turn,
};

/// SKUs read at once.
const PAGE: u64 = 500;
/// SKUs in one transaction: holds of them wait for it.
const BATCH: usize = 16;

/// What a division needs in its transaction.
pub(crate) struct Dividing {
    db: Db,
    order: Order,
    division: Division,
    skus: Vec<SkuId>,
}

impl InventoryService {
    /// Looks at the next SKUs after those of the last look, of shards whose background work is this region's; from the
    /// beginning again after the last. Returns how many units were moved. Ends after the current batch once `stopping` says so.
    pub(crate) async fn rebalance_next(
        &self,
        turn: &Turn,
        stopping: impl Fn() -> bool + Send,
    ) -> Result<u64> {
        let (mut after, mut left, mut units) = (turn.last(), self.config.rebalance_most, 0);
        while left > 0 {
            let skus = store::skus_after(self.db.read(), after, left.min(PAGE)).await?;
            after = skus.last().copied();
            left -= skus.len() as u64;
            let ours: Vec<SkuId> =
                skus.into_iter().filter(|sku| self.desk.regions.works(sku.shard())).collect();
            let uneven = self.uneven(ours).await?;
            for batch in uneven.chunks(BATCH) {
                if stopping() {
                    return Ok(units);
                }
                units += self.rebalance(batch.to_vec()).await?;
            }
            // Only now: what a run that was cut off left is looked at again.
            turn.set(after);
            if after.is_none() {
                break;
            }
        }
        Ok(units)
    }

    /// Divides the stock of all SKUs of this region's shards; returns how many units were moved.
    pub async fn rebalance_all(&self) -> Result<u64> {
        let (turn, mut units) = (Turn::default(), 0);
        loop {
            units += self.rebalance_next(&turn, || false).await?;
            if turn.last().is_none() {
                return Ok(units);
            }
        }
    }

    /// Those of these SKUs that want to be divided again, as a reader sees them.
    async fn uneven(&self, skus: Vec<SkuId>) -> Result<Vec<SkuId>> {
        if skus.is_empty() {
            return Ok(skus);
        }
        let buckets = store::stock(self.db.read(), &skus).await?;
        let (order, division, actor) = (self.desk.order().await?, self.division(), actor());
        let mut desk = Desk::open(self.db.now(), order, buckets, Vec::new());
        let mut uneven = Vec::new();
        for sku in skus {
            if desk.divide(sku, &division, &actor)? > 0 {
                uneven.push(sku);
            }
        }
        Ok(uneven)
    }

    async fn rebalance(&self, skus: Vec<SkuId>) -> Result<u64> {
        let Some(shard) = skus.first().map(|sku| sku.shard()) else { return Ok(0) };
        let input = self.dividing(skus).await?;
        let units = self.db.write(shard, input, |tx, input| Box::pin(divide(tx, input))).await?;
        moved(units);
        Ok(units)
    }

    pub(crate) async fn dividing(&self, skus: Vec<SkuId>) -> Result<Dividing> {
        let (order, division) = (self.desk.order().await?, self.division());
        Ok(Dividing { db: self.db.clone(), order, division, skus })
    }
}

fn actor() -> Arc<str> {
    Arc::from("system")
}

/// Counts units that were moved, once that is committed.
pub(crate) fn moved(units: u64) {
    metrics::counter!("inventory_quota_moved_units_total").increment(units);
}

/// Divides the stock of a few SKUs, every bucket of which it locks; returns how many units were moved.
pub(crate) async fn divide(tx: &Tx, input: &Dividing) -> Result<u64> {
    let Dividing { db, order, division, skus } = input;
    let buckets = store::buckets(tx, skus).await?;
    let mut desk = Desk::open(tx.now(), order.clone(), buckets, Vec::new());
    let (actor, mut units) = (actor(), 0);
    for sku in skus {
        units += desk.divide(*sku, division, &actor)?.unsigned_abs();
    }
    if units > 0 {
        // No SKU has fewer units than before: no safety stock is reached.
        store::save(tx, db, &desk, ready(Ok(HashMap::new()))).await?;
    }
    Ok(units)
}
