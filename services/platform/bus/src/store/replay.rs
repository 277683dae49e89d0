//! Replays of subscriptions whose events come from a broker: a cursor of its own, from where it began to the log's end.

use std::collections::BTreeMap;

use kernel::{Result, Shard};
use platform_db::{Db, DbResult};
use sea_orm::Value;

use super::{Parked, Range, execute, letters::forget, number, query, retry::park, shard};
use crate::subscriptions::REPLAY;

/// The name under which a subscription's replay has its cursors in `subscription_cursor`.
pub(crate) fn replay_of(subscription: &str) -> String {
    format!("{REPLAY}{subscription}")
}

/// Forgets what a subscription consumed of a shard from position `from` on, then notes that it is to come again. When the
/// process ends in between nothing is delivered again, and asking once more finishes it.
pub(crate) async fn begin_replay(db: &Db, subscription: &str, of: Shard, from: i64) -> Result<()> {
    let from = forget(db, subscription, of, from).await?;
    if db.log_ends().await?.get(&of).is_none_or(|end| *end < from) {
        return Ok(());
    }
    db.write(of, (replay_of(subscription), of, from - 1), |tx, (name, of, pos)| {
        Box::pin(async move {
            let key = || -> Vec<Value> { vec![name.clone().into(), number(*of)] };
            let sql = "SELECT shard, pos FROM subscription_cursor WHERE subscription = ? AND shard = ?";
            let running = query(tx, sql.to_owned(), key()).await?;
            let mut values: Vec<Value> = vec![(*pos).into()];
            values.extend(key());
            let sql = match running.first() {
                None => "INSERT INTO subscription_cursor (pos, subscription, shard) VALUES (?, ?, ?)",
                Some(row) if row.try_get_by_index::<i64>(1).db()? <= *pos => return Ok(()),
                Some(_) => "UPDATE subscription_cursor SET pos = ? WHERE subscription = ? AND shard = ?",
            };
            execute(tx, sql.to_owned(), values).await.map(|_| ())
        })
    })
    .await
}

/// Parks what failed of a replay and moves its cursors; those that have reached their end are gone. A cursor that stands
/// elsewhere stays: another process works on it, or the replay was asked for again.
pub(crate) async fn advance_replay(
    db: &Db,
    subscription: &'static str,
    moves: Vec<(Range, bool)>,
    parked: Vec<Parked>,
) -> Result<()> {
    db.write(Shard::new(0), (moves, parked), move |tx, (moves, parked)| {
        Box::pin(async move {
            park(tx, subscription, parked).await?;
            for (range, ended) in moves {
                let mut values: Vec<Value> = if *ended { Vec::new() } else { vec![range.to.into()] };
                values.extend([replay_of(subscription).into(), number(range.shard), range.from.into()]);
                let sql = if *ended {
                    "DELETE FROM subscription_cursor WHERE subscription = ? AND shard = ? AND pos = ?"
                } else {
                    "UPDATE subscription_cursor SET pos = ? WHERE subscription = ? AND shard = ? AND pos = ?"
                };
                execute(tx, sql.to_owned(), values).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Where a subscription stands, on the shards where it has a cursor.
pub(crate) async fn cursors_of(db: &Db, subscription: &str) -> Result<BTreeMap<Shard, i64>> {
    let sql = "SELECT shard, pos FROM subscription_cursor WHERE subscription = ?";
    positions(db, sql, subscription.into()).await
}

/// Up to where every replay has brought its events, on the shards where there is one.
pub(crate) async fn least_replays(db: &Db) -> Result<BTreeMap<Shard, i64>> {
    let sql = "SELECT shard, MIN(pos) FROM subscription_cursor WHERE subscription LIKE ? GROUP BY shard";
    positions(db, sql, format!("{REPLAY}%").into()).await
}

async fn positions(db: &Db, sql: &str, value: Value) -> Result<BTreeMap<Shard, i64>> {
    let rows = query(db.read(), sql.to_owned(), vec![value]).await?;
    rows.iter().map(|row| Ok((shard(row, 0)?, row.try_get_by_index(1).db()?))).collect()
}
