//! All SQL of the domain.

pub(crate) mod entity;
mod forget;
mod save;
mod sum;

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write,
    sync::Arc,
};

use contracts::{
    catalog::SkuId,
    inventory::{HoldId, WarehouseId},
};
use kernel::{Id, Result, Shard, Timestamp};
use platform_db::DbResult;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, Statement, Value,
};

use crate::model::{Bucket, Hold, Place};
use entity::{hold, hold_line, stock_bucket, stock_level, stock_movement, warehouse};

pub(crate) use forget::{moved_by_people, remove_stock};
pub(crate) use save::{Levels, save, save_level};
pub(crate) use sum::{Books, Sums, books, skus_after};

/// The most values in one `IN` list: well below what SQLite binds.
const MOST_VALUES: usize = 8_192;

/// The most terms in one `OR`: SQLite's expressions may be 1,000 deep.
const MOST_TERMS: usize = 512;

/// The shard of the warehouses: a handful of rows that belong to no owner.
pub(crate) const WAREHOUSES: Shard = Shard::new(0);

/// The row locks that a decision needs where there is more than one writer (SQLite has only one).
fn lock(backend: DbBackend) -> &'static str {
    if backend == DbBackend::MySql { " FOR UPDATE" } else { "" }
}

/// `start` with `item` repeated for every value, padded to a power of two by repeating the last value: so few different
/// texts that their prepared statements stay cached.
fn listed(
    start: &str,
    item: &str,
    between: &str,
    end: &str,
    values: &[Vec<Value>],
    backend: DbBackend,
) -> Statement {
    let count = values.len().max(1).next_power_of_two();
    let mut sql = String::with_capacity(start.len() + count * (item.len() + between.len()) + end.len());
    sql.push_str(start);
    for index in 0..count {
        if index > 0 {
            sql.push_str(between);
        }
        sql.push_str(item);
    }
    sql.push_str(end);
    let last = values.last().into_iter().cycle().take(count - values.len());
    Statement::from_sql_and_values(backend, sql, values.iter().chain(last).flatten().cloned())
}

/// Rows of `table` whose `column` is one of these SKUs, for a decision that is written in the same transaction.
async fn of_skus<M: FromQueryResult>(
    connection: &impl ConnectionTrait,
    select: &str,
    skus: &[SkuId],
    locked: bool,
) -> Result<Vec<M>> {
    let backend = connection.get_database_backend();
    let end = if locked { format!("){}", lock(backend)) } else { ")".to_owned() };
    let mut rows = Vec::new();
    for some in skus.chunks(MOST_VALUES) {
        let values: Vec<_> = some.iter().map(|sku| vec![sku.uuid().into()]).collect();
        let statement = listed(&format!("{select} WHERE sku_id IN ("), "?", ",", &end, &values, backend);
        rows.extend(M::find_by_statement(statement).all(connection).await.db()?);
    }
    Ok(rows)
}

/// Rows of a table with the key `(shard, <id>, …)` of these holds. A term a hold, not two `IN` lists: SQLite then makes
/// one look-up a hold, not one for every shard and hold; and TiDB, which would lock keys that it looks up in a list of pairs,
/// locks those only that are there.
async fn of_holds<M: FromQueryResult>(
    connection: &impl ConnectionTrait,
    table: &str,
    id: &str,
    holds: &[HoldId],
    locked: bool,
) -> Result<Vec<M>> {
    let backend = connection.get_database_backend();
    let end = if locked { lock(backend) } else { "" };
    let (start, item) = (format!("SELECT * FROM {table} WHERE "), format!("(shard = ? AND {id} = ?)"));
    let mut rows = Vec::new();
    for some in holds.chunks(MOST_TERMS) {
        let values: Vec<_> =
            some.iter().map(|hold| vec![number(hold.shard()).into(), hold.uuid().into()]).collect();
        let statement = listed(&start, &item, " OR ", end, &values, backend);
        rows.extend(M::find_by_statement(statement).all(connection).await.db()?);
    }
    Ok(rows)
}

pub(crate) fn number(shard: Shard) -> i32 {
    i32::from(shard.number())
}

