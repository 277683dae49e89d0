//! All SQL of the domain.

mod entity;
mod forget;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use contracts::catalog::SkuId;
use kernel::{Id, Result, Shard, Timestamp};
use platform_db::{DbResult, Rows, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, Statement, Value,
};

use crate::model::{Change, Price, SkuPrices};
use entity::{price, price_boundary};

pub(crate) use forget::{priced_by_people, remove_prices};

/// SKUs in one statement: SQLite's expressions may be 1,000 deep.
const MOST_SKUS: usize = 512;
/// Rows of an update in one statement.
const MOST_ROWS: usize = 128;
/// The most prices of a SKU's history.
const MOST_HISTORY: u64 = 1_000;

fn number(shard: Shard) -> i32 {
    i32::from(shard.number())
}

/// Prices of these SKUs that end after `floor` or not at all. With `locked`, for a decision that is written in the same
/// transaction (SQLite has one writer and needs no lock).
pub(crate) async fn prices(
    connection: &impl ConnectionTrait,
    skus: &[SkuId],
    floor: Timestamp,
    locked: bool,
) -> Result<HashMap<SkuId, SkuPrices>> {
    let backend = connection.get_database_backend();
    let lock = if locked && backend == DbBackend::MySql { " FOR UPDATE" } else { "" };
    let mut found: HashMap<SkuId, SkuPrices> = HashMap::with_capacity(skus.len());
    for some in skus.chunks(MOST_SKUS) {
        // Padded to a power of two by repeating the last: so few different texts that they stay prepared.
        let count = some.len().next_power_of_two();
        let terms = vec!["(shard = ? AND sku_id = ?)"; count].join(" OR ");
        let sql = format!("SELECT * FROM price WHERE ({terms}) AND (ends_at IS NULL OR ends_at > ?){lock}");
        let padding = some.last().into_iter().cycle().take(count - some.len());
        let keys = some.iter().chain(padding);
        let mut values: Vec<Value> =
            keys.flat_map(|sku| [number(sku.shard()).into(), sku.uuid().into()]).collect();
        values.push(floor.micros().into());
        let statement = Statement::from_sql_and_values(backend, sql, values);
        for row in price::Model::find_by_statement(statement).all(connection).await.db()? {
            found.entry(Id::from_uuid(row.sku_id)).or_default().0.push(Price::try_from(row)?);
        }
    }
    for prices in found.values_mut() {
        prices.0.sort_by_key(|price| (price.created_at, price.id));
    }
    Ok(found)
}

/// Every price of a SKU, those that start last first.
pub(crate) async fn history(connection: &impl ConnectionTrait, sku: SkuId) -> Result<Vec<Price>> {
    let rows = price::Entity::find()
        .filter(price::Column::Shard.eq(number(sku.shard())))
        .filter(price::Column::SkuId.eq(sku.uuid()))
        .order_by_desc(price::Column::StartsAt)
        .order_by_desc(price::Column::CreatedAt)
        .order_by_desc(price::Column::Id)
        .limit(MOST_HISTORY)
        .all(connection)
        .await
        .db()?;
    rows.into_iter().map(Price::try_from).collect()
}

/// Writes what changed of these SKUs' prices, and the moments at which something begins or ends.
pub(crate) async fn save(tx: &Tx, changed: &BTreeMap<SkuId, SkuPrices>) -> Result<()> {
    let of = |change: Change| {
        changed
            .iter()
            .flat_map(move |(sku, prices)| prices.0.iter().map(move |price| (*sku, price)))
            .filter(move |(_, price)| price.change == change)
            .map(|(sku, price)| entity::row(sku, price))
    };
    move_ends(tx, of(Change::End).collect()).await?;
    Rows::new().rows(of(Change::New)).insert(tx).await?;
    let now = tx.now();
    let moments =
        changed.iter().flat_map(|(sku, prices)| prices.boundaries(now).into_iter().map(move |at| (*sku, at)));
    add_boundaries(tx, moments.collect()).await
}

