//! From outbox to log: events get their positions.

use std::collections::BTreeMap;

use contracts::Event;
use kernel::{Failure, Result, Shard, Timestamp, code};
use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};
use uuid::Uuid;

use crate::{Db, DbResult, Rows, Tx};

const LOG: &[&str] = &["shard", "pos", "topic", "aggregate", "at", "body", "trace"];

impl Db {
    /// Moves up to `most` events from `outbox` to `event_log`, giving each shard's the next positions without gaps, by
    /// compare-and-set on `shard_cursor`. Returns how many it moved. Two sequencers at once do no harm: one of them fails
    /// its compare-and-set and moves nothing. No clock is involved; who commits late is sequenced later.
    pub async fn sequence_once(&self, most: u32) -> Result<usize> {
        let waiting =
            Statement::from_string(self.read().get_database_backend(), "SELECT 1 FROM outbox LIMIT 1");
        if self.read().query_one_raw(waiting).await.db()?.is_none() {
            return Ok(0);
        }
        let moved = self.write(Shard::new(0), most, |tx, &most| Box::pin(sequence(tx, most))).await?;
        if moved > 0 {
            self.0.log.send_modify(|count| *count += 1);
        }
        Ok(moved)
    }

    /// Up to `limit` events of a shard behind position `pos`, in order.
    pub async fn log_after(&self, shard: Shard, pos: i64, limit: u32) -> Result<Vec<Event>> {
        let connection = self.read();
        let statement = Statement::from_sql_and_values(
            connection.get_database_backend(),
            "SELECT shard, pos, topic, aggregate, at, body, trace FROM event_log WHERE shard = ? AND pos > ? ORDER BY pos LIMIT ?",
            [i32::from(shard.number()).into(), pos.into(), limit.into()],
        );
        connection.query_all_raw(statement).await.db()?.iter().map(event).collect()
    }

    /// The last position of every shard that has events.
    pub async fn log_ends(&self) -> Result<BTreeMap<Shard, i64>> {
        let connection = self.read();
        let statement =
            Statement::from_string(connection.get_database_backend(), "SELECT shard, pos FROM shard_cursor");
        let rows = connection.query_all_raw(statement).await.db()?;
        rows.iter().map(|row| Ok((shard_of(row)?, row.try_get_by_index(1).db()?))).collect()
    }
}

fn shard_of(row: &QueryResult) -> Result<Shard> {
    let number: i32 = row.try_get_by_index(0).db()?;
    u16::try_from(number).map(Shard::new).map_err(Failure::internal)
}

fn event(row: &QueryResult) -> Result<Event> {
    Ok(Event {
        shard: shard_of(row)?,
        pos: row.try_get_by_index(1).db()?,
        topic: row.try_get_by_index(2).db()?,
        aggregate: row.try_get_by_index(3).db()?,
        at: Timestamp::from_micros(row.try_get_by_index(4).db()?),
        body: row.try_get_by_index(5).db()?,
        trace: row.try_get_by_index(6).db()?,
    })
}

/// An outbox row: its id and its columns from `topic` on.
type Waiting = (Uuid, Vec<Value>);

