//! What a shop leaves over: read from its database, beside its own code.

use anyhow::{Result, bail};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};

/// Counts of what should not be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Events that have no position.
    pub outbox: i64,
    /// Events some subscription has not reached. With a broker: events it has not been given, and the broker's backlog.
    pub unconsumed: i64,
    /// Deliveries that wait to be tried again.
    pub retries: i64,
    /// Deliveries given up.
    pub dead: i64,
    /// Shards whose log has a gap.
    pub gaps: i64,
    /// Live reservations whose order is not pending.
    pub stray_holds: i64,
    /// Buckets whose stock is not the sum of its movements, or is below zero.
    pub wrong_stock: i64,
}

impl Leftovers {
    /// Counts in the database at `url`.
    pub async fn of(url: &str) -> Result<Self> {
        let db = open(url).await?;
        let found = Self {
            outbox: count(&db, "SELECT count(*) FROM outbox").await?,
            unconsumed: count(
                &db,
                "SELECT cast(coalesce(sum(CASE WHEN c.pos > s.pos THEN c.pos - s.pos ELSE 0 END), 0) AS SIGNED) \
                 FROM subscription_cursor s JOIN shard_cursor c ON c.shard = s.shard WHERE s.subscription = 'relay' \
                 OR NOT EXISTS (SELECT 1 FROM subscription_cursor r WHERE r.subscription = 'relay')",
            )
            .await?,
            retries: count(&db, "SELECT count(*) FROM retry WHERE dead = 0").await?,
            dead: count(&db, "SELECT count(*) FROM retry WHERE dead = 1").await?,
            gaps: count(
                &db,
                "SELECT count(*) FROM (SELECT shard, count(*) n, max(pos) - min(pos) + 1 span FROM event_log \
                 GROUP BY shard) logs WHERE n <> span",
            )
            .await?,
            stray_holds: count(&db, STRAY_HOLDS).await?,
            wrong_stock: count(&db, WRONG_STOCK).await?,
        };
        db.close().await?;
        Ok(found)
    }

    /// Whether background work has nothing to do.
    pub fn is_quiet(&self) -> bool {
        self.outbox == 0 && self.unconsumed == 0 && self.retries == 0
    }

    /// Fails when anything is left over.
    pub fn check(&self) -> Result<()> {
        if *self == Self::default() { Ok(()) } else { bail!("left over: {self:?}") }
    }
}

const STRAY_HOLDS: &str = "SELECT count(*) FROM hold h WHERE h.state = 'reserved' AND NOT EXISTS \
     (SELECT 1 FROM orders o WHERE o.shard = h.shard AND o.hold_id = h.id AND o.state = 'pending_payment')";

const WRONG_STOCK: &str = "SELECT count(*) FROM stock_bucket b WHERE b.available < 0 OR b.reserved < 0 OR b.unavailable < 0 \
     OR (b.available, b.reserved, b.unavailable) <> \
        (SELECT coalesce(sum(m.available), 0), coalesce(sum(m.reserved), 0), coalesce(sum(m.unavailable), 0) \
         FROM stock_movement m WHERE m.sku_id = b.sku_id AND m.region = b.region \
         AND m.warehouse_id = b.warehouse_id AND m.n = b.n) \
     OR b.reserved <> (SELECT coalesce(sum(l.quantity), 0) FROM hold_line l JOIN hold h ON h.shard = l.shard \
         AND h.id = l.hold_id WHERE h.state = 'reserved' AND l.sku_id = b.sku_id AND l.region = b.region \
         AND l.warehouse_id = b.warehouse_id AND l.n = b.n)";

async fn open(url: &str) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Ok(Database::connect(options).await?)
}

/// The one number a query of the database at `url` answers.
pub async fn number(url: &str, sql: &str) -> Result<i64> {
    let db = open(url).await?;
    let found = count(&db, sql).await?;
    db.close().await?;
    Ok(found)
}

async fn count(db: &DatabaseConnection, sql: &str) -> Result<i64> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default())
}

/// Changes rows of the database at `url`, which may be one to read only; how many.
pub async fn execute(url: &str, sql: &str) -> Result<u64> {
    let db = open(&url.replace("mode=ro", "mode=rw")).await?;
    let done = db.execute_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    db.close().await?;
    Ok(done.rows_affected())
}
