//! The runtime over a real SQLite file and a real port.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod app;
mod jobs;

use std::sync::Arc;

use kernel::{FakeClock, Timestamp};
use migrations::Migrator;
use platform_db::{Db, testing};
use sea_orm_migration::MigratorTrait;

struct Fixture {
    db: Db,
    clock: Arc<FakeClock>,
    _folder: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
    let config = testing::config(folder.path());
    let db = Db::open(&config, clock.clone()).await.unwrap();
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
    Fixture { db, clock, _folder: folder }
}