async fn sequence(tx: &Tx, most: u32) -> Result<usize> {
    let backend = tx.get_database_backend();
    let select = Statement::from_sql_and_values(
        backend,
        "SELECT shard, id, topic, aggregate, at, body, trace FROM outbox ORDER BY shard, id LIMIT ?",
        [most.into()],
    );
    let mut shards: BTreeMap<Shard, Vec<Waiting>> = BTreeMap::new();
    for row in tx.query_all_raw(select).await.db()? {
        let columns = vec![
            row.try_get_by_index::<String>(2).db()?.into(),
            row.try_get_by_index::<String>(3).db()?.into(),
            row.try_get_by_index::<i64>(4).db()?.into(),
            row.try_get_by_index::<Vec<u8>>(5).db()?.into(),
            row.try_get_by_index::<Option<String>>(6).db()?.into(),
        ];
        shards.entry(shard_of(&row)?).or_default().push((row.try_get_by_index(1).db()?, columns));
    }
    let counts = shards.iter().map(|(shard, events)| (*shard, events.len())).collect();
    let cursors = advance(tx, &counts).await?;
    let (mut moved, mut log) = (0, Rows::new());
    for (shard, events) in &shards {
        let mut pos = cursors.get(shard).copied().unwrap_or(0);
        for (_, columns) in events {
            pos += 1;
            let key: [Value; 2] = [i32::from(shard.number()).into(), pos.into()];
            log.raw("event_log", LOG, key.into_iter().chain(columns.iter().cloned()).collect());
        }
        moved += events.len();
    }
    delete(tx, &shards).await?;
    log.insert(tx).await?;
    Ok(moved)
}

/// Moves the shards' cursors on by their counts and returns where they stood (absent: at 0). A statement for all shards,
/// not one a shard: the writer waits while a sequencer is at work.
async fn advance(tx: &Tx, counts: &BTreeMap<Shard, usize>) -> Result<BTreeMap<Shard, i64>> {
    let backend = tx.get_database_backend();
    let marks = vec!["?"; counts.len()].join(",");
    let select = Statement::from_sql_and_values(
        backend,
        format!("SELECT shard, pos FROM shard_cursor WHERE shard IN ({marks})"),
        counts.keys().map(|shard| number(*shard)),
    );
    let mut stood = BTreeMap::new();
    for row in tx.query_all_raw(select).await.db()? {
        stood.insert(shard_of(&row)?, row.try_get_by_index::<i64>(1).db()?);
    }
    let mut steps = Vec::with_capacity(stood.len());
    let mut fresh = Rows::new();
    for (&shard, &count) in counts {
        let count = i64::try_from(count).map_err(Failure::internal)?;
        match stood.get(&shard) {
            Some(from) => steps.push((shard, *from, from + count)),
            None => fresh.raw("shard_cursor", &["shard", "pos"], vec![number(shard), count.into()]),
        }
    }
    fresh.insert(tx).await?;
    if steps.is_empty() {
        return Ok(stood);
    }
    let cases = vec!["WHEN ? THEN ?"; steps.len()].join(" ");
    let guards = vec!["(shard = ? AND pos = ?)"; steps.len()].join(" OR ");
    let update = Statement::from_sql_and_values(
        backend,
        format!("UPDATE shard_cursor SET pos = CASE shard {cases} END WHERE {guards}"),
        steps
            .iter()
            .flat_map(|&(shard, _, to)| [number(shard), to.into()])
            .chain(steps.iter().flat_map(|&(shard, from, _)| [number(shard), from.into()])),
    );
    let moved = tx.execute_raw(update).await.db()?.rows_affected();
    if usize::try_from(moved).ok() == Some(steps.len()) {
        Ok(stood)
    } else {
        Err(Failure::new(code::CONFLICT).detail("another sequencer moved a cursor"))
    }
}

async fn delete(tx: &Tx, shards: &BTreeMap<Shard, Vec<Waiting>>) -> Result<()> {
    let keys: Vec<(Shard, Uuid)> =
        shards.iter().flat_map(|(shard, events)| events.iter().map(|(id, _)| (*shard, *id))).collect();
    for chunk in keys.chunks(256) {
        let marks = vec!["(shard = ? AND id = ?)"; chunk.len()].join(" OR ");
        let statement = Statement::from_sql_and_values(
            tx.get_database_backend(),
            format!("DELETE FROM outbox WHERE {marks}"),
            chunk.iter().flat_map(|&(shard, id)| [number(shard), id.into()]),
        );
        tx.execute_raw(statement).await.db()?;
    }
    Ok(())
}

fn number(shard: Shard) -> Value {
    i32::from(shard.number()).into()
}
