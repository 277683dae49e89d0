//! Processes over one Redis.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use stack::RedisCluster;
use tokio::sync::Notify;

use crate::{Source, any, config, process, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn processes_share_values_and_hear_of_changes() {
    let (_server, node) = any();
    shared(&[node], false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn so_do_processes_over_a_cluster() {
    let cluster = RedisCluster::start().unwrap();
    shared(&cluster.addresses(), true).await;
}

async fn shared(nodes: &[String], cluster: bool) {
    let config = config(nodes, cluster);
    let source = Source::default();
    let (a, b) = (process(&config, &source).await, process(&config, &source).await);
    for n in 0..20 {
        let key = format!("k{n}");
        source.set(&key, "one");
        assert_eq!(a.get(&key).await.unwrap(), "one");
        let loads = source.loads();
        assert_eq!(b.get(&key).await.unwrap(), "one");
        assert_eq!(source.loads(), loads, "b finds in Redis what a has loaded");
        a.change(&key, "two").await;
        b.sees(&key, "two").await;
        b.change(&key, "three").await;
        a.sees(&key, "three").await;
    }
    assert_eq!(a.get("nothing").await, None);
    let loads = source.loads();
    assert_eq!(b.get("nothing").await, None);
    assert_eq!(source.loads(), loads, "that there is none is shared, too");
    // Longer than a process keeps what it does not hear of.
    a.sees("k0", "three").await;
    tokio::time::sleep(crate::ALONE * 2).await;
    let loads = source.loads();
    assert_eq!(a.get("k0").await.unwrap(), "three");
    assert_eq!(source.loads(), loads, "while it hears of changes it keeps values longer");
}

/// Without the claim that `invalidate` takes away, the old value would come back and stay for hours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn a_slow_loader_cannot_put_an_old_value_back() {
    let (_server, node) = any();
    let config = config(&[node], false);
    let source = Source::default();
    source.set("k", "old");
    let (a, b) = (process(&config, &source).await, process(&config, &source).await);
    let (read, go_on, first) = (Notify::new(), Notify::new(), AtomicBool::new(true));
    let slow = async {
        let load = || async {
            let value = b.source.read("k").await;
            if first.swap(false, Ordering::SeqCst) {
                read.notify_one();
                go_on.notified().await;
            }
            value
        };
        b.cache.get_or_load(&"k".to_owned(), load).await.unwrap()
    };
    let change = async {
        read.notified().await;
        a.change("k", "new").await;
        go_on.notify_one();
    };
    tokio::join!(slow, change);
    b.sees("k", "new").await;
    // A process that has nothing of its own sees what Redis has.
    let c = process(&config, &source).await;
    assert_eq!(c.get("k").await.unwrap(), "new");
    assert_eq!(a.get("k").await.unwrap(), "new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn everything_is_forgotten_everywhere() {
    let (_server, node) = any();
    let config = config(&[node], false);
    let source = Source::default();
    source.set("k", "old");
    let (a, b) = (process(&config, &source).await, process(&config, &source).await);
    assert_eq!((a.get("k").await.unwrap(), b.get("k").await.unwrap()), ("old".to_owned(), "old".to_owned()));
    source.set("k", "new");
    a.cache.invalidate_all();
    assert_eq!(a.get("k").await.unwrap(), "new");
    b.sees("k", "new").await;
    assert!(a.redis().connected(crate::LIMIT).await);
    let c = process(&config, &source).await;
    assert_eq!(c.get("k").await.unwrap(), "new");
}

/// A database that was restored: what Redis keeps is of another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn a_command_gives_up_what_was_kept_before() {
    let (_server, node) = any();
    let config = config(&[node], false);
    let source = Source::default();
    source.set("k", "before");
    let a = process(&config, &source).await;
    a.sees("k", "before").await;
    a.redis().close(crate::LIMIT).await;
    source.set("k", "restored");
    let command = platform_cache::Redis::open(&config).unwrap().unwrap();
    assert!(command.forget_all(crate::LIMIT).await);
    assert!(command.close(crate::LIMIT).await);
    let b = process(&config, &source).await;
    assert_eq!(b.get("k").await.unwrap(), "restored");
    let nobody = platform_cache::RedisConfig { nodes: vec!["127.0.0.1:1".to_owned()], ..config };
    let unheard = platform_cache::Redis::open(&nobody).unwrap().unwrap();
    assert!(!unheard.forget_all(std::time::Duration::from_millis(200)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn news_reach_others_and_not_their_sender() {
    let (_server, node) = any();
    let config = config(&[node], false);
    let source = Source::default();
    let (a, b) = (process(&config, &source).await, process(&config, &source).await);
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    for (process, name) in [(&a, "a"), (&b, "b")] {
        let heard = Arc::clone(&heard);
        process.redis().listen("doors", move |line| heard.lock().unwrap().push(format!("{name} {line}")));
    }
    a.redis().tell("doors", vec!["shut".to_owned(), "open".to_owned()]);
    until("b heard", async || heard.lock().unwrap().len() >= 2).await;
    assert_eq!(*heard.lock().unwrap(), ["b shut", "b open"]);
}
