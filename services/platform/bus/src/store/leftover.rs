//! What the database keeps for subscriptions.

use std::collections::BTreeMap;

use kernel::{Failure, Result, Shard, code};
use platform_db::{Db, DbResult};
use sea_orm::Value;

use super::{all_cursors, count, execute, number, query, shard};

/// Rows that are deleted in one write: the writer is not kept from others for long.
const SLICE: u64 = 1_000;

/// What is kept for a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Shards it has a cursor on.
    pub(crate) cursors: u64,
    /// Events behind these.
    pub(crate) waiting: u64,
    /// Parked events and dead letters.
    pub(crate) parked: u64,
}

/// Every subscription that has a cursor or a parked event.
pub(crate) async fn kept(db: &Db) -> Result<BTreeMap<String, Kept>> {
    let ends = db.log_ends().await?;
    let mut all: BTreeMap<String, Kept> = BTreeMap::new();
    for (name, cursors) in all_cursors(db).await? {
        let kept = all.entry(name).or_default();
        for (number, pos) in (0_u16..).zip(cursors) {
            let Some(pos) = pos else { continue };
            let end = ends.get(&Shard::new(number)).copied().unwrap_or(0);
            kept.cursors += 1;
            kept.waiting += u64::try_from(end.saturating_sub(pos)).unwrap_or(0);
        }
    }
    let sql = "SELECT subscription, COUNT(*) FROM retry GROUP BY subscription".to_owned();
    for row in query(db.read(), sql, Vec::new()).await? {
        all.entry(row.try_get_by_index(0).db()?).or_default().parked = count(&row, 1)?;
    }
    Ok(all)
}

/// A conflict while a process holds a lease of the subscription: it would go on, from the beginning of the log.
pub(crate) async fn not_held(db: &Db, subscription: &str) -> Result<()> {
    db.write(Shard::new(0), subscription.to_owned(), |tx, subscription| {
        Box::pin(async move {
            let now = tx.database_now().await?;
            let sql = "SELECT name FROM lease WHERE name LIKE 'bus/%' AND expires_at > ?";
            for row in query(&tx.unlocked(), sql.to_owned(), vec![now.micros().into()]).await? {
                if is_of(&row.try_get_by_index::<String>(0).db()?, subscription) {
                    return Err(Failure::new(code::CONFLICT).detail(format!(
                        "a process takes the events of {subscription}: stop it first, and wait until its lease has run out"
                    )));
                }
            }
            Ok(())
        })
    })
    .await
}

/// Whether a lease, `bus/SUBSCRIPTION` or `bus/REGION/SUBSCRIPTION`, is of a subscription.
fn is_of(lease: &str, subscription: &str) -> bool {
    let place = lease.strip_prefix("bus/").and_then(|lease| lease.strip_suffix(subscription));
    place.is_some_and(|place| place.is_empty() || place.ends_with('/'))
}

/// How many rows of `table` (`inbox`, `retry` or `subscription_cursor`) a subscription has, by shard.
pub(crate) async fn rows_of(
    db: &Db,
    table: &'static str,
    subscription: &str,
) -> Result<BTreeMap<Shard, u64>> {
    let sql = format!("SELECT shard, COUNT(*) FROM {table} WHERE subscription = ? GROUP BY shard");
    let rows = query(db.read(), sql, vec![subscription.into()]).await?;
    rows.iter().map(|row| Ok((shard(row, 0)?, count(row, 1)?))).collect()
}

/// Deletes a subscription's rows of `table` (`inbox` or `retry`) on these shards, some at a time.
pub(crate) async fn drop_rows(
    db: &Db,
    table: &'static str,
    subscription: &str,
    shards: impl IntoIterator<Item = Shard>,
) -> Result<()> {
    for shard in shards {
        while drop_some(db, table, subscription, shard).await? >= SLICE {}
    }
    Ok(())
}

async fn drop_some(db: &Db, table: &'static str, subscription: &str, of: Shard) -> Result<u64> {
    db.write(of, (subscription.to_owned(), of), move |tx, (subscription, of)| {
        Box::pin(async move {
            let mut values: Vec<Value> = vec![subscription.clone().into(), number(*of)];
            let mine = format!("FROM {table} WHERE subscription = ? AND shard = ?");
            let last = format!("SELECT pos {mine} ORDER BY pos LIMIT 1 OFFSET {}", SLICE - 1);
            let last = query(&tx.unlocked(), last, values.clone()).await?;
            let mut delete = format!("DELETE {mine}");
            if let Some(last) = last.first() {
                delete.push_str(" AND pos <= ?");
                values.push(last.try_get_by_index::<i64>(0).db()?.into());
            }
            execute(tx, delete, values).await
        })
    })
    .await
}

/// Deletes a subscription's cursors.
pub(crate) async fn drop_cursors(db: &Db, subscription: &str) -> Result<()> {
    db.write(Shard::new(0), subscription.to_owned(), |tx, subscription| {
        Box::pin(async move {
            let sql = "DELETE FROM subscription_cursor WHERE subscription = ?";
            execute(tx, sql.to_owned(), vec![subscription.clone().into()]).await.map(|_| ())
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_told_apart_by_their_whole_name() {
        for lease in ["bus/order.settle", "bus/eu-west/order.settle"] {
            assert!(is_of(lease, "order.settle"), "{lease}");
        }
        for lease in ["bus/reorder.settle", "bus/order.settle@eu", "job/order.settle", "bus/order_settle"] {
            assert!(!is_of(lease, "order.settle"), "{lease}");
        }
    }
}
