//! What every test of the bus stands on: a database, recording consumers, a bus on the chosen engine.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use contracts::{Event, EventBody};
use kernel::{Clock, Failure, FakeClock, Result, Shard, Timestamp, code};
use migrations::Migrator;
use platform_bus::{Bus, BusConfig, Consumer, Scope};
use platform_db::{Db, DbResult, Rows, testing};
use platform_regions::Regions;
use sea_orm::{ConnectionTrait, Statement};
use sea_orm_migration::MigratorTrait;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Happened {
    pub(crate) to: String,
    pub(crate) n: u32,
}

impl EventBody for Happened {
    const TOPIC: &'static str = "test.happened.v1";
    fn aggregate(&self) -> String {
        self.to.clone()
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ignored;

impl EventBody for Ignored {
    const TOPIC: &'static str = "test.ignored.v1";
    fn aggregate(&self) -> String {
        "ignored".to_owned()
    }
}

/// Notes every first delivery, and fails for what it is told to.
pub(crate) struct Recorder {
    name: &'static str,
    scope: Scope,
    db: Db,
    seen: Arc<Mutex<Vec<Happened>>>,
    calls: Mutex<usize>,
    broken: Mutex<BTreeSet<u32>>,
    pub(crate) panics: Mutex<BTreeSet<u32>>,
}

impl Recorder {
    pub(crate) fn new(name: &'static str, db: &Db) -> Arc<Self> {
        Self::scoped(name, Scope::Shop, db)
    }

    /// One that every region has for itself: it notes every delivery, not only the first.
    pub(crate) fn regional(name: &'static str, db: &Db) -> Arc<Self> {
        Self::scoped(name, Scope::Region, db)
    }

    fn scoped(name: &'static str, scope: Scope, db: &Db) -> Arc<Self> {
        let (seen, calls, broken, panics) = Default::default();
        Arc::new(Self { name, scope, db: db.clone(), seen, calls, broken, panics })
    }

    /// The same consumer in another process: what they see is gathered in one list.
    pub(crate) fn twin(&self) -> Arc<Self> {
        let (calls, broken, panics) = Default::default();
        Arc::new(Self {
            name: self.name,
            scope: self.scope,
            db: self.db.clone(),
            seen: Arc::clone(&self.seen),
            calls,
            broken,
            panics,
        })
    }

    pub(crate) fn seen(&self) -> Vec<Happened> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn numbers(&self, to: &str) -> Vec<u32> {
        self.seen().iter().filter(|event| event.to == to).map(|event| event.n).collect()
    }

    pub(crate) fn calls(&self) -> usize {
        *self.calls.lock().unwrap()
    }

    pub(crate) fn breaks(&self, n: u32) {
        self.broken.lock().unwrap().insert(n);
    }

    pub(crate) fn heals(&self) {
        self.broken.lock().unwrap().clear();
        self.panics.lock().unwrap().clear();
    }
}

#[async_trait]
impl Consumer for Recorder {
    fn subscription(&self) -> &'static str {
        self.name
    }

    fn topics(&self) -> &'static [&'static str] {
        &[Happened::TOPIC]
    }

    fn scope(&self) -> Scope {
        self.scope
    }

    async fn consume(&self, event: &Event) -> Result<()> {
        *self.calls.lock().unwrap() += 1;
        let Some(body) = event.body::<Happened>()? else { return Err(Failure::internal("not my topic")) };
        assert!(!self.panics.lock().unwrap().contains(&body.n), "on purpose");
        if self.broken.lock().unwrap().contains(&body.n) {
            return Err(Failure::new(code::UNAVAILABLE).detail("broken").because("hunter2"));
        }
        if self.scope == Scope::Region {
            self.seen.lock().unwrap().push(body);
            return Ok(());
        }
        let first = self
            .db
            .write(event.shard, (self.name, event.clone()), |tx, (name, event)| {
                Box::pin(async move { tx.first_time(name, event).await })
            })
            .await?;
        if first {
            self.seen.lock().unwrap().push(body);
        }
        Ok(())
    }
}

/// Which bus is tested.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Engine {
    Embedded,
    #[cfg(feature = "pulsar")]
    Pulsar,
}

pub(crate) struct Fixture {
    pub(crate) db: Db,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) config: BusConfig,
    #[cfg(feature = "pulsar")]
    _turn: Option<crate::broker::Turn>,
    _folder: tempfile::TempDir,
}

/// An empty database.
pub(crate) async fn open(folder: &std::path::Path, clock: Arc<dyn Clock>) -> Db {
    let db = Db::open(&testing::config(folder), clock).await.unwrap();
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
    db
}

