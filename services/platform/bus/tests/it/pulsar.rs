//! What only a broker asks for.

use std::{collections::BTreeMap, time::Duration};

use kernel::Shard;
use platform_bus::{BusConfig, Peer, PulsarConfig, Selection};
use platform_db::{Db, Rows};
use platform_regions::Regions;

use crate::{
    broker::{self, stored},
    stand::{DAY, Engine, Fixture, Happened, Recorder, Running, eventually, fixture, number, publish},
};

/// Many events of every shard at once.
async fn flood(db: &Db, shards: u16, each: u32) {
    for shard in 0..shards {
        let shard = Shard::new(shard);
        for from in (0..each).step_by(100) {
            let mut rows = Rows::new();
            for n in from..each.min(from + 100) {
                let to = format!("s{}", shard.number());
                rows = rows.event(db, shard, &Happened { to, n }).unwrap();
            }
            db.append(shard, rows).await.unwrap();
        }
    }
    while db.sequence_once(1_000).await.unwrap() > 0 {}
}

/// Each event is in the broker once, each shard's in the order of the log.
fn assert_once_in_order(stored: &[(Shard, i64)], shards: u16, each: i64) {
    let mut by_shard: BTreeMap<Shard, Vec<i64>> = BTreeMap::new();
    for (shard, pos) in stored {
        by_shard.entry(*shard).or_default().push(*pos);
    }
    for shard in 0..shards {
        let found = by_shard.remove(&Shard::new(shard)).unwrap_or_default();
        assert_eq!(found, (1..=each).collect::<Vec<_>>(), "shard {shard}");
    }
    assert!(by_shard.is_empty());
}

