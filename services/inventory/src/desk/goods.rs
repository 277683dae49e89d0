//! Stock that is changed by hand: goods in, counts, damage, the first stock of an import.

use std::sync::Arc;

use contracts::{
    catalog::SkuId,
    inventory::{AdjustReason, WarehouseId, code},
};
use kernel::{Failure, Result};

use super::{Desk, Note, out_of_bounds};
use crate::{
    division::Division,
    model::{Bucket, Delta, Place, spread},
};

impl Desk {
    /// Adjusts a SKU's stock in a warehouse; `division` says how incoming units are spread.
    pub(crate) fn adjust(
        &mut self,
        (sku, warehouse): (SkuId, WarehouseId),
        reason: AdjustReason,
        delta: i64,
        division: &Division,
        note: &Arc<Note>,
    ) -> Result<()> {
        let (kind, unit): (_, fn(i64) -> Delta) = match reason {
            AdjustReason::Inbound => ("inbound", Delta::add),
            AdjustReason::Count => ("count", Delta::add),
            AdjustReason::Damage => ("damage", |n| Delta { available: -n, reserved: 0, unavailable: n }),
            AdjustReason::Restore => ("restore", |n| Delta { available: n, reserved: 0, unavailable: -n }),
            AdjustReason::Scrap => ("scrap", |n| Delta { available: 0, reserved: 0, unavailable: -n }),
        };
        let adds = matches!(reason, AdjustReason::Inbound | AdjustReason::Count) && delta > 0;
        let changes = if adds {
            let room = self.fill((sku, warehouse), delta, division);
            room.map_err(|failure| failure.field("/delta", "is more than there is room for"))?
        } else {
            let from_unavailable = matches!(reason, AdjustReason::Restore | AdjustReason::Scrap);
            self.drain((sku, warehouse), delta.abs(), from_unavailable)?
        };
        let sign = if adds { 1 } else { delta.signum() };
        let changes: Vec<_> = changes.into_iter().map(|(index, units)| (index, unit(units * sign))).collect();
        self.apply(kind, &changes, note)
    }

    /// Stock of a SKU that has none yet.
    pub(crate) fn stock_first(
        &mut self,
        (sku, warehouse): (SkuId, WarehouseId),
        units: i64,
        division: &Division,
        note: &Arc<Note>,
    ) -> Result<()> {
        let mut changes = self.fill((sku, warehouse), units, division)?;
        if changes.is_empty() {
            // A bucket of nothing: the SKU is known from now on, and a second import leaves it alone.
            let region = Arc::clone(&self.order.region);
            changes.push((self.bucket((sku, warehouse), &region, 0), 0));
        }
        let changes: Vec<_> = changes.into_iter().map(|(index, units)| (index, Delta::add(units))).collect();
        self.apply("initial", &changes, note)
    }

    fn bucket(&mut self, (sku, warehouse): (SkuId, WarehouseId), region: &Arc<str>, n: i32) -> usize {
        let place = Place { sku, region: Arc::clone(region), warehouse, n };
        match self.by_place.get(&place) {
            Some(&index) => index,
            None => self.add(Bucket::empty(place)),
        }
    }

    /// Which buckets take how much of what comes in: each region its part. `inventory.below_zero` when they have no room for it.
    fn fill(
        &mut self,
        at: (SkuId, WarehouseId),
        units: i64,
        division: &Division,
    ) -> Result<Vec<(usize, i64)>> {
        let parts = division.parts(units, &self.taken(at.0));
        let mut changes = Vec::new();
        for (region, part) in &parts {
            changes.extend(self.spread(at, region, *part, division.buckets));
        }
        let fits = changes.iter().all(|&(index, units)| self.buckets[index].has_room(units));
        if fits { Ok(changes) } else { Err(out_of_bounds()) }
    }

    /// Over which buckets of a region so many units are spread.
    pub(super) fn spread(
        &mut self,
        at: (SkuId, WarehouseId),
        region: &Arc<str>,
        units: i64,
        buckets: i32,
    ) -> Vec<(usize, i64)> {
        let known = |n: &i32| {
            let place = Place { sku: at.0, region: Arc::clone(region), warehouse: at.1, n: *n };
            self.by_place.contains_key(&place)
        };
        let count = buckets.max((0..).take_while(known).last().map_or(0, |n| n + 1)).max(1);
        (0..count)
            .zip(spread(units, i64::from(count)))
            .filter(|&(_, share)| share > 0)
            .map(|(n, share)| (self.bucket(at, region, n), share))
            .collect()
    }

    /// Which of the warehouse's buckets, of any region, give how much of what goes; `inventory.below_zero` when they
    /// have too little.
    fn drain(
        &self,
        (sku, warehouse): (SkuId, WarehouseId),
        units: i64,
        from_unavailable: bool,
    ) -> Result<Vec<(usize, i64)>> {
        let mut rest = units;
        let mut changes = Vec::new();
        for &index in self.of(sku).iter().filter(|&&index| self.buckets[index].place.warehouse == warehouse) {
            let has = self.buckets[index].units;
            let share = rest.min(if from_unavailable { has.unavailable } else { has.available });
            if share > 0 {
                changes.push((index, share));
                rest -= share;
            }
        }
        if rest == 0 {
            return Ok(changes);
        }
        let what = if from_unavailable { "unavailable" } else { "available" };
        Err(Failure::new(code::BELOW_ZERO)
            .detail(format!("only {} {what} here", units - rest))
            .field("/delta", format!("only {} {what} here", units - rest)))
    }
}
