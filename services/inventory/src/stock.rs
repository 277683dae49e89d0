//! Reads stock: what can be bought, what lies where, and the ledger.

use std::collections::BTreeMap;

use contracts::{
    Ctx, Permission,
    catalog::SkuId,
    inventory::{Availability, ListMovements, MovementView, RegionStock, StockView, WarehouseId},
};
use kernel::{Cursors, Failure, Page, Result, page_limit};

use crate::{model::Bucket, service::InventoryService, store};

/// The most SKUs in a call.
pub(crate) const MOST_SKUS: usize = 1_000;

pub(crate) fn at_most(skus: usize) -> Result<()> {
    if skus > MOST_SKUS { Err(Failure::invalid("", format!("at most {MOST_SKUS} SKUs"))) } else { Ok(()) }
}

/// What a SKU's buckets in a warehouse come to; by region, too, where stock is divided over them.
pub(crate) fn view(
    (sku_id, warehouse_id): (SkuId, WarehouseId),
    buckets: &[Bucket],
    safety_stock: i64,
    divided: bool,
) -> StockView {
    let mut view = StockView {
        sku_id,
        warehouse_id,
        on_hand: 0,
        available: 0,
        reserved: 0,
        unavailable: 0,
        safety_stock,
        regions: Vec::new(),
    };
    let mut regions = BTreeMap::new();
    for bucket in buckets.iter().filter(|b| b.place.sku == sku_id && b.place.warehouse == warehouse_id) {
        view.available += bucket.units.available;
        view.reserved += bucket.units.reserved;
        view.unavailable += bucket.units.unavailable;
        if divided {
            let region = bucket.place.region.to_string();
            let part =
                regions.entry(region.clone()).or_insert(RegionStock { region, ..RegionStock::default() });
            part.available += bucket.units.available;
            part.reserved += bucket.units.reserved;
            part.unavailable += bucket.units.unavailable;
        }
    }
    view.regions = regions.into_values().collect();
    view.on_hand = view.available + view.reserved + view.unavailable;
    view
}

impl InventoryService {
    /// Read from the database each time, one query for all: a unit sold a moment ago is not shown.
    pub(crate) async fn read_availability(&self, skus: Vec<SkuId>) -> Result<Vec<Availability>> {
        at_most(skus.len())?;
        if skus.is_empty() {
            return Ok(Vec::new());
        }
        let mut distinct = skus.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let units = store::available(self.db.read(), &distinct).await?;
        Ok(skus
            .into_iter()
            .map(|sku_id| Availability { sku_id, available: units.get(&sku_id).copied().unwrap_or(0) })
            .collect())
    }

    pub(crate) async fn read_stock(&self, ctx: &Ctx, sku: SkuId) -> Result<Vec<StockView>> {
        ctx.require(Permission::InventoryRead)?;
        let buckets = store::stock(self.db.read(), &[sku]).await?;
        let levels = store::levels(self.db.read(), &[sku]).await?;
        let safety_stock = levels.get(&sku).copied().unwrap_or(0);
        let order = self.desk.order().await?;
        let warehouses: BTreeMap<(i32, WarehouseId), WarehouseId> = buckets
            .iter()
            .map(|bucket| bucket.place.warehouse)
            .map(|id| ((order.priorities.get(&id).copied().unwrap_or(i32::MAX), id), id))
            .collect();
        let view = |warehouse| view((sku, warehouse), &buckets, safety_stock, order.divided);
        Ok(warehouses.into_values().map(view).collect())
    }

    pub(crate) async fn list_movements(&self, ctx: &Ctx, list: ListMovements) -> Result<Page<MovementView>> {
        ctx.require(Permission::InventoryRead)?;
        let limit = page_limit(list.limit)?;
        let cursors = Cursors::of("inventory.movements", &list.sku_id);
        let after = cursors.read(list.cursor.as_deref())?;
        let rows = store::movements(self.db.read(), list.sku_id, after, u64::from(limit) + 1).await?;
        // Ids are minted in the order of time: the key is the sort key.
        Ok(cursors.page(rows, limit, |row| row.id).map(MovementView::from))
    }
}
