//! Dead letters and replay.

use kernel::{Result, Shard, Timestamp};
use platform_db::{Db, DbResult};
use sea_orm::Value;

use super::{execute, number, query, retry::read_attempts, shard};
use crate::{DeadLetter, Selection};

/// Where a dead letter stands in the list: its key.
pub(crate) type Place = (String, u16, i64);

/// Rows that are deleted in one write: the writer is not kept from others for long.
const SLICE: i64 = 1_000;

/// Dead letters behind `after`.
pub(crate) async fn dead_letters(db: &Db, after: Option<Place>, limit: u32) -> Result<Vec<DeadLetter>> {
    let mut values: Vec<Value> = vec![true.into()];
    let mut behind = "";
    if let Some((subscription, shard, pos)) = after {
        behind = "AND (r.subscription > ? OR (r.subscription = ? AND (r.shard > ? OR (r.shard = ? AND r.pos > ?))))";
        let shard = number(Shard::new(shard));
        values.extend([subscription.clone().into(), subscription.into(), shard.clone(), shard, pos.into()]);
    }
    values.push(limit.into());
    let sql = format!(
        "SELECT r.subscription, r.shard, r.pos, e.topic, e.aggregate, e.at, r.attempts, r.error FROM retry r \
         JOIN event_log e ON e.shard = r.shard AND e.pos = r.pos WHERE r.dead = ? {behind} \
         ORDER BY r.subscription, r.shard, r.pos LIMIT ?"
    );
    let rows = query(db.read(), sql, values).await?;
    rows.iter()
        .map(|row| {
            Ok(DeadLetter {
                subscription: row.try_get_by_index(0).db()?,
                shard: shard(row, 1)?,
                pos: row.try_get_by_index(2).db()?,
                topic: row.try_get_by_index(3).db()?,
                aggregate: row.try_get_by_index(4).db()?,
                at: Timestamp::from_micros(row.try_get_by_index(5).db()?),
                attempts: read_attempts(row.try_get_by_index(6).db()?)?,
                error: row.try_get_by_index(7).db()?,
            })
        })
        .collect()
}

/// Makes dead letters live again, due at once.
pub(crate) async fn revive(db: &Db, selection: Selection) -> Result<u64> {
    db.write(Shard::new(0), selection, |tx, selection| {
        Box::pin(async move {
            let mut values: Vec<Value> =
                vec![0_i32.into(), tx.now().micros().into(), false.into(), true.into()];
            let which = match selection {
                Selection::All => "",
                Selection::Subscription(subscription) => {
                    values.push(subscription.clone().into());
                    "AND subscription = ?"
                }
                Selection::One { subscription, shard, pos } => {
                    values.extend([subscription.clone().into(), number(*shard), (*pos).into()]);
                    "AND subscription = ? AND shard = ? AND pos = ?"
                }
            };
            let sql = format!("UPDATE retry SET attempts = ?, next_at = ?, dead = ? WHERE dead = ? {which}");
            execute(tx, sql, values).await
        })
    })
    .await
}

/// Forgets what a subscription consumed of a shard from position `from` on, then sets its cursor before it. When the
/// process ends in between nothing is delivered again, and asking once more finishes it.
pub(crate) async fn rewind(db: &Db, subscription: &str, shard: Shard, from: i64) -> Result<()> {
    let from = forget(db, subscription, shard, from).await?;
    db.write(shard, (subscription.to_owned(), shard, from), |tx, (subscription, shard, from)| {
        Box::pin(async move {
            let sql =
                "UPDATE subscription_cursor SET pos = ? WHERE subscription = ? AND shard = ? AND pos >= ?";
            let values = vec![(from - 1).into(), subscription.clone().into(), number(*shard), (*from).into()];
            execute(tx, sql.to_owned(), values).await.map(|_| ())
        })
    })
    .await
}

/// Forgets what a subscription consumed of a shard from position `from` on. Returns the first position there is.
pub(super) async fn forget(db: &Db, subscription: &str, shard: Shard, from: i64) -> Result<i64> {
    let first = super::first_position(db, shard).await?;
    let end = db.log_ends().await?.get(&shard).copied().unwrap_or(0);
    // Never before what was pruned, never behind the end: there is nothing to deliver there.
    let from = from.max(first.unwrap_or(1)).min(end.saturating_add(1));
    let mut low = from;
    while low <= end {
        let slice = (subscription.to_owned(), shard, low, low.saturating_add(SLICE - 1).min(end));
        db.write(shard, slice, |tx, (subscription, shard, low, high)| {
            Box::pin(async move {
                for table in ["inbox", "retry"] {
                    let sql = format!(
                        "DELETE FROM {table} WHERE subscription = ? AND shard = ? AND pos BETWEEN ? AND ?"
                    );
                    let values =
                        vec![subscription.clone().into(), number(*shard), (*low).into(), (*high).into()];
                    execute(tx, sql, values).await?;
                }
                Ok(())
            })
        })
        .await?;
        low = low.saturating_add(SLICE);
    }
    Ok(from)
}
