//! Writes what a [`Desk`] decided: each bucket and hold once, everything in a few statements.

use std::collections::{BTreeSet, HashMap};

use contracts::{
    EventBody,
    catalog::SkuId,
    inventory::{AvailabilityChanged, StockLow},
};
use kernel::{Failure, Result, Shard};
use platform_db::{Db, DbResult, Rows, Tx};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};
use uuid::Uuid;

use super::{entity::*, number, row_marks};
use crate::{
    desk::Desk,
    model::{Bucket, Hold, state_name},
};

/// Rows of a guarded update in one statement.
const MOST_ROWS: usize = 256;

/// Safety stock by SKU, where one is set.
pub(crate) type Levels = HashMap<SkuId, i64>;

/// Writes the desk's changes and publishes what follows from them; the shards of the events. `levels` are those of the
/// SKUs that fell; they may come while it writes.
pub(crate) async fn save(
    tx: &Tx,
    db: &Db,
    desk: &Desk,
    levels: impl Future<Output = Result<Levels>>,
) -> Result<BTreeSet<Shard>> {
    // Both to their ends: a statement that is left alone in its middle would break the transaction.
    let (written, levels) = tokio::join!(write(tx, desk), levels);
    written?;
    let events = publish(tx, db, desk, &levels?)?;
    events.insert(tx).await?;
    Ok(events.published())
}

async fn write(tx: &Tx, desk: &Desk) -> Result<()> {
    let now = tx.now().micros();
    let mut dirty: Vec<&Bucket> = desk.buckets.iter().filter(|bucket| bucket.dirty).collect();
    // In key order, as every writer does: no two wait for each other.
    dirty.sort_by(|a, b| a.place.cmp(&b.place));
    let (new, known): (Vec<&Bucket>, Vec<&Bucket>) =
        dirty.into_iter().partition(|bucket| bucket.version == 0);
    guarded(tx, &BUCKETS, known.iter().map(|bucket| bucket_values(bucket, now)).collect()).await?;

    let mut changed: Vec<&Hold> = desk.holds.values().filter(|hold| hold.dirty && hold.version > 0).collect();
    changed.sort_by_key(|hold| (hold.id.shard(), hold.id));
    guarded(tx, &HOLDS, changed.iter().map(|hold| hold_values(hold, now)).collect()).await?;

    let mut placed: Vec<&Hold> = desk.holds.values().filter(|hold| hold.version == 0).collect();
    placed.sort_by_key(|hold| (hold.id.shard(), hold.id));
    let rows = Rows::new()
        .rows(new.iter().map(|bucket| bucket_row(bucket, now)))
        .rows(placed.iter().map(|hold| hold_row(hold, now)))
        .rows(placed.iter().flat_map(|hold| line_rows(hold)))
        .rows(movement_rows(tx, desk, now));
    rows.insert(tx).await
}

/// The events: a SKU came into stock or went out of it, fell to its safety stock, or is used up in this region. They
/// go to the SKU's own shard, so that those of one SKU stay in order whoever's hold caused them. Where only this region's
/// buckets were read, there are none ([`Desk::unread`]).
fn publish(tx: &Tx, db: &Db, desk: &Desk, levels: &Levels) -> Result<Rows> {
    let mut rows = Rows::new();
    for (sku_id, before, after) in desk.changed() {
        tx.touch(sku_id.uuid());
        if (before > 0) != (after > 0) {
            rows = event(db, rows, sku_id, &AvailabilityChanged { sku_id, in_stock: after > 0 })?;
        }
        let safety_stock = levels.get(&sku_id).copied().unwrap_or(0);
        if safety_stock > 0 && before > safety_stock && after <= safety_stock {
            rows = event(db, rows, sku_id, &StockLow { sku_id, available: after, safety_stock })?;
        }
    }
    for short in desk.ran_dry() {
        rows = event(db, rows, short.sku_id, &short)?;
    }
    Ok(rows)
}

