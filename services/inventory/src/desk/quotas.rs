//! A desk in a shop whose stock is divided over regions: what it may decide on its own region's buckets alone, what it must
//! read of the others' first, and how quotas are moved.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use contracts::{
    catalog::SkuId,
    inventory::{QuotaShort, WarehouseId},
};
use kernel::Result;

use super::{Desk, Note};
use crate::{
    division::{Division, Parts},
    model::Delta,
};

/// What a desk knows of quotas.
#[derive(Default)]
pub(crate) struct Quotas {
    /// SKUs of which every region's buckets were read; None: all are.
    whole: Option<BTreeSet<SkuId>>,
    /// SKUs whose other buckets must be read before the requests can be decided.
    lacking: BTreeSet<SkuId>,
    /// Units available in this region when the desk opened.
    before: HashMap<SkuId, i64>,
    /// Units that were taken from this region's quota.
    local: i64,
    /// Units that were borrowed from others'.
    borrowed: i64,
}

/// What was taken from where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) local: i64,
    pub(crate) borrowed: i64,
}

impl Desk {
    /// Says that of all SKUs but these only some buckets were read.
    pub(crate) fn knowing(mut self, whole: BTreeSet<SkuId>) -> Self {
        self.quotas.whole = Some(whole);
        self
    }

    /// Whether every bucket of a SKU was read.
    pub(crate) fn is_whole(&self, sku: SkuId) -> bool {
        self.quotas.whole.as_ref().is_none_or(|whole| whole.contains(&sku))
    }

    pub(super) fn note_quotas(&mut self) {
        if self.order.divided {
            self.quotas.before = self.by_sku.keys().map(|&sku| (sku, self.own(sku))).collect();
        }
    }

