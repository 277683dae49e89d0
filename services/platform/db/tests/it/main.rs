//! The doors of the database, on a real SQLite file.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a fixture that cannot be made fails its test")]

use std::{sync::Arc, time::Duration};

use contracts::{Event, EventBody, pricing::PriceChanged};
use kernel::{Clock, Failure, FakeClock, Id, Shard, Timestamp, code};
use migrations::Migrator;
use platform_db::{Db, DbConfig, DbResult, Once, Rows, Synchronous};
use sea_orm::{ConnectionTrait, Statement};
use sea_orm_migration::MigratorTrait;

struct Fixture {
    db: Db,
    clock: Arc<FakeClock>,
    folder: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
    let db = open(folder.path(), clock.clone()).await;
    Fixture { db, clock, folder }
}

async fn open(folder: &std::path::Path, clock: Arc<dyn Clock>) -> Db {
    let config = DbConfig { synchronous: Synchronous::Normal, ..DbConfig::at(folder) };
    let db = Db::open(&config, clock).await.unwrap();
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
    db.check_shards().await.unwrap();
    db
}

async fn number(db: &Db, sql: &str) -> i64 {
    let statement = Statement::from_string(db.read().get_database_backend(), sql);
    db.read().query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

fn event() -> PriceChanged {
    PriceChanged { sku_id: Id::derive(Shard::new(1), &[b"sku"]) }
}

fn once(key: &str, payload: &str) -> Once {
    Once::on(Shard::new(2), "usr_1", "test.run", key, &payload).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_closure_takes_nothing_with_it_and_leaves_its_group_alone() {
    let f = fixture().await;
    let writes = (0..50).map(|n: i64| {
        let db = f.db.clone();
        async move {
            db.write(Shard::new(0), n, |tx, &n| {
                Box::pin(async move {
                    tx.publish(&event()).await?;
                    if n % 5 == 0 { Err(Failure::new(code::CONFLICT)) } else { Ok(n) }
                })
            })
            .await
        }
    });
    let outcomes = futures::future::join_all(writes).await;
    assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 40);
    assert_eq!(number(&f.db, "SELECT count(*) FROM outbox").await, 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_fails_only_its_own_member_of_an_append_group() {
    let f = fixture().await;
    let appends = (0..64).map(|n: i32| {
        let (db, key) = (f.db.clone(), format!("k{}", n % 32));
        async move {
            let rows = Rows::new().event(&db, Shard::new(3), &event())?;
            db.append_once(&once(&key, "same"), rows, n).await
        }
    });
    let answers: Vec<i32> =
        futures::future::join_all(appends).await.into_iter().map(Result::unwrap).collect();
    for n in 0..32 {
        assert_eq!(answers[n], answers[n + 32], "twins get the winner's answer");
    }
    assert_eq!(number(&f.db, "SELECT count(*) FROM outbox").await, 32, "one effect a key");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_for_another_payload_is_refused() {
    let f = fixture().await;
    let run = |payload: &'static str| {
        let db = f.db.clone();
        async move {
            let once = once("key", payload);
            db.write_once(&once, (), |tx, ()| {
                Box::pin(async move {
                    tx.publish(&event()).await?;
                    Ok("done".to_owned())
                })
            })
            .await
        }
    };
    assert_eq!(run("a").await.unwrap(), "done");
    assert_eq!(run("a").await.unwrap(), "done");
    assert_eq!(run("b").await.unwrap_err().code(), "idempotency_key_reused");
    assert_eq!(number(&f.db, "SELECT count(*) FROM outbox").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_have_no_gap_whoever_sequences() {
    let f = fixture().await;
    let other = open(f.folder.path(), f.clock.clone()).await;
    for n in 0..100 {
        let rows = Rows::new().event(&f.db, Shard::new(n % 4), &event()).unwrap();
        f.db.append(Shard::new(n % 4), rows).await.unwrap();
    }
    let (a, b) = tokio::join!(async { while f.db.sequence_once(7).await.unwrap() > 0 {} }, async {
        while other.sequence_once(5).await.unwrap() > 0 {}
    });
    let ((), ()) = (a, b);
    for shard in 0..4 {
        let log: Vec<Event> = f.db.log_after(Shard::new(shard), 0, 1_000).await.unwrap();
        assert_eq!(log.iter().map(|e| e.pos).collect::<Vec<_>>(), (1..=25).collect::<Vec<_>>());
        assert_eq!(log[0].topic, PriceChanged::TOPIC);
    }
    assert_eq!(number(&f.db, "SELECT count(*) FROM outbox").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_sees_an_event_once() {
    let f = fixture().await;
    f.db.append(Shard::new(0), Rows::new().event(&f.db, Shard::new(0), &event()).unwrap()).await.unwrap();
    f.db.sequence_once(10).await.unwrap();
    let event = f.db.log_after(Shard::new(0), 0, 1).await.unwrap().remove(0);
    let consume =
        || f.db.write(Shard::new(0), event.clone(), |tx, event| Box::pin(tx.first_time("test", event)));
    assert!(consume().await.unwrap());
    assert!(!consume().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_changes_hands_only_when_it_ran_out() {
    let f = fixture().await;
    let take = |holder: &'static str| f.db.lease("job", Shard::new(0), holder, Duration::from_secs(5));
    assert_eq!(take("a").await.unwrap().unwrap().0, 1);
    assert_eq!(take("b").await.unwrap(), None);
    assert_eq!(take("a").await.unwrap().unwrap().0, 1, "a renewal keeps the epoch");
    f.clock.advance(Duration::from_secs(6));
    assert_eq!(take("b").await.unwrap().unwrap().0, 2);
    f.db.release_lease("job", Shard::new(0), "b").await.unwrap();
    assert_eq!(take("a").await.unwrap().unwrap().0, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_inside_a_write_is_refused_instead_of_waiting_for_itself() {
    let f = fixture().await;
    let inner = f.db.clone();
    let outcome =
        f.db.write(Shard::new(0), inner, |_, inner| {
            Box::pin(async move { inner.write(Shard::new(0), (), |_, ()| Box::pin(async { Ok(()) })).await })
        })
        .await;
    assert_eq!(outcome.unwrap_err().code(), "server.internal");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_take_turns() {
    let f = fixture().await;
    let other = open(f.folder.path(), f.clock.clone()).await;
    let run = |db: Db| async move {
        for _ in 0..200 {
            db.append(Shard::new(0), Rows::new().event(&db, Shard::new(0), &event()).unwrap()).await.unwrap();
        }
    };
    tokio::join!(run(f.db.clone()), run(other));
    assert_eq!(number(&f.db, "SELECT count(*) FROM outbox").await, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_shards_is_fixed_and_readers_cannot_write() {
    let f = fixture().await;
    let config = DbConfig { shards: 8, ..DbConfig::at(f.folder.path()) };
    let other = Db::open(&config, f.clock.clone()).await.unwrap();
    assert_eq!(other.check_shards().await.unwrap_err().fields()[0].pointer, "database.shards");
    assert!(f.db.read().execute_unprepared("DELETE FROM outbox").await.db().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_whole_and_verifies() {
    let f = fixture().await;
    f.db.append(Shard::new(0), Rows::new().event(&f.db, Shard::new(0), &event()).unwrap()).await.unwrap();
    let copy = f.folder.path().join("copy.db");
    f.db.backup(&copy).await.unwrap();
    Db::verify(&copy).await.unwrap();
    std::fs::write(&copy, b"not a database").unwrap();
    assert!(Db::verify(&copy).await.is_err());
}