/// The holds among these that exist, with their parts, locked.
pub(crate) async fn holds(connection: &impl ConnectionTrait, ids: &[HoldId]) -> Result<Vec<Hold>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<hold::Model> = of_holds(connection, "hold", "id", ids, true).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut holds = HashMap::with_capacity(rows.len());
    for row in rows {
        holds.insert(row.id, Hold::try_from(row)?);
    }
    let found: Vec<HoldId> = holds.values().map(|hold| hold.id).collect();
    let mut lines: Vec<hold_line::Model> =
        of_holds(connection, "hold_line", "hold_id", &found, false).await?;
    lines.sort_unstable_by_key(|line| (line.hold_id, line.position));
    for line in lines {
        if let Some(hold) = holds.get_mut(&line.hold_id) {
            let place = Place {
                sku: Id::from_uuid(line.sku_id),
                region: line.region.into(),
                warehouse: Id::from_uuid(line.warehouse_id),
                n: line.n,
            };
            hold.parts.push((place, line.quantity));
        }
    }
    Ok(holds.into_values().collect())
}

/// Whether a look at rows that are probably not there costs next to nothing: on SQLite. On TiDB it is a message.
pub(crate) fn is_cheap_to_ask(connection: &impl ConnectionTrait) -> bool {
    connection.get_database_backend() == DbBackend::Sqlite
}

/// Whether one of these holds, which this transaction has not found or not looked for, is there now. Never on SQLite: it has one
/// writer, and nothing comes between.
pub(crate) async fn made_meanwhile(connection: &impl ConnectionTrait, ids: &[HoldId]) -> Result<bool> {
    if connection.get_database_backend() == DbBackend::Sqlite {
        return Ok(false);
    }
    Ok(!holds(connection, ids).await?.is_empty())
}

/// A hold without its parts.
pub(crate) async fn hold(connection: &impl ConnectionTrait, id: HoldId) -> Result<Option<Hold>> {
    let row = hold::Entity::find_by_id((number(id.shard()), id.uuid())).one(connection).await.db()?;
    row.map(Hold::try_from).transpose()
}

