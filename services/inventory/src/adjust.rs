//! Changes stock by hand: goods in, counts, damage; and the first stock of an import.

use std::{
    collections::{BTreeSet, HashMap},
    future::ready,
    sync::Arc,
};

use contracts::{
    Ctx, Permission,
    catalog::SkuId,
    inventory::{AdjustReason, AdjustStock, InitialStock, SetSafetyStock, StockLow, StockView, WarehouseId},
};
use kernel::{Failure, Result, normalise};
use platform_db::{Db, Rows, Tx};

use crate::{
    admission::Finding,
    desk::{Desk, Note, Order},
    division::Division,
    service::InventoryService,
    stock, store, warehouses,
};

/// What an adjustment needs in its transaction.
struct Adjustment {
    db: Db,
    order: Order,
    division: Division,
    command: AdjustStock,
    note: Arc<Note>,
}

impl InventoryService {
    pub(crate) async fn adjust_stock(&self, ctx: &Ctx, command: AdjustStock) -> Result<StockView> {
        ctx.require(Permission::InventoryWrite)?;
        check(&command)?;
        self.may_exist(command.sku_id, || "/sku_id".to_owned())?;
        let once = self.once(ctx, "inventory.adjust", &command)?;
        let note = Arc::new(Note {
            reference: reference(ctx.idempotency_key.as_deref().unwrap_or(&ctx.request_id)),
            text: normalise(&command.note),
            actor: ctx.principal().into(),
        });
        let input = Adjustment {
            db: self.db.clone(),
            order: self.desk.order().await?,
            division: self.division(),
            command,
            note,
        };
        let view: StockView =
            self.db.write_once(&once, input, |tx, input| Box::pin(adjust(tx, input))).await?;
        // Whether it published or not: an idle sequencer that looks once costs nothing.
        self.db.outbox().wrote_somewhere();
        self.open_door(view.sku_id).await;
        Ok(view)
    }

    pub(crate) async fn first_stock(&self, ctx: &Ctx, stock: Vec<InitialStock>) -> Result<()> {
        ctx.require(Permission::ImportRun)?;
        stock::at_most(stock.len())?;
        let Some(first) = stock.first() else { return Ok(()) };
        for (index, initial) in stock.iter().enumerate() {
            self.may_exist(initial.sku_id, || format!("/{index}/sku_id"))?;
        }
        let note = Note {
            reference: reference(&ctx.request_id),
            text: String::new(),
            actor: ctx.principal().into(),
        };
        let shard = first.sku_id.shard();
        let input = (self.db.clone(), self.desk.order().await?, self.division(), stock, Arc::new(note));
        let skus: BTreeSet<SkuId> = input.3.iter().map(|initial| initial.sku_id).collect();
        self.db
            .write(shard, input, |tx, (db, order, division, stock, note)| {
                Box::pin(stock_first(tx, db, order, division, stock, note))
            })
            .await?;
        self.db.outbox().wrote_somewhere();
        for sku in skus {
            self.open_door(sku).await;
        }
        Ok(())
    }

    /// Says that there may be more of a SKU that buyers are turned away from.
    async fn open_door(&self, sku: SkuId) {
        let admission = &self.desk.admission;
        // Where that cannot be read, the door opens by itself.
        if admission.is_shut(sku)
            && let Ok(buckets) = store::stock(self.db.read(), &[sku]).await
        {
            let version = buckets.iter().map(|bucket| bucket.version).sum();
            admission.note(&[Finding { sku, left: None, version }]);
        }
    }

    pub(crate) async fn set_level(&self, ctx: &Ctx, command: SetSafetyStock) -> Result<()> {
        ctx.require(Permission::InventoryWrite)?;
        if !(0..=1_000_000_000).contains(&command.safety_stock) {
            return Err(Failure::invalid("/safety_stock", "must lie between 0 and 1000000000"));
        }
        self.may_exist(command.sku_id, || "/sku_id".to_owned())?;
        let shard = command.sku_id.shard();
        let input = (self.db.clone(), command);
        self.db.write(shard, input, |tx, (db, command)| Box::pin(set_level(tx, db, command))).await?;
        self.db.outbox().wrote_somewhere();
        Ok(())
    }