    pub(super) fn note_lacking<'a>(&mut self, skus: impl Iterator<Item = &'a SkuId>) {
        let partial: Vec<SkuId> = skus.copied().filter(|sku| !self.is_whole(*sku)).collect();
        self.quotas.lacking.extend(partial);
    }

    /// Units of a SKU that can be bought from this region's quota.
    pub(crate) fn own(&self, sku: SkuId) -> i64 {
        let buckets = self.of(sku).iter().map(|&index| &self.buckets[index]);
        buckets.filter(|bucket| self.order.own(&bucket.place)).map(|bucket| bucket.units.available).sum()
    }

    /// SKUs of which somebody wants more than was read: nothing may be saved before the rest is read, too.
    pub(crate) fn lacking(&self) -> &BTreeSet<SkuId> {
        &self.quotas.lacking
    }

    /// SKUs of which there are fewer now.
    pub(crate) fn fell(&self) -> Vec<SkuId> {
        self.changed().into_iter().filter(|(_, before, after)| after < before).map(|(sku, ..)| sku).collect()
    }

    /// SKUs of which only this region's buckets were read where the others' matter: whether any is left, or fewer than the
    /// safety stock. As long as units are left here, before and after, there are some in all.
    pub(crate) fn unread(&self, levels: &HashMap<SkuId, i64>) -> BTreeSet<SkuId> {
        let matters = |(sku, before, after): &(SkuId, i64, i64)| {
            let low = levels.get(sku).is_some_and(|level| after < before && after <= level);
            !self.is_whole(*sku) && (*before == 0 || *after == 0 || low)
        };
        self.changed().into_iter().filter(matters).map(|(sku, ..)| sku).collect()
    }

    /// Whether, of those of these SKUs of which every bucket was read, this region has none left or fewer than the safety
    /// stock: the next decision will have to read them all again.
    pub(crate) fn scarce(&self, skus: &[SkuId], levels: &HashMap<SkuId, i64>) -> Vec<(SkuId, bool)> {
        let low = |sku: SkuId| levels.get(&sku).copied().unwrap_or(0);
        let whole = skus.iter().filter(|sku| self.is_whole(**sku));
        whole.map(|&sku| (sku, self.own(sku) <= low(sku).max(0))).collect()
    }

    /// Counts what a hold took for its buyers' region, wherever it lay: quotas follow it.
    pub(super) fn count_taken(&mut self, taken: &[(usize, i64)]) {
        if !self.order.divided {
            return;
        }
        for &(index, units) in taken {
            let own = self.order.own(&self.buckets[index].place);
            *(if own { &mut self.quotas.local } else { &mut self.quotas.borrowed }) += units;
            let sku = self.buckets[index].place.sku;
            let first = || self.of(sku).iter().copied().find(|&i| self.order.own(&self.buckets[i].place));
            if let Some(index) = if own { Some(index) } else { first() } {
                let bucket = &mut self.buckets[index];
                bucket.taken = bucket.taken.saturating_add(units);
                bucket.dirty = true;
            }
        }
    }

    /// What holds took from where.
    pub(crate) fn tally(&self) -> Taken {
        Taken { local: self.quotas.local, borrowed: self.quotas.borrowed }
    }

    /// SKUs whose quota here was used up by this desk, while others have some.
    pub(crate) fn ran_dry(&self) -> Vec<QuotaShort> {
        let dry = |(sku, before): (&SkuId, &i64)| {
            let dry = *before > 0 && self.is_whole(*sku) && self.own(*sku) == 0 && self.available(*sku) > 0;
            dry.then(|| QuotaShort { sku_id: *sku, region: self.order.region.to_string() })
        };
        let mut short: Vec<QuotaShort> = self.quotas.before.iter().filter_map(dry).collect();
        short.sort_unstable_by_key(|short| short.sku_id);
        short
    }

    /// Units of a SKU that each region's buyers took lately.
    pub(super) fn taken(&self, sku: SkuId) -> Parts {
        let mut taken = Parts::new();
        for bucket in self.of(sku).iter().map(|&index| &self.buckets[index]) {
            *taken.entry(Arc::clone(&bucket.place.region)).or_default() += bucket.taken;
        }
        taken
    }

    /// Moves what is available of a SKU between regions, within each warehouse, where their parts are far from what they
    /// should be. Returns how many units. What is reserved stays where its holds say.
    pub(crate) fn divide(&mut self, sku: SkuId, division: &Division, actor: &Arc<str>) -> Result<i64> {
        let taken = self.taken(sku);
        let mut has: BTreeMap<WarehouseId, Parts> = BTreeMap::new();
        for bucket in self.of(sku).iter().map(|&index| &self.buckets[index]) {
            let parts = has.entry(bucket.place.warehouse).or_default();
            *parts.entry(Arc::clone(&bucket.place.region)).or_default() += bucket.units.available;
        }
        // A quota that is moved away is not used up.
        self.quotas.before.remove(&sku);
        let mut units = 0;
        for (warehouse, has) in has {
            let Some(better) = division.better(&has, &taken) else { continue };
            for (region, part) in better {
                let more = part - has.get(&region).copied().unwrap_or(0);
                units += more.max(0);
                self.move_quota((sku, warehouse), &region, more, division.buckets, actor)?;
            }
        }
        if units > 0 {
            // Older sales count less and less.
            for index in self.of(sku).to_vec() {
                let bucket = &mut self.buckets[index];
                bucket.dirty |= bucket.taken > 0;
                bucket.taken /= 2;
            }
        }
        Ok(units)
    }

    /// Gives a region `more` units of a SKU in a warehouse, or takes them where that is negative.
    fn move_quota(
        &mut self,
        at: (SkuId, WarehouseId),
        region: &Arc<str>,
        more: i64,
        buckets: i32,
        actor: &Arc<str>,
    ) -> Result<()> {
        let changes: Vec<(usize, Delta)> = if more > 0 {
            let shares = self.spread(at, region, more, buckets);
            shares.into_iter().map(|(index, units)| (index, Delta::add(units))).collect()
        } else {
            let mut rest = -more;
            let mut changes = Vec::new();
            for &index in self.of(at.0) {
                let bucket = &self.buckets[index];
                let here = bucket.place.warehouse == at.1 && bucket.place.region == *region;
                let units = if here { rest.min(bucket.units.available) } else { 0 };
                if units > 0 {
                    changes.push((index, Delta::add(-units)));
                    rest -= units;
                }
            }
            changes
        };
        let note = Note {
            reference: "quotas".to_owned(),
            text: format!("the quota of {region}"),
            actor: Arc::clone(actor),
        };
        if changes.is_empty() { Ok(()) } else { self.apply("quota", &changes, &Arc::new(note)) }
    }
}