/// Holds whose time has run out.
pub(crate) async fn due(
    connection: &impl ConnectionTrait,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<HoldId>> {
    let rows: Vec<sea_orm::prelude::Uuid> = hold::Entity::find()
        .select_only()
        .column(hold::Column::Id)
        .filter(hold::Column::State.eq("reserved"))
        .filter(hold::Column::ExpiresAt.lte(now.micros()))
        .order_by_asc(hold::Column::ExpiresAt)
        .limit(limit)
        .into_tuple()
        .all(connection)
        .await
        .db()?;
    Ok(rows.into_iter().map(Id::from_uuid).collect())
}

/// Every bucket of these SKUs, of every region, locked, in one statement.
pub(crate) async fn buckets(connection: &impl ConnectionTrait, skus: &[SkuId]) -> Result<Vec<Bucket>> {
    let rows: Vec<stock_bucket::Model> =
        of_skus(connection, "SELECT * FROM stock_bucket", skus, true).await?;
    Ok(rows.into_iter().map(Bucket::from).collect())
}

/// After every region's name: U+10FFFF is the last of all texts.
const LAST_REGION: &str = "\u{10FFFF}";

/// Buckets of these SKUs in these regions, or in all where none is named, locked: in one statement, in the key's order. No row
/// of another region is read.
pub(crate) async fn parts(
    connection: &impl ConnectionTrait,
    parts: &BTreeSet<(SkuId, Option<Arc<str>>)>,
) -> Result<Vec<Bucket>> {
    let backend = connection.get_database_backend();
    // TiDB keeps no plan for a range of one region.
    let named = parts.iter().all(|(_, region)| region.is_some());
    let item = if named { "(sku_id = ? AND region = ?)" } else { "(sku_id = ? AND region BETWEEN ? AND ?)" };
    let values: Vec<Vec<Value>> = parts
        .iter()
        .map(|(sku, region)| match region.as_deref() {
            Some(region) if named => vec![sku.uuid().into(), region.into()],
            region => {
                let (from, to) = region.map_or(("", LAST_REGION), |region| (region, region));
                vec![sku.uuid().into(), from.into(), to.into()]
            }
        })
        .collect();
    let mut buckets = Vec::new();
    for some in values.chunks(MOST_TERMS) {
        let start = "SELECT * FROM stock_bucket WHERE ";
        let statement = listed(start, item, " OR ", lock(backend), some, backend);
        let rows = stock_bucket::Model::find_by_statement(statement).all(connection).await.db()?;
        buckets.extend(rows.into_iter().map(Bucket::from));
    }
    Ok(buckets)
}

/// The same for readers.
pub(crate) async fn stock(connection: &impl ConnectionTrait, skus: &[SkuId]) -> Result<Vec<Bucket>> {
    let rows: Vec<stock_bucket::Model> =
        of_skus(connection, "SELECT * FROM stock_bucket", skus, false).await?;
    Ok(rows.into_iter().map(Bucket::from).collect())
}

#[derive(FromQueryResult)]
struct Available {
    sku_id: sea_orm::prelude::Uuid,
    available: i64,
}

/// Units available of these SKUs, over all buckets; SKUs without a bucket are not there.
pub(crate) async fn available(
    connection: &impl ConnectionTrait,
    skus: &[SkuId],
) -> Result<HashMap<SkuId, i64>> {
    let rows: Vec<Available> =
        of_skus(connection, "SELECT sku_id, available FROM stock_bucket", skus, false).await?;
    let mut sums = HashMap::with_capacity(skus.len());
    for row in rows {
        *sums.entry(Id::from_uuid(row.sku_id)).or_default() += row.available;
    }
    Ok(sums)
}

/// The safety stock of these SKUs, where one is set.
pub(crate) async fn levels(connection: &impl ConnectionTrait, skus: &[SkuId]) -> Result<HashMap<SkuId, i64>> {
    if skus.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<stock_level::Model> = of_skus(connection, "SELECT * FROM stock_level", skus, false).await?;
    Ok(rows.into_iter().map(|row| (Id::from_uuid(row.sku_id), row.safety_stock)).collect())
}

/// All warehouses, those to sell from first, first.
pub(crate) async fn warehouses(connection: &impl ConnectionTrait) -> Result<Vec<warehouse::Model>> {
    warehouse::Entity::find()
        .filter(warehouse::Column::Shard.eq(number(WAREHOUSES)))
        .order_by_asc(warehouse::Column::Priority)
        .order_by_asc(warehouse::Column::Code)
        .all(connection)
        .await
        .db()
}

/// A warehouse by id.
pub(crate) async fn warehouse(
    connection: &impl ConnectionTrait,
    id: WarehouseId,
) -> Result<Option<warehouse::Model>> {
    warehouse::Entity::find_by_id((number(WAREHOUSES), id.uuid())).one(connection).await.db()
}

/// A warehouse by code.
pub(crate) async fn warehouse_coded(
    connection: &impl ConnectionTrait,
    code: &str,
) -> Result<Option<warehouse::Model>> {
    warehouse::Entity::find()
        .filter(warehouse::Column::Shard.eq(number(WAREHOUSES)))
        .filter(warehouse::Column::Code.eq(code))
        .one(connection)
        .await
        .db()
}

/// A SKU's movements, newest first, after the one with id `after`.
pub(crate) async fn movements(
    connection: &impl ConnectionTrait,
    sku: SkuId,
    after: Option<sea_orm::prelude::Uuid>,
    limit: u64,
) -> Result<Vec<stock_movement::Model>> {
    let mut query = stock_movement::Entity::find()
        .filter(stock_movement::Column::Shard.eq(number(sku.shard())))
        .filter(stock_movement::Column::SkuId.eq(sku.uuid()));
    if let Some(after) = after {
        query = query.filter(stock_movement::Column::Id.lt(after));
    }
    query.order_by_desc(stock_movement::Column::Id).limit(limit).all(connection).await.db()
}

/// `(?,?,…)` for `columns`.
fn row_marks(columns: usize) -> String {
    let mut marks = String::with_capacity(columns * 2 + 1);
    for index in 0..columns {
        // Writing to a String cannot fail.
        let _ = marks.write_str(if index == 0 { "(?" } else { ",?" });
    }
    marks.push(')');
    marks
}

/// Writes a warehouse over the one with its id.
pub(crate) async fn replace_warehouse(
    connection: &impl ConnectionTrait,
    row: warehouse::Model,
) -> Result<()> {
    use sea_orm::{ActiveModelTrait, IntoActiveModel};
    let changed = row.into_active_model().reset_all();
    warehouse::Entity::update(changed).exec_without_returning(connection).await.db().map(|_| ())
}
