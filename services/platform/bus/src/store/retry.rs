//! Rows of `retry`: events that failed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
#[cfg(feature = "pulsar")]
use std::sync::Arc;

#[cfg(feature = "pulsar")]
use contracts::Event;
use kernel::{Failure, Result, Shard, Timestamp};
use platform_db::{Db, DbResult, Tx};
use sea_orm::Value;

use super::{KEYS, count, execute, number, query, shard};

/// The column's length.
const ERROR: usize = 1_000;

/// An event to be parked.
#[derive(Clone, Debug)]
pub(crate) struct Parked {
    pub(crate) shard: Shard,
    pub(crate) pos: i64,
    pub(crate) attempts: u32,
    pub(crate) next_at: Timestamp,
    pub(crate) error: String,
}

/// A parked event that will be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) shard: Shard,
    pub(crate) pos: i64,
    pub(crate) attempts: u32,
    pub(crate) next_at: Timestamp,
    /// None when the event was pruned.
    pub(crate) aggregate: Option<String>,
}

/// How a retry went.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Done,
    Failed { attempts: u32, next_at: Timestamp, error: String, dead: bool },
}

pub(super) fn read_attempts(value: i32) -> Result<u32> {
    u32::try_from(value).map_err(Failure::internal)
}

fn attempts_value(attempts: u32) -> Value {
    i32::try_from(attempts).unwrap_or(i32::MAX).into()
}

fn error_value(error: &str) -> Value {
    error.chars().take(ERROR).collect::<String>().into()
}

/// Which of these places a table has; `select` ends where their condition belongs.
async fn there(
    tx: &Tx,
    select: &str,
    mut values: Vec<Value>,
    places: &[(Shard, i64)],
) -> Result<HashSet<(Shard, i64)>> {
    values.extend(places.iter().flat_map(|(shard, pos)| [number(*shard), (*pos).into()]));
    let keys = vec!["(shard = ? AND pos = ?)"; places.len()].join(" OR ");
    let rows = query(tx, format!("{select} ({keys})"), values).await?;
    rows.iter().map(|row| Ok((shard(row, 0)?, row.try_get_by_index(1).db()?))).collect()
}

/// Inserts the rows that are not there yet.
pub(super) async fn park(tx: &Tx, subscription: &str, parked: &[Parked]) -> Result<()> {
    for chunk in parked.chunks(KEYS) {
        let places: Vec<_> = chunk.iter().map(|parked| (parked.shard, parked.pos)).collect();
        let select = "SELECT shard, pos FROM retry WHERE subscription = ? AND";
        let there = there(tx, select, vec![subscription.into()], &places).await?;
        for parked in chunk.iter().filter(|parked| !there.contains(&(parked.shard, parked.pos))) {
            let sql = "INSERT INTO retry (subscription, shard, pos, attempts, next_at, error, dead) VALUES (?, ?, ?, ?, ?, ?, ?)";
            let values = vec![
                subscription.into(),
                number(parked.shard),
                parked.pos.into(),
                attempts_value(parked.attempts),
                parked.next_at.micros().into(),
                error_value(&parked.error),
                false.into(),
            ];
            execute(tx, sql.to_owned(), values).await?;
        }
    }
    Ok(())
}

/// Parks events that a broker brought. It may keep them for longer than the log does: what was pruned gets its row in the
/// log again, where a retry reads it and a dead letter keeps it.
#[cfg(feature = "pulsar")]
pub(crate) async fn park_received(
    db: &Db,
    subscription: &'static str,
    parked: Vec<(Parked, Arc<Event>)>,
) -> Result<()> {
    let (rows, events): (Vec<Parked>, Vec<Arc<Event>>) = parked.into_iter().unzip();
    db.write(Shard::new(0), (rows, events), move |tx, (rows, events)| {
        Box::pin(async move {
            put_back(tx, events).await?;
            park(tx, subscription, rows).await
        })
    })
    .await
}

