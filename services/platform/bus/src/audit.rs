//! What must be true of events: the log has no gap, what was committed is sequenced and consumed, and nothing is noted as
//! consumed that was not there.

use std::time::Duration;

use kernel::Result;
use platform_db::{Db, DbResult};
use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};

/// An event this old that is not sequenced, or not consumed by somebody who is alive, is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// Rows that are named, a rule.
const NAMED: i64 = 20;

/// What is wrong about events, by rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ailment {
    /// The rule.
    pub rule: &'static str,
    /// How many shards, cursors, … were held to it.
    pub looked_at: u64,
    /// What breaks it; some, where there is much.
    pub wrong: Vec<String>,
}

/// Holds the log's last `most` positions of every shard (all when absent), the outbox and the subscriptions to the rules:
/// `events.log` (invariant 6: positions have no gap and end where the cursor stands), `events.sequenced` and `events.consumed` (7),
/// `events.once` (8: nothing is noted as consumed beyond the log), `events.dead` (nothing waits for a person).
pub async fn examine(db: &Db, most: Option<u32>) -> Result<Vec<Ailment>> {
    Ok(vec![
        log(db, most).await?,
        sequenced(db).await?,
        consumed(db).await?,
        once(db).await?,
        dead(db).await?,
    ])
}

async fn rows(at: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>> {
    at.query_all_raw(Statement::from_sql_and_values(at.get_database_backend(), sql, values)).await.db()
}

fn long(row: &QueryResult, at: usize) -> Result<i64> {
    row.try_get_by_index(at).db()
}

fn int(row: &QueryResult, at: usize) -> Result<i32> {
    row.try_get_by_index(at).db()
}

fn text(row: &QueryResult, at: usize) -> Result<String> {
    row.try_get_by_index(at).db()
}

/// Both sides of one moment: the sequencer moves them together. A log is pruned from its beginning on, but for events that
/// `retry` holds: they outlive their neighbours. So it has no gap from the first event on that nothing holds; where there is
/// none all others were pruned.
async fn log(db: &Db, most: Option<u32>) -> Result<Ailment> {
    let mut found = Ailment { rule: "events.log", looked_at: 0, wrong: Vec::new() };
    let snapshot = db.read().snapshot().await.db()?;
    let unheld = "SELECT pos FROM event_log WHERE shard = ? AND pos > ? AND NOT EXISTS \
                  (SELECT 1 FROM retry r WHERE r.shard = event_log.shard AND r.pos = event_log.pos) \
                  ORDER BY pos LIMIT 1";
    let counted = "SELECT count(*), coalesce(max(pos), 0) FROM event_log WHERE shard = ? AND pos >= ?";
    for row in rows(&snapshot, "SELECT shard, pos FROM shard_cursor ORDER BY shard", vec![]).await? {
        let (shard, end) = (int(&row, 0)?, long(&row, 1)?);
        let from = most.map_or(0, |most| (end - i64::from(most)).max(0));
        found.looked_at += 1;
        let first = rows(&snapshot, unheld, vec![shard.into(), from.into()]).await?;
        let Some(first) = first.first().map(|row| long(row, 0)).transpose()? else { continue };
        let counted = rows(&snapshot, counted, vec![shard.into(), first.into()]).await?;
        let Some(counted) = counted.first() else { continue };
        let (count, last) = (long(counted, 0)?, long(counted, 1)?);
        if last - first + 1 != count || last != end {
            found.wrong.push(format!(
                "shard {shard}: {count} events from {first} to {last}, its cursor stands at {end}"
            ));
        }
    }
    snapshot.rollback().await.db()?;
    Ok(found)
}

async fn sequenced(db: &Db) -> Result<Ailment> {
    let before = db.now().minus(STUCK_AFTER).micros();
    let sql = "SELECT shard, topic, aggregate FROM outbox WHERE at < ? LIMIT ?";
    let stuck = rows(db.read(), sql, vec![before.into(), NAMED.into()]).await?;
    let wrong = stuck.iter().map(|row| {
        let (shard, topic, aggregate) = (int(row, 0)?, text(row, 1)?, text(row, 2)?);
        Ok(format!("shard {shard}: {topic} of {aggregate} has no position after {} s", STUCK_AFTER.as_secs()))
    });
    Ok(Ailment {
        rule: "events.sequenced",
        looked_at: u64::from(db.shards()),
        wrong: wrong.collect::<Result<_>>()?,
    })
}

/// With a broker it is the relay that must have taken an event; who consumes it, the broker knows. What a region consumes for
/// itself (`name@region`) rests while the region is down, and nothing is wrong with that.
async fn consumed(db: &Db) -> Result<Ailment> {
    let sql = "SELECT s.subscription, s.shard, s.pos FROM subscription_cursor s \
               JOIN shard_cursor c ON c.shard = s.shard WHERE c.pos > s.pos \
               AND s.subscription NOT LIKE '%@%' AND (s.subscription = 'relay' \
               OR NOT EXISTS (SELECT 1 FROM subscription_cursor r WHERE r.subscription = 'relay'))";
    let behind = rows(db.read(), sql, vec![]).await?;
    let mut found = Ailment { rule: "events.consumed", looked_at: 0, wrong: Vec::new() };
    let before = db.now().minus(STUCK_AFTER).micros();
    let oldest = "SELECT pos FROM event_log WHERE shard = ? AND pos > ? AND at < ? ORDER BY pos LIMIT 1";
    for row in &behind {
        let (subscription, shard, pos) = (text(row, 0)?, int(row, 1)?, long(row, 2)?);
        found.looked_at += 1;
        let stuck = rows(db.read(), oldest, vec![shard.into(), pos.into(), before.into()]).await?;
        if let Some(stuck) = stuck.first() {
            let at = long(stuck, 0)?;
            found.wrong.push(format!(
                "{subscription}, shard {shard}: stands at {pos}, event {at} is older than {} s",
                STUCK_AFTER.as_secs()
            ));
        }
    }
    Ok(found)
}

async fn once(db: &Db) -> Result<Ailment> {
    let sql = "SELECT s.subscription, s.shard, i.pos, c.pos FROM subscription_cursor s \
               JOIN shard_cursor c ON c.shard = s.shard JOIN inbox i ON i.subscription = s.subscription \
               AND i.shard = s.shard AND i.pos > c.pos LIMIT ?";
    // Of one moment: an event is sequenced before it can be consumed.
    let snapshot = db.read().snapshot().await.db()?;
    let beyond = rows(&snapshot, sql, vec![NAMED.into()]).await?;
    let cursors = rows(&snapshot, "SELECT count(*) FROM subscription_cursor", vec![]).await?;
    snapshot.rollback().await.db()?;
    let looked_at = cursors.first().map_or(Ok(0), |row| long(row, 0))?;
    let wrong = beyond.iter().map(|row| {
        let (subscription, shard) = (text(row, 0)?, int(row, 1)?);
        let (pos, end) = (long(row, 2)?, long(row, 3)?);
        Ok(format!("{subscription}, shard {shard}: noted {pos}, the log ends at {end}"))
    });
    let looked_at = u64::try_from(looked_at).unwrap_or(0);
    Ok(Ailment { rule: "events.once", looked_at, wrong: wrong.collect::<Result<_>>()? })
}

async fn dead(db: &Db) -> Result<Ailment> {
    let sql = "SELECT subscription, shard, pos, error FROM retry WHERE dead = ? LIMIT ?";
    let letters = rows(db.read(), sql, vec![true.into(), NAMED.into()]).await?;
    let wrong = letters.iter().map(|row| {
        let (subscription, shard, pos) = (text(row, 0)?, int(row, 1)?, long(row, 2)?);
        Ok(format!("{subscription}, shard {shard}, event {pos}: {}", text(row, 3)?))
    });
    let looked_at = u64::try_from(letters.len()).unwrap_or(0);
    Ok(Ailment { rule: "events.dead", looked_at, wrong: wrong.collect::<Result<_>>()? })
}
