//! What only TiDB can do to us: paused holders, lost commits, a server that goes away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use kernel::Shard;
use platform_db::{Db, DbConfig, DbResult, Rows, TidbConfig, testing};
use sea_orm::{ConnectionTrait, Statement};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use crate::{
    fixture::{Fixture, event, number, once, open},
    suite::{self, one_more, one_more_of},
};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a TiDB: cargo xtask test --real"]
async fn a_process_paused_inside_a_transaction_delays_others_two_seconds_at_most() {
    let f = Fixture::tidb().await;
    f.db.write(Shard::new(0), (), |tx, ()| {
        Box::pin(async move {
            tx.execute_unprepared("INSERT INTO database_setting VALUES ('n', 0)").await.unwrap();
            Ok(())
        })
    })
    .await
    .unwrap();
    let other = f.another().await;
    // It has its connection, and knows the statements.
    let warm = other.write(Shard::new(1), (), |tx, ()| Box::pin(one_more_of(tx, 1)));
    warm.await.unwrap();
    let (paused, holds) = (Arc::new(AtomicBool::new(false)), Arc::new(tokio::sync::Notify::new()));
    let holder = {
        let (db, input) = (f.db.clone(), (Arc::clone(&paused), Arc::clone(&holds)));
        tokio::spawn(async move {
            db.write(Shard::new(0), input, |tx, (paused, holds)| {
                Box::pin(async move {
                    one_more(tx).await?;
                    if !paused.swap(true, Ordering::Relaxed) {
                        holds.notify_one();
                        tokio::time::sleep(Duration::from_secs(5)).await;
                    }
                    Ok(())
                })
            })
            .await
        })
    };
    holds.notified().await;
    let before = Instant::now();
    other.write(Shard::new(0), (), |tx, ()| Box::pin(one_more(tx))).await.unwrap();
    let waited = before.elapsed();
    assert!(waited < Duration::from_millis(2_500), "waited {waited:?}");
    // The paused one comes back, finds its transaction gone, and runs again.
    holder.await.unwrap().unwrap();
    assert_eq!(number(&f.db, "SELECT value FROM database_setting WHERE name = 'n'").await, 2);
}

/// What a proxy does to the next COMMIT.
const PASS: u8 = 0;
/// It is carried out, and its answer lost.
const LOSE_THE_ANSWER: u8 = 1;
/// It never arrives.
const LOSE_THE_QUESTION: u8 = 2;

/// A proxy before TiDB; its address.
async fn proxy(to: String, trouble: Arc<AtomicU8>) -> (String, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&to).await.unwrap();
            tokio::spawn(pump(client, server, Arc::clone(&trouble)));
        }
    });
    ("127.0.0.1".to_owned(), port)
}

async fn pump(mut client: TcpStream, mut server: TcpStream, trouble: Arc<AtomicU8>) {
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(n @ 1..) = read else { return };
                // By itself, or at the end of an append's one message.
                let ends = |bytes: &[u8]| bytes == b"\x03COMMIT" || bytes == b"\nCOMMIT";
                if up[..n].windows(7).any(ends) {
                    match trouble.swap(PASS, Ordering::Relaxed) {
                        LOSE_THE_QUESTION => return,
                        LOSE_THE_ANSWER => {
                            server.write_all(&up[..n]).await.unwrap();
                            // Every statement of a text has its answer.
                            tokio::time::sleep(Duration::from_millis(100)).await;
                            let _ = server.read(&mut down).await;
                            return;
                        }
                        _ => {}
                    }
                }
                if server.write_all(&up[..n]).await.is_err() { return }
            }
            read = server.read(&mut down) => {
                let Ok(n @ 1..) = read else { return };
                if client.write_all(&down[..n]).await.is_err() { return }
            }
        }
    }
}