/// Inserts the events that the log does not have any more.
#[cfg(feature = "pulsar")]
async fn put_back(tx: &Tx, events: &[Arc<Event>]) -> Result<()> {
    for chunk in events.chunks(KEYS) {
        let places: Vec<_> = chunk.iter().map(|event| (event.shard, event.pos)).collect();
        let there = there(tx, "SELECT shard, pos FROM event_log WHERE", Vec::new(), &places).await?;
        for event in chunk.iter().filter(|event| !there.contains(&(event.shard, event.pos))) {
            let sql = "INSERT INTO event_log (shard, pos, topic, aggregate, at, body, trace) VALUES (?, ?, ?, ?, ?, ?, ?)";
            let values = vec![
                number(event.shard),
                event.pos.into(),
                event.topic.clone().into(),
                event.aggregate.clone().into(),
                event.at.micros().into(),
                event.body.clone().into(),
                event.trace.clone().into(),
            ];
            execute(tx, sql.to_owned(), values).await?;
        }
    }
    Ok(())
}

/// The parked events of a subscription that will be tried again, of these shards or of all, by shard and position.
pub(crate) async fn parked(
    db: &Db,
    subscription: &str,
    shards: Option<&BTreeSet<Shard>>,
    limit: u32,
) -> Result<Vec<Waiting>> {
    let mut values: Vec<Value> = vec![subscription.into(), false.into()];
    let which = match shards {
        None => String::new(),
        Some(shards) if shards.is_empty() => return Ok(Vec::new()),
        Some(shards) => {
            values.extend(shards.iter().map(|shard| number(*shard)));
            format!("AND r.shard IN ({})", vec!["?"; shards.len()].join(", "))
        }
    };
    values.push(limit.into());
    let sql = format!(
        "SELECT r.shard, r.pos, r.attempts, r.next_at, e.aggregate FROM retry r \
         LEFT JOIN event_log e ON e.shard = r.shard AND e.pos = r.pos \
         WHERE r.subscription = ? AND r.dead = ? {which} ORDER BY r.shard, r.pos LIMIT ?"
    );
    let rows = query(db.read(), sql, values).await?;
    rows.iter()
        .map(|row| {
            Ok(Waiting {
                shard: shard(row, 0)?,
                pos: row.try_get_by_index(1).db()?,
                attempts: read_attempts(row.try_get_by_index(2).db()?)?,
                next_at: Timestamp::from_micros(row.try_get_by_index(3).db()?),
                aggregate: row.try_get_by_index(4).db()?,
            })
        })
        .collect()
}