fn event<E: EventBody>(db: &Db, rows: Rows, sku: SkuId, event: &E) -> Result<Rows> {
    rows.event(db, sku.shard(), event)
}

/// Sets a SKU's safety stock.
pub(crate) async fn save_level(tx: &Tx, sku: SkuId, safety_stock: i64) -> Result<()> {
    let backend = tx.get_database_backend();
    let end = if backend == DbBackend::MySql {
        "ON DUPLICATE KEY UPDATE safety_stock = VALUES(safety_stock), updated_at = VALUES(updated_at)"
    } else {
        "ON CONFLICT (sku_id) DO UPDATE SET safety_stock = excluded.safety_stock, updated_at = excluded.updated_at"
    };
    let sql = format!("INSERT INTO stock_level (sku_id, safety_stock, updated_at) VALUES (?,?,?) {end}");
    let values: [Value; 3] = [sku.uuid().into(), safety_stock.into(), tx.now().micros().into()];
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.db().map(|_| ())
}

/// A table whose rows carry a version.
struct Versioned {
    name: &'static str,
    key: &'static [&'static str],
    columns: &'static [&'static str],
    /// What an update changes, the version last: MySQL assigns from left to right, and the guard reads it.
    changes: &'static [&'static str],
}

const BUCKETS: Versioned = Versioned {
    name: "stock_bucket",
    key: &["sku_id", "region", "warehouse_id", "n"],
    columns: &[
        "sku_id",
        "region",
        "warehouse_id",
        "n",
        "available",
        "reserved",
        "unavailable",
        "version",
        "updated_at",
        "taken",
    ],
    changes: &["available", "reserved", "unavailable", "updated_at", "taken", "version"],
};

const HOLDS: Versioned = Versioned {
    name: "hold",
    key: &["shard", "id"],
    columns: &["shard", "id", "state", "lines", "expires_at", "version", "created_at", "updated_at"],
    changes: &["state", "expires_at", "updated_at", "version"],
};

/// Writes new values to rows that exist, all in a few statements, each only over the version that was read. The rows are
/// locked since they were read, so that a version that differs is a defect: the transaction fails rather than lose it.
async fn guarded(tx: &Tx, table: &Versioned, rows: Vec<Vec<Value>>) -> Result<()> {
    let backend = tx.get_database_backend();
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(1 << rest.len().min(MOST_ROWS).ilog2());
        let sql = upsert(table, now.len(), backend);
        let statement = Statement::from_sql_and_values(backend, sql, now.iter().flatten().cloned());
        let affected = tx.execute_raw(statement).await.db()?.rows_affected();
        // MySQL counts an updated row twice.
        let each = if backend == DbBackend::MySql { 2 } else { 1 };
        if affected != now.len() as u64 * each {
            return Err(Failure::internal(format!(
                "{} of {} rows of {} changed",
                affected / each,
                now.len(),
                table.name
            )));
        }
        rest = later;
    }
    Ok(())
}

fn upsert(table: &Versioned, rows: usize, backend: DbBackend) -> String {
    let Versioned { name, key, columns, changes } = table;
    let marks = row_marks(columns.len());
    let values = vec![marks.as_str(); rows].join(",");
    // Quoted: `lines` is a word of MySQL's.
    let quote = if backend == DbBackend::MySql { '`' } else { '"' };
    let names: Vec<String> = columns.iter().map(|column| format!("{quote}{column}{quote}")).collect();
    let start = format!("INSERT INTO {name} ({}) VALUES {values}", names.join(","));
    let set =
        |change: &dyn Fn(&str) -> String| changes.iter().map(|c| change(c)).collect::<Vec<_>>().join(", ");
    if backend == DbBackend::MySql {
        let set = set(&|c| format!("{c} = IF(version = VALUES(version) - 1, VALUES({c}), {c})"));
        format!("{start} ON DUPLICATE KEY UPDATE {set}")
    } else {
        let set = set(&|c| format!("{c} = excluded.{c}"));
        let guard = format!("{name}.version = excluded.version - 1");
        format!("{start} ON CONFLICT ({}) DO UPDATE SET {set} WHERE {guard}", key.join(","))
    }
}

