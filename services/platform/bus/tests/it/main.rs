//! The embedded bus on a real SQLite file.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use contracts::{Event, EventBody};
use kernel::{Failure, FakeClock, Result, Shard, Timestamp, code};
use migrations::Migrator;
use platform_bus::{Bus, BusConfig, Consumer, EmbeddedBus, Pruned, Selection};
use platform_db::{Db, Rows, testing};
use sea_orm::{ConnectionTrait, Statement};
use sea_orm_migration::MigratorTrait;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Happened {
    to: String,
    n: u32,
}

impl EventBody for Happened {
    const TOPIC: &'static str = "test.happened.v1";
    fn aggregate(&self) -> String {
        self.to.clone()
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Ignored;

impl EventBody for Ignored {
    const TOPIC: &'static str = "test.ignored.v1";
    fn aggregate(&self) -> String {
        "ignored".to_owned()
    }
}

/// Notes every first delivery, and fails for what it is told to.
struct Recorder {
    name: &'static str,
    db: Db,
    seen: Mutex<Vec<Happened>>,
    calls: Mutex<usize>,
    broken: Mutex<BTreeSet<u32>>,
    panics: Mutex<BTreeSet<u32>>,
}

impl Recorder {
    fn new(name: &'static str, db: &Db) -> Arc<Self> {
        let (seen, calls, broken, panics) = Default::default();
        Arc::new(Self { name, db: db.clone(), seen, calls, broken, panics })
    }

    fn seen(&self) -> Vec<Happened> {
        self.seen.lock().unwrap().clone()
    }

    fn numbers(&self, to: &str) -> Vec<u32> {
        self.seen().iter().filter(|event| event.to == to).map(|event| event.n).collect()
    }

    fn calls(&self) -> usize {
        *self.calls.lock().unwrap()
    }

    fn breaks(&self, n: u32) {
        self.broken.lock().unwrap().insert(n);
    }

    fn heals(&self) {
        self.broken.lock().unwrap().clear();
        self.panics.lock().unwrap().clear();
    }
}

#[async_trait]
impl Consumer for Recorder {
    fn subscription(&self) -> &'static str {
        self.name
    }

    fn topics(&self) -> &'static [&'static str] {
        &[Happened::TOPIC]
    }

    async fn consume(&self, event: &Event) -> Result<()> {
        *self.calls.lock().unwrap() += 1;
        let Some(body) = event.body::<Happened>()? else { return Err(Failure::internal("not my topic")) };
        assert!(!self.panics.lock().unwrap().contains(&body.n), "on purpose");
        if self.broken.lock().unwrap().contains(&body.n) {
            return Err(Failure::new(code::UNAVAILABLE).detail("broken").because("hunter2"));
        }
        let first = self
            .db
            .write(event.shard, (self.name, event.clone()), |tx, (name, event)| {
                Box::pin(async move { tx.first_time(name, event).await })
            })
            .await?;
        if first {
            self.seen.lock().unwrap().push(body);
        }
        Ok(())
    }
}

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

fn config() -> BusConfig {
    BusConfig {
        quick_tries: 2,
        tries: 4,
        parked: 5,
        backoff: Duration::from_secs(1),
        poll: Duration::from_millis(20),
        watch: Duration::from_millis(30),
        stall: Duration::from_millis(200),
        cursor: Duration::from_millis(10),
        ..BusConfig::default()
    }
}

/// A bus that runs until it is stopped.
struct Running {
    bus: Arc<EmbeddedBus>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(f: &Fixture, consumers: &[&Arc<Recorder>]) -> Self {
        Self::with(f, consumers, config())
    }

    fn with(f: &Fixture, consumers: &[&Arc<Recorder>], config: BusConfig) -> Self {
        let consumers = consumers.iter().map(|&consumer| Arc::clone(consumer) as Arc<dyn Consumer>).collect();
        let bus = Arc::new(EmbeddedBus::new(f.db.clone(), consumers, config).unwrap());
        let stop = CancellationToken::new();
        let (running, token) = (Arc::clone(&bus), stop.clone());
        #[expect(clippy::disallowed_methods, reason = "the test waits for it")]
        let task = tokio::spawn(async move { running.run(token).await });
        Self { bus, stop, task }
    }