/// Moves the ends of prices that exist.
async fn move_ends(tx: &Tx, rows: Vec<price::Model>) -> Result<()> {
    const COLUMNS: &str =
        "shard, sku_id, id, kind, currency, amount, compare_at, starts_at, ends_at, created_at, created_by";
    const MARKS: &str = "(?,?,?,?,?,?,?,?,?,?,?)";
    let backend = tx.get_database_backend();
    let end = if backend == DbBackend::MySql {
        "ON DUPLICATE KEY UPDATE ends_at = VALUES(ends_at)"
    } else {
        "ON CONFLICT (shard, sku_id, id) DO UPDATE SET ends_at = excluded.ends_at"
    };
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(1 << rest.len().min(MOST_ROWS).ilog2());
        let sql = format!("INSERT INTO price ({COLUMNS}) VALUES {} {end}", vec![MARKS; now.len()].join(","));
        let values: Vec<Value> = now.iter().cloned().flat_map(values).collect();
        tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.db()?;
        rest = later;
    }
    Ok(())
}

fn values(row: price::Model) -> [Value; 11] {
    [
        row.shard.into(),
        row.sku_id.into(),
        row.id.into(),
        row.kind.into(),
        row.currency.into(),
        row.amount.into(),
        row.compare_at.into(),
        row.starts_at.into(),
        row.ends_at.into(),
        row.created_at.into(),
        row.created_by.into(),
    ]
}

async fn add_boundaries(tx: &Tx, moments: Vec<(SkuId, Timestamp)>) -> Result<()> {
    let backend = tx.get_database_backend();
    let (start, end) = if backend == DbBackend::MySql {
        ("INSERT IGNORE", "")
    } else {
        ("INSERT", " ON CONFLICT (shard, at, sku_id) DO NOTHING")
    };
    let mut rest = moments.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(1 << rest.len().min(MOST_ROWS).ilog2());
        let marks = vec!["(?,?,?)"; now.len()].join(",");
        let sql = format!("{start} INTO price_boundary (shard, at, sku_id) VALUES {marks}{end}");
        let values: Vec<Value> = now
            .iter()
            .flat_map(|(sku, at)| [number(sku.shard()).into(), at.micros().into(), sku.uuid().into()])
            .collect();
        tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.db()?;
        rest = later;
    }
    Ok(())
}

/// Whether a boundary of the shard has passed.
pub(crate) async fn any_passed(
    connection: &impl ConnectionTrait,
    shard: Shard,
    now: Timestamp,
) -> Result<bool> {
    Ok(!passed(connection, shard, now, 1).await?.is_empty())
}

async fn passed(
    connection: &impl ConnectionTrait,
    shard: Shard,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<price_boundary::Model>> {
    price_boundary::Entity::find()
        .filter(price_boundary::Column::Shard.eq(number(shard)))
        .filter(price_boundary::Column::At.lte(now.micros()))
        .order_by_asc(price_boundary::Column::At)
        .order_by_asc(price_boundary::Column::SkuId)
        .limit(limit)
        .all(connection)
        .await
        .db()
}

/// Takes the first boundaries of the shard that have passed: their rows are gone when this transaction commits. Returns
/// their SKUs, and whether there may be more.
pub(crate) async fn take_passed(
    tx: &Tx,
    shard: Shard,
    now: Timestamp,
    limit: u64,
) -> Result<(BTreeSet<SkuId>, bool)> {
    let rows = passed(tx, shard, now, limit).await?;
    // Those that were read and no others: one that is inserted meanwhile has to be announced, too.
    for some in rows.chunks(MOST_SKUS) {
        let these = vec!["(at = ? AND sku_id = ?)"; some.len()].join(" OR ");
        let sql = format!("DELETE FROM price_boundary WHERE shard = ? AND ({these})");
        let keys = some.iter().flat_map(|row| [Value::from(row.at), row.sku_id.into()]);
        let values = std::iter::once(Value::from(number(shard))).chain(keys);
        tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await.db()?;
    }
    let more = rows.len() as u64 == limit;
    Ok((rows.into_iter().map(|row| Id::from_uuid(row.sku_id)).collect(), more))
}
