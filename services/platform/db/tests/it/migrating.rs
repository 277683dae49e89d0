//! The schema on a database that is in use already, and by several at once.

use std::sync::Arc;

use kernel::{FakeClock, Shard, Timestamp};
use migrations::Migrator;
use platform_db::{Db, DbConfig, DbResult, Rows, testing};
use sea_orm::{ConnectionTrait, Statement};
use sea_orm_migration::MigratorTrait;

use crate::fixture::{Fixture, event, number, once, open};

async fn forward(config: &DbConfig) {
    let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
    // The first step alone; then rows of it, as an older version would leave them.
    let db = Db::open(config, clock.clone()).await.unwrap();
    db.schema(|connection| Box::pin(Migrator::up(connection, Some(1)))).await.unwrap();
    db.check_shards().await.unwrap();
    for n in 0..50 {
        let rows = Rows::new().event(&db, Shard::new(n % 16), &event()).unwrap();
        db.append_once(&once(&format!("k{n}"), "x"), rows, n).await.unwrap();
    }
    drop(db);
    let db = open(config, &clock).await;
    assert_eq!(number(&db, "SELECT count(*) FROM outbox").await, 50);
    assert_eq!(number(&db, "SELECT count(*) FROM orders").await, 0, "the later tables are there");
    let again = db.append_once(&once("k7", "x"), Rows::new(), 0_u16).await.unwrap();
    assert_eq!(again, 7, "and the rows are as they were");
    while db.sequence_once(1_000).await.unwrap() > 0 {}
    assert_eq!(number(&db, "SELECT count(*) FROM event_log").await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filled_sqlite_goes_forward() {
    let folder = tempfile::tempdir().unwrap();
    forward(&testing::sqlite(folder.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filled_tidb_goes_forward() {
    let folder = tempfile::tempdir().unwrap();
    let Some(config) = testing::tidb(folder.path()) else { return };
    forward(&config).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_start_on_an_empty_tidb_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let Some(config) = testing::tidb(folder.path()) else { return };
    let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
    let all = futures::future::join_all((0..4).map(|_| open(&config, &clock))).await;
    assert_eq!(number(&all[3], "SELECT count(*) FROM orders").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_on_tidb_are_clustered_and_the_hot_ones_cut_by_shard() {
    let Some(f) = Fixture::tidb().await else { return };
    let of_ours = "table_schema = DATABASE() AND table_name <> 'seaql_migrations'";
    let loose = format!(
        "SELECT count(*) FROM information_schema.tables WHERE {of_ours} AND tidb_pk_type <> 'CLUSTERED'"
    );
    assert_eq!(number(&f.db, &loose).await, 0);
    let other = format!(
        "SELECT count(*) FROM information_schema.tables WHERE {of_ours} AND table_collation <> 'utf8mb4_bin'"
    );
    assert_eq!(number(&f.db, &other).await, 0);
    let cut = format!(
        "SELECT count(DISTINCT table_name) FROM information_schema.partitions WHERE {of_ours} AND partition_method = 'HASH'"
    );
    assert_eq!(number(&f.db, &cut).await, 17);
    let parts = format!(
        "SELECT count(*) FROM information_schema.partitions WHERE {of_ours} AND table_name = 'orders'"
    );
    assert_eq!(number(&f.db, &parts).await, 16);
    // The last guard of stock holds.
    let negative = "INSERT INTO stock_bucket VALUES (x'01', 'r', x'02', 0, -1, 0, 0, 1, 0)";
    let refused = f.db.write(Shard::new(0), negative, |tx, sql| {
        Box::pin(async move {
            let statement = Statement::from_string(tx.get_database_backend(), *sql);
            tx.execute_raw(statement).await.db().map(|_| ())
        })
    });
    assert!(refused.await.is_err());
}