/// Writes how retries went. A row that was rewound or revived meanwhile is not there or starts over: both are fine.
pub(crate) async fn note_retries(
    db: &Db,
    subscription: &'static str,
    outcomes: Vec<((Shard, i64), Outcome)>,
) -> Result<()> {
    db.write(Shard::new(0), outcomes, move |tx, outcomes| {
        Box::pin(async move {
            for ((shard, pos), outcome) in outcomes {
                let key = [subscription.into(), number(*shard), (*pos).into()];
                let (sql, values): (_, Vec<Value>) = match outcome {
                    Outcome::Done => {
                        ("DELETE FROM retry WHERE subscription = ? AND shard = ? AND pos = ?", key.into())
                    }
                    Outcome::Failed { attempts, next_at, error, dead } => (
                        "UPDATE retry SET attempts = ?, next_at = ?, error = ?, dead = ? \
                         WHERE subscription = ? AND shard = ? AND pos = ?",
                        [
                            attempts_value(*attempts),
                            next_at.micros().into(),
                            error_value(error),
                            (*dead).into(),
                        ]
                        .into_iter()
                        .chain(key)
                        .collect(),
                    ),
                };
                execute(tx, sql.to_owned(), values).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Parked events that will be tried again, by subscription and shard.
pub(crate) async fn count_live(db: &Db) -> Result<HashMap<String, BTreeMap<Shard, u64>>> {
    let sql = "SELECT subscription, shard, COUNT(*) FROM retry WHERE dead = ? GROUP BY subscription, shard";
    let mut live: HashMap<String, BTreeMap<Shard, u64>> = HashMap::new();
    for row in query(db.read(), sql.to_owned(), vec![false.into()]).await? {
        live.entry(row.try_get_by_index(0).db()?).or_default().insert(shard(&row, 1)?, count(&row, 2)?);
    }
    Ok(live)
}

/// Dead letters, by subscription.
pub(crate) async fn count_dead(db: &Db) -> Result<HashMap<String, u64>> {
    let sql = "SELECT subscription, COUNT(*) FROM retry WHERE dead = ? GROUP BY subscription".to_owned();
    let rows = query(db.read(), sql, vec![true.into()]).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0).db()?, count(row, 1)?))).collect()
}

#[cfg(all(test, feature = "pulsar"))]
mod tests {
    use kernel::FakeClock;
    use migrations::Migrator;
    use platform_db::testing;
    use sea_orm_migration::MigratorTrait;

    use super::*;
    use crate::store::{dead_letters, events_at};

    fn event(pos: i64, body: &str) -> Arc<Event> {
        Arc::new(Event {
            shard: Shard::new(3),
            pos,
            topic: "test.happened.v1".to_owned(),
            aggregate: "a".to_owned(),
            at: Timestamp::from_micros(1),
            body: body.as_bytes().to_vec(),
            trace: None,
        })
    }

    fn row(pos: i64) -> Parked {
        let (shard, next_at, error) = (Shard::new(3), Timestamp::from_micros(0), "broken".to_owned());
        Parked { shard, pos, attempts: 1, next_at, error }
    }

    #[tokio::test]
    async fn what_is_parked_is_in_the_log_again() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
        let db = Db::open(&testing::config(folder.path()), clock).await.unwrap();
        db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
        park_received(&db, "test.one", vec![(row(7), event(7, "seven"))]).await.unwrap();
        // The log's own row counts, and again changes nothing.
        let both = vec![(row(7), event(7, "other")), (row(8), event(8, "eight"))];
        park_received(&db, "test.one", both).await.unwrap();
        park_received(&db, "test.two", vec![(row(8), event(8, "eight"))]).await.unwrap();
        let places = [(Shard::new(3), 7), (Shard::new(3), 8)];
        let kept = events_at(&db, &places).await.unwrap();
        let kept: Vec<_> = kept.iter().map(|event| (event.pos, event.body.as_slice())).collect();
        assert_eq!(kept, [(7, b"seven".as_slice()), (8, b"eight".as_slice())]);
        let waiting = parked(&db, "test.one", None, 10).await.unwrap();
        assert!(waiting.iter().all(|waiting| waiting.aggregate.as_deref() == Some("a")), "{waiting:?}");
        assert_eq!(waiting.len(), 2);
        for (shards, count) in [(BTreeSet::from([Shard::new(3)]), 2), (BTreeSet::from([Shard::new(2)]), 0)] {
            assert_eq!(parked(&db, "test.one", Some(&shards), 10).await.unwrap().len(), count, "{shards:?}");
        }
        assert!(parked(&db, "test.one", Some(&BTreeSet::new()), 10).await.unwrap().is_empty());
        assert_eq!(count_live(&db).await.unwrap()["test.one"], BTreeMap::from([(Shard::new(3), 2)]));
        let dead = Outcome::Failed { attempts: 4, next_at: db.now(), error: "still".to_owned(), dead: true };
        note_retries(&db, "test.one", vec![(places[0], dead)]).await.unwrap();
        let letters = dead_letters(&db, None, 10).await.unwrap();
        assert_eq!((letters.len(), letters[0].pos, letters[0].topic.as_str()), (1, 7, "test.happened.v1"));
    }
}
