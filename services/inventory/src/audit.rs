//! Compares what buckets, ledger and live holds say of a SKU.

use std::collections::BTreeSet;

use contracts::catalog::SkuId;
use kernel::Result;

use crate::{model::Delta, service::InventoryService, store};

/// What buckets, ledger and live holds say of a SKU, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciliation {
    /// Which SKU.
    pub sku_id: SkuId,
    /// Units available, over all buckets.
    pub available: i64,
    /// Units reserved, over all buckets.
    pub reserved: i64,
    /// Units unavailable, over all buckets.
    pub unavailable: i64,
    /// Every difference between buckets, ledger and live holds, and every number below zero; empty when all is well.
    pub differences: Vec<String>,
}

impl Reconciliation {
    /// Units on hand.
    pub fn on_hand(&self) -> i64 {
        self.available + self.reserved + self.unavailable
    }

    /// Whether the ledger adds up to the stock, and live holds to what is reserved.
    pub fn is_balanced(&self) -> bool {
        self.differences.is_empty()
    }
}

impl InventoryService {
    /// Compares a SKU's buckets with its ledger and its live holds, in one snapshot.
    pub async fn reconcile(&self, sku: SkuId) -> Result<Reconciliation> {
        let store::Books { buckets, ledger, held } = store::books(&self.db, sku).await?;
        let mut found = Reconciliation {
            sku_id: sku,
            available: 0,
            reserved: 0,
            unavailable: 0,
            differences: Vec::new(),
        };
        let places: BTreeSet<_> = buckets.keys().chain(ledger.keys()).chain(held.keys()).collect();
        for place in places {
            let of = |sums: &store::Sums| sums.get(place).copied().unwrap_or_default();
            let (bucket, sum, live) = (of(&buckets), of(&ledger), of(&held).reserved);
            found.available += bucket.available;
            found.reserved += bucket.reserved;
            found.unavailable += bucket.unavailable;
            if bucket != sum {
                found
                    .differences
                    .push(format!("{place:?}: the bucket has {bucket:?}, its movements add up to {sum:?}"));
            }
            if bucket.reserved != live {
                found
                    .differences
                    .push(format!("{place:?}: {} reserved, live holds have {live}", bucket.reserved));
            }
            let Delta { available, reserved, unavailable } = bucket;
            if available < 0 || reserved < 0 || unavailable < 0 {
                found.differences.push(format!("{place:?}: below zero: {bucket:?}"));
            }
        }
        Ok(found)
    }

    /// The SKUs that are out of balance: none, or something is wrong. Reads the whole ledger.
    pub async fn reconcile_all(&self) -> Result<Vec<Reconciliation>> {
        let mut wrong = Vec::new();
        let mut after = None;
        loop {
            let skus = store::skus_after(self.db.read(), after, 500).await?;
            let Some(&last) = skus.last() else { return Ok(wrong) };
            for sku in skus {
                let found = self.reconcile(sku).await?;
                if !found.is_balanced() {
                    wrong.push(found);
                }
            }
            after = Some(last);
        }
    }
}
