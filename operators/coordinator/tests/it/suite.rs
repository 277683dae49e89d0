//! Every journal passes the port's suite.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use coordinator::{
    DatabaseJournal, MemoryJournal,
    testing::{Bench, Hooked, Hooks, all},
};
use futures::executor::block_on;
use kernel::{FakeClock, SystemClock, Timestamp};
use migrations::Migrator;
use platform_db::{Db, DbConfig, DbResult, testing};
use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::MigratorTrait;

struct InMemory(Arc<FakeClock>);

#[async_trait]
impl Bench for InMemory {
    type Journal = MemoryJournal;

    async fn empty(&self) -> MemoryJournal {
        MemoryJournal::new(self.0.clone())
    }

    async fn pass(&self, time: Duration) {
        self.0.advance(time);
    }
}

#[test]
fn the_journal_in_memory_is_a_journal() {
    block_on(all(&InMemory(Arc::new(FakeClock::new(Timestamp::from_micros(0))))));
}

/// Which calls were made, and which were answered.
#[derive(Clone, Default)]
struct Heard {
    before: Arc<Mutex<BTreeSet<String>>>,
    after: Arc<Mutex<BTreeSet<String>>>,
}

impl Hooks for Heard {
    fn before(&self, call: &str) -> coordinator::Result<()> {
        self.before.lock().unwrap().insert(call.to_owned());
        Ok(())
    }

    fn after(&self, call: &str) -> coordinator::Result<()> {
        self.after.lock().unwrap().insert(call.to_owned());
        Ok(())
    }
}

struct Overheard(InMemory, Heard);

#[async_trait]
impl Bench for Overheard {
    type Journal = Hooked<Heard>;

    async fn empty(&self) -> Hooked<Heard> {
        Hooked::new(Arc::new(self.0.empty().await), self.1.clone())
    }

    async fn pass(&self, time: Duration) {
        self.0.pass(time).await;
    }
}

/// The port's methods, by its source: each is passed on, and under its own name.
#[test]
fn a_journal_with_hooks_is_a_journal() {
    let clock = Arc::new(FakeClock::new(Timestamp::from_micros(0)));
    let heard = Heard::default();
    block_on(all(&Overheard(InMemory(clock), heard.clone())));
    let source = include_str!("../../src/journal.rs");
    let methods = source.lines().filter_map(|line| line.strip_prefix("    async fn ")?.split('(').next());
    // What has no case in the suite: nothing in memory has servers.
    let methods: BTreeSet<String> = methods.filter(|name| *name != "servers").map(str::to_owned).collect();
    assert!(methods.len() > 20, "{methods:?}");
    assert_eq!(*heard.before.lock().unwrap(), methods);
    assert_eq!(*heard.after.lock().unwrap(), methods);
}

/// One database, emptied for each case. SQLite's time is a fake clock's, TiDB's its own.
pub(crate) struct InDatabase {
    pub(crate) db: Db,
    clock: Option<Arc<FakeClock>>,
    _folder: tempfile::TempDir,
}

const TABLES: [&str; 7] =
    ["region_journal", "region", "shard_map", "work_lease", "observation", "operation", "operation_step"];

#[async_trait]
impl Bench for InDatabase {
    type Journal = DatabaseJournal;

    async fn empty(&self) -> DatabaseJournal {
        self.db
            .write(kernel::Shard::new(0), (), |tx, ()| {
                Box::pin(async move {
                    for table in TABLES {
                        tx.execute_unprepared(&format!("DELETE FROM {table}")).await.db()?;
                    }
                    Ok(())
                })
            })
            .await
            .unwrap();
        DatabaseJournal::new(self.db.clone())
    }

    async fn pass(&self, time: Duration) {
        match &self.clock {
            Some(clock) => clock.advance(time),
            None => tokio::time::sleep(time).await,
        }
    }
}

pub(crate) async fn open(
    config: &DbConfig,
    folder: tempfile::TempDir,
    clock: Option<Arc<FakeClock>>,
) -> InDatabase {
    let time: Arc<dyn kernel::Clock> = match &clock {
        Some(clock) => clock.clone(),
        None => Arc::new(SystemClock),
    };
    let db = Db::open(config, time).await.unwrap();
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
    InDatabase { db, clock, _folder: folder }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_in_sqlite_is_a_journal() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_000_000)));
    let bench = open(&testing::sqlite(folder.path()), folder, Some(clock)).await;
    assert_eq!(bench.db.read().get_database_backend(), DbBackend::Sqlite);
    all(&bench).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts TiDB: cargo xtask test --real"]
async fn the_journal_in_tidb_is_a_journal() {
    let folder = tempfile::tempdir().unwrap();
    let config = testing::tidb(folder.path()).expect("MERIDIAN_TEST_TIDB names a server");
    let bench = open(&config, folder, None).await;
    assert_eq!(bench.db.read().get_database_backend(), DbBackend::MySql);
    all(&bench).await;
}

/// What `meridian region` asks before it opens a database.
#[tokio::test(flavor = "multi_thread")]
async fn looking_for_a_database_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    looks_before_it_opens(&testing::sqlite(folder.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts TiDB: cargo xtask test --real"]
async fn looking_for_a_database_on_tidb_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let config = testing::new_tidb(folder.path()).expect("MERIDIAN_TEST_TIDB names a server");
    looks_before_it_opens(&config).await;
}

async fn looks_before_it_opens(config: &DbConfig) {
    for _ in 0..2 {
        assert!(!Db::exists(config).await.unwrap());
    }
    Db::open(config, Arc::new(SystemClock)).await.unwrap();
    assert!(Db::exists(config).await.unwrap());
}

/// A journal in a database of its own, whose time is the system's.
pub(crate) async fn in_sqlite() -> (DatabaseJournal, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let bench = open(&testing::sqlite(folder.path()), tempfile::tempdir().unwrap(), None).await;
    (DatabaseJournal::new(bench.db), folder)
}
