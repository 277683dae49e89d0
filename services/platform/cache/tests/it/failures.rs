//! Redis dies, comes back wiped or with old data, stands still; processes die: nothing false is served beyond the bound.

use std::time::{Duration, Instant};

use platform_cache::RedisConfig;
use stack::{Redis, RedisCluster};

use crate::{ALONE, LIMIT, Source, config, process, until};

/// A process that finds out soon what it lost.
fn hurried(nodes: &[String], cluster: bool) -> RedisConfig {
    // Not shorter: a busy machine must not look like a lost Redis where a test says that it is there.
    RedisConfig {
        command_timeout: Duration::from_secs(1),
        lease: Duration::from_secs(8),
        ..config(nodes, cluster)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn everything_works_while_redis_is_down() {
    let server = Redis::start().unwrap();
    let config = hurried(&[server.address()], false);
    let source = Source::default();
    let (a, b) = (process(&config, &source).await, process(&config, &source).await);
    source.set("k", "one");
    a.sees("k", "one").await;
    b.sees("k", "one").await;
    server.kill().unwrap();
    until("it is noticed", async || a.redis().health().is_err() && b.redis().health().is_err()).await;
    assert!(a.redis().health().unwrap_err().message().contains("Redis is not used"));
    // Each process is on its own: its own changes at once, others' after the short life.
    a.change("k", "two").await;
    assert_eq!(a.get("k").await.unwrap(), "two");
    b.sees("k", "two").await;
    assert_eq!(a.get("fresh").await, None);
    // A start without a Redis is a start.
    let late = platform_cache::Redis::open(&config).unwrap().unwrap();
    assert!(!late.connected(Duration::from_millis(50)).await);
    let late = crate::over(Some(late), &source);
    assert_eq!(late.get("k").await.unwrap(), "two");
    server.restart_wiped().unwrap();
    for process in [&a, &b, &late] {
        assert!(process.redis().connected(LIMIT).await);
        assert!(process.redis().health().is_ok());
        assert_eq!(process.get("k").await.unwrap(), "two");
    }
    a.change("k", "three").await;
    b.sees("k", "three").await;
    late.sees("k", "three").await;
}

/// Without the servers' run in the ring's record, the old value would come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn old_data_that_comes_back_is_not_believed() {
    let server = Redis::start().unwrap();
    let config = hurried(&[server.address()], false);
    let source = Source::default();
    let (a, b) = (process(&config, &source).await, process(&config, &source).await);
    let stored = || server.keys(&format!("{}:words*", config.prefix)).unwrap();
    let is_stored = |key: &str| stored().iter().any(|stored| stored.ends_with(&format!(":{key}")));
    for key in ["changed before", "changed while down", "the same"] {
        // A value that did not reach Redis in time is not put there later: it is loaded once more.
        until("it is stored", async || {
            a.change(key, "old").await;
            a.sees(key, "old").await;
            is_stored(key)
        })
        .await;
    }
    server.save().unwrap();
    a.change("changed before", "new").await;
    until("Redis has heard of it", async || !is_stored("changed before")).await;
    server.kill().unwrap();
    until("it is noticed", async || a.redis().health().is_err()).await;
    a.change("changed while down", "new").await;
    server.restart().unwrap();
    // Who is connected again before this looks has taken away what was changed while it was down, and nothing else.
    for key in ["changed before", "the same"] {
        assert!(is_stored(key), "the old values are there again: {:?}", stored());
    }
    for process in [&a, &b] {
        assert!(process.redis().connected(LIMIT).await);
    }
    let c = process(&config, &source).await;
    for process in [&c, &a, &b] {
        for key in ["changed before", "changed while down"] {
            process.sees(key, "new").await;
        }
    }
    let fresh = process(&config, &source).await;
    assert_eq!(fresh.get("changed before").await.unwrap(), "new");
    assert_eq!(fresh.get("changed while down").await.unwrap(), "new");
    assert_eq!(fresh.get("the same").await.unwrap(), "old");
}

/// What could not be delivered is delivered before Redis is used again, and not asked for meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn changes_wait_for_a_redis_that_stands_still() {
    let server = Redis::start().unwrap();
    let config = hurried(&[server.address()], false);
    let source = Source::default();
    let (a, b) = (process(&config, &source).await, process(&config, &source).await);
    source.set("k", "old");
    a.sees("k", "old").await;
    b.sees("k", "old").await;
    server.pause().unwrap();
    a.change("k", "new").await;
    assert_eq!(a.get("k").await.unwrap(), "new", "who changed it sees it");
    // Nobody pays the command timeout for each question.
    let start = Instant::now();
    for n in 0..200 {
        assert_eq!(a.get(&format!("absent {n}")).await, None);
    }
    let spent = start.elapsed();
    assert!(spent < config.command_timeout * 100, "200 questions took {spent:?}");
    b.sees("k", "new").await;
    server.resume().unwrap();
    for process in [&a, &b] {
        assert!(process.redis().connected(LIMIT).await);
        process.sees("k", "new").await;
    }
    let c = process(&config, &source).await;
    assert_eq!(c.get("k").await.unwrap(), "new");
}

