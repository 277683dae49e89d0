//! The embedded bus on a real SQLite file.

use std::{sync::Arc, time::Duration};

use kernel::Shard;
use platform_bus::{Bus, BusConfig, Consumer, EmbeddedBus, Pruned};
use platform_db::Db;
use platform_regions::Regions;

use crate::stand::{DAY, Engine, Recorder, Running, change, config, eventually, fixture, number, publish};

#[tokio::test(flavor = "multi_thread")]
async fn too_many_parked_events_stop_the_reading() {
    let f = fixture(Engine::Embedded).await;
    let recorder = Recorder::new("test.one", &f.db);
    (0..40).for_each(|n| recorder.breaks(n));
    let running = Running::with(&f, &[&recorder], BusConfig { batch: 1, ..config() });
    for n in 0..40 {
        publish(&f.db, 1, &format!("a{n}"), [n]).await;
    }
    eventually("parked", async || number(&f.db, "SELECT COUNT(*) FROM retry").await == 5).await;
    for _ in 0..20 {
        running.bus.quiescent().await.unwrap();
    }
    assert_eq!(number(&f.db, "SELECT COUNT(*) FROM retry").await, 5, "the limit");
    recorder.heals();
    eventually("through", async || {
        f.clock.advance(Duration::from_secs(2));
        recorder.seen().len() == 40
    })
    .await;
    running.quiet().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_work_of_a_subscription() {
    let f = fixture(Engine::Embedded).await;
    let (here, there) = (Recorder::new("test.one", &f.db), Recorder::new("test.one", &f.db));
    // However slow the machine is: the first one never seems to stand still, and its lease does not run out by itself.
    let calm = BusConfig { lease: DAY, stall: DAY, ..config() };
    let first = Running::with(&f, &[&here], calm.clone());
    publish(&f.db, 1, "a", 0..10).await;
    first.quiet().await;
    // It asks for the lease three times in the life of one.
    let second = Running::with(&f, &[&there], BusConfig { lease: Duration::from_secs(3), ..calm });
    publish(&f.db, 1, "a", 10..30).await;
    first.quiet().await;
    assert_eq!((here.calls(), there.calls()), (30, 0), "the lease is the first one's");
    // Who stops gives the lease away; the other one goes on without waiting for its end.
    first.stop().await;
    publish(&f.db, 1, "a", 30..40).await;
    second.quiet().await;
    assert_eq!((here.calls(), there.numbers("a")), (30, (30..40).collect::<Vec<_>>()));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_whose_holder_is_gone_holds_nothing_up() {
    let f = fixture(Engine::Embedded).await;
    let dead = f.db.lease("bus/test.one", Shard::new(0), "killed", DAY).await.unwrap();
    assert!(dead.is_some());
    let recorder = Recorder::new("test.one", &f.db);
    let running = Running::start(&f, &[&recorder]);
    publish(&f.db, 1, "a", 0..10).await;
    running.quiet().await;
    assert_eq!(recorder.numbers("a"), (0..10).collect::<Vec<_>>());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prune_keeps_what_somebody_needs() {
    let f = fixture(Engine::Embedded).await;
    let recorder = Recorder::new("test.one", &f.db);
    recorder.breaks(5);
    let running = Running::start(&f, &[&recorder]);
    publish(&f.db, 1, "a", 0..5).await;
    publish(&f.db, 1, "dead", 5..6).await;
    eventually("dead", async || {
        f.clock.advance(Duration::from_secs(5));
        running.bus.dead_letters(None, 10).await.unwrap().items.len() == 1
    })
    .await;
    running.quiet().await;
    assert_eq!(running.bus.prune().await.unwrap(), Pruned::default(), "all is young");

    f.clock.advance(8 * DAY);
    publish(&f.db, 1, "young", 6..7).await;
    running.quiet().await;
    running.stop().await;
    publish(&f.db, 1, "unseen", 7..8).await;
    let bus = EmbeddedBus::new(f.db.clone(), Vec::new(), config(), Regions::single()).unwrap();
    assert_eq!(bus.prune().await.unwrap(), Pruned { events: 5, inbox: 5 });
    assert_eq!(bus.dead_letters(None, 10).await.unwrap().items.len(), 1, "a dead letter keeps its event");
    f.clock.advance(8 * DAY);
    assert_eq!(bus.prune().await.unwrap(), Pruned { events: 1, inbox: 1 });
    assert_eq!(
        number(&f.db, "SELECT COUNT(*) FROM event_log").await,
        2,
        "the dead letter's and the unseen one"
    );
    f.clock.advance(28 * DAY);
    assert_eq!(bus.prune().await.unwrap(), Pruned { events: 2, inbox: 0 });
    assert_eq!(number(&f.db, "SELECT COUNT(*) FROM retry").await, 0);

    // A new subscription begins at what there is.
    publish(&f.db, 1, "new", 9..10).await;
    let late = Recorder::new("test.late", &f.db);
    let running = Running::start(&f, &[&recorder, &late]);
    running.quiet().await;
    assert_eq!((recorder.numbers("new"), late.seen().len()), (vec![9], 1));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_noted_of_an_event_that_had_gone_goes_too() {
    let f = fixture(Engine::Embedded).await;
    let recorder = Recorder::new("test.one", &f.db);
    let running = Running::start(&f, &[&recorder]);
    publish(&f.db, 1, "a", 0..5).await;
    running.quiet().await;
    running.stop().await;
    f.clock.advance(8 * DAY);
    let bus = EmbeddedBus::new(f.db.clone(), Vec::new(), config(), Regions::single()).unwrap();
    assert_eq!(bus.prune().await.unwrap(), Pruned { events: 5, inbox: 5 });
    // As if a broker had brought some only now: eight days are 691,200 s.
    let late = "INSERT INTO inbox (subscription, shard, pos, at) VALUES \
                ('test.one', 1, 3, 1800691200000000), ('test.one', 1, 4, 1800691200000000)";
    change(&f.db, late).await;
    assert_eq!(bus.prune().await.unwrap(), Pruned::default(), "it may come once more");
    f.clock.advance(8 * DAY);
    assert_eq!(bus.prune().await.unwrap(), Pruned { events: 0, inbox: 2 });
}

/// What the audit says of the log.
async fn gaps(db: &Db) -> Vec<String> {
    let found = platform_bus::examine(db, None).await.unwrap();
    found.into_iter().find(|found| found.rule == "events.log").unwrap().wrong
}

#[tokio::test]
async fn an_event_that_outlives_its_neighbours_is_no_gap() {
    let f = fixture(Engine::Embedded).await;
    publish(&f.db, 1, "a", 0..9).await;
    assert_eq!(gaps(&f.db).await, Vec::<String>::new());
    // A dead letter keeps its event when the log is pruned before and behind it.
    let letter = "INSERT INTO retry (subscription, shard, pos, attempts, next_at, error, dead) \
                  VALUES ('test.one', 1, 2, 4, 0, 'broken', true)";
    change(&f.db, letter).await;
    change(&f.db, "DELETE FROM event_log WHERE pos IN (1, 3, 4)").await;
    assert_eq!(gaps(&f.db).await, Vec::<String>::new());
    change(&f.db, "DELETE FROM event_log WHERE pos = 7").await;
    assert_eq!(gaps(&f.db).await, ["shard 1: 4 events from 5 to 9, its cursor stands at 9"]);
    // A shard that rests: all is pruned but the letter's event.
    change(&f.db, "DELETE FROM event_log WHERE pos > 2").await;
    assert_eq!(gaps(&f.db).await, Vec::<String>::new());
    change(&f.db, "DELETE FROM retry").await;
    assert_eq!(gaps(&f.db).await, ["shard 1: 1 events from 2 to 2, its cursor stands at 9"]);
}

#[tokio::test]
async fn refuses_what_cannot_work() {
    let f = fixture(Engine::Embedded).await;
    let twins: Vec<Arc<dyn Consumer>> =
        vec![Recorder::new("test.one", &f.db), Recorder::new("test.one", &f.db)];
    assert!(EmbeddedBus::new(f.db.clone(), twins, config(), Regions::single()).is_err());
    let wrong = BusConfig { batch: 0, ..config() };
    let failure = EmbeddedBus::new(f.db, Vec::new(), wrong, Regions::single()).unwrap_err();
    assert_eq!(failure.fields()[0].pointer, "bus.batch");
}
