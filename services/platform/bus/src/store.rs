//! All SQL of the bus. Portable: `?` marks, no RETURNING, no upsert.

mod lag;
mod leftover;
mod letters;
mod prune;
#[cfg(feature = "pulsar")]
mod replay;
mod retry;

use std::collections::HashMap;

use contracts::Event;
use kernel::{Failure, Result, Shard, Timestamp};
use platform_db::{Db, DbResult, Tx};
use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};

pub(crate) use self::{
    lag::{oldest_behind, oldest_waiting},
    leftover::{Kept, drop_cursors, drop_rows, kept, not_held, rows_of},
    letters::{Place, dead_letters, revive, rewind},
    prune::{
        aged, delete_events, delete_inbox, delete_noted, delete_retries, first_position, least_cursors,
        noted, subscriptions,
    },
    retry::{Outcome, Parked, Waiting, count_dead, count_live, note_retries, parked},
};
#[cfg(feature = "pulsar")]
pub(crate) use self::{
    replay::{advance_replay, begin_replay, cursors_of, least_replays, replay_of},
    retry::park_received,
};

/// Marks in one statement stay far below what SQLite (32,766) and MySQL (65,535) take.
const KEYS: usize = 500;

/// Positions of a shard: from (exclusive) and to (inclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) shard: Shard,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

fn number(shard: Shard) -> Value {
    i32::from(shard.number()).into()
}

fn shard(row: &QueryResult, column: usize) -> Result<Shard> {
    let number: i32 = row.try_get_by_index(column).db()?;
    u16::try_from(number).map(Shard::new).map_err(Failure::internal)
}

fn count(row: &QueryResult, column: usize) -> Result<u64> {
    let count: i64 = row.try_get_by_index(column).db()?;
    u64::try_from(count).map_err(Failure::internal)
}

async fn query<C: ConnectionTrait>(at: &C, sql: String, values: Vec<Value>) -> Result<Vec<QueryResult>> {
    at.query_all_raw(Statement::from_sql_and_values(at.get_database_backend(), sql, values)).await.db()
}

async fn execute(tx: &Tx, sql: String, values: Vec<Value>) -> Result<u64> {
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    Ok(tx.execute_raw(statement).await.db()?.rows_affected())
}

const EVENT: &str = "e.shard, e.pos, e.topic, e.aggregate, e.at, e.body, e.trace";

fn event(row: &QueryResult) -> Result<Event> {
    Ok(Event {
        shard: shard(row, 0)?,
        pos: row.try_get_by_index(1).db()?,
        topic: row.try_get_by_index(2).db()?,
        aggregate: row.try_get_by_index(3).db()?,
        at: Timestamp::from_micros(row.try_get_by_index(4).db()?),
        body: row.try_get_by_index(5).db()?,
        trace: row.try_get_by_index(6).db()?,
    })
}

/// The ranges of a statement, padded to a power of two by the last one again: few different texts, whose plans stay cached.
fn padded(ranges: &[Range]) -> impl Iterator<Item = &Range> {
    ranges.iter().chain(ranges.last().into_iter().cycle()).take(ranges.len().next_power_of_two())
}

