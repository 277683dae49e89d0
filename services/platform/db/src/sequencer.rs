//! From outbox to log: events get their positions.

use std::collections::{BTreeMap, BTreeSet};

use contracts::Event;
use kernel::{Failure, Result, Shard, Timestamp, code};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};
use uuid::Uuid;

use crate::{Db, DbResult, Rows, engine::Engine};

const LOG: &[&str] = &["shard", "pos", "topic", "aggregate", "at", "body", "trace"];
const WAITING: &str = "SELECT shard, id, topic, aggregate, at, body, trace FROM outbox";

impl Db {
    /// Moves up to `most` events from `outbox` to `event_log`, giving each shard's the next positions without gaps, by
    /// compare-and-set on `shard_cursor`. Returns how many it moved. Two sequencers at once do no harm: one of them fails
    /// its compare-and-set and moves nothing. No clock is involved; who commits late is sequenced later.
    pub async fn sequence_once(&self, most: u32) -> Result<usize> {
        self.sequence(None, most).await.map(Option::unwrap_or_default)
    }

    /// The same for some shards only.
    pub async fn sequence_of(&self, shards: &BTreeSet<Shard>, most: u32) -> Result<usize> {
        self.sequence(Some(shards), most).await.map(Option::unwrap_or_default)
    }

    /// The same for some shards or for all; None where what waits was left to another sequencer, which was faster again and
    /// again (or whose events stand where these belong).
    pub async fn sequence(&self, only: Option<&BTreeSet<Shard>>, most: u32) -> Result<Option<usize>> {
        if only.is_some_and(BTreeSet::is_empty) {
            return Ok(Some(0));
        }
        let shards =
            || only.map_or_else(|| self.every_shard().collect(), |only| only.iter().copied().collect());
        let moved = match &self.0.engine {
            Engine::Sqlite(_) => Some(self.sequence_embedded(only.map(|_| shards()), most).await?),
            Engine::Tidb(tidb) => tidb.sequence(shards(), most).await?,
        };
        if moved.is_some_and(|moved| moved > 0) {
            self.0.log.send_modify(|count| *count += 1);
        }
        Ok(moved)
    }

    async fn sequence_embedded(&self, only: Option<Vec<Shard>>, most: u32) -> Result<usize> {
        if !self.anything_waits(only.as_deref()).await? {
            return Ok(0);
        }
        self.write(Shard::new(0), (only, most), |tx, (only, most)| {
            Box::pin(async move {
                let batch = match only {
                    None => waiting_anywhere(tx, *most).await?,
                    Some(shards) => {
                        let all: Vec<_> = shards.iter().map(|shard| (*shard, Uuid::nil())).collect();
                        waiting(tx, &all, *most).await?
                    }
                };
                batch.move_on(tx).await?;
                Ok(batch.len())
            })
        })
        .await
    }