    /// An id of a shard that this database does not have names nothing, and its event would never be sequenced. More is not
    /// asked here: inventory knows no catalog. What staff name, the routes ask it about.
    fn may_exist(&self, sku: SkuId, pointer: impl FnOnce() -> String) -> Result<()> {
        if sku.shard().number() < self.db.shards() {
            return Ok(());
        }
        Err(Failure::invalid(pointer(), "there is no such SKU"))
    }
}

/// The ledger keeps 100 characters of it.
fn reference(text: &str) -> String {
    text.chars().take(100).collect()
}

fn check(command: &AdjustStock) -> Result<()> {
    let any_sign = matches!(command.reason, AdjustReason::Inbound | AdjustReason::Count);
    if command.delta == 0 {
        return Err(Failure::invalid("/delta", "must not be 0"));
    }
    if command.delta < 0 && !any_sign {
        return Err(Failure::invalid(
            "/delta",
            "must be positive for this reason: it says how many units are moved",
        ));
    }
    if command.delta.unsigned_abs() > 1_000_000_000 {
        return Err(Failure::invalid("/delta", "must lie between -1000000000 and 1000000000"));
    }
    if command.note.chars().count() > 500 {
        return Err(Failure::invalid("/note", "must have at most 500 characters"));
    }
    Ok(())
}

async fn adjust(tx: &Tx, input: &Adjustment) -> Result<StockView> {
    let Adjustment { db, order, division, command, note } = input;
    let warehouse = match command.warehouse_id {
        Some(id) if store::warehouse(tx, id).await?.is_some() => id,
        Some(_) => return Err(Failure::invalid("/warehouse_id", "there is no such warehouse")),
        None => warehouses::default_warehouse(tx).await?,
    };
    let mut desk = open(tx, order, &[command.sku_id]).await?;
    desk.adjust((command.sku_id, warehouse), command.reason, command.delta, division, note)?;
    let levels = store::levels(tx, &[command.sku_id]).await?;
    let safety_stock = levels.get(&command.sku_id).copied().unwrap_or(0);
    store::save(tx, db, &desk, ready(Ok(levels))).await?;
    Ok(stock::view((command.sku_id, warehouse), &desk.buckets, safety_stock, order.divided))
}

async fn stock_first(
    tx: &Tx,
    db: &Db,
    order: &Order,
    division: &Division,
    stock: &[InitialStock],
    note: &Arc<Note>,
) -> Result<()> {
    let skus: BTreeSet<SkuId> = stock.iter().map(|initial| initial.sku_id).collect();
    let mut desk = open(tx, order, &skus.into_iter().collect::<Vec<_>>()).await?;
    let mut warehouse: Option<WarehouseId> = None;
    for initial in stock {
        if desk.knows(initial.sku_id) {
            continue;
        }
        let at = match warehouse {
            Some(id) => id,
            None => *warehouse.insert(warehouses::default_warehouse(tx).await?),
        };
        desk.stock_first((initial.sku_id, at), initial.quantity.max(0), division, note)?;
    }
    // Nothing fell.
    store::save(tx, db, &desk, ready(Ok(HashMap::new()))).await.map(|_| ())
}

async fn open(tx: &Tx, order: &Order, skus: &[SkuId]) -> Result<Desk> {
    let buckets = store::buckets(tx, skus).await?;
    Ok(Desk::open(tx.now(), order.clone(), buckets, Vec::new()))
}

async fn set_level(tx: &Tx, db: &Db, command: &SetSafetyStock) -> Result<()> {
    let SetSafetyStock { sku_id, safety_stock } = *command;
    // Buckets first, as whoever sells locks them.
    let available = store::available(tx, &[sku_id]).await?.get(&sku_id).copied().unwrap_or(0);
    let before = store::levels(tx, &[sku_id]).await?.get(&sku_id).copied().unwrap_or(0);
    store::save_level(tx, sku_id, safety_stock).await?;
    let low = |threshold: i64| threshold > 0 && available <= threshold;
    if low(safety_stock) && !low(before) {
        let alert = StockLow { sku_id, available, safety_stock };
        Rows::new().event(db, sku_id.shard(), &alert)?.insert(tx).await?;
    }
    Ok(())
}
