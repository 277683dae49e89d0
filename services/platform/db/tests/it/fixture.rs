//! A database of its own for each test.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use contracts::pricing::PriceChanged;
use kernel::{FakeClock, Id, Shard, Timestamp, code};
use migrations::Migrator;
use platform_db::{Db, DbConfig, Once, testing};
use sea_orm::{ConnectionTrait, Statement};
use sea_orm_migration::MigratorTrait;

pub(crate) struct Fixture {
    pub(crate) db: Db,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) config: DbConfig,
    pub(crate) folder: tempfile::TempDir,
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = testing::sqlite(folder.path());
        Self::of(folder, config).await
    }

    pub(crate) async fn tidb() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = testing::tidb(folder.path()).expect("MERIDIAN_TEST_TIDB names a server");
        Self::of(folder, config).await
    }

    pub(crate) async fn of(folder: tempfile::TempDir, config: DbConfig) -> Self {
        let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
        let db = open(&config, &clock).await;
        Self { db, clock, config, folder }
    }

    /// The same database, as another process has it.
    pub(crate) async fn another(&self) -> Db {
        open(&self.config, &self.clock).await
    }
}

/// A server that has too much to do to let us in, or to make a database, in time is asked again.
pub(crate) async fn connected(config: &DbConfig, clock: &Arc<FakeClock>) -> Db {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        match Db::open(config, clock.clone()).await {
            Err(failure) if failure.is(code::UNAVAILABLE) && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            opened => return opened.unwrap(),
        }
    }
}

pub(crate) async fn open(config: &DbConfig, clock: &Arc<FakeClock>) -> Db {
    let db = connected(config, clock).await;
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
    db.check_shards().await.unwrap();
    db
}

pub(crate) async fn number(db: &Db, sql: &str) -> i64 {
    let statement = Statement::from_string(db.read().get_database_backend(), sql);
    db.read().query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

pub(crate) fn event() -> PriceChanged {
    PriceChanged { sku_id: Id::derive(Shard::new(1), &[b"sku"]) }
}

pub(crate) fn once(key: &str, payload: &str) -> Once {
    Once::on(Shard::new(2), "usr_1", "test.run", key, &payload).unwrap()
}
