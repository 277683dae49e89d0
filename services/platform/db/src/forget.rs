//! Forgetting requests that are old.

use std::time::Duration;

use kernel::{Result, Shard, Timestamp};
use sea_orm::{ConnectionTrait, Statement, Value};

use crate::{Db, DbResult, Tx, once::APPEND};

/// Keys read at once.
const PAGE: u32 = 1_000;
/// Keys deleted in one write: the writer is not kept from others for long.
const SLICE: usize = 100;
/// How long the row of an append without a key is of use: as long as it may be asked whether its COMMIT came through, which the
/// longest `database.tidb.deadline` bounds, and much more.
const APPENDS: Duration = Duration::from_secs(86_400);

/// Where a row is in its shard.
type Key = [String; 3];

impl Db {
    /// Deletes the rows of requests ([`crate::Once`]) that were answered longer ago than `database.keep_answers`, and of appends without
    /// a key from before yesterday; returns how many. A key that was forgotten may be used again: what it did has ids that
    /// derive from it and is there, so an order is not placed twice.
    ///
    /// Reads every key, a page at a time: there is no index by age, for which each order would pay.
    pub async fn forget_requests(&self) -> Result<u64> {
        let now = self.now();
        let (answers, appends) = (now.minus(self.0.keep_answers), now.minus(APPENDS));
        let old =
            |[principal, ..]: &Key, at: Timestamp| at < if principal == APPEND { appends } else { answers };
        let mut forgotten = 0;
        for shard in self.every_shard() {
            let mut after = Key::default();
            loop {
                let page = self.keys(shard, &after).await?;
                let Some((last, _)) = page.last() else { break };
                after.clone_from(last);
                let gone: Vec<Key> =
                    page.into_iter().filter(|(key, at)| old(key, *at)).map(|(key, _)| key).collect();
                for slice in gone.chunks(SLICE) {
                    forgotten +=
                        self.write(shard, slice.to_vec(), |tx, keys| Box::pin(delete(tx, keys))).await?;
                }
            }
        }
        Ok(forgotten)
    }

    /// The next keys of a shard and when they were answered.
    async fn keys(&self, shard: Shard, after: &Key) -> Result<Vec<(Key, Timestamp)>> {
        let sql = "SELECT principal, route, request_key, created_at FROM idempotency \
                   WHERE shard = ? AND (principal, route, request_key) > (?, ?, ?) \
                   ORDER BY principal, route, request_key LIMIT ?";
        let [principal, route, key] = after.clone();
        let values: [Value; 5] =
            [i32::from(shard.number()).into(), principal.into(), route.into(), key.into(), PAGE.into()];
        let statement = Statement::from_sql_and_values(self.read().get_database_backend(), sql, values);
        let rows = self.read().query_all_raw(statement).await.db()?;
        let keys = rows.iter().map(|row| {
            let text = |index| row.try_get_by_index::<String>(index).db();
            let at = Timestamp::from_micros(row.try_get_by_index(3).db()?);
            Ok(([text(0)?, text(1)?, text(2)?], at))
        });
        keys.collect()
    }
}

async fn delete(tx: &Tx, keys: &[Key]) -> Result<u64> {
    let one = "(principal = ? AND route = ? AND request_key = ?)";
    let sql = format!("DELETE FROM idempotency WHERE shard = ? AND ({})", vec![one; keys.len()].join(" OR "));
    let shard = Value::from(i32::from(tx.shard().number()));
    let values = std::iter::once(shard).chain(keys.iter().flatten().map(|text| text.clone().into()));
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    Ok(tx.execute_raw(statement).await.db()?.rows_affected())
}