/// A process killed between its commit and the invalidation: its lease runs out, and what was kept is given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn a_process_that_dies_after_its_commit_is_missed() {
    let server = Redis::start().unwrap();
    let config = hurried(&[server.address()], false);
    let source = Source::default();
    let b = process(&config, &source).await;
    source.set("k", "old");
    b.sees("k", "old").await;
    let (doomed, of_doomed) = (config.clone(), source.clone());
    std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let a = runtime.block_on(process(&doomed, &of_doomed));
        of_doomed.set("k", "new");
        // Gone without a word, as by kill -9.
        runtime.shutdown_background();
        std::mem::forget(a);
    })
    .join()
    .unwrap();
    assert_eq!(b.get("k").await.unwrap(), "old", "nobody was told, so this test tests something");
    b.sees("k", "new").await;
    let c = process(&config, &source).await;
    assert_eq!(c.get("k").await.unwrap(), "new");
}

/// A message that was lost is a number that is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn a_lost_message_is_noticed() {
    let server = Redis::start().unwrap();
    let config = hurried(&[server.address()], false);
    let source = Source::default();
    let b = process(&config, &source).await;
    source.set("k", "old");
    b.sees("k", "old").await;
    tokio::time::sleep(ALONE * 2).await;
    // As if somebody had removed the value and the news of it had not arrived.
    source.set("k", "new");
    server.command(&format!("DEL {}:words.1:k", config.prefix)).unwrap();
    assert_eq!(b.get("k").await.unwrap(), "old");
    server.command(&format!("HINCRBY {}:ring told 1", config.prefix)).unwrap();
    b.sees("k", "new").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn who_leaves_costs_nothing_and_who_has_news_tells_them_first() {
    let server = Redis::start().unwrap();
    let config = hurried(&[server.address()], false);
    let source = Source::default();
    let (a, b) = (process(&config, &source).await, process(&config, &source).await);
    source.set("k", "old");
    a.sees("k", "old").await;
    let ring = format!("{}:ring", config.prefix);
    let generation = || server.command(&format!("HGET {ring} generation")).unwrap();
    let before = generation();
    assert!(!before.is_empty());
    a.change("k", "new").await;
    assert!(a.redis().close(LIMIT).await);
    tokio::time::sleep(config.lease * 2).await;
    assert_eq!(generation(), before, "nothing was given up");
    b.sees("k", "new").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn a_cluster_loses_a_node_and_gets_it_back() {
    let cluster = RedisCluster::start().unwrap();
    let config = hurried(&cluster.addresses(), true);
    let source = Source::default();
    let (a, b) = (process(&config, &source).await, process(&config, &source).await);
    let keys: Vec<String> = (0..30).map(|n| format!("k{n}")).collect();
    for wiped in [false, true] {
        for key in &keys {
            a.change(key, "old").await;
            b.sees(key, "old").await;
        }
        let kept_by = |ending: &str| {
            let keeps = |node: &&Redis| node.keys("*").unwrap().iter().any(|key| key.ends_with(ending));
            cluster.nodes().iter().find(keeps)
        };
        // A value that did not reach Redis in time is not put there later: it is loaded once more.
        until("k7 is kept", async || {
            a.change("k7", "old").await;
            b.sees("k7", "old").await;
            kept_by("k7").is_some()
        })
        .await;
        for (index, ending) in ["k7", ":ring"].into_iter().enumerate() {
            let node = kept_by(ending).unwrap();
            node.save().unwrap();
            let new = format!("new {index}");
            for key in &keys[..15] {
                a.change(key, &new).await;
            }
            node.kill().unwrap();
            until("it is noticed", async || a.redis().health().is_err()).await;
            for key in &keys[15..] {
                a.change(key, &new).await;
            }
            if wiped { node.restart_wiped() } else { node.restart() }.unwrap();
            until("the cluster is whole", async || cluster.whole()).await;
            for process in [&a, &b] {
                assert!(process.redis().connected(LIMIT).await, "{:?}", process.redis().health());
            }
            let c = process(&config, &source).await;
            for key in &keys {
                for process in [&a, &b, &c] {
                    process.sees(key, &new).await;
                }
            }
        }
    }
}
