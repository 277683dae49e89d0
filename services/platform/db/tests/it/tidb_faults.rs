//! A TiDB that stands still for a while, and one that is restarted, under writers. A server of their own: the other tests'
//! must not stand still with it.
//!
//! Its store is not TiKV and not safe against kill -9 of the server, so that is not tried.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use kernel::{FakeClock, Shard, Timestamp};
use platform_db::{Db, DbConfig, DbResult, EngineName, Rows, TidbConfig, testing};
use sea_orm::{ConnectionTrait, Statement};
use stack::Tidb;
use tokio::time::{Instant, sleep};

use crate::fixture::{event, number, once, open};

const WRITERS: usize = 12;

/// What writers were told.
#[derive(Default)]
struct Told {
    /// Requests with a key: each was asked until it was answered.
    answered: AtomicI64,
    /// Appends without a key that were acknowledged.
    appended: AtomicI64,
    /// Appends that failed: they may be there.
    unknown: AtomicI64,
    /// How often a request with a key had to be asked again.
    again: AtomicI64,
    slowest_millis: AtomicI64,
    stop: AtomicBool,
}

async fn write_on(db: Db, told: Arc<Told>, writer: usize) {
    for n in 0.. {
        if told.stop.load(Ordering::Relaxed) {
            return;
        }
        let begun = Instant::now();
        let shard = Shard::new(u16::try_from((writer + n) % 16).unwrap());
        let key = format!("{writer}-{n}");
        if n % 3 == 0 {
            let rows = Rows::new().event(&db, shard, &event()).unwrap();
            let outcome = if db.append(shard, rows).await.is_ok() { &told.appended } else { &told.unknown };
            outcome.fetch_add(1, Ordering::Relaxed);
        } else {
            // As a client does: asks with the same key until it is answered.
            while !ask(&db, shard, &key, n % 3 == 1).await {
                told.again.fetch_add(1, Ordering::Relaxed);
                assert!(begun.elapsed() < Duration::from_secs(300), "{key} is never answered");
                sleep(Duration::from_millis(100)).await;
            }
            told.answered.fetch_add(1, Ordering::Relaxed);
        }
        let took = i64::try_from(begun.elapsed().as_millis()).unwrap();
        told.slowest_millis.fetch_max(took, Ordering::Relaxed);
    }
}

async fn ask(db: &Db, shard: Shard, key: &str, by_append: bool) -> bool {
    let request = once(key, "x");
    let outcome = if by_append {
        let rows = Rows::new().event(db, shard, &event()).unwrap();
        db.append_once(&request, rows, key.to_owned()).await
    } else {
        db.write_once(&request, key.to_owned(), |tx, key| {
            Box::pin(async move {
                tx.publish(&event()).await?;
                Ok(key.clone())
            })
        })
        .await
    };
    match outcome {
        Ok(answer) => {
            assert_eq!(answer, key);
            true
        }
        Err(failure) => {
            assert_eq!(failure.code(), "server.unavailable", "{failure:?}");
            false
        }
    }
}

