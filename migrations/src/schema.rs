//! How tables are made, on each database.
//!
//! On TiDB rows lie in their primary key's order (clustered), text compares by its bytes, indexes are made with their
//! table (a change of an existing one takes seconds there), and the hot tables are cut into a partition a shard, so that a
//! shard's rows can be placed where its people are.

use sea_orm_migration::{
    prelude::*,
    schema::custom,
    sea_orm::{DbBackend, Statement},
};

/// Tables with a partition a shard on TiDB: what every order and every page writes. At most 40 in all (TiDB's guidance is
/// 10,000 partitions with a placement policy). Each unique key of theirs has the shard in it.
const BY_SHARD: [&str; 17] = [
    "outbox",
    "event_log",
    "inbox",
    "idempotency",
    "session",
    "cart",
    "cart_line",
    "orders",
    "order_line",
    "order_history",
    "payment_intent",
    "payment_attempt",
    "payment_log",
    "refund",
    "hold",
    "hold_line",
    "stock_movement",
];
/// Cut by region: a region sells from its own buckets. All regions share one partition until one is set up and gets its
/// own (`ALTER TABLE … REORGANIZE PARTITION`).
const BY_REGION: &str = "stock_bucket";
/// A database with more shards has several of them in a partition.
const MOST_PARTITIONS: i64 = 64;

/// Name, table, whether it is unique, columns.
pub(crate) type NewIndex = (&'static str, &'static str, bool, &'static [&'static str]);

/// A table to be made.
pub(crate) struct NewTable {
    name: &'static str,
    statement: TableCreateStatement,
    without_rowid: bool,
}

/// A table of these columns with this primary key.
pub(crate) fn table(name: &'static str, columns: Vec<ColumnDef>, key: &[&'static str]) -> NewTable {
    let mut statement = Table::create();
    statement.table(name);
    for mut column in columns {
        statement.col(&mut column);
    }
    let mut primary = Index::create();
    for column in key {
        primary.col(*column);
    }
    statement.primary_key(&mut primary);
    NewTable { name, statement: statement.to_owned(), without_rowid: false }
}

/// Bytes of any length up to 16 MiB: MySQL's `blob` ends at 64 KiB.
pub(crate) fn bytes(name: &'static str) -> ColumnDef {
    custom(name, "mediumblob")
}

impl NewTable {
    /// On SQLite the rows live in the primary key's own tree, as they do on TiDB: one tree less to write for each row.
    pub(crate) fn in_key_order(mut self) -> Self {
        self.without_rowid = true;
        self
    }

    /// A condition on every row.
    pub(crate) fn check(mut self, condition: Expr) -> Self {
        self.statement.check(condition);
        self
    }
}

/// Makes tables with their indexes.
pub(crate) async fn create(
    manager: &SchemaManager<'_>,
    tables: Vec<NewTable>,
    indexes: &[NewIndex],
) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::MySql {
        return on_tidb(manager, tables, indexes).await;
    }
    for mut table in tables {
        if table.without_rowid {
            table.statement.extra("WITHOUT ROWID");
        }
        manager.create_table(table.statement).await?;
    }
    for new in indexes {
        manager.create_index(index(new).table(new.1).to_owned()).await?;
    }
    Ok(())
}

async fn on_tidb(
    manager: &SchemaManager<'_>,
    tables: Vec<NewTable>,
    indexes: &[NewIndex],
) -> Result<(), DbErr> {
    let partitions = partitions(manager).await?;
    for NewTable { name, mut statement, .. } in tables {
        for new in indexes.iter().filter(|(_, of, ..)| *of == name) {
            statement.index(&mut index(new));
        }
        // There is no transaction around tables here: who was interrupted goes on where it stopped.
        statement.if_not_exists().character_set("utf8mb4").collate("utf8mb4_bin");
        if BY_SHARD.contains(&name) {
            statement.extra(format!("PARTITION BY HASH (shard) PARTITIONS {partitions}"));
        } else if name == BY_REGION {
            statement.extra("PARTITION BY LIST COLUMNS (region) (PARTITION elsewhere DEFAULT)");
        }
        manager.create_table(statement).await?;
    }
    Ok(())
}

/// Adds a column.
pub(crate) async fn add_column(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: ColumnDef,
) -> Result<(), DbErr> {
    let mut change = Table::alter();
    change.table(table);
    if manager.get_database_backend() == DbBackend::MySql {
        change.add_column_if_not_exists(column);
    } else {
        change.add_column(column);
    }
    manager.alter_table(change.to_owned()).await
}

fn index((name, _, unique, columns): &NewIndex) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(*name);
    if *unique {
        index.unique();
    }
    for column in *columns {
        index.col(*column);
    }
    index
}

/// A partition a shard. How many there are the session that migrates is told (`platform_db::Db::schema`).
async fn partitions(manager: &SchemaManager<'_>) -> Result<i64, DbErr> {
    let select = Statement::from_string(DbBackend::MySql, "SELECT CAST(@meridian_shards AS SIGNED)");
    let row = manager.get_connection().query_one_raw(select).await?;
    let told: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
    Ok(told.unwrap_or(16).clamp(1, MOST_PARTITIONS))
}
