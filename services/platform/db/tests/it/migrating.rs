//! The schema on a database that is in use already, and by several at once.

use std::sync::Arc;

use kernel::{FakeClock, Shard, Timestamp};
use migrations::Migrator;
use platform_db::{DbConfig, DbResult, Rows, Tx, testing};
use sea_orm::{ConnectionTrait, Statement};
use sea_orm_migration::MigratorTrait;
use sha2::{Digest, Sha256};

use crate::fixture::{Fixture, connected, event, number, once, open};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a TiDB: cargo xtask test --real"]
async fn who_was_interrupted_between_a_table_and_its_note_goes_on() {
    let f = Fixture::tidb().await;
    f.db.schema(|connection| {
        Box::pin(async move { connection.execute_unprepared("DELETE FROM seaql_migrations").await.map(drop) })
    })
    .await
    .unwrap();
    open(&f.config, &f.clock).await;
    assert_eq!(number(&f.db, "SELECT count(*) FROM category_tree").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a TiDB: cargo xtask test --real"]
async fn a_database_lent_again_is_as_new() {
    let new = tempfile::tempdir().unwrap();
    let new =
        open(&testing::new_tidb(new.path()).expect("MERIDIAN_TEST_TIDB names a server"), &clock()).await;
    let f = Fixture::tidb().await;
    f.db.append(Shard::new(1), Rows::new().event(&f.db, Shard::new(1), &event()).unwrap()).await.unwrap();
    let first = f.config.tidb.database.clone();
    drop(f);
    // Another test may have it meanwhile, for as long as that test takes.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(600);
    let f = loop {
        let f = Fixture::tidb().await;
        if f.config.tidb.database == first {
            break f;
        }
        assert!(tokio::time::Instant::now() < deadline, "{first} is never lent again");
        drop(f);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    let names = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()";
    let names = Statement::from_string(new.read().get_database_backend(), names);
    for row in new.read().query_all_raw(names).await.unwrap() {
        let table: String = row.try_get_by_index(0).unwrap();
        let count = format!("SELECT count(*) FROM `{table}`");
        assert_eq!(number(&f.db, &count).await, number(&new, &count).await, "{table}");
    }
}

fn clock() -> Arc<FakeClock> {
    Arc::new(FakeClock::new(Timestamp::from_micros(1_800_000_000_000_000)))
}

/// How many migrations the first release had.
const FIRST: u32 = 10;

/// A request's answer and its event, as the first release wrote them.
async fn first_release(tx: &Tx, n: i32) -> kernel::Result<()> {
    let backend = tx.get_database_backend();
    let outbox = "INSERT INTO outbox (shard, id, topic, aggregate, at, body) VALUES (?, ?, 't', 'a', 1, ?)";
    let shard = Shard::new(u16::try_from(n % 16).unwrap());
    let id = tx.ids().uuid(shard);
    let event = [i32::from(shard.number()).into(), id.into(), b"{}".to_vec().into()];
    tx.execute_raw(Statement::from_sql_and_values(backend, outbox, event)).await.db()?;
    let request = "INSERT INTO idempotency (shard, principal, route, request_key, payload_hash, answer, created_at) \
                   VALUES (2, 'usr_1', 'test.run', ?, ?, ?, 1)";
    let payload = Sha256::digest(b"\"x\"").to_vec();
    let row = [format!("k{n}").into(), payload.into(), n.to_string().into_bytes().into()];
    tx.execute_raw(Statement::from_sql_and_values(backend, request, row)).await.db().map(drop)
}

async fn forward(config: &DbConfig) {
    let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
    // The schema of the first release, with rows as it left them: no traces.
    let db = connected(config, &clock).await;
    db.schema(|connection| Box::pin(Migrator::up(connection, Some(FIRST)))).await.unwrap();
    db.check_shards().await.unwrap();
    for n in 0..50_i32 {
        db.write(Shard::new(0), n, |tx, &n| Box::pin(first_release(tx, n))).await.unwrap();
    }
    drop(db);
    let db = open(config, &clock).await;
    assert_eq!(number(&db, "SELECT count(*) FROM outbox").await, 50);
    let sets = "SELECT count(*) FROM attribute_set";
    assert_eq!(number(&db, sets).await, 0, "the later tables are there");
    let again = db.append_once(&once("k7", "x"), Rows::new(), 0_i32).await.unwrap();
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
#[ignore = "needs a TiDB: cargo xtask test --real"]
async fn a_filled_tidb_goes_forward() {
    let folder = tempfile::tempdir().unwrap();
    let config = testing::new_tidb(folder.path()).expect("MERIDIAN_TEST_TIDB names a server");
    forward(&config).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a TiDB: cargo xtask test --real"]
async fn four_start_on_an_empty_tidb_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = testing::new_tidb(folder.path()).expect("MERIDIAN_TEST_TIDB names a server");
    let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
    let all = futures::future::join_all((0..4).map(|_| open(&config, &clock))).await;
    assert_eq!(number(&all[3], "SELECT count(*) FROM orders").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a TiDB: cargo xtask test --real"]
async fn tables_on_tidb_are_clustered_and_the_hot_ones_cut_by_shard() {
    let f = Fixture::tidb().await;
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
