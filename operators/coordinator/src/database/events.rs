//! How many events of some shards wait, from the platform's tables.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Failure, Result, Shard};
use placement::Events;
use platform_db::DbResult;
use sea_orm::{ConnectionTrait, Statement};

/// More events without a position are not counted: a look must not cost more than what it looks at.
const MOST: u32 = 100_000;

/// By moments that follow each other: what is sequenced between two of them may be counted twice, and nothing is left out.
pub(super) async fn count<C: ConnectionTrait>(at: &C, shards: &BTreeSet<Shard>) -> Result<Events> {
    let of = vec!["?"; shards.len()].join(",");
    let unsequenced = format!(
        "SELECT COUNT(*) FROM (SELECT shard FROM outbox WHERE shard IN ({of}) LIMIT {MOST}) AS waiting"
    );
    let unsequenced = rows(at, unsequenced, shards).await?;
    let unsequenced = unsequenced.first().map(|row| row.try_get_by_index::<i64>(0)).transpose().db()?;
    // With a broker it is the relay that must have taken an event; what a region consumes for itself rests while it is down.
    let consumed = format!(
        "SELECT s.shard, MIN(s.pos) FROM subscription_cursor s WHERE s.shard IN ({of}) \
         AND s.subscription NOT LIKE '%@%' AND (s.subscription = 'relay' \
         OR NOT EXISTS (SELECT 1 FROM subscription_cursor r WHERE r.subscription = 'relay')) GROUP BY s.shard"
    );
    let consumed = positions(at, consumed, shards).await?;
    let ends =
        positions(at, format!("SELECT shard, pos FROM shard_cursor WHERE shard IN ({of})"), shards).await?;
    let behind = consumed.iter().map(|(shard, pos)| {
        let end = ends.get(shard).copied().unwrap_or_default();
        end.saturating_sub(*pos)
    });
    Ok(Events {
        shards: u64::try_from(shards.len()).map_err(Failure::internal)?,
        unsequenced: number(unsequenced.unwrap_or_default())?,
        unconsumed: behind.sum(),
        sequenced: ends.values().sum(),
    })
}

async fn positions<C: ConnectionTrait>(
    at: &C,
    sql: String,
    shards: &BTreeSet<Shard>,
) -> Result<BTreeMap<i32, u64>> {
    let mut found = BTreeMap::new();
    for row in rows(at, sql, shards).await? {
        found.insert(row.try_get_by_index(0).db()?, number(row.try_get_by_index(1).db()?)?);
    }
    Ok(found)
}

async fn rows<C: ConnectionTrait>(
    at: &C,
    sql: String,
    shards: &BTreeSet<Shard>,
) -> Result<Vec<sea_orm::QueryResult>> {
    let shards = shards.iter().map(|shard| i32::from(shard.number()).into());
    at.query_all_raw(Statement::from_sql_and_values(at.get_database_backend(), sql, shards)).await.db()
}

fn number(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(Failure::internal)
}
