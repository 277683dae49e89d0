//! What nobody takes any more.

use kernel::code;
use platform_bus::{Leftover, Subscribed, check, forget};

#[cfg(feature = "pulsar")]
use crate::stand::DAY;
use crate::stand::{Engine, Fixture, Recorder, Running, change, fixture, number, publish};

const NOTHING: [Leftover; 0] = [];

/// Of these subscriptions those that the code still has.
fn without(all: Vec<Subscribed>, name: &str) -> Vec<Subscribed> {
    all.into_iter().filter(|known| known.name != name).collect()
}

async fn left(f: &Fixture, known: &[Subscribed]) -> Vec<Leftover> {
    check(Some(&f.db), &f.config, known).await.unwrap()
}

/// Forgets; which kinds of rows and subscriptions there were.
async fn forgotten(f: &Fixture, known: &[Subscribed], name: &str, dry_run: bool) -> Vec<&'static str> {
    let steps = forget(Some(&f.db), &f.config, known, name, dry_run).await.unwrap();
    assert!(steps.iter().all(|step| step.state.ends_with("forgotten") != dry_run), "{steps:?}");
    steps.into_iter().map(|step| step.kind).collect()
}

async fn refused(f: &Fixture, known: &[Subscribed], name: &str) -> kernel::Failure {
    forget(Some(&f.db), &f.config, known, name, false).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_subscription_is_forgotten() {
    let f = fixture(Engine::Embedded).await;
    let (kept, old) = (Recorder::new("test.kept", &f.db), Recorder::new("test.old", &f.db));
    let running = Running::start(&f, &[&kept, &old]);
    publish(&f.db, 1, "a", 0..5).await;
    running.quiet().await;
    let all = running.bus.subscriptions();
    assert_eq!(left(&f, &all).await, NOTHING);
    let known = without(all, "test.old");
    assert!(refused(&f, &known, "test.old").await.is(code::CONFLICT), "somebody works on it");
    running.stop().await;

    publish(&f.db, 1, "a", 5..7).await;
    let found = left(&f, &known).await;
    assert_eq!((found.len(), found[0].kind, found[0].name.as_str()), (1, "cursor", "test.old"));
    assert_eq!(found[0].waiting, Some(2));
    assert_eq!(forgotten(&f, &known, "test.old", true).await, ["inbox", "subscription_cursor"]);
    assert_eq!(left(&f, &known).await, found, "nothing was done");
    assert!(refused(&f, &known, "test.kept").await.is(code::CONFLICT), "the code has it");
    assert!(refused(&f, &known, "test.none").await.is(code::NOT_FOUND));

    // More than one write deletes, and some for an event that failed.
    let many = "INSERT INTO inbox (subscription, shard, pos, at) \
                WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 49) \
                SELECT 'test.old', 2, a.i * 50 + b.i, 0 FROM n a, n b";
    change(&f.db, many).await;
    let failed = "INSERT INTO retry (subscription, shard, pos, attempts, next_at, error, dead) \
                  VALUES ('test.old', 1, 4, 4, 0, 'broken', true)";
    change(&f.db, failed).await;
    assert_eq!(forgotten(&f, &known, "test.old", false).await, ["inbox", "retry", "subscription_cursor"]);
    assert_eq!(left(&f, &known).await, NOTHING);
    for (table, rows) in [("inbox", 5), ("retry", 0), ("subscription_cursor", i64::from(f.db.shards()))] {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        assert_eq!(number(&f.db, &sql).await, rows, "{table}: those of the other one");
    }
    assert!(refused(&f, &known, "test.old").await.is(code::NOT_FOUND));

    // Should it come back it is a new one.
    let running = Running::start(&f, &[&kept, &old]);
    running.quiet().await;
    assert_eq!(kept.numbers("a"), (0..7).collect::<Vec<_>>());
    assert_eq!(old.numbers("a"), (0..5).chain(0..7).collect::<Vec<_>>());
    running.stop().await;
}

#[tokio::test]
async fn what_a_broker_left_behind_is_left_over_without_it() {
    let f = fixture(Engine::Embedded).await;
    let cursors = "INSERT INTO subscription_cursor (subscription, shard, pos) VALUES \
                   ('relay', 1, 5), ('replay/test.kept', 1, 0), ('test.kept', 1, 0)";
    change(&f.db, cursors).await;
    let kept = Recorder::new("test.kept", &f.db);
    let running = Running::start(&f, &[&kept]);
    let known = running.bus.subscriptions();
    running.stop().await;
    let names: Vec<String> = left(&f, &known).await.into_iter().map(|left| left.name).collect();
    assert_eq!(names, ["relay", "replay/test.kept"]);
    for name in names {
        assert_eq!(forgotten(&f, &known, &name, false).await, ["subscription_cursor"]);
    }
    assert_eq!(left(&f, &known).await, NOTHING);
}

/// It needs no broker to see what was published.
#[cfg(feature = "pulsar")]
#[tokio::test]
async fn a_replay_that_nobody_takes_does_not_hold_the_log_for_ever() {
    let f = fixture(Engine::Embedded).await;
    let config = platform_bus::BusConfig { engine: platform_bus::BusEngine::Pulsar, ..f.config.clone() };
    let single = platform_regions::Regions::single();
    let bus = platform_bus::open(f.db.clone(), Vec::new(), config, single).unwrap();
    publish(&f.db, 1, "a", 0..5).await;
    let cursors = "INSERT INTO subscription_cursor (subscription, shard, pos) VALUES \
                   ('relay', 1, 5), ('replay/test.old', 1, 2)";
    change(&f.db, cursors).await;
    f.clock.advance(8 * DAY);
    assert_eq!(bus.prune().await.unwrap().events, 2, "the rest may be replayed");
    f.clock.advance(21 * DAY);
    assert_eq!(bus.prune().await.unwrap().events, 3, "older than anybody waits for");
    // What the broker has not got stays.
    publish(&f.db, 1, "a", 5..8).await;
    f.clock.advance(40 * DAY);
    assert_eq!(bus.prune().await.unwrap().events, 0);
}

#[cfg(feature = "pulsar")]
mod broker {
    use platform_bus::{BusConfig, Scope};

    use super::*;

    fn kinds(left: &[Leftover]) -> Vec<(&'static str, &str)> {
        left.iter().map(|left| (left.kind, left.name.as_str())).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts a broker: cargo xtask test --real"]
    async fn forgets_an_abandoned_subscription_and_no_other() {
        let f = fixture(Engine::Pulsar).await;
        platform_bus::setup(&f.config).await.unwrap();
        // A region's own, whose name has to be escaped.
        let (kept, old) = (Recorder::new("test.kept", &f.db), Recorder::new("test.old@eu", &f.db));
        let running = Running::start(&f, &[&kept, &old]);
        publish(&f.db, 1, "a", 0..5).await;
        running.quiet().await;
        let all = running.bus.subscriptions();
        assert_eq!(left(&f, &all).await, NOTHING);
        let known = without(all.clone(), "test.old@eu");
        let in_use = refused(&f, &known, "test.old@eu").await;
        assert!(in_use.is(code::CONFLICT) && in_use.message().contains("connected"), "{in_use:?}");
        running.stop().await;

        let running = Running::start(&f, &[&kept]);
        publish(&f.db, 1, "a", 5..8).await;
        running.quiet().await;
        let found = left(&f, &known).await;
        assert_eq!(kinds(&found), [("cursor", "test.old@eu"), ("subscription", "test.old@eu")]);
        assert!(found[1].waiting > Some(0) && found[1].at.ends_with("/test"), "{found:?}");
        forgotten(&f, &known, "test.old@eu", true).await;
        assert_eq!(left(&f, &known).await, found, "nothing was done");
        assert!(refused(&f, &known, "test.kept").await.is(code::CONFLICT), "the code has it");
        let gone = forgotten(&f, &known, "test.old@eu", false).await;
        assert_eq!(gone.iter().filter(|kind| **kind == "subscription").count(), 3, "one a partition");
        assert_eq!(left(&f, &known).await, NOTHING);
        assert!(refused(&f, &known, "test.old@eu").await.is(code::NOT_FOUND));
        publish(&f.db, 1, "a", 8..9).await;
        running.quiet().await;
        assert_eq!(kept.numbers("a"), (0..9).collect::<Vec<_>>());
        running.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts a broker: cargo xtask test --real"]
    async fn tells_of_topics_that_the_code_has_not() {
        let f = fixture(Engine::Pulsar).await;
        let kept = Recorder::new("test.kept", &f.db);
        let running = Running::start(&f, &[&kept]);
        publish(&f.db, 1, "a", 0..2).await;
        running.quiet().await;
        let known = running.bus.subscriptions();
        running.stop().await;
        let mut before = f.config.clone();
        before.pulsar.topics.insert("gone".to_owned(), 2);
        platform_bus::setup(&before).await.unwrap();
        assert_eq!(check(Some(&f.db), &before, &known).await.unwrap(), NOTHING);
        let namespace = format!("{}/{}", f.config.pulsar.tenant, f.config.pulsar.namespace);
        let (gone, test) = (format!("{namespace}/gone"), format!("{namespace}/test"));
        let found = left(&f, &known).await;
        assert_eq!(kinds(&found), [("topic", gone.as_str()), ("schema", gone.as_str())]);
        let mut grown = before.clone();
        grown.pulsar.topics.insert("test".to_owned(), 4);
        let found = check(Some(&f.db), &grown, &known).await.unwrap();
        assert_eq!(kinds(&found), [("topic", test.as_str())]);
        assert!(found[0].says.contains("3 partitions"), "{found:?}");

        // The same subscription takes other events now.
        let other: &'static [&'static str] = &["other.happened.v1"];
        let moved = [Subscribed { name: "test.kept".to_owned(), topics: other, scope: Scope::Shop }];
        let config = BusConfig { pulsar: before.pulsar, ..f.config.clone() };
        let found = check(Some(&f.db), &config, &moved).await.unwrap();
        assert_eq!(kinds(&found), [("subscription", "test.kept")]);
        forget(Some(&f.db), &config, &moved, "test.kept", false).await.unwrap();
        assert_eq!(check(Some(&f.db), &config, &moved).await.unwrap(), NOTHING);
    }
}