/// Runs writers while `trouble` happens; nothing acknowledged is lost, nothing is there twice.
async fn through(trouble: fn(&Tidb)) {
    let tidb = Arc::new(tokio::task::spawn_blocking(|| Tidb::start().unwrap()).await.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let config = DbConfig {
        engine: EngineName::Tidb,
        tidb: TidbConfig { port: tidb.sql_port(), connections: 12, ..TidbConfig::default() },
        ..testing::sqlite(folder.path())
    };
    let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
    let db = open(&config, &clock).await;
    let told = Arc::new(Told::default());
    let writers: Vec<_> =
        (0..WRITERS).map(|n| tokio::spawn(write_on(db.clone(), Arc::clone(&told), n))).collect();
    let sequencer = {
        let (db, told) = (db.clone(), Arc::clone(&told));
        tokio::spawn(async move {
            while !told.stop.load(Ordering::Relaxed) {
                // It fails while nobody answers, and goes on.
                let _ = db.sequence_once(500).await;
                sleep(Duration::from_millis(20)).await;
            }
        })
    };
    let before = wait_for_more(&told, 0).await;
    let server = Arc::clone(&tidb);
    tokio::task::spawn_blocking(move || trouble(&server)).await.unwrap();
    wait_for_more(&told, before).await;
    told.stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    sequencer.await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while number(&db, "SELECT count(*) FROM outbox").await > 0 {
        let _ = db.sequence_once(500).await;
        assert!(Instant::now() < deadline, "the outbox is never empty");
    }
    let get = |count: &AtomicI64| count.load(Ordering::Relaxed);
    let (answered, appended, unknown) = (get(&told.answered), get(&told.appended), get(&told.unknown));
    eprintln!(
        "{answered} requests answered, {} of them asked again, {appended} appends, {unknown} unknown, slowest {} ms",
        get(&told.again),
        get(&told.slowest_millis)
    );
    let keyed = "SELECT count(*) FROM idempotency WHERE principal <> 'append'";
    assert_eq!(number(&db, keyed).await, answered);
    let unkeyed = number(&db, "SELECT count(*) FROM idempotency WHERE principal = 'append'").await;
    assert!((appended..=appended + unknown).contains(&unkeyed), "{unkeyed} appends");
    assert_eq!(number(&db, "SELECT count(*) FROM event_log").await, answered + unkeyed);
    let gaps = "SELECT count(*) FROM (SELECT shard, count(*) n, max(pos) last FROM event_log GROUP BY shard) l WHERE n <> last";
    assert_eq!(number(&db, gaps).await, 0);
}

/// A TiDB of its own, and a database on it whose writes are told within a second or two.
async fn impatient(folder: &tempfile::TempDir) -> (Arc<Tidb>, Db) {
    let (tidb, _, db) = impatient_with(folder, DbConfig::default().readers).await;
    (tidb, db)
}

/// The TiDB, the database as somebody has it who waits as long as usual, and as one has it who does not.
async fn impatient_with(folder: &tempfile::TempDir, readers: u32) -> (Arc<Tidb>, Db, Db) {
    let tidb = Arc::new(tokio::task::spawn_blocking(|| Tidb::start().unwrap()).await.unwrap());
    let address = TidbConfig { port: tidb.sql_port(), connections: 12, ..TidbConfig::default() };
    let config = DbConfig { engine: EngineName::Tidb, tidb: address, ..testing::sqlite(folder.path()) };
    let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
    // Tables take longer to make than a write may.
    let patient = open(&config, &clock).await;
    let (short, long) = (Duration::from_millis(500), Duration::from_secs(1));
    let config = DbConfig {
        tidb: TidbConfig { acquire: short, statement: short, deadline: long, ..config.tidb },
        readers,
        // Everybody who waits while it stands still can be told together.
        group: 1_024,
        ..config
    };
    let db = at_last(async || Db::open(&config, clock.clone()).await.ok()).await;
    (tidb, patient, db)
}

/// What the server does once it has time for it: on a busy machine it may take longer than the impatient wait.
async fn at_last<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(done) = ask().await {
            return done;
        }
        assert!(Instant::now() < deadline, "a server that runs never answers in time");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Events that wait, as a reader sees them who may have to ask more than once.
async fn waiting(db: &Db) -> i64 {
    let select = || Statement::from_string(db.read().get_database_backend(), "SELECT count(*) FROM outbox");
    let row = at_last(async || db.read().query_one_raw(select()).await.ok()).await;
    row.unwrap().try_get_by_index(0).unwrap()
}

/// Waits until a few hundred more requests are answered.
async fn wait_for_more(told: &Told, than: i64) -> i64 {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        let answered = told.answered.load(Ordering::Relaxed);
        if answered >= than + 300 {
            return answered;
        }
        assert!(Instant::now() < deadline, "writers stand still at {answered}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts TiDB: cargo xtask test --real"]
async fn ten_seconds_of_standstill_lose_and_double_nothing() {
    through(|tidb| {
        tidb.pause().unwrap();
        std::thread::sleep(Duration::from_secs(10));
        tidb.resume().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts TiDB: cargo xtask test --real"]
async fn a_graceful_restart_loses_and_doubles_nothing() {
    through(|tidb| tidb.restart().unwrap()).await;
}

/// A group that cannot be stored is not tried again member by member, eight at a time: that would be many deadlines.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts TiDB: cargo xtask test --real"]
async fn who_waits_together_is_told_together() {
    const MEMBERS: u16 = 1_024;
    let folder = tempfile::tempdir().unwrap();
    let (tidb, db) = impatient(&folder).await;
    let append = |n: u16| {
        let shard = Shard::new(n % 16);
        let (db, rows) = (db.clone(), Rows::new().event(&db, shard, &event()).unwrap());
        async move { db.append(shard, rows).await }
    };
    at_last(async || append(0).await.ok()).await;
    tidb.pause().unwrap();
    let all = futures::future::join_all((0..MEMBERS).map(append));
    // Four groups are on their way at once, so that one has a quarter of them or more: member by member, eight at a time,
    // would be at least half a minute.
    let told = tokio::time::timeout(Duration::from_secs(20), all).await;
    tidb.resume().unwrap();
    for outcome in told.expect("all are told at about the same time") {
        assert_eq!(outcome.unwrap_err().code(), "server.unavailable");
    }
}

/// What began before the server stood still must not wait until it moves again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts TiDB: cargo xtask test --real"]
async fn a_snapshot_does_not_wait_for_a_server_that_stands_still() {
    let folder = tempfile::tempdir().unwrap();
    let (tidb, db) = impatient(&folder).await;
    let snapshot = at_last(async || db.read().snapshot().await.ok()).await;
    tidb.pause().unwrap();
    let select = Statement::from_string(snapshot.get_database_backend(), "SELECT count(*) FROM outbox");
    // It would wait for ever: nobody lets the server go on before.
    let asked = tokio::time::timeout(Duration::from_secs(30), snapshot.query_one_raw(select)).await;
    tidb.resume().unwrap();
    let outcome = asked.expect("half a second is the deadline of a statement");
    assert_eq!(outcome.db().unwrap_err().code(), "server.unavailable");
}

/// A reader of one connection that gives up while a transaction begins, or in the middle of one: the connection neither stays
/// inside it, where it would show for ever what was so then, nor is it lost to the pool.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts TiDB: cargo xtask test --real"]
async fn what_a_reader_gave_up_is_not_read_from_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (tidb, patient, db) = impatient_with(&folder, 1).await;
    let mut written = 0;
    for in_the_middle in [false, true] {
        assert_eq!(waiting(&db).await, written);
        let begun =
            if in_the_middle { Some(at_last(async || db.read().snapshot().await.ok()).await) } else { None };
        tidb.pause().unwrap();
        match begun {
            Some(snapshot) => {
                let sql = "SELECT count(*), ? FROM outbox WHERE shard <> ?";
                let backend = snapshot.get_database_backend();
                let select = Statement::from_sql_and_values(backend, sql, [1.into(), 99.into()]);
                snapshot.query_one_raw(select).await.unwrap_err();
            }
            None => assert!(db.read().snapshot().await.is_err()),
        }
        tidb.resume().unwrap();
        // Again and again within the second after which the server ends a transaction that stands idle.
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            let shard = Shard::new(0);
            patient.append(shard, Rows::new().event(&patient, shard, &event()).unwrap()).await.unwrap();
            written += 1;
            assert_eq!(waiting(&db).await, written, "{in_the_middle}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}
