//! Tables of `inventory`: warehouses, stock in buckets, reservations, the ledger of movements.

use sea_orm_migration::{prelude::*, schema::*};

use crate::schema::{NewIndex, NewTable, bytes, create, table};

/// The tables of `inventory`.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_inventory"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = [warehouses(), buckets(), levels(), holds(), hold_lines(), movements()];
        create(manager, tables.map(NewTable::in_key_order).into(), INDEXES).await
    }
}

const INDEXES: &[NewIndex] = &[
    ("warehouse_code", "warehouse", true, &["shard", "code"]),
    // Finds holds whose time has run out, and all live ones.
    ("hold_due", "hold", false, &["state", "expires_at"]),
];

fn warehouses() -> NewTable {
    table(
        "warehouse",
        vec![
            integer("shard"),
            uuid("id"),
            string_len("code", 40),
            string_len("name", 200),
            string_len("country", 2),
            integer("priority"),
            big_integer("created_at"),
            big_integer("updated_at"),
        ],
        &["shard", "id"],
    )
}

/// `n` tells the buckets of a SKU in one region and warehouse apart: 0 unless the SKU is hot. Partitioned by region, not
/// by shard, on TiDB: a region sells from its own buckets. The checks are the last guard; the code never gets there.
fn buckets() -> NewTable {
    let mut table = table(
        "stock_bucket",
        vec![
            uuid("sku_id"),
            string_len("region", 40),
            uuid("warehouse_id"),
            integer("n"),
            big_integer("available"),
            big_integer("reserved"),
            big_integer("unavailable"),
            big_integer("version"),
            big_integer("updated_at"),
        ],
        &["sku_id", "region", "warehouse_id", "n"],
    );
    for column in ["available", "reserved", "unavailable"] {
        table = table.check(Expr::col(column).gte(0));
    }
    table
}

/// Settings of a SKU's stock; beside its buckets.
fn levels() -> NewTable {
    table(
        "stock_level",
        vec![uuid("sku_id"), big_integer("safety_stock"), big_integer("updated_at")],
        &["sku_id"],
    )
}

/// `lines` is what was asked for: 16 bytes of SKU and 8 of quantity a line.
fn holds() -> NewTable {
    table(
        "hold",
        vec![
            integer("shard"),
            uuid("id"),
            string_len("state", 10),
            bytes("lines"),
            big_integer("expires_at"),
            big_integer("version"),
            big_integer("created_at"),
            big_integer("updated_at"),
        ],
        &["shard", "id"],
    )
}

/// Which bucket each held unit came from.
fn hold_lines() -> NewTable {
    table(
        "hold_line",
        vec![
            integer("shard"),
            uuid("hold_id"),
            integer("position"),
            uuid("sku_id"),
            string_len("region", 40),
            uuid("warehouse_id"),
            integer("n"),
            big_integer("quantity"),
        ],
        &["shard", "hold_id", "position"],
    )
}

/// The ledger: append-only, on the SKU's shard. Sums over a bucket's rows equal the bucket.
fn movements() -> NewTable {
    table(
        "stock_movement",
        vec![
            integer("shard"),
            uuid("sku_id"),
            uuid("id"),
            string_len("region", 40),
            uuid("warehouse_id"),
            integer("n"),
            string_len("kind", 10),
            big_integer("available"),
            big_integer("reserved"),
            big_integer("unavailable"),
            string_len("reference", 100),
            string_len("note", 500),
            string_len("actor", 100),
            big_integer("at"),
        ],
        &["shard", "sku_id", "id"],
    )
}