/// A database behind a proxy, and the proxy's trouble.
async fn behind_a_proxy() -> (Fixture, Db, Arc<AtomicU8>) {
    let f = Fixture::tidb().await;
    let trouble = Arc::new(AtomicU8::new(PASS));
    let mut config: DbConfig = f.config.clone();
    let to = format!("{}:{}", config.tidb.host, config.tidb.port);
    (config.tidb.host, config.tidb.port) = proxy(to, Arc::clone(&trouble)).await;
    let db = open(&config, &f.clock).await;
    (f, db, trouble)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a TiDB: cargo xtask test --real"]
async fn a_commit_whose_answer_is_lost_is_one_effect() {
    let (f, db, trouble) = behind_a_proxy().await;
    for (round, lost) in [LOSE_THE_ANSWER, LOSE_THE_QUESTION].into_iter().enumerate() {
        let key = |door: &str| format!("{door} {round}");
        trouble.store(lost, Ordering::Relaxed);
        let rows = Rows::new().event(&db, Shard::new(2), &event()).unwrap();
        let answer = db.append_once(&once(&key("append"), "x"), rows, key("append")).await.unwrap();
        assert_eq!(answer, key("append"));
        assert_eq!(trouble.load(Ordering::Relaxed), PASS, "the proxy met its COMMIT");

        trouble.store(lost, Ordering::Relaxed);
        let once = once(&key("write"), "x");
        let answer = db.write_once(&once, key("write"), |tx, answer| {
            Box::pin(async move {
                tx.publish(&event()).await?;
                Ok(answer.clone())
            })
        });
        assert_eq!(answer.await.unwrap(), key("write"));
        assert_eq!(trouble.load(Ordering::Relaxed), PASS, "the proxy met its COMMIT");

        trouble.store(lost, Ordering::Relaxed);
        let rows = Rows::new().event(&db, Shard::new(3), &event()).unwrap();
        db.append(Shard::new(3), rows).await.unwrap();
        assert_eq!(trouble.load(Ordering::Relaxed), PASS, "the proxy met its COMMIT");

        // So many that they are no text.
        trouble.store(lost, Ordering::Relaxed);
        let many = (0..100).try_fold(Rows::new(), |rows, _| rows.event(&db, Shard::new(3), &event()));
        db.append(Shard::new(3), many.unwrap()).await.unwrap();
        assert_eq!(trouble.load(Ordering::Relaxed), PASS, "the proxy met its COMMIT");
    }
    assert_eq!(number(&f.db, "SELECT count(*) FROM outbox").await, 206);
    // An append of events alone has a row of its own, too.
    assert_eq!(number(&f.db, "SELECT count(*) FROM idempotency").await, 8);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a TiDB: cargo xtask test --real"]
async fn an_event_whose_commit_is_unknown_is_consumed_once() {
    let (f, db, trouble) = behind_a_proxy().await;
    f.db.append(Shard::new(0), Rows::new().event(&f.db, Shard::new(0), &event()).unwrap()).await.unwrap();
    while f.db.sequence_once(10).await.unwrap() == 0 {}
    let event = f.db.log_after(Shard::new(0), 0, 1).await.unwrap().remove(0);
    trouble.store(LOSE_THE_ANSWER, Ordering::Relaxed);
    let consume = db.write(Shard::new(0), event, |tx, event| {
        Box::pin(async move {
            if tx.first_time("test", event).await? {
                tx.publish(&crate::fixture::event()).await?;
            }
            Ok(())
        })
    });
    consume.await.unwrap();
    assert_eq!(trouble.load(Ordering::Relaxed), PASS, "the proxy met its COMMIT");
    assert_eq!(number(&f.db, "SELECT count(*) FROM outbox").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a TiDB: cargo xtask test --real"]
async fn a_backup_is_refused_and_says_who_makes_it() {
    let f = Fixture::tidb().await;
    let refused = f.db.backup(&f.folder.path().join("copy.db")).await.unwrap_err();
    assert!(refused.message().contains("BR"), "{}", refused.message());
}

/// A database whose readers go to the closest replica. The server here is its only one: what cannot be seen is a replica that
/// is behind, which TiKV makes wait until it has what the leader had.
async fn closest() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let config = testing::tidb(folder.path()).expect("MERIDIAN_TEST_TIDB names a server");
    let tidb = TidbConfig { closest_reads: true, ..config.tidb.clone() };
    Fixture::of(folder, DbConfig { tidb, ..config }).await
}

const WHERE_FROM: &str = "SELECT @@tidb_replica_read";

async fn reads_from(at: &impl ConnectionTrait) -> kernel::Result<String> {
    let asked = Statement::from_string(at.get_database_backend(), WHERE_FROM);
    at.query_one_raw(asked).await.db()?.unwrap().try_get_by_index(0).db()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a TiDB: cargo xtask test --real"]
async fn only_readers_go_to_the_closest_replica_and_where_they_are_told_to() {
    let f = closest().await;
    // All at once: every connection of the pool answers.
    let mut open = Vec::new();
    for _ in 0..f.config.readers {
        let reader = f.db.read().snapshot().await.unwrap();
        assert_eq!(reads_from(&reader).await.unwrap(), "closest-replicas");
        open.push(reader);
    }
    drop(open);
    let writer = f.db.write(Shard::new(0), (), |tx, ()| Box::pin(reads_from(tx)));
    assert_eq!(writer.await.unwrap(), "leader");
    let untold = Fixture::tidb().await;
    assert_eq!(reads_from(untold.db.read()).await.unwrap(), "leader");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a TiDB: cargo xtask test --real"]
async fn closest_reads_see_what_was_written_before_them() {
    let f = closest().await;
    for n in 0..50_i32 {
        let (shard, request) = (Shard::new(2), once(&format!("k{n}"), "x"));
        let rows = Rows::new().event(&f.db, shard, &event()).unwrap();
        f.db.append_once(&request, rows, n).await.unwrap();
        assert_eq!(request.find::<i32>(&f.db).await.unwrap(), Some(n));
        assert_eq!(number(&f.db, "SELECT count(*) FROM outbox").await, i64::from(n) + 1);
    }
    suite::the_same_key_for_another_payload_is_refused(closest().await).await;
    suite::a_consumer_sees_an_event_once(closest().await).await;
    suite::positions_have_no_gap_whoever_sequences(closest().await).await;
    suite::what_a_closure_read_is_still_so_when_it_writes(closest().await).await;
    suite::who_inserts_the_row_that_was_not_there_a_moment_ago_runs_again(closest().await).await;
    suite::twins_in_two_processes_are_one_effect(closest().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a TiDB: cargo xtask test --real"]
async fn a_read_that_the_server_ends_is_no_fault_of_the_shop() {
    let f = Fixture::tidb().await;
    let snapshot = f.db.read().snapshot().await.unwrap();
    // Sooner than we end it ourselves.
    snapshot.execute_unprepared("SET SESSION max_execution_time = 50").await.unwrap();
    // Ended while it counts, it says so; while the tables of all databases are listed for it, not always.
    let counts = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
                  SELECT count(*) FROM n a, n b, n c";
    let columns = "information_schema.columns";
    let lists = format!("SELECT count(*) FROM {columns} a, {columns} b, {columns} c");
    for (sql, says) in
        [(counts, Some("maximum statement execution time"))].into_iter().chain([(lists.as_str(), None); 15])
    {
        let long = Statement::from_string(snapshot.get_database_backend(), sql);
        let failure = snapshot.query_one_raw(long).await.db().unwrap_err();
        let cause = failure.cause().unwrap().to_string();
        assert!(says.is_none_or(|says| cause.contains(says)), "{failure:?}");
        assert_eq!(failure.code(), "server.unavailable", "{failure:?}");
    }
}
