//! The oldest events that wait.

use std::collections::BTreeSet;

use kernel::{Result, Shard, Timestamp};
use platform_db::{Db, DbResult};
use sea_orm::Value;

use super::{number, query};

/// When the oldest event in the outbox happened, of these shards or of all.
pub(crate) async fn oldest_waiting(db: &Db, shards: Option<&BTreeSet<Shard>>) -> Result<Option<Timestamp>> {
    oldest(db, "SELECT MIN(at) FROM outbox WHERE 1 = 1", Vec::new(), "shard", shards).await
}

/// When the oldest event in the log happened that a subscription has not seen: a row a shard, the one behind its cursor.
pub(crate) async fn oldest_behind(
    db: &Db,
    subscription: &str,
    shards: Option<&BTreeSet<Shard>>,
) -> Result<Option<Timestamp>> {
    let next = "SELECT MIN(e.at) FROM subscription_cursor s JOIN event_log e ON e.shard = s.shard \
                AND e.pos = s.pos + 1 WHERE s.subscription = ?";
    oldest(db, next, vec![subscription.into()], "s.shard", shards).await
}

async fn oldest(
    db: &Db,
    select: &str,
    mut values: Vec<Value>,
    column: &str,
    shards: Option<&BTreeSet<Shard>>,
) -> Result<Option<Timestamp>> {
    let mut sql = select.to_owned();
    if let Some(shards) = shards {
        sql.push_str(&format!(" AND {column} IN ({})", vec!["?"; shards.len()].join(", ")));
        values.extend(shards.iter().map(|shard| number(*shard)));
    }
    let rows = query(db.read(), sql, values).await?;
    let at: Option<i64> = rows.first().map(|row| row.try_get_by_index(0).db()).transpose()?.flatten();
    Ok(at.map(Timestamp::from_micros))
}
