//! Rows of `retry`: events that failed.

use std::collections::{HashMap, HashSet};

use kernel::{Failure, Result, Shard, Timestamp};
use platform_db::{Db, DbResult, Tx};
use sea_orm::Value;

use super::{KEYS, count, execute, number, query, shard};

/// The column's length.
const ERROR: usize = 1_000;

/// An event to be parked.
#[derive(Clone, Debug)]
pub(crate) struct Parked {
    pub(crate) shard: Shard,
    pub(crate) pos: i64,
    pub(crate) attempts: u32,
    pub(crate) next_at: Timestamp,
    pub(crate) error: String,
}

/// A parked event that will be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) shard: Shard,
    pub(crate) pos: i64,
    pub(crate) attempts: u32,
    pub(crate) next_at: Timestamp,
    /// None when the event was pruned.
    pub(crate) aggregate: Option<String>,
}

/// How a retry went.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Done,
    Failed { attempts: u32, next_at: Timestamp, error: String, dead: bool },
}

pub(super) fn read_attempts(value: i32) -> Result<u32> {
    u32::try_from(value).map_err(Failure::internal)
}

fn attempts_value(attempts: u32) -> Value {
    i32::try_from(attempts).unwrap_or(i32::MAX).into()
}

fn error_value(error: &str) -> Value {
    error.chars().take(ERROR).collect::<String>().into()
}

/// Inserts the rows that are not there yet.
pub(super) async fn park(tx: &Tx, subscription: &str, parked: &[Parked]) -> Result<()> {
    for chunk in parked.chunks(KEYS) {
        let mut values: Vec<Value> = vec![subscription.into()];
        values.extend(chunk.iter().flat_map(|parked| [number(parked.shard), parked.pos.into()]));
        let keys = vec!["(shard = ? AND pos = ?)"; chunk.len()].join(" OR ");
        let sql = format!("SELECT shard, pos FROM retry WHERE subscription = ? AND ({keys})");
        let mut there: HashSet<(Shard, i64)> = HashSet::new();
        for row in query(tx, sql, values).await? {
            there.insert((shard(&row, 0)?, row.try_get_by_index(1).db()?));
        }
        for parked in chunk.iter().filter(|parked| !there.contains(&(parked.shard, parked.pos))) {
            let sql = "INSERT INTO retry (subscription, shard, pos, attempts, next_at, error, dead) VALUES (?, ?, ?, ?, ?, ?, ?)";
            let values = vec![
                subscription.into(),
                number(parked.shard),
                parked.pos.into(),
                attempts_value(parked.attempts),
                parked.next_at.micros().into(),
                error_value(&parked.error),
                false.into(),
            ];
            execute(tx, sql.to_owned(), values).await?;
        }
    }
    Ok(())
}

/// The parked events of a subscription that will be tried again, by shard and position.
pub(crate) async fn parked(db: &Db, subscription: &str, limit: u32) -> Result<Vec<Waiting>> {
    let sql = "SELECT r.shard, r.pos, r.attempts, r.next_at, e.aggregate FROM retry r \
               LEFT JOIN event_log e ON e.shard = r.shard AND e.pos = r.pos \
               WHERE r.subscription = ? AND r.dead = ? ORDER BY r.shard, r.pos LIMIT ?";
    let rows =
        query(db.read(), sql.to_owned(), vec![subscription.into(), false.into(), limit.into()]).await?;
    rows.iter()
        .map(|row| {
            Ok(Waiting {
                shard: shard(row, 0)?,
                pos: row.try_get_by_index(1).db()?,
                attempts: read_attempts(row.try_get_by_index(2).db()?)?,
                next_at: Timestamp::from_micros(row.try_get_by_index(3).db()?),
                aggregate: row.try_get_by_index(4).db()?,
            })
        })
        .collect()
}

/// Writes how retries went. A row that was rewound or revived meanwhile is not there or starts over: both are fine.
pub(crate) async fn note_retries(
    db: &Db,
    subscription: &'static str,
    outcomes: Vec<((Shard, i64), Outcome)>,
) -> Result<()> {
    db.write(Shard::new(0), outcomes, move |tx, outcomes| {
        Box::pin(async move {
            for ((shard, pos), outcome) in outcomes {
                let key = [subscription.into(), number(*shard), (*pos).into()];
                let (sql, values): (_, Vec<Value>) = match outcome {
                    Outcome::Done => {
                        ("DELETE FROM retry WHERE subscription = ? AND shard = ? AND pos = ?", key.into())
                    }
                    Outcome::Failed { attempts, next_at, error, dead } => (
                        "UPDATE retry SET attempts = ?, next_at = ?, error = ?, dead = ? \
                         WHERE subscription = ? AND shard = ? AND pos = ?",
                        [
                            attempts_value(*attempts),
                            next_at.micros().into(),
                            error_value(error),
                            (*dead).into(),
                        ]
                        .into_iter()
                        .chain(key)
                        .collect(),
                    ),
                };
                execute(tx, sql.to_owned(), values).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Parked events that will be tried again, by subscription.
pub(crate) async fn count_live(db: &Db) -> Result<HashMap<String, u64>> {
    count_by_subscription(db, false).await
}

/// Dead letters, by subscription.
pub(crate) async fn count_dead(db: &Db) -> Result<HashMap<String, u64>> {
    count_by_subscription(db, true).await
}

async fn count_by_subscription(db: &Db, dead: bool) -> Result<HashMap<String, u64>> {
    let sql = "SELECT subscription, COUNT(*) FROM retry WHERE dead = ? GROUP BY subscription".to_owned();
    let rows = query(db.read(), sql, vec![dead.into()]).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0).db()?, count(row, 1)?))).collect()
}