async fn relayed(f: &Fixture) -> i64 {
    number(
        &f.db,
        "SELECT CAST(COALESCE(SUM(pos), 0) AS SIGNED) FROM subscription_cursor WHERE subscription = 'relay'",
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a broker: cargo xtask test --real"]
async fn a_relay_that_was_killed_doubles_nothing() {
    let f = fixture(Engine::Pulsar).await;
    // Its cursor is not written before it is killed: the next one begins at the beginning.
    let slow = BusConfig { cursor: DAY, ..f.config.clone() };
    for round in 0..3 {
        let running = Running::with(&f, &[], slow.clone());
        flood(&f.db, 8, 1_000).await;
        // A part of this round's 8000.
        eventually("some stored", async || broker::taken_in(&f.config.pulsar).await > round * 8_000).await;
        running.kill().await;
    }
    assert_eq!(relayed(&f).await, 0);
    let running = Running::start(&f, &[]);
    running.quiet().await;
    running.stop().await;
    assert_eq!(relayed(&f).await, 3 * 8_000);
    assert_once_in_order(&stored(&f.config.pulsar).await, 8, 3_000);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a broker: cargo xtask test --real"]
async fn two_relays_do_no_harm() {
    let f = fixture(Engine::Pulsar).await;
    // Nobody waits for the other one's lease: both try all the time.
    let eager =
        BusConfig { stall: Duration::from_millis(1), lease: Duration::from_millis(60), ..f.config.clone() };
    let (one, two) = (Running::with(&f, &[], eager.clone()), Running::with(&f, &[], eager));
    for _ in 0..4 {
        flood(&f.db, 8, 500).await;
    }
    one.quiet().await;
    two.stop().await;
    one.stop().await;
    assert_once_in_order(&stored(&f.config.pulsar).await, 8, 2_000);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a broker: cargo xtask test --real"]
async fn the_log_is_not_pruned_before_it_is_relayed() {
    let f = fixture(Engine::Pulsar).await;
    let recorder = Recorder::new("test.one", &f.db);
    let running = Running::start(&f, &[&recorder]);
    publish(&f.db, 1, "a", 0..5).await;
    running.quiet().await;
    running.stop().await;
    publish(&f.db, 1, "a", 5..8).await;
    f.clock.advance(40 * DAY);
    let bus = platform_bus::open(f.db.clone(), Vec::new(), f.config.clone(), Regions::single()).unwrap();
    let pruned = bus.prune().await.unwrap();
    assert_eq!((pruned.events, pruned.inbox), (5, 5));
    let running = Running::start(&f, &[&recorder]);
    running.quiet().await;
    assert_eq!(recorder.numbers("a"), (0..8).collect::<Vec<_>>());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a broker: cargo xtask test --real"]
async fn a_message_of_somebody_else_stops_nothing() {
    let f = fixture(Engine::Pulsar).await;
    platform_bus::setup(&f.config).await.unwrap();
    broker::intrude(&f.config.pulsar).await;
    let recorder = Recorder::new("test.one", &f.db);
    let running = Running::start(&f, &[&recorder]);
    for shard in 0..3 {
        publish(&f.db, shard, &format!("a{shard}"), 0..5).await;
    }
    // Nothing is left with the broker, the intruder neither.
    running.quiet().await;
    for shard in 0..3 {
        assert_eq!(recorder.numbers(&format!("a{shard}")), (0..5).collect::<Vec<_>>());
    }
    running.untroubled().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a broker: cargo xtask test --real"]
async fn messages_that_cannot_be_read_stop_nothing() {
    let f = fixture(Engine::Pulsar).await;
    platform_bus::setup(&f.config).await.unwrap();
    broker::intrude_unreadable(&f.config.pulsar, "somebody-0").await;
    let recorder = Recorder::new("test.one", &f.db);
    let running = Running::start(&f, &[&recorder]);
    for shard in 0..3 {
        publish(&f.db, shard, &format!("a{shard}"), 0..5).await;
    }
    // They are acknowledged like any other: nothing is left with the broker.
    running.quiet().await;
    for shard in 0..3 {
        assert_eq!(recorder.numbers(&format!("a{shard}")), (0..5).collect::<Vec<_>>());
    }
    // The same while events lie before and behind them, and are under way.
    for round in 1..4 {
        for shard in 0..3 {
            publish(&f.db, shard, &format!("a{shard}"), round * 5..round * 5 + 5).await;
        }
        // Of another name each: the broker leaves out what it has of a producer already.
        broker::intrude_unreadable(&f.config.pulsar, &format!("somebody-{round}")).await;
    }
    running.quiet().await;
    for shard in 0..3 {
        assert_eq!(recorder.numbers(&format!("a{shard}")), (0..20).collect::<Vec<_>>());
    }
    running.untroubled().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a broker: cargo xtask test --real"]
async fn an_event_that_fails_after_the_log_was_pruned_can_be_tried_again() {
    let f = fixture(Engine::Pulsar).await;
    let running = Running::start(&f, &[]);
    publish(&f.db, 1, "a", 0..5).await;
    publish(&f.db, 1, "bad", 5..6).await;
    running.quiet().await;
    // Relayed and old: the log forgets it, the broker keeps it for whoever comes.
    f.clock.advance(8 * DAY);
    assert_eq!(running.bus.prune().await.unwrap().events, 6);
    running.stop().await;
    let recorder = Recorder::new("test.one", &f.db);
    recorder.breaks(5);
    let running = Running::start(&f, &[&recorder]);
    eventually("dead", async || {
        f.clock.advance(Duration::from_secs(60));
        running.bus.dead_letters(None, 10).await.unwrap().items.len() == 1
    })
    .await;
    running.quiet().await;
    assert_eq!(recorder.numbers("a"), (0..5).collect::<Vec<_>>());
    recorder.heals();
    assert_eq!(running.bus.replay_dead(Selection::All).await.unwrap(), 1);
    running.quiet().await;
    assert_eq!(recorder.numbers("bad"), [5]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a broker: cargo xtask test --real"]
async fn too_many_parked_events_stop_the_delivery() {
    let f = fixture(Engine::Pulsar).await;
    let recorder = Recorder::new("test.one", &f.db);
    (0..40).for_each(|n| recorder.breaks(n));
    let running = Running::with(&f, &[&recorder], BusConfig { batch: 1, ..f.config.clone() });
    for n in 0..40 {
        publish(&f.db, 1, &format!("a{n}"), [n]).await;
    }
    eventually("parked", async || number(&f.db, "SELECT COUNT(*) FROM retry").await >= 5).await;
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
#[ignore = "starts a broker: cargo xtask test --real"]
async fn regions_may_be_set_up_at_once() {
    // Kept to the end: with it goes the promise that nobody kills the broker.
    let f = fixture(Engine::Pulsar).await;
    let mut config = f.config.clone();
    config.pulsar.tenant = format!("{}-at-once", config.pulsar.namespace);
    let setups = (0..8).map(|_| platform_bus::setup(&config));
    for steps in futures::future::join_all(setups).await {
        steps.unwrap();
    }
    for step in platform_bus::setup(&config).await.unwrap() {
        assert!(step.state.starts_with("present"), "{step:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a broker: cargo xtask test --real"]
async fn setup_makes_everything_once() {
    let f = fixture(Engine::Pulsar).await;
    let first = platform_bus::setup(&f.config).await.unwrap();
    let made =
        |kind: &str, state: &str| first.iter().any(|step| step.kind == kind && step.state.starts_with(state));
    assert!(made("namespace", "created") && made("topic", "created with 3 partitions"), "{first:?}");
    assert!(made("schema", "created") && made("deduplication", "set to true"), "{first:?}");
    for step in platform_bus::setup(&f.config).await.unwrap() {
        assert!(step.state.starts_with("present"), "{step:?}");
    }
    let mut more = f.config.clone();
    more.pulsar.topics.insert("test".to_owned(), 4);
    let grown = platform_bus::setup(&more).await.unwrap();
    assert!(grown.iter().any(|step| step.state == "grown from 3 to 4 partitions"), "{grown:?}");
    let failure = platform_bus::setup(&f.config).await.unwrap_err();
    assert_eq!(failure.fields()[0].pointer, "bus.pulsar.topics.test");
    // A process that thinks otherwise publishes nothing and says why.
    let running = Running::start(&f, &[]);
    publish(&f.db, 1, "a", 0..1).await;
    eventually("told", async || {
        running
            .bus
            .trouble()
            .is_some_and(|trouble| trouble.contains("4 partitions") && trouble.contains("bus setup"))
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a broker: cargo xtask test --real"]
async fn a_broker_that_is_away_is_waited_for() {
    let f = fixture(Engine::Pulsar).await;
    let recorder = Recorder::new("test.one", &f.db);
    let mut away = f.config.clone();
    away.pulsar.url = "pulsar://127.0.0.1:1".to_owned();
    away.pulsar.admin_url = "http://127.0.0.1:1".to_owned();
    let running = Running::with(&f, &[&recorder], away);
    publish(&f.db, 1, "a", 0..10).await;
    eventually("told", async || running.bus.trouble().is_some_and(|trouble| trouble.contains("relay"))).await;
    running.stop().await;
    assert_eq!(number(&f.db, "SELECT COUNT(*) FROM event_log").await, 10);
    let running = Running::start(&f, &[&recorder]);
    running.quiet().await;
    assert_eq!(recorder.numbers("a"), (0..10).collect::<Vec<_>>());
    running.untroubled().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a broker: cargo xtask test --real"]
async fn encrypted_and_only_with_a_broker_that_is_known() {
    let f = fixture(Engine::Pulsar).await;
    let recorder = Recorder::new("test.one", &f.db);
    let unknown = broker::encrypted(&f.config, false);
    assert!(platform_bus::setup(&unknown).await.unwrap_err().is(kernel::code::UNAVAILABLE));
    let running = Running::with(&f, &[&recorder], unknown);
    publish(&f.db, 1, "a", 0..10).await;
    eventually("told", async || running.bus.trouble().is_some_and(|trouble| trouble.contains("relay"))).await;
    running.stop().await;
    let known = broker::encrypted(&f.config, true);
    platform_bus::setup(&known).await.unwrap();
    let running = Running::with(&f, &[&recorder], known);
    running.quiet().await;
    assert_eq!(recorder.numbers("a"), (0..10).collect::<Vec<_>>());
    running.stop().await;
    // It went through the very broker, once.
    assert_eq!(stored(&f.config.pulsar).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a broker: cargo xtask test --real"]
async fn a_broker_that_was_killed_loses_nothing() {
    let f = fixture(Engine::Embedded).await;
    let _alone = broker::alone().await;
    let config = broker::config(f.config.clone());
    let recorder = Recorder::new("test.one", &f.db);
    let running = Running::with(&f, &[&recorder], config.clone());
    flood(&f.db, 8, 500).await;
    eventually("some consumed", async || recorder.seen().len() > 500).await;
    broker::kill();
    // The shop goes on; its events wait in the log.
    for _ in 0..3 {
        flood(&f.db, 8, 500).await;
    }
    eventually("told", async || running.bus.trouble().is_some()).await;
    broker::restart();
    running.quiet().await;
    running.untroubled().await;
    for shard in 0..8 {
        let numbers = recorder.numbers(&format!("s{shard}"));
        assert_eq!(numbers, (0..4).flat_map(|_| 0..500).collect::<Vec<_>>(), "shard {shard}");
    }
    running.stop().await;
    assert_once_in_order(&stored(&config.pulsar).await, 8, 2_000);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a broker: cargo xtask test --real"]
async fn global_topics_reach_the_other_cluster() {
    let f = fixture(Engine::Pulsar).await;
    let here = &f.config.pulsar;
    let second = broker::second();
    let there = PulsarConfig {
        url: second.url(),
        admin_url: second.admin_url(),
        cluster: second.cluster().to_owned(),
        ..here.clone()
    };
    let clusters: BTreeMap<String, Peer> = [here, &there]
        .map(|cluster| {
            let (url, admin_url) = (cluster.url.clone(), cluster.admin_url.clone());
            let peer = Peer { url, admin_url, tls_roots: String::new() };
            (cluster.cluster.clone(), peer)
        })
        .into();
    let bus = |cluster: &PulsarConfig| {
        let mut bus = f.config.clone();
        bus.pulsar =
            PulsarConfig { clusters: clusters.clone(), global: vec!["test".to_owned()], ..cluster.clone() };
        bus
    };
    let (here, there) = (bus(here), bus(&there));
    for config in [&here, &there] {
        for step in platform_bus::setup(config).await.unwrap() {
            eprintln!("{} {} {}", step.kind, step.name, step.state);
        }
    }
    // The other region: another database, another cluster, the same consumer.
    let far = fixture(Engine::Embedded).await;
    let (near_recorder, far_recorder) =
        (Recorder::new("test.one", &f.db), Recorder::new("test.one", &far.db));
    let near = Running::with(&f, &[&near_recorder], here);
    let other = Running::with(&far, &[&far_recorder], there);
    publish(&f.db, 1, "a", 0..50).await;
    publish(&f.db, 2, "b", 0..50).await;
    eventually("replicated", async || far_recorder.seen().len() == 100).await;
    near.quiet().await;
    other.quiet().await;
    for recorder in [&near_recorder, &far_recorder] {
        for aggregate in ["a", "b"] {
            assert_eq!(recorder.numbers(aggregate), (0..50).collect::<Vec<_>>());
        }
    }
    near.stop().await;
    other.stop().await;
}
