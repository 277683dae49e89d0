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
        Ok(self.sequence(None, most).await?.map_or(0, |moved| moved.len()))
    }

    /// The same for some shards only.
    pub async fn sequence_of(&self, shards: &BTreeSet<Shard>, most: u32) -> Result<usize> {
        Ok(self.sequence(Some(shards), most).await?.map_or(0, |moved| moved.len()))
    }

    /// The same for some shards or for all: the events that it moved, each shard's in order. None where what waits was left to
    /// another sequencer, which was faster again and again (or whose events stand where these belong).
    pub async fn sequence(&self, only: Option<&BTreeSet<Shard>>, most: u32) -> Result<Option<Vec<Event>>> {
        self.sequence_from(only, false, most).await
    }

    /// The same for shards on which this process has just written ([`Outbox::take`](crate::Outbox::take)): what others wrote
    /// there long ago may be left to [`Db::sequence`].
    pub async fn sequence_written(&self, shards: &BTreeSet<Shard>, most: u32) -> Result<Option<Vec<Event>>> {
        self.sequence_from(Some(shards), true, most).await
    }

    async fn sequence_from(
        &self,
        only: Option<&BTreeSet<Shard>>,
        partial: bool,
        most: u32,
    ) -> Result<Option<Vec<Event>>> {
        if only.is_some_and(BTreeSet::is_empty) {
            return Ok(Some(Vec::new()));
        }
        let shards =
            || only.map_or_else(|| self.every_shard().collect(), |only| only.iter().copied().collect());
        match &self.0.engine {
            Engine::Sqlite(_) => self.sequence_embedded(only.map(|_| shards()), most).await.map(Some),
            Engine::Tidb(tidb) => tidb.sequence(shards(), partial, most).await,
        }
    }

    /// Whether a turn of the sequencer is messages to a server, and not a write among others in this process.
    pub fn sequences_remotely(&self) -> bool {
        matches!(self.0.engine, Engine::Tidb(_))
    }

    async fn sequence_embedded(&self, only: Option<Vec<Shard>>, most: u32) -> Result<Vec<Event>> {
        if !self.anything_waits(only.as_deref()).await? {
            return Ok(Vec::new());
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
                batch.move_on(tx).await
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

/// An outbox row: its id, and the event without its position.
type Waiting = (Uuid, Event);

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
        let id: Uuid = row.try_get_by_index(1).db()?;
        let event = Event {
            shard: shard_of(&row)?,
            pos: 0,
            topic: row.try_get_by_index(2).db()?,
            aggregate: row.try_get_by_index(3).db()?,
            at: Timestamp::from_micros(row.try_get_by_index(4).db()?),
            body: row.try_get_by_index(5).db()?,
            trace: row.try_get_by_index(6).db()?,
        };
        shards.entry(event.shard).or_default().push((id, event));
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

    /// Gives the events their positions, and returns them with those: moves the cursors on, takes the events out of the outbox
    /// and adds them to the log. Fails, and nothing may be committed, where another sequencer was faster.
    pub(crate) async fn move_on(&self, tx: &impl ConnectionTrait) -> Result<Vec<Event>> {
        let stood = self.stand(tx).await?;
        let mut log = Rows::new();
        let mut fresh = Rows::new();
        let mut steps = Vec::with_capacity(stood.len());
        let mut moved = Vec::with_capacity(self.len());
        for (&shard, events) in &self.0 {
            let from = stood.get(&shard).copied();
            let mut pos = from.unwrap_or(0);
            for (_, event) in events {
                pos += 1;
                let event = Event { pos, ..event.clone() };
                log.raw("event_log", LOG, log_row(&event));
                moved.push(event);
            }
            match from {
                Some(from) => steps.push((shard, from, pos)),
                None => fresh.raw("shard_cursor", &["shard", "pos"], vec![number(shard), pos.into()]),
            }
        }
        fresh.insert(tx).await?;
        let backend = tx.get_database_backend();
        if !steps.is_empty() {
            let advanced = tx.execute_raw(advance(&steps, backend)).await.db()?.rows_affected();
            if usize::try_from(advanced).ok() != Some(steps.len()) {
                return Err(Failure::new(code::CONFLICT).detail("another sequencer moved a cursor"));
            }
        }
        for deletion in self.deletions(backend) {
            tx.execute_raw(deletion).await.db()?;
        }
        log.insert(tx).await?;
        Ok(moved)
    }

    /// Where the cursors of its shards stand; absent: at 0. A statement for all shards, not one a shard: the writer waits
    /// while a sequencer is at work.
    async fn stand(&self, tx: &impl ConnectionTrait) -> Result<BTreeMap<Shard, i64>> {
        let marks = vec!["?"; self.0.len()].join(",");
        let select = Statement::from_sql_and_values(
            tx.get_database_backend(),
            format!("SELECT shard, pos FROM shard_cursor WHERE shard IN ({marks})"),
            self.0.keys().map(|shard| number(*shard)),
        );
        let rows = tx.query_all_raw(select).await.db()?;
        rows.iter().map(|row| Ok((shard_of(row)?, row.try_get_by_index(1).db()?))).collect()
    }

    fn deletions(&self, backend: DbBackend) -> Vec<Statement> {
        let keys: Vec<(Shard, Uuid)> =
            self.0.iter().flat_map(|(shard, events)| events.iter().map(|(id, _)| (*shard, *id))).collect();
        let deletion = |chunk: &[(Shard, Uuid)]| {
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
            Statement::from_sql_and_values(
                backend,
                format!("DELETE FROM outbox WHERE {keys}"),
                chunk.iter().flat_map(|&(shard, id)| [number(shard), id.into()]),
            )
        };
        keys.chunks(256).map(deletion).collect()
    }
}

/// Moves shards' cursors from where they stand to where they stand then: a statement for all of them.
fn advance(steps: &[(Shard, i64, i64)], backend: DbBackend) -> Statement {
    let cases = vec!["WHEN ? THEN ?"; steps.len()].join(" ");
    let guards = vec!["(shard = ? AND pos = ?)"; steps.len()].join(" OR ");
    Statement::from_sql_and_values(
        backend,
        format!("UPDATE shard_cursor SET pos = CASE shard {cases} END WHERE {guards}"),
        steps
            .iter()
            .flat_map(|&(shard, _, to)| [number(shard), to.into()])
            .chain(steps.iter().flat_map(|&(shard, from, _)| [number(shard), from.into()])),
    )
}

fn log_row(event: &Event) -> Vec<Value> {
    vec![
        number(event.shard),
        event.pos.into(),
        event.topic.clone().into(),
        event.aggregate.clone().into(),
        event.at.micros().into(),
        event.body.clone().into(),
        event.trace.clone().into(),
    ]
}

fn number(shard: Shard) -> Value {
    i32::from(shard.number()).into()
}
