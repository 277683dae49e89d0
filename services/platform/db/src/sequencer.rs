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
    let mut moved = 0;
    let mut log = Rows::new();
    for (shard, events) in &shards {
        let mut pos = advance(tx, *shard, events.len()).await?;
        for (_, columns) in events {
            pos += 1;
            let key: [Value; 2] = [i32::from(shard.number()).into(), pos.into()];
            log.raw("event_log", LOG, key.into_iter().chain(columns.iter().cloned()).collect());
        }
        delete(tx, *shard, events).await?;
        moved += events.len();
    }
    log.insert(tx).await?;
    Ok(moved)
}

/// Moves the shard's cursor on by `count` and returns where it stood.
async fn advance(tx: &Tx, shard: Shard, count: usize) -> Result<i64> {
    let backend = tx.get_database_backend();
    let number: Value = i32::from(shard.number()).into();
    let select = Statement::from_sql_and_values(
        backend,
        "SELECT pos FROM shard_cursor WHERE shard = ?",
        [number.clone()],
    );
    let current: Option<i64> =
        tx.query_one_raw(select).await.db()?.map(|row| row.try_get_by_index(0)).transpose().db()?;
    let from = current.unwrap_or(0);
    let to = from + i64::try_from(count).map_err(Failure::internal)?;
    let statement = if current.is_some() {
        Statement::from_sql_and_values(
            backend,
            "UPDATE shard_cursor SET pos = ? WHERE shard = ? AND pos = ?",
            [to.into(), number, from.into()],
        )
    } else {
        Statement::from_sql_and_values(
            backend,
            "INSERT INTO shard_cursor (shard, pos) VALUES (?, ?)",
            [number, to.into()],
        )
    };
    if tx.execute_raw(statement).await.db()?.rows_affected() == 1 {
        Ok(from)
    } else {
        Err(Failure::new(code::CONFLICT).detail("another sequencer moved the cursor"))
    }
}

async fn delete(tx: &Tx, shard: Shard, events: &[Waiting]) -> Result<()> {
    for chunk in events.chunks(256) {
        let marks = vec!["?"; chunk.len()].join(",");
        let number: Value = i32::from(shard.number()).into();
        let ids = chunk.iter().map(|(id, _)| Value::from(*id));
        let statement = Statement::from_sql_and_values(
            tx.get_database_backend(),
            format!("DELETE FROM outbox WHERE shard = ? AND id IN ({marks})"),
            std::iter::once(number).chain(ids),
        );
        tx.execute_raw(statement).await.db()?;
    }
    Ok(())
}
