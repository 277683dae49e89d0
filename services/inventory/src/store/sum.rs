//! Sums for the audit: what buckets, ledger and live holds say of a SKU.

use std::collections::BTreeMap;

use contracts::{catalog::SkuId, inventory::WarehouseId};
use kernel::{Id, Result};
use platform_db::{Db, DbResult};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, prelude::Uuid};

use super::number;
use crate::model::{Delta, Place};

/// Units by place.
pub(crate) type Sums = BTreeMap<Place, Delta>;

/// What the three books say of a SKU, read in one snapshot.
pub(crate) struct Books {
    pub(crate) buckets: Sums,
    pub(crate) ledger: Sums,
    pub(crate) held: Sums,
    /// What moves between regions add up to in each warehouse: nothing.
    pub(crate) moved: BTreeMap<WarehouseId, i64>,
}

/// Reads the books of a SKU.
pub(crate) async fn books(db: &Db, sku: SkuId) -> Result<Books> {
    let snapshot = db.read().snapshot().await.db()?;
    let buckets = in_buckets(&snapshot, sku).await?.sums;
    let ledger = in_ledger(&snapshot, sku).await?;
    let held = held(&snapshot, sku).await?.sums;
    snapshot.rollback().await.db()?;
    Ok(Books { buckets, ledger: ledger.sums, held, moved: ledger.moved })
}

#[derive(FromQueryResult)]
struct Row {
    region: String,
    warehouse_id: Uuid,
    n: i32,
    available: i64,
    reserved: i64,
    unavailable: i64,
    moved: i64,
}

/// Sums by place, and what moves between regions add up to by warehouse.
#[derive(Default)]
struct Found {
    sums: Sums,
    moved: BTreeMap<WarehouseId, i64>,
}

async fn sums(connection: &impl ConnectionTrait, sku: SkuId, sql: &str, shard: bool) -> Result<Found> {
    let backend = connection.get_database_backend();
    let mut values = vec![sku.uuid().into()];
    if shard {
        values.push(number(sku.shard()).into());
    }
    let statement = Statement::from_sql_and_values(backend, sql, values);
    let mut found = Found::default();
    for row in Row::find_by_statement(statement).all(connection).await.db()? {
        let warehouse: WarehouseId = Id::from_uuid(row.warehouse_id);
        let place = Place { sku, region: row.region.into(), warehouse, n: row.n };
        let units = Delta { available: row.available, reserved: row.reserved, unavailable: row.unavailable };
        found.sums.insert(place, units);
        *found.moved.entry(warehouse).or_default() += row.moved;
    }
    Ok(found)
}

/// What the buckets say.
async fn in_buckets(connection: &impl ConnectionTrait, sku: SkuId) -> Result<Found> {
    let sql = "SELECT region, warehouse_id, n, available, reserved, unavailable, 0 AS moved FROM stock_bucket \
               WHERE sku_id = ?";
    sums(connection, sku, sql, false).await
}

/// What the ledger adds up to. SIGNED reads as an integer on SQLite as well.
async fn in_ledger(connection: &impl ConnectionTrait, sku: SkuId) -> Result<Found> {
    let sql = "SELECT region, warehouse_id, n, CAST(SUM(available) AS SIGNED) AS available, \
               CAST(SUM(reserved) AS SIGNED) AS reserved, CAST(SUM(unavailable) AS SIGNED) AS unavailable, \
               CAST(SUM(CASE WHEN kind = 'quota' THEN available + reserved + unavailable ELSE 0 END) AS SIGNED) AS moved \
               FROM stock_movement WHERE sku_id = ? AND shard = ? GROUP BY region, warehouse_id, n";
    sums(connection, sku, sql, true).await
}

/// What live holds have set aside, as `reserved`.
async fn held(connection: &impl ConnectionTrait, sku: SkuId) -> Result<Found> {
    let sql = "SELECT l.region, l.warehouse_id, l.n, 0 AS available, CAST(SUM(l.quantity) AS SIGNED) AS reserved, \
               0 AS unavailable, 0 AS moved FROM hold h JOIN hold_line l ON l.shard = h.shard AND l.hold_id = h.id \
               WHERE h.state = 'reserved' AND l.sku_id = ? GROUP BY l.region, l.warehouse_id, l.n";
    sums(connection, sku, sql, false).await
}

#[derive(FromQueryResult)]
struct Sku {
    sku_id: Uuid,
}

/// SKUs that have stock, in order of their ids.
pub(crate) async fn skus_after(
    connection: &impl ConnectionTrait,
    after: Option<SkuId>,
    limit: u64,
) -> Result<Vec<SkuId>> {
    let after = after.map_or_else(Uuid::nil, Id::uuid);
    let sql = "SELECT DISTINCT sku_id FROM stock_bucket WHERE sku_id > ? ORDER BY sku_id LIMIT ?";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let statement =
        Statement::from_sql_and_values(connection.get_database_backend(), sql, [after.into(), limit.into()]);
    let rows = Sku::find_by_statement(statement).all(connection).await.db()?;
    Ok(rows.into_iter().map(|row| Id::from_uuid(row.sku_id)).collect())
}