    async fn quiet(&self) {
        let bus = Arc::clone(&self.bus);
        eventually("quiet", async || bus.quiescent().await.unwrap()).await;
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

async fn eventually(what: &str, done: impl AsyncFn() -> bool) {
    let wait = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("never {what}"));
}

async fn publish(db: &Db, shard: u16, to: &str, numbers: impl IntoIterator<Item = u32>) {
    for n in numbers {
        let rows = Rows::new().event(db, Shard::new(shard), &Happened { to: to.to_owned(), n }).unwrap();
        db.append(Shard::new(shard), rows).await.unwrap();
        // Ids sort by time and the clock stands still: sequencing each by itself keeps their order.
        db.sequence_once(100).await.unwrap();
    }
}

async fn number(db: &Db, sql: &str) -> i64 {
    let statement = Statement::from_string(db.read().get_database_backend(), sql);
    db.read().query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_subscription_gets_every_event_of_its_topics_in_order() {
    let f = fixture().await;
    let (one, two) = (Recorder::new("test.one", &f.db), Recorder::new("test.two", &f.db));
    publish(&f.db, 3, "before", 0..10).await;
    let running = Running::start(&f, &[&one, &two]);
    for shard in 0..4 {
        publish(&f.db, shard, &format!("a{shard}"), 0..20).await;
        f.db.append(Shard::new(shard), Rows::new().event(&f.db, Shard::new(shard), &Ignored).unwrap())
            .await
            .unwrap();
    }
    running.quiet().await;
    for recorder in [&one, &two] {
        assert_eq!(recorder.numbers("before"), (0..10).collect::<Vec<_>>());
        for shard in 0..4 {
            assert_eq!(recorder.numbers(&format!("a{shard}")), (0..20).collect::<Vec<_>>());
        }
        assert_eq!(recorder.calls(), 90);
    }
    running.stop().await;

    // Started again it goes on where it stood.
    let running = Running::start(&f, &[&one, &two]);
    publish(&f.db, 3, "after", 0..1).await;
    running.quiet().await;
    assert_eq!((one.calls(), two.calls()), (91, 91));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_event_holds_up_its_aggregate_and_no_other() {
    let f = fixture().await;
    let recorder = Recorder::new("test.one", &f.db);
    recorder.breaks(1);
    let running = Running::start(&f, &[&recorder]);
    publish(&f.db, 1, "bad", 0..4).await;
    publish(&f.db, 1, "good", 10..14).await;
    eventually("delivered", async || recorder.numbers("good").len() == 4).await;
    eventually("parked", async || number(&f.db, "SELECT COUNT(*) FROM retry").await == 3).await;
    assert_eq!(recorder.numbers("bad"), [0]);
    assert!(!running.bus.quiescent().await.unwrap(), "a retry is live");
    recorder.heals();
    f.clock.advance(Duration::from_secs(2));
    running.quiet().await;
    assert_eq!(recorder.numbers("bad"), [0, 1, 2, 3]);
    assert_eq!(number(&f.db, "SELECT COUNT(*) FROM retry").await, 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_failing_becomes_a_dead_letter_and_can_be_replayed() {
    let f = fixture().await;
    let recorder = Recorder::new("test.one", &f.db);
    recorder.breaks(1);
    recorder.panics.lock().unwrap().insert(7);
    let running = Running::start(&f, &[&recorder]);
    publish(&f.db, 1, "bad", 1..3).await;
    publish(&f.db, 2, "worse", 7..8).await;
    eventually("dead", async || {
        f.clock.advance(Duration::from_secs(60));
        running.bus.dead_letters(None, 10).await.unwrap().items.len() == 2
    })
    .await;
    running.quiet().await;
    assert_eq!(recorder.numbers("bad"), [2], "what waited behind it goes on");

    let first = running.bus.dead_letters(None, 1).await.unwrap();
    let letter = &first.items[0];
    assert_eq!((letter.shard.number(), letter.pos, letter.attempts), (1, 1, 4));
    assert_eq!((letter.topic.as_str(), letter.aggregate.as_str()), (Happened::TOPIC, "bad"));
    assert!(letter.error.contains("broken") && !letter.error.contains("hunter2"), "{}", letter.error);
    let second = running.bus.dead_letters(first.next_cursor.as_deref(), 1).await.unwrap();
    assert_eq!((second.items[0].shard.number(), second.next_cursor), (2, None));

    recorder.heals();
    let one = Selection::One { subscription: "test.one".to_owned(), shard: Shard::new(1), pos: 1 };
    assert_eq!(running.bus.replay_dead(one.clone()).await.unwrap(), 1);
    running.quiet().await;
    assert_eq!(recorder.numbers("bad"), [2, 1]);
    assert_eq!(running.bus.replay_dead(one).await.unwrap(), 0);
    assert_eq!(running.bus.replay_dead(Selection::Subscription("other".to_owned())).await.unwrap(), 0);
    assert_eq!(running.bus.replay_dead(Selection::All).await.unwrap(), 1);
    running.quiet().await;
    assert_eq!(recorder.numbers("worse"), [7]);
    assert!(running.bus.dead_letters(None, 10).await.unwrap().items.is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_parked_events_stop_the_reading() {
    let f = fixture().await;
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
async fn replay_runs_effects_again_from_a_position_on() {
    let f = fixture().await;
    let (one, two) = (Recorder::new("test.one", &f.db), Recorder::new("test.two", &f.db));
    let running = Running::start(&f, &[&one, &two]);
    publish(&f.db, 1, "a", 0..10).await;
    publish(&f.db, 2, "b", 0..2).await;
    running.quiet().await;
    running.bus.replay("test.one", Shard::new(1), 8).await.unwrap();
    eventually("replayed", async || one.numbers("a").len() == 13).await;
    running.quiet().await;
    assert_eq!(one.numbers("a"), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 7, 8, 9]);
    assert_eq!((one.numbers("b").len(), two.numbers("a").len()), (2, 10));
    // Beyond the end there is nothing; before the beginning is the beginning.
    running.bus.replay("test.one", Shard::new(1), 999).await.unwrap();
    running.bus.replay("test.two", Shard::new(2), -5).await.unwrap();
    eventually("replayed", async || two.numbers("b").len() == 4).await;
    assert_eq!(one.numbers("a").len(), 13);
    assert_eq!(running.bus.replay("nobody", Shard::new(0), 1).await.unwrap_err().status(), 404);
    assert_eq!(running.bus.replay("test.one", Shard::new(99), 1).await.unwrap_err().status(), 404);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_work_of_a_subscription() {
    let f = fixture().await;
    let (here, there) = (Recorder::new("test.one", &f.db), Recorder::new("test.one", &f.db));
    let first = Running::start(&f, &[&here]);
    publish(&f.db, 1, "a", 0..10).await;
    first.quiet().await;
    let second = Running::start(&f, &[&there]);
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
    let f = fixture().await;
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
    let f = fixture().await;
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
    let bus = EmbeddedBus::new(f.db.clone(), Vec::new(), config()).unwrap();
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

#[tokio::test]
async fn refuses_what_cannot_work() {
    let f = fixture().await;
    let twins: Vec<Arc<dyn Consumer>> =
        vec![Recorder::new("test.one", &f.db), Recorder::new("test.one", &f.db)];
    assert!(EmbeddedBus::new(f.db.clone(), twins, config()).is_err());
    let wrong = BusConfig { batch: 0, ..config() };
    let failure = EmbeddedBus::new(f.db, Vec::new(), wrong).unwrap_err();
    assert_eq!(failure.fields()[0].pointer, "bus.batch");
}