/// The events of these topics in the ranges, by shard and position. Positions have no gaps, so the ranges bound what is
/// read.
pub(crate) async fn events(db: &Db, topics: &[&'static str], ranges: &[Range]) -> Result<Vec<Event>> {
    if ranges.is_empty() || topics.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = topics.iter().map(|topic| (*topic).into()).collect();
    for range in padded(ranges) {
        values.extend([number(range.shard), range.from.into(), range.to.into()]);
    }
    let topics = vec!["?"; topics.len()].join(", ");
    let count = ranges.len().next_power_of_two();
    let ranges = vec!["(e.shard = ? AND e.pos > ? AND e.pos <= ?)"; count].join(" OR ");
    let sql = format!(
        "SELECT {EVENT} FROM event_log e WHERE e.topic IN ({topics}) AND ({ranges}) ORDER BY e.shard, e.pos"
    );
    query(db.read(), sql, values).await?.iter().map(event).collect()
}

/// All events in the ranges, by shard and position.
#[cfg(feature = "pulsar")]
pub(crate) async fn all_events(db: &Db, ranges: &[Range]) -> Result<Vec<Event>> {
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let bounds = |range: &Range| [number(range.shard), range.from.into(), range.to.into()];
    let values = padded(ranges).flat_map(bounds).collect();
    let count = ranges.len().next_power_of_two();
    let ranges = vec!["(e.shard = ? AND e.pos > ? AND e.pos <= ?)"; count].join(" OR ");
    let sql = format!("SELECT {EVENT} FROM event_log e WHERE {ranges} ORDER BY e.shard, e.pos");
    query(db.read(), sql, values).await?.iter().map(event).collect()
}

/// The events at these places, as far as they are still in the log.
pub(crate) async fn events_at(db: &Db, places: &[(Shard, i64)]) -> Result<Vec<Event>> {
    let mut found = Vec::with_capacity(places.len());
    for places in places.chunks(KEYS) {
        let values = places.iter().flat_map(|(shard, pos)| [number(*shard), (*pos).into()]).collect();
        let keys = vec!["(e.shard = ? AND e.pos = ?)"; places.len()].join(" OR ");
        let sql = format!("SELECT {EVENT} FROM event_log e WHERE {keys} ORDER BY e.shard, e.pos");
        for row in query(db.read(), sql, values).await? {
            found.push(event(&row)?);
        }
    }
    Ok(found)
}

/// Whether events wait to be sequenced.
pub(crate) async fn outbox_waits(db: &Db) -> Result<bool> {
    Ok(!query(db.read(), "SELECT 1 FROM outbox LIMIT 1".to_owned(), Vec::new()).await?.is_empty())
}

/// The cursors of all subscriptions, a position a shard; those of shards without a cursor are None.
pub(crate) async fn all_cursors(db: &Db) -> Result<HashMap<String, Vec<Option<i64>>>> {
    let mut all: HashMap<String, Vec<Option<i64>>> = HashMap::new();
    let sql = "SELECT subscription, shard, pos FROM subscription_cursor".to_owned();
    for row in query(db.read(), sql, Vec::new()).await? {
        let subscription: String = row.try_get_by_index(0).db()?;
        let cursors = all.entry(subscription).or_insert_with(|| vec![None; usize::from(db.shards())]);
        if let Some(cursor) = cursors.get_mut(usize::from(shard(&row, 1)?.number())) {
            *cursor = Some(row.try_get_by_index(2).db()?);
        }
    }
    Ok(all)
}

/// A subscription's cursor on every shard, made where there is none: then it stands before the oldest event kept.
pub(crate) async fn cursors(db: &Db, subscription: &str) -> Result<Vec<i64>> {
    let found = read_cursors(db.read(), db.shards(), subscription).await?;
    if let Some(all) = found.iter().copied().collect() {
        return Ok(all);
    }
    let mut starts = Vec::with_capacity(found.len());
    for shard in db.every_shard() {
        let first = first_position(db, shard).await?;
        starts.push((shard, first.map_or(0, |first| first - 1)));
    }
    let input = (subscription.to_owned(), db.shards(), starts);
    db.write(Shard::new(0), input, |tx, (subscription, shards, starts)| {
        Box::pin(async move {
            let found = read_cursors(tx, *shards, subscription).await?;
            let mut all = Vec::with_capacity(found.len());
            for ((shard, start), found) in starts.iter().zip(found) {
                if found.is_none() {
                    let sql = "INSERT INTO subscription_cursor (subscription, shard, pos) VALUES (?, ?, ?)";
                    let values = vec![subscription.clone().into(), number(*shard), (*start).into()];
                    execute(tx, sql.to_owned(), values).await?;
                }
                all.push(found.unwrap_or(*start));
            }
            Ok(all)
        })
    })
    .await
}

async fn read_cursors<C: ConnectionTrait>(
    at: &C,
    shards: u16,
    subscription: &str,
) -> Result<Vec<Option<i64>>> {
    let sql = "SELECT shard, pos FROM subscription_cursor WHERE subscription = ?".to_owned();
    let mut cursors = vec![None; usize::from(shards)];
    for row in query(at, sql, vec![subscription.into()]).await? {
        if let Some(cursor) = cursors.get_mut(usize::from(shard(&row, 0)?.number())) {
            *cursor = Some(row.try_get_by_index(1).db()?);
        }
    }
    Ok(cursors)
}

/// What a round leaves behind: cursors to move and events to park.
pub(crate) struct Round {
    pub(crate) subscription: &'static str,
    pub(crate) moves: Vec<Range>,
    pub(crate) parked: Vec<Parked>,
}

/// Writes a round. False when a cursor stood elsewhere than the round thought: another process works on the subscription,
/// or it was rewound; that cursor stays where it is.
pub(crate) async fn write_round(db: &Db, round: Round) -> Result<bool> {
    db.write(Shard::new(0), round, |tx, round| {
        Box::pin(async move {
            retry::park(tx, round.subscription, &round.parked).await?;
            let mut all = true;
            for moves in round.moves.chunks(KEYS / 2) {
                all &= move_cursors(tx, round.subscription, moves).await?;
            }
            Ok(all)
        })
    })
    .await
}

async fn move_cursors(tx: &Tx, subscription: &str, moves: &[Range]) -> Result<bool> {
    let mut values: Vec<Value> = Vec::with_capacity(moves.len() * 4 + 1);
    for to in moves {
        values.extend([number(to.shard), to.to.into()]);
    }
    values.push(subscription.into());
    for from in moves {
        values.extend([number(from.shard), from.from.into()]);
    }
    let cases = vec!["WHEN ? THEN ?"; moves.len()].join(" ");
    let guards = vec!["(shard = ? AND pos = ?)"; moves.len()].join(" OR ");
    let sql = format!(
        "UPDATE subscription_cursor SET pos = CASE shard {cases} END WHERE subscription = ? AND ({guards})"
    );
    let moved = execute(tx, sql, values).await?;
    Ok(usize::try_from(moved).is_ok_and(|moved| moved == moves.len()))
}