fn bucket_row(bucket: &Bucket, now: i64) -> stock_bucket::Model {
    stock_bucket::Model {
        sku_id: bucket.place.sku.uuid(),
        region: bucket.place.region.to_string(),
        warehouse_id: bucket.place.warehouse.uuid(),
        n: bucket.place.n,
        available: bucket.units.available,
        reserved: bucket.units.reserved,
        unavailable: bucket.units.unavailable,
        version: bucket.version + 1,
        updated_at: now,
        taken: bucket.taken,
    }
}

fn bucket_values(bucket: &Bucket, now: i64) -> Vec<Value> {
    let row = bucket_row(bucket, now);
    vec![
        row.sku_id.into(),
        row.region.into(),
        row.warehouse_id.into(),
        row.n.into(),
        row.available.into(),
        row.reserved.into(),
        row.unavailable.into(),
        row.version.into(),
        row.updated_at.into(),
        row.taken.into(),
    ]
}

fn hold_row(hold: &Hold, now: i64) -> hold::Model {
    hold::Model {
        shard: number(hold.id.shard()),
        id: hold.id.uuid(),
        state: state_name(hold.state).to_owned(),
        lines: write_lines(&hold.lines),
        expires_at: hold.expires_at.micros(),
        version: hold.version + 1,
        created_at: hold.created_at.micros(),
        updated_at: now,
    }
}

fn hold_values(hold: &Hold, now: i64) -> Vec<Value> {
    let row = hold_row(hold, now);
    vec![
        row.shard.into(),
        row.id.into(),
        row.state.into(),
        row.lines.into(),
        row.expires_at.into(),
        row.version.into(),
        row.created_at.into(),
        row.updated_at.into(),
    ]
}

fn line_rows(hold: &Hold) -> impl Iterator<Item = hold_line::Model> + '_ {
    hold.parts.iter().zip(0..).map(|((place, quantity), position)| hold_line::Model {
        shard: number(hold.id.shard()),
        hold_id: hold.id.uuid(),
        position,
        sku_id: place.sku.uuid(),
        region: place.region.to_string(),
        warehouse_id: place.warehouse.uuid(),
        n: place.n,
        quantity: *quantity,
    })
}

/// The ledger's rows. Ids of one transaction are minted at once and sorted, so that the ledger shows its movements in the
/// order in which they were decided.
fn movement_rows(tx: &Tx, desk: &Desk, now: i64) -> Vec<stock_movement::Model> {
    let mut ids: HashMap<SkuId, Vec<Uuid>> = HashMap::new();
    for movement in &desk.movements {
        let sku = desk.buckets[movement.bucket].place.sku;
        ids.entry(sku).or_default().push(tx.ids().uuid(sku.shard()));
    }
    for ids in ids.values_mut() {
        ids.sort_unstable_by(|a, b| b.cmp(a));
    }
    desk.movements
        .iter()
        .filter_map(|movement| {
            let place = &desk.buckets[movement.bucket].place;
            Some(stock_movement::Model {
                shard: number(place.sku.shard()),
                sku_id: place.sku.uuid(),
                id: ids.get_mut(&place.sku)?.pop()?,
                region: place.region.to_string(),
                warehouse_id: place.warehouse.uuid(),
                n: place.n,
                kind: movement.kind.to_owned(),
                available: movement.change.available,
                reserved: movement.change.reserved,
                unavailable: movement.change.unavailable,
                reference: movement.note.reference.clone(),
                note: movement.note.text.clone(),
                actor: movement.note.actor.to_string(),
                at: now,
            })
        })
        .collect()
}
