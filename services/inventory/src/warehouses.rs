//! Warehouses: list, add, change; which one is the default; in which order they are sold from.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use contracts::{
    Ctx, Permission,
    inventory::{ReplaceWarehouse, Warehouse, WarehouseId, WarehouseInput, WarehouseView, code},
};
use kernel::{Failure, Result, Timestamp, normalise};
use platform_db::{Db, Rows, Tx, is_duplicate};

use crate::{
    service::InventoryService,
    store::{self, WAREHOUSES, entity::warehouse},
};

/// How long another process's change of a priority may go unseen. It decides only which bucket is taken first.
const FRESH: Duration = Duration::from_secs(2);
const TABLE: &str = "warehouse";
const DEFAULT: &str = "main";

type ByWarehouse = Arc<HashMap<WarehouseId, i32>>;

/// Priorities by warehouse, kept for a moment: a few rows that hardly change, needed by every group.
#[derive(Default)]
pub(crate) struct Priorities(RwLock<Option<(Timestamp, ByWarehouse)>>);

impl Priorities {
    pub(crate) async fn now(&self, db: &Db) -> Result<ByWarehouse> {
        let now = db.now();
        if let Some((since, kept)) = &*self.0.read().unwrap_or_else(PoisonError::into_inner)
            && now.since(*since) < FRESH
        {
            return Ok(Arc::clone(kept));
        }
        let rows = store::warehouses(db.read()).await?;
        let read: ByWarehouse =
            Arc::new(rows.into_iter().map(|row| (WarehouseId::from_uuid(row.id), row.priority)).collect());
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&read)));
        Ok(read)
    }

    fn forget(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The warehouse that is meant when none is named: the one with code `main`, made when it is first needed.
pub(crate) async fn default_warehouse(tx: &Tx) -> Result<WarehouseId> {
    // Derived, so that two processes that need it at once make the same row, and it stays the default under another code.
    let id = WarehouseId::derive(WAREHOUSES, &[DEFAULT.as_bytes()]);
    if store::warehouse(tx, id).await?.is_some() {
        return Ok(id);
    }
    if let Some(row) = store::warehouse_coded(tx, DEFAULT).await? {
        return Ok(WarehouseId::from_uuid(row.id));
    }
    let input = WarehouseInput {
        code: DEFAULT.to_owned(),
        name: "Main warehouse".to_owned(),
        country: "US".to_owned(),
        priority: 0,
    };
    add(tx, id, &input).await?;
    Ok(id)
}

async fn add(tx: &Tx, id: WarehouseId, input: &WarehouseInput) -> Result<WarehouseView> {
    let row = row(id, input, tx.now());
    Rows::new().row(row.clone()).insert(tx).await?;
    Ok(WarehouseView::from(row))
}

/// A warehouse as it is kept.
fn clean(input: WarehouseInput) -> Result<WarehouseInput> {
    let name = normalise(&input.name);
    if name.is_empty() {
        return Err(Failure::invalid("/name", "must not be blank"));
    }
    Ok(WarehouseInput { name, ..input })
}

fn row(id: WarehouseId, input: &WarehouseInput, now: Timestamp) -> warehouse::Model {
    warehouse::Model {
        shard: store::number(id.shard()),
        id: id.uuid(),
        code: input.code.clone(),
        name: input.name.clone(),
        country: input.country.clone(),
        priority: input.priority,
        created_at: now.micros(),
        updated_at: now.micros(),
    }
}

/// A code that is taken, when that is what went wrong.
fn taken(failure: Failure) -> Failure {
    if is_duplicate(&failure, TABLE) {
        Failure::new(code::WAREHOUSE_CODE_TAKEN).field("/code", "is taken")
    } else {
        failure
    }
}

impl InventoryService {
    pub(crate) async fn list_warehouses(&self, ctx: &Ctx) -> Result<Vec<WarehouseView>> {
        ctx.require(Permission::InventoryRead)?;
        let rows = store::warehouses(self.db.read()).await?;
        Ok(rows.into_iter().map(WarehouseView::from).collect())
    }

    pub(crate) async fn create_warehouse(&self, ctx: &Ctx, input: WarehouseInput) -> Result<WarehouseView> {
        ctx.require(Permission::InventoryWrite)?;
        let input = clean(input)?;
        let once = self.once(ctx, "inventory.add_warehouse", &input)?;
        let id = WarehouseId::derive(WAREHOUSES, &[once.id::<Warehouse>().uuid().as_bytes()]);
        let made: Result<WarehouseView> =
            self.db.write_once(&once, (id, input), |tx, (id, input)| Box::pin(add(tx, *id, input))).await;
        self.desk.priorities.forget();
        made.map_err(taken)
    }

    pub(crate) async fn change_warehouse(
        &self,
        ctx: &Ctx,
        command: ReplaceWarehouse,
    ) -> Result<WarehouseView> {
        ctx.require(Permission::InventoryWrite)?;
        let command = ReplaceWarehouse { warehouse: clean(command.warehouse)?, ..command };
        let changed = self
            .db
            .write(WAREHOUSES, command, |tx, command| {
                Box::pin(async move {
                    let known = store::warehouse(tx, command.id)
                        .await?
                        .ok_or_else(|| Failure::not_found("warehouse"))?;
                    let changed = warehouse::Model {
                        created_at: known.created_at,
                        ..row(command.id, &command.warehouse, tx.now())
                    };
                    store::replace_warehouse(tx, changed.clone()).await?;
                    Ok(WarehouseView::from(changed))
                })
            })
            .await;
        self.desk.priorities.forget();
        changed.map_err(taken)
    }
}