    /// Whether an event waits, of these shards or of any.
    async fn anything_waits(&self, only: Option<&[Shard]>) -> Result<bool> {
        let shards = only.unwrap_or_default();
        let of = match only {
            None => String::new(),
            Some(shards) => format!(" WHERE shard IN ({})", vec!["?"; shards.len()].join(",")),
        };
        let statement = Statement::from_sql_and_values(
            self.read().get_database_backend(),
            format!("SELECT 1 FROM outbox{of} LIMIT 1"),
            shards.iter().map(|shard| number(*shard)),
        );
        Ok(self.read().query_one_raw(statement).await.db()?.is_some())
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

/// Events to be sequenced, by shard and id.
#[derive(Default)]
pub(crate) struct Batch(BTreeMap<Shard, Vec<Waiting>>);

/// The first events of the outbox.
async fn waiting_anywhere(connection: &impl ConnectionTrait, most: u32) -> Result<Batch> {
    let sql = format!("{WAITING} ORDER BY shard, id LIMIT ?");
    let backend = connection.get_database_backend();
    read(connection, Statement::from_sql_and_values(backend, sql, [most.into()])).await
}

/// The first events of these shards' outboxes, each from an id on.
pub(crate) async fn waiting(
    connection: &impl ConnectionTrait,
    from: &[(Shard, Uuid)],
    most: u32,
) -> Result<Batch> {
    // A range of the primary key for each shard.
    let ranges = vec!["(shard = ? AND id >= ?)"; from.len()].join(" OR ");
    let sql = format!("{WAITING} WHERE {ranges} ORDER BY shard, id LIMIT ?");
    let values = from.iter().flat_map(|(shard, id)| [number(*shard), (*id).into()]);
    let values = values.chain([most.into()]);
    read(connection, Statement::from_sql_and_values(connection.get_database_backend(), sql, values)).await
}

async fn read(connection: &impl ConnectionTrait, select: Statement) -> Result<Batch> {
    let mut shards: BTreeMap<Shard, Vec<Waiting>> = BTreeMap::new();
    for row in connection.query_all_raw(select).await.db()? {
        let columns = vec![
            row.try_get_by_index::<String>(2).db()?.into(),
            row.try_get_by_index::<String>(3).db()?.into(),
            row.try_get_by_index::<i64>(4).db()?.into(),
            row.try_get_by_index::<Vec<u8>>(5).db()?.into(),
            row.try_get_by_index::<Option<String>>(6).db()?.into(),
        ];
        shards.entry(shard_of(&row)?).or_default().push((row.try_get_by_index(1).db()?, columns));
    }
    Ok(Batch(shards))
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Milliseconds since 1970 in the newest id of each shard.
    pub(crate) fn newest_millis(&self) -> impl Iterator<Item = (Shard, u64)> + '_ {
        let millis = |(id, _): &Waiting| u64::try_from(id.as_u128() >> 80).unwrap_or(0);
        self.0.iter().filter_map(move |(shard, events)| Some((*shard, events.iter().map(millis).max()?)))
    }

    /// Gives the events their positions.
    pub(crate) async fn move_on(&self, tx: &impl ConnectionTrait) -> Result<()> {
        let counts = self.0.iter().map(|(shard, events)| (*shard, events.len())).collect();
        let cursors = advance(tx, &counts).await?;
        let mut log = Rows::new();
        for (shard, events) in &self.0 {
            let mut pos = cursors.get(shard).copied().unwrap_or(0);
            for (_, columns) in events {
                pos += 1;
                let key: [Value; 2] = [number(*shard), pos.into()];
                log.raw("event_log", LOG, key.into_iter().chain(columns.iter().cloned()).collect());
            }
        }
        self.delete(tx).await?;
        log.insert(tx).await
    }

    async fn delete(&self, tx: &impl ConnectionTrait) -> Result<()> {
        let keys: Vec<(Shard, Uuid)> =
            self.0.iter().flat_map(|(shard, events)| events.iter().map(|(id, _)| (*shard, *id))).collect();
        let backend = tx.get_database_backend();
        for chunk in keys.chunks(256) {
            let mut chunk = chunk.to_vec();
            if backend == DbBackend::MySql
                && let Some(last) = chunk.last().copied()
            {
                // Powers of two, so that few different texts are prepared; naming a row twice costs nothing.
                chunk.resize(chunk.len().next_power_of_two(), last);
            }
            // TiDB looks rows up by key where it is told so; SQLite makes one look-up a term.
            let keys = match backend {
                DbBackend::MySql => format!("(shard, id) IN ({})", vec!["(?, ?)"; chunk.len()].join(", ")),
                _ => vec!["(shard = ? AND id = ?)"; chunk.len()].join(" OR "),
            };
            let statement = Statement::from_sql_and_values(
                backend,
                format!("DELETE FROM outbox WHERE {keys}"),
                chunk.iter().flat_map(|&(shard, id)| [number(shard), id.into()]),
            );
            tx.execute_raw(statement).await.db()?;
        }
        Ok(())
    }
}

/// Moves the shards' cursors on by their counts and returns where they stood (absent: at 0). A statement for all shards,
/// not one a shard: the writer waits while a sequencer is at work.
async fn advance(tx: &impl ConnectionTrait, counts: &BTreeMap<Shard, usize>) -> Result<BTreeMap<Shard, i64>> {
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

fn number(shard: Shard) -> Value {
    i32::from(shard.number()).into()
}
