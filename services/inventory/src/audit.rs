//! Compares what buckets, ledger and live holds say of a SKU.

use std::{collections::BTreeSet, sync::Arc};

use contracts::catalog::SkuId;
use kernel::Result;
use platform_runtime::{Finding, Scope};

use crate::{model::Delta, service::InventoryService, store, turn::Turn};

/// SKUs read at once.
const PAGE: u64 = 500;
/// A SKU's whole ledger costs about this many times what an order's rows cost.
const OF_MOST: u32 = 10;

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
    /// Every difference between buckets, ledger and live holds, every number below zero, and every unit that moving quotas
    /// made or lost; empty when all is well.
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
        let store::Books { buckets, ledger, held, moved } = store::books(&self.db, sku).await?;
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
        for (warehouse, units) in moved.into_iter().filter(|(_, units)| *units != 0) {
            found
                .differences
                .push(format!("{warehouse}: moves between regions add up to {units}, not to nothing"));
        }
        Ok(found)
    }

    /// Holds SKUs to the ledger and to the live holds. Within a window: the next few after those of the last look, and from
    /// the beginning again after the last: a look stays cheap however many there are, and all have their turn.
    pub(crate) async fn audit(self: Arc<Self>, scope: Scope, turn: Arc<Turn>) -> Result<Vec<Finding>> {
        let mut finding = Finding::of("stock.ledger");
        let few = scope.most.map(|most| u64::from(most / OF_MOST).max(1));
        let mut after = few.and_then(|_| turn.last());
        loop {
            let left = few.map_or(PAGE, |few| few - finding.looked_at.min(few));
            let skus = store::skus_after(self.db.read(), after, left.min(PAGE)).await?;
            after = skus.last().copied();
            for sku in skus {
                let found = self.reconcile(sku).await?;
                finding.hold(found.is_balanced(), || format!("{sku}: {}", found.differences.join("; ")));
            }
            if after.is_none() || few.is_some_and(|few| finding.looked_at >= few) {
                break;
            }
        }
        if few.is_some() {
            turn.set(after);
        }
        Ok(vec![finding])
    }

    /// The SKUs that are out of balance: none, or something is wrong. Reads the whole ledger.
    pub async fn reconcile_all(&self) -> Result<Vec<Reconciliation>> {
        let mut wrong = Vec::new();
        let mut after = None;
        loop {
            let skus = store::skus_after(self.db.read(), after, PAGE).await?;
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
