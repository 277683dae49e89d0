//! Announces windows that opened or closed.
//!
//! The boundaries that lie ahead are rows; the transaction that announces one deletes its row. So each is announced once,
//! how far it got needs no remembering, and a crash loses nothing. Prices change on time without it.

use std::collections::BTreeSet;

use contracts::{catalog::SkuId, pricing::PriceChanged};
use kernel::{Result, Shard};
use platform_db::{Db, Rows, Tx};

use crate::{service::PricingService, store};

/// Boundaries in one transaction.
const BATCH: u64 = 500;

impl PricingService {
    /// Announces every boundary that has passed; returns how many SKUs were announced. Ends after the current batch once
    /// `stopping` says so.
    pub async fn announce_windows(&self, stopping: impl Fn() -> bool + Send) -> Result<u64> {
        let mut announced = 0;
        for shard in self.db.every_shard() {
            let mut more = store::any_passed(self.db.read(), shard, self.db.now()).await?;
            while more && !stopping() {
                let input = (self.db.clone(), shard);
                let (skus, rest) =
                    self.db.write(shard, input, |tx, (db, shard)| Box::pin(announce(tx, db, *shard))).await?;
                more = rest;
                announced += skus.len() as u64;
                self.forget(skus).await;
                self.db.outbox().wrote_somewhere();
            }
        }
        Ok(announced)
    }
}

async fn announce(tx: &Tx, db: &Db, shard: Shard) -> Result<(BTreeSet<SkuId>, bool)> {
    let (skus, more) = store::take_passed(tx, shard, tx.now(), BATCH).await?;
    let mut events = Rows::new();
    for &sku_id in &skus {
        tx.touch(sku_id.uuid());
        events = events.event(db, sku_id.shard(), &PriceChanged { sku_id })?;
    }
    events.insert(tx).await?;
    Ok((skus, more))
}
