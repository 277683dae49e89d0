//! What every bus does, whichever engine it stands on.

use std::time::Duration;

use contracts::EventBody;
use kernel::Shard;
use platform_bus::Selection;
use platform_db::Rows;

use crate::stand::{Engine, Happened, Ignored, Recorder, Running, eventually, fixture, number, publish};

/// Each of these on each engine.
macro_rules! on_every_engine {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::stand::Engine::Embedded).await;
            })*
        }
        #[cfg(feature = "pulsar")]
        mod pulsar {
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "starts a broker: cargo xtask test --real"]
            async fn $name() {
                super::$name(crate::stand::Engine::Pulsar).await;
            })*
        }
    };
}

on_every_engine!(
    every_subscription_gets_every_event_of_its_topics_in_order,
    a_failing_event_holds_up_its_aggregate_and_no_other,
    what_keeps_failing_becomes_a_dead_letter_and_can_be_replayed,
    replay_runs_effects_again_from_a_position_on,
    processes_share_a_subscription_and_each_event_has_one_effect,
);

async fn every_subscription_gets_every_event_of_its_topics_in_order(engine: Engine) {
    let f = fixture(engine).await;
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

async fn a_failing_event_holds_up_its_aggregate_and_no_other(engine: Engine) {
    let f = fixture(engine).await;
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

async fn what_keeps_failing_becomes_a_dead_letter_and_can_be_replayed(engine: Engine) {
    let f = fixture(engine).await;
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

async fn replay_runs_effects_again_from_a_position_on(engine: Engine) {
    let f = fixture(engine).await;
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

async fn processes_share_a_subscription_and_each_event_has_one_effect(engine: Engine) {
    let f = fixture(engine).await;
    let here = Recorder::new("test.one", &f.db);
    let there = here.twin();
    let first = Running::start(&f, &[&here]);
    let second = Running::start(&f, &[&there]);
    for shard in 0..8 {
        publish(&f.db, shard, &format!("a{shard}"), 0..15).await;
    }
    first.quiet().await;
    // Who stops gives its work away; the other one goes on at once.
    first.stop().await;
    for shard in 0..8 {
        publish(&f.db, shard, &format!("a{shard}"), 15..20).await;
    }
    second.quiet().await;
    for shard in 0..8 {
        assert_eq!(here.numbers(&format!("a{shard}")), (0..20).collect::<Vec<_>>());
    }
    assert!(there.calls() >= 40, "what came after the first had stopped");
    // Who is killed gives nothing away; whoever comes next goes on.
    second.kill().await;
    let third = Running::start(&f, &[&here]);
    publish(&f.db, 3, "a3", 20..25).await;
    third.quiet().await;
    assert_eq!(here.numbers("a3"), (0..25).collect::<Vec<_>>());
    third.stop().await;
}
