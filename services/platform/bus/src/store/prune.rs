//! Deleting what is old.

use std::collections::BTreeMap;

use kernel::{Result, Shard, Timestamp};
use platform_db::{Db, DbResult, Tx};

use super::{Range, execute, number, query, shard};

/// The oldest position a shard's log has.
pub(crate) async fn first_position(db: &Db, shard: Shard) -> Result<Option<i64>> {
    let sql = "SELECT pos FROM event_log WHERE shard = ? ORDER BY pos LIMIT 1".to_owned();
    query(db.read(), sql, vec![number(shard)])
        .await?
        .first()
        .map(|row| row.try_get_by_index(0).db())
        .transpose()
}

/// The position up to which every subscription has seen each shard; shards nobody has a cursor on are missing.
pub(crate) async fn least_cursors(db: &Db) -> Result<BTreeMap<Shard, i64>> {
    let sql = "SELECT shard, MIN(pos) FROM subscription_cursor GROUP BY shard".to_owned();
    let rows = query(db.read(), sql, Vec::new()).await?;
    rows.iter().map(|row| Ok((shard(row, 0)?, row.try_get_by_index(1).db()?))).collect()
}

/// Every subscription there ever was.
pub(crate) async fn subscriptions(db: &Db) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT subscription FROM subscription_cursor ORDER BY subscription".to_owned();
    query(db.read(), sql, Vec::new()).await?.iter().map(|row| row.try_get_by_index(0).db()).collect()
}

/// The next positions of a shard behind `from` with their times.
pub(crate) async fn aged(db: &Db, of: Shard, from: i64, limit: u32) -> Result<Vec<(i64, Timestamp)>> {
    let sql = "SELECT pos, at FROM event_log WHERE shard = ? AND pos > ? ORDER BY pos LIMIT ?".to_owned();
    let rows = query(db.read(), sql, vec![number(of), from.into(), limit.into()]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get_by_index(0).db()?, Timestamp::from_micros(row.try_get_by_index(1).db()?))))
        .collect()
}

/// Deletes the events of a range except those that somebody has still to consume or replay.
pub(crate) async fn delete_events(tx: &Tx, range: Range) -> Result<u64> {
    let sql = "DELETE FROM event_log WHERE shard = ? AND pos > ? AND pos <= ? AND NOT EXISTS \
               (SELECT 1 FROM retry r WHERE r.shard = event_log.shard AND r.pos = event_log.pos)";
    execute(tx, sql.to_owned(), vec![number(range.shard), range.from.into(), range.to.into()]).await
}

/// Deletes a subscription's inbox rows of a range.
pub(crate) async fn delete_inbox(tx: &Tx, subscription: &str, range: Range) -> Result<u64> {
    let sql = "DELETE FROM inbox WHERE subscription = ? AND shard = ? AND pos > ? AND pos <= ?".to_owned();
    execute(tx, sql, vec![subscription.into(), number(range.shard), range.from.into(), range.to.into()]).await
}

/// The first positions that a subscription noted of a shard before one, as long as they were noted before `old`.
pub(crate) async fn noted(
    db: &Db,
    subscription: &str,
    (of, before): (Shard, i64),
    old: Timestamp,
    limit: u32,
) -> Result<Vec<i64>> {
    let sql = "SELECT pos FROM inbox WHERE subscription = ? AND shard = ? AND pos < ? AND at < ? \
               ORDER BY pos LIMIT ?";
    let values = vec![subscription.into(), number(of), before.into(), old.micros().into(), limit.into()];
    let rows = query(db.read(), sql.to_owned(), values).await?;
    rows.iter().map(|row| row.try_get_by_index(0).db()).collect()
}

/// Deletes what a subscription noted of a shard up to a position, as far as it was noted before `old`.
pub(crate) async fn delete_noted(
    tx: &Tx,
    subscription: &str,
    (of, last): (Shard, i64),
    old: Timestamp,
) -> Result<u64> {
    let sql = "DELETE FROM inbox WHERE subscription = ? AND shard = ? AND pos <= ? AND at < ?".to_owned();
    execute(tx, sql, vec![subscription.into(), number(of), last.into(), old.micros().into()]).await
}

/// Deletes the retries and dead letters of a range, of every subscription.
pub(crate) async fn delete_retries(tx: &Tx, range: Range) -> Result<u64> {
    let sql = "DELETE FROM retry WHERE shard = ? AND pos > ? AND pos <= ?".to_owned();
    execute(tx, sql, vec![number(range.shard), range.from.into(), range.to.into()]).await
}