pub(crate) async fn fixture(engine: Engine) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
    let db = open(folder.path(), clock.clone()).await;
    let config = match engine {
        Engine::Embedded => config(),
        #[cfg(feature = "pulsar")]
        Engine::Pulsar => crate::broker::config(config()),
    };
    #[cfg(feature = "pulsar")]
    let _turn = match engine {
        Engine::Embedded => None,
        Engine::Pulsar => Some(crate::broker::shared().await),
    };
    Fixture {
        db,
        clock,
        config,
        #[cfg(feature = "pulsar")]
        _turn,
        _folder: folder,
    }
}

pub(crate) fn config() -> BusConfig {
    BusConfig {
        quick_tries: 2,
        tries: 4,
        parked: 5,
        backoff: Duration::from_secs(1),
        poll: Duration::from_millis(20),
        watch: Duration::from_millis(30),
        stall: Duration::from_millis(200),
        cursor: Duration::from_millis(10),
        ..BusConfig::default()
    }
}

/// A bus that runs until it is stopped.
pub(crate) struct Running {
    pub(crate) bus: Arc<dyn Bus>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(f: &Fixture, consumers: &[&Arc<Recorder>]) -> Self {
        Self::with(f, consumers, f.config.clone())
    }

    pub(crate) fn with(f: &Fixture, consumers: &[&Arc<Recorder>], config: BusConfig) -> Self {
        let consumers = consumers.iter().map(|&consumer| Arc::clone(consumer) as Arc<dyn Consumer>).collect();
        Self::on(&f.db, consumers, config)
    }

    pub(crate) fn on(db: &Db, consumers: Vec<Arc<dyn Consumer>>, config: BusConfig) -> Self {
        Self::of(db, consumers, config, Regions::single())
    }

    pub(crate) fn of(
        db: &Db,
        consumers: Vec<Arc<dyn Consumer>>,
        config: BusConfig,
        regions: Regions,
    ) -> Self {
        let bus = platform_bus::open(db.clone(), consumers, config, regions).unwrap();
        let stop = CancellationToken::new();
        let (running, token) = (Arc::clone(&bus), stop.clone());
        #[expect(clippy::disallowed_methods, reason = "the test waits for it")]
        let task = tokio::spawn(async move { running.run(token).await });
        Self { bus, stop, task }
    }

    /// Tens of thousands of events may be on their way, through a TiDB that shares the machine with everything else. Whoever
    /// does not answer in time there, or is just being started, is asked again.
    pub(crate) async fn quiet(&self) {
        let last = Mutex::new(None);
        let quiet = within(Duration::from_secs(300), async || match self.bus.quiescent().await {
            Ok(quiet) => quiet,
            Err(failure) if failure.is(code::UNAVAILABLE) => {
                *last.lock().unwrap() = Some(failure);
                false
            }
            Err(failure) => panic!("{failure:?}"),
        });
        assert!(quiet.await, "never quiet: {:?}, {:?}", self.bus.trouble(), last.lock().unwrap());
    }

    /// Waits until it says of nothing that it keeps events from flowing: a trouble that is over is told until the next try.
    #[cfg(feature = "pulsar")]
    pub(crate) async fn untroubled(&self) {
        let over = within(LIMIT, async || self.bus.trouble().is_none());
        assert!(over.await, "{:?}", self.bus.trouble());
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// As if the process had been killed.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// How long anything may take that is waited for, on a machine that has much else to do.
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) async fn eventually(what: &str, done: impl AsyncFn() -> bool) {
    assert!(within(LIMIT, done).await, "never {what}");
}

async fn within(limit: Duration, done: impl AsyncFn() -> bool) -> bool {
    let wait = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(limit, wait).await.is_ok()
}

pub(crate) async fn publish(db: &Db, shard: u16, to: &str, numbers: impl IntoIterator<Item = u32>) {
    for n in numbers {
        let rows = Rows::new().event(db, Shard::new(shard), &Happened { to: to.to_owned(), n }).unwrap();
        db.append(Shard::new(shard), rows).await.unwrap();
        // Ids sort by time and the clock stands still: sequencing each by itself keeps their order.
        db.sequence_once(100).await.unwrap();
    }
}

/// The one whole number that a query answers. TiDB's sums are decimals: cast them.
pub(crate) async fn number(db: &Db, sql: &str) -> i64 {
    let statement = Statement::from_string(db.read().get_database_backend(), sql);
    db.read().query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

/// Changes what the bus keeps, behind its back.
pub(crate) async fn change(db: &Db, sql: &'static str) {
    let changed = db.write(Shard::new(1), (), move |tx, ()| {
        Box::pin(async move { tx.execute_unprepared(sql).await.db().map(|_| ()) })
    });
    changed.await.unwrap();
}
