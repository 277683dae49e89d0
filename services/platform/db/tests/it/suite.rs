//! What both databases must do, each test on a database of its own.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use contracts::{Event, EventBody, pricing::PriceChanged};
use kernel::{Failure, Shard, code};
use platform_db::{Db, DbResult, Rows};
use sea_orm::{ConnectionTrait, Statement};

use crate::fixture::{Fixture, event, number, once};

pub(crate) async fn a_failed_closure_takes_nothing_with_it_and_leaves_its_group_alone(f: Fixture) {
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

pub(crate) async fn a_closure_that_panics_takes_nothing_with_it_and_stops_nobody(f: Fixture) {
    let panics = f.db.write(Shard::new(0), (), |tx, ()| {
        Box::pin(async move {
            insert(tx, "n", 1).await?;
            tx.publish(&event()).await?;
            assert!(tx.shard().number() > 0, "on purpose");
            Ok(())
        })
    });
    let others = (0..10).map(|n: i64| {
        f.db.write(Shard::new(0), format!("other {n}"), |tx, name| Box::pin(insert(tx, name, 2)))
    });
    let (panicked, others) = tokio::join!(panics, futures::future::join_all(others));
    assert_eq!(panicked.unwrap_err().code(), "server.internal");
    others.into_iter().for_each(|other| other.unwrap());
    set(&f.db, 7).await;
    assert_eq!(number(&f.db, "SELECT value FROM database_setting WHERE name = 'n'").await, 7);
    assert_eq!(number(&f.db, "SELECT count(*) FROM database_setting WHERE value = 2").await, 10);
    assert_eq!(number(&f.db, "SELECT count(*) FROM outbox").await, 0);
}

pub(crate) async fn a_duplicate_fails_only_its_own_member_of_an_append_group(f: Fixture) {
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

pub(crate) async fn answers_are_forgotten_when_they_are_old(f: Fixture) {
    const DAY: Duration = Duration::from_secs(86_400);
    let ask = async |day: u32, n: u32| {
        f.db.append_once(&once(&format!("{day}-{n}"), "same"), Rows::new(), day).await.unwrap();
    };
    let keys = "SELECT count(*) FROM idempotency";
    // More than a page in one shard, and some in others.
    for day in 0..3 {
        futures::future::join_all((0..450).map(|n| ask(day, n))).await;
        for shard in [0, 2] {
            let shard = Shard::new(shard);
            f.db.append(shard, Rows::new().event(&f.db, shard, &event()).unwrap()).await.unwrap();
        }
        f.clock.advance(DAY);
    }
    assert_eq!(number(&f.db, keys).await, 1_356);
    f.clock.advance(DAY / 2);
    assert_eq!(f.db.forget_requests().await.unwrap(), 6, "appends without a key, by the third day");
    f.clock.advance(28 * DAY);
    assert_eq!(f.db.forget_requests().await.unwrap(), 900, "after 30 days, the first two days'");
    assert_eq!(number(&f.db, "SELECT count(*) FROM idempotency WHERE request_key LIKE '2-%'").await, 450);
    assert_eq!(once("2-7", "same").find::<u32>(&f.db).await.unwrap(), Some(2));
    assert_eq!(once("1-7", "same").find::<u32>(&f.db).await.unwrap(), None);
    assert_eq!(f.db.forget_requests().await.unwrap(), 0);
    f.clock.advance(DAY);
    assert_eq!(f.db.forget_requests().await.unwrap(), 450);
    assert_eq!(number(&f.db, keys).await, 0);
}

pub(crate) async fn texts_come_back_as_they_were_written(f: Fixture) {
    for strange in ["it's", "\\", "\\'; DROP TABLE outbox; -- ", "a;\nb", "\0\u{1}", "名 🦀", "%_\"`", "'"]
    {
        let (once, answer) = (once(strange, strange), strange.repeat(100));
        let rows = Rows::new().event(&f.db, Shard::new(2), &event()).unwrap();
        assert_eq!(f.db.append_once(&once, rows, answer.clone()).await.unwrap(), answer);
        assert_eq!(once.find::<String>(&f.db).await.unwrap(), Some(answer), "{strange:?}");
    }
    assert_eq!(number(&f.db, "SELECT count(*) FROM outbox").await, 8);
}

pub(crate) async fn the_same_key_for_another_payload_is_refused(f: Fixture) {
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

pub(crate) async fn positions_have_no_gap_whoever_sequences(f: Fixture) {
    let other = f.another().await;
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

pub(crate) async fn shards_are_sequenced_by_those_who_work_on_them(f: Fixture) {
    let write = async |shard: u16, count: usize| {
        for _ in 0..count {
            let rows = Rows::new().event(&f.db, Shard::new(shard), &event()).unwrap();
            f.db.append(Shard::new(shard), rows).await.unwrap();
        }
    };
    let ours = BTreeSet::from([Shard::new(0), Shard::new(2)]);
    for shard in 0..4 {
        write(shard, 5).await;
    }
    assert_eq!(f.db.sequence_of(&BTreeSet::new(), 100).await.unwrap(), 0);
    while f.db.sequence_of(&ours, 3).await.unwrap() > 0 {}
    assert_eq!(f.db.log_ends().await.unwrap(), ours.iter().map(|shard| (*shard, 5)).collect());
    // The others are taken over: what waits there is older than what was sequenced last.
    f.clock.advance(Duration::from_secs(60));
    write(0, 1).await;
    while f.db.sequence_of(&ours, 100).await.unwrap() > 0 {}
    let all = f.db.every_shard().collect();
    while f.db.sequence_of(&all, 100).await.unwrap() > 0 {}
    let ends = f.db.log_ends().await.unwrap();
    assert_eq!(ends.values().copied().collect::<Vec<_>>(), [6, 5, 5, 5]);
    assert_eq!(number(&f.db, "SELECT count(*) FROM outbox").await, 0);
}

pub(crate) async fn a_sequencer_tells_what_it_moved_as_it_stands_in_the_log(f: Fixture) {
    let write = async |db: &Db, shard: u16| {
        let shard = Shard::new(shard);
        db.append(shard, Rows::new().event(db, shard, &event()).unwrap()).await.unwrap();
    };
    let everything: BTreeSet<Shard> = f.db.every_shard().collect();
    for shard in [1, 3, 3] {
        write(&f.db, shard).await;
    }
    let of = |events: &[Event]| -> Vec<_> {
        events.iter().map(|e| (e.shard, e.pos, e.topic.clone(), e.body.clone(), e.at)).collect()
    };
    let all = f.db.sequence(Some(&everything), 100).await.unwrap().unwrap();
    let log = [f.db.log_after(Shard::new(1), 0, 10).await, f.db.log_after(Shard::new(3), 0, 10).await];
    let log: Vec<Event> = log.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(of(&all), of(&log));
    assert_eq!(all.iter().map(|e| (e.shard.number(), e.pos)).collect::<Vec<_>>(), [(1, 1), (3, 1), (3, 2)]);
    // Whoever looks where this process has written misses nothing of it, and others' events a full look finds.
    f.db.outbox().take();
    write(&f.db, 2).await;
    write(&f.another().await, 0).await;
    let written = f.db.outbox().take();
    let found = f.db.sequence(written.as_ref(), 100).await.unwrap().unwrap();
    assert!(found.iter().any(|event| event.shard == Shard::new(2)), "{written:?}");
    while f.db.sequence_of(&everything, 100).await.unwrap() > 0 {}
    assert_eq!(number(&f.db, "SELECT count(*) FROM outbox").await, 0);
}

pub(crate) async fn new_owners_get_a_preferred_shard(f: Fixture) {
    let preferred = Arc::new(Mutex::new(Vec::new()));
    let names = preferred.clone();
    f.db.prefer_shards(move || names.lock().unwrap().clone());
    let drawn = |count: usize| (0..count).map(|_| f.db.random_shard()).collect::<BTreeSet<_>>();
    assert!(drawn(500).len() > 2, "any, while none is preferred");
    let two = BTreeSet::from([Shard::new(1), Shard::new(3)]);
    *preferred.lock().unwrap() = two.iter().copied().collect();
    assert_eq!(drawn(500), two);
}

pub(crate) async fn a_consumer_sees_an_event_once(f: Fixture) {
    f.db.append(Shard::new(0), Rows::new().event(&f.db, Shard::new(0), &event()).unwrap()).await.unwrap();
    f.db.sequence_once(10).await.unwrap();
    let event = f.db.log_after(Shard::new(0), 0, 1).await.unwrap().remove(0);
    let consume =
        || f.db.write(Shard::new(0), event.clone(), |tx, event| Box::pin(tx.first_time("test", event)));
    assert!(consume().await.unwrap());
    assert!(!consume().await.unwrap());
}

pub(crate) async fn a_write_inside_a_write_is_refused_instead_of_waiting_for_itself(f: Fixture) {
    let inner = f.db.clone();
    let outcome =
        f.db.write(Shard::new(0), inner, |_, inner| {
            Box::pin(async move { inner.write(Shard::new(0), (), |_, ()| Box::pin(async { Ok(()) })).await })
        })
        .await;
    assert_eq!(outcome.unwrap_err().code(), "server.internal");
}

pub(crate) async fn two_processes_take_turns(f: Fixture) {
    let other = f.another().await;
    let run = |db: Db| async move {
        for _ in 0..200 {
            db.append(Shard::new(0), Rows::new().event(&db, Shard::new(0), &event()).unwrap()).await.unwrap();
        }
    };
    tokio::join!(run(f.db.clone()), run(other));
    assert_eq!(number(&f.db, "SELECT count(*) FROM outbox").await, 400);
}

pub(crate) async fn a_lease_changes_hands_only_when_it_ran_out(f: Fixture) {
    let lease = |holder: &'static str, seconds| {
        f.db.lease("job", Shard::new(0), holder, Duration::from_secs(seconds))
    };
    let take = |holder| lease(holder, 600);
    assert_eq!(take("a").await.unwrap().unwrap().0, 1);
    assert_eq!(take("b").await.unwrap(), None);
    assert_eq!(lease("a", 1).await.unwrap().unwrap().0, 1, "a renewal keeps the epoch");
    // TiDB's clock, not ours, decides there: it is waited for.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let epoch = loop {
        f.clock.advance(Duration::from_millis(100));
        if let Some(epoch) = take("b").await.unwrap() {
            break epoch;
        }
        assert!(tokio::time::Instant::now() < deadline, "the lease never runs out");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(epoch.0, 2);
    f.db.release_lease("job", Shard::new(0), "b").await.unwrap();
    assert_eq!(take("a").await.unwrap().unwrap().0, 3);
}

pub(crate) async fn what_a_closure_read_is_still_so_when_it_writes(f: Fixture) {
    let other = f.another().await;
    set(&f.db, 0).await;
    let count = |db: Db| async move {
        let ups = (0..100).map(|_| db.write(Shard::new(0), (), |tx, ()| Box::pin(one_more(tx))));
        futures::future::try_join_all(ups).await.unwrap();
    };
    tokio::join!(count(f.db.clone()), count(other));
    assert_eq!(number(&f.db, "SELECT value FROM database_setting WHERE name = 'n'").await, 200);
}

pub(crate) async fn who_inserts_the_row_that_was_not_there_a_moment_ago_runs_again(f: Fixture) {
    let other = f.another().await;
    let count = |db: Db| async move {
        for round in 0..20 {
            db.write(Shard::new(0), round, |tx, round| Box::pin(one_more_of(tx, *round))).await.unwrap();
        }
    };
    tokio::join!(count(f.db.clone()), count(other));
    let wrong = "SELECT count(*) FROM database_setting WHERE name LIKE 'round%' AND value <> 2";
    assert_eq!(number(&f.db, wrong).await, 0);
    assert_eq!(number(&f.db, "SELECT count(*) FROM database_setting WHERE name LIKE 'round%'").await, 20);
}

pub(crate) async fn writes_that_guard_a_key_come_one_after_the_other(f: Fixture) {
    let other = f.another().await;
    let key = f.db.ids().uuid(Shard::new(0));
    // Each adds a row unless there are three: a decision on a set.
    let add = |db: Db| async move {
        let adds = (0..10).map(|n| {
            let name = format!("{n}-{}", db.ids().uuid(Shard::new(0)));
            db.write(Shard::new(0), (key, name), |tx, (key, name)| {
                Box::pin(async move {
                    tx.guard([*key]).await?;
                    let backend = tx.get_database_backend();
                    let rows =
                        Statement::from_string(backend, "SELECT name FROM database_setting WHERE value = 7");
                    if tx.query_all_raw(rows).await.db()?.len() < 3 {
                        insert(tx, name, 7).await?;
                    }
                    Ok(())
                })
            })
        });
        futures::future::try_join_all(adds).await.unwrap();
    };
    tokio::join!(add(f.db.clone()), add(other));
    assert_eq!(number(&f.db, "SELECT count(*) FROM database_setting WHERE value = 7").await, 3);
}

pub(crate) async fn twins_in_two_processes_are_one_effect(f: Fixture) {
    let other = f.another().await;
    for round in 0..10 {
        let twin = |db: Db, mine: &'static str| async move {
            let key = format!("twin {round}");
            let writing = once(&key, "same");
            let written = db.write_once(&writing, mine, |tx, mine| {
                Box::pin(async move {
                    tx.publish(&event()).await?;
                    Ok((*mine).to_owned())
                })
            });
            let rows = Rows::new().event(&db, Shard::new(2), &event()).unwrap();
            let key = format!("append {round}");
            let once = once(&key, "same");
            let appended = db.append_once(&once, rows, mine.to_owned());
            let (written, appended) = tokio::join!(written, appended);
            (written.unwrap(), appended.unwrap())
        };
        let (a, b) = tokio::join!(twin(f.db.clone(), "a"), twin(other.clone(), "b"));
        assert_eq!(a, b, "both get the winner's answer");
    }
    assert_eq!(number(&f.db, "SELECT count(*) FROM outbox").await, 20);
}

pub(crate) async fn a_caller_that_goes_away_cancels_nothing(f: Fixture) {
    for n in 0..20 {
        let rows = Rows::new().event(&f.db, Shard::new(n % 16), &event()).unwrap();
        let write =
            f.db.write(Shard::new(n % 16), (), |tx, ()| Box::pin(async { tx.publish(&event()).await }));
        let both = futures::future::join(f.db.append(Shard::new(n % 16), rows), write);
        let _ = tokio::time::timeout(Duration::from_micros(1), both).await;
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while number(&f.db, "SELECT count(*) FROM outbox").await != 40 {
        assert!(tokio::time::Instant::now() < deadline, "a write was lost with its caller");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn the_number_of_shards_is_fixed(f: Fixture) {
    let other =
        Db::open(&platform_db::DbConfig { shards: 8, ..f.config.clone() }, f.clock.clone()).await.unwrap();
    assert_eq!(other.check_shards().await.unwrap_err().fields()[0].pointer, "database.shards");
}

async fn set(db: &Db, value: i64) {
    db.write(Shard::new(0), value, |tx, value| Box::pin(insert(tx, "n", *value))).await.unwrap();
}

async fn insert(tx: &platform_db::Tx, name: &str, value: i64) -> kernel::Result<()> {
    let sql = "INSERT INTO database_setting (name, value) VALUES (?, ?)";
    let statement =
        Statement::from_sql_and_values(tx.get_database_backend(), sql, [name.into(), value.into()]);
    tx.execute_raw(statement).await.db().map(|_| ())
}

async fn value(tx: &platform_db::Tx, name: &str) -> kernel::Result<Option<i64>> {
    let sql = "SELECT value FROM database_setting WHERE name = ?";
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, [name.into()]);
    tx.query_one_raw(statement).await.db()?.map(|row| row.try_get_by_index(0)).transpose().db()
}

async fn write(tx: &platform_db::Tx, name: &str, value: i64) -> kernel::Result<()> {
    let sql = "UPDATE database_setting SET value = ? WHERE name = ?";
    let statement =
        Statement::from_sql_and_values(tx.get_database_backend(), sql, [value.into(), name.into()]);
    tx.execute_raw(statement).await.db().map(|_| ())
}

/// Read, think, write: exact only when nobody writes in between.
pub(crate) async fn one_more(tx: &platform_db::Tx) -> kernel::Result<()> {
    let now = value(tx, "n").await?.unwrap_or_default();
    write(tx, "n", now + 1).await
}

pub(crate) async fn one_more_of(tx: &platform_db::Tx, round: i32) -> kernel::Result<()> {
    let name = format!("round {round}");
    match value(tx, &name).await? {
        Some(now) => write(tx, &name, now + 1).await,
        None => insert(tx, &name, 1).await,
    }
}
