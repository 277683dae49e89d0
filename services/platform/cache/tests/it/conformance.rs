//! What every cache promises, whatever is behind it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use kernel::{Failure, SystemClock, Timestamp, code};
use platform_cache::{Cache, Caches, Codec, Settings};
use stack::RedisCluster;
use tokio::sync::Notify;

use crate::{LIMIT, any, config, open};

#[tokio::test]
async fn alone() {
    suite(&Caches::alone(Arc::new(SystemClock))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn over_redis() {
    let (_server, node) = any();
    suite(&Caches::new(Arc::new(SystemClock), Some(open(&config(&[node], false)).await))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn over_a_cluster() {
    let cluster = RedisCluster::start().unwrap();
    suite(&Caches::new(Arc::new(SystemClock), Some(open(&config(&cluster.addresses(), true)).await))).await;
}

async fn suite(caches: &Caches) {
    one_load_for_many_callers(caches).await;
    absence_is_kept(caches).await;
    errors_are_told_and_not_kept(caches).await;
    invalidation_is_believed_at_once(caches).await;
    a_load_that_began_before_the_invalidation_is_not_believed(caches).await;
    an_entry_older_than_asked_for_is_a_miss(caches).await;
    many_keys_load_what_is_missing(caches).await;
    everything_can_be_forgotten(caches).await;
    told_caches_keep_what_no_bytes_can(caches).await;
}

fn cache(caches: &Caches, name: &'static str) -> Cache<String, u32> {
    caches.shared(Settings::new(name, 100, Duration::from_secs(60)), Codec::json())
}

fn key(text: &str) -> String {
    // Not only letters: they travel.
    format!("{text}: \"1\"\n*é")
}

async fn one_load_for_many_callers(caches: &Caches) {
    let cache = cache(caches, "suite_single");
    let loads = AtomicUsize::new(0);
    let load = || async {
        loads.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(Some(7))
    };
    let answers = join_all((0..50).map(async |_| cache.get_or_load(&key("a"), load).await)).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap() == Some(7)));
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

async fn absence_is_kept(caches: &Caches) {
    let cache = cache(caches, "suite_absent");
    assert_eq!(cache.get_or_load(&key("a"), || async { Ok(None) }).await.unwrap(), None);
    assert_eq!(cache.get_or_load(&key("a"), || async { Ok(Some(1)) }).await.unwrap(), None);
    cache.invalidate(&key("a")).await;
    assert_eq!(cache.get_or_load(&key("a"), || async { Ok(Some(1)) }).await.unwrap(), Some(1));
}

async fn errors_are_told_and_not_kept(caches: &Caches) {
    let cache = cache(caches, "suite_error");
    let failed = cache.get_or_load(&key("a"), || async { Err(Failure::new(code::UNAVAILABLE)) }).await;
    assert!(failed.unwrap_err().is(code::UNAVAILABLE));
    assert_eq!(cache.get_or_load(&key("a"), || async { Ok(Some(1)) }).await.unwrap(), Some(1));
}

async fn invalidation_is_believed_at_once(caches: &Caches) {
    let cache = cache(caches, "suite_change");
    let truth = AtomicUsize::new(0);
    for value in 0..50 {
        truth.store(value, Ordering::SeqCst);
        cache.invalidate(&key("a")).await;
        let load = || async { Ok(u32::try_from(truth.load(Ordering::SeqCst)).ok()) };
        assert_eq!(cache.get_or_load(&key("a"), load).await.unwrap(), u32::try_from(value).ok());
    }
}

async fn a_load_that_began_before_the_invalidation_is_not_believed(caches: &Caches) {
    let cache = cache(caches, "suite_slow");
    let (started, go_on) = (Notify::new(), Notify::new());
    let loads = AtomicUsize::new(0);
    let load = || async {
        if loads.fetch_add(1, Ordering::SeqCst) == 0 {
            started.notify_one();
            go_on.notified().await;
            Ok(Some(1))
        } else {
            Ok(Some(2))
        }
    };
    let change = async {
        started.notified().await;
        cache.invalidate(&key("a")).await;
        go_on.notify_one();
    };
    let wanted = key("a");
    let (answer, ()) = tokio::join!(cache.get_or_load(&wanted, load), change);
    assert_eq!(answer.unwrap(), Some(2));
    assert_eq!(cache.get_or_load(&wanted, || async { Ok(Some(9)) }).await.unwrap(), Some(2));
}

async fn an_entry_older_than_asked_for_is_a_miss(caches: &Caches) {
    let cache = cache(caches, "suite_since");
    cache.get_or_load(&key("a"), || async { Ok(Some(1)) }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2)).await;
    let now = now();
    for (loads, kept) in [(2, 2), (3, 2)] {
        let answer = cache.get_or_load_since(&key("a"), now, || async { Ok(Some(loads)) }).await.unwrap();
        assert_eq!(answer, Some(kept));
    }
    // Within `since` every question asks for it.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let later = self::now();
    let questions = async {
        for (loads, kept) in [(4, 4), (5, 4)] {
            let one = cache.get_or_load(&key("a"), || async { Ok(Some(loads)) }).await.unwrap();
            assert_eq!(one, Some(kept));
        }
        cache.insert(key("b"), 1, now).await;
        for (loads, kept) in [(2, 2), (3, 2)] {
            let load = |keys: Vec<_>| async move { Ok(keys.into_iter().map(|key| (key, loads)).collect()) };
            assert_eq!(cache.get_many_or_load(&[key("b")], load).await.unwrap()[&key("b")], kept);
        }
    };
    platform_cache::since(later, questions).await;
    assert_eq!(cache.get_or_load(&key("a"), || async { Ok(Some(9)) }).await.unwrap(), Some(4));
}

fn now() -> Timestamp {
    use kernel::Clock;
    SystemClock.now()
}

async fn many_keys_load_what_is_missing(caches: &Caches) {
    let cache = cache(caches, "suite_many");
    // More than fit into one round trip.
    let keys: Vec<String> = (0..600).map(|n| key(&n.to_string())).collect();
    let loader = |missing: Vec<String>| async move {
        let number = |key: &str| key.split(':').next().and_then(|n| n.parse().ok());
        let numbers = missing.into_iter().filter_map(|key| number(&key).map(|n: u32| (key, n)));
        Ok(numbers.filter(|(_, n)| n % 3 != 0).collect::<HashMap<_, _>>())
    };
    let found = cache.get_many_or_load(&keys, loader).await.unwrap();
    assert_eq!(found.len(), 400);
    let again = cache.get_many_or_load(&keys[..90], |_| async { panic!("everything is known") }).await;
    assert_eq!(again.unwrap().len(), 60);
    cache.invalidate_many(&keys).await;
    let changed = cache.get_many_or_load(&keys[..9], |missing| async move {
        assert_eq!(missing.len(), 9);
        Ok(missing.into_iter().map(|key| (key, 5)).collect())
    });
    assert!(changed.await.unwrap().into_values().all(|value| value == 5));
}

async fn everything_can_be_forgotten(caches: &Caches) {
    let cache = cache(caches, "suite_all");
    cache.get_or_load(&key("a"), || async { Ok(Some(1)) }).await.unwrap();
    cache.invalidate_all();
    assert_eq!(cache.get_or_load(&key("a"), || async { Ok(Some(2)) }).await.unwrap(), Some(2));
    if let Some(redis) = caches.redis() {
        assert!(redis.connected(LIMIT).await);
    }
    assert_eq!(cache.get_or_load(&key("a"), || async { Ok(Some(2)) }).await.unwrap(), Some(2));
}

async fn told_caches_keep_what_no_bytes_can(caches: &Caches) {
    let cache: Cache<(), Arc<fn() -> u32>> =
        caches.told(Settings::new("suite_told", 1, Duration::from_secs(60)));
    let seven: fn() -> u32 = || 7;
    let value = cache.get_or_load(&(), || async { Ok(Some(Arc::new(seven))) }).await.unwrap().unwrap();
    assert_eq!(value(), 7);
    let again = cache.get_or_load(&(), || async { panic!("it is there") }).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&value, &again));
    cache.invalidate(&()).await;
    let changed = cache.get_or_load(&(), || async { Ok(Some(Arc::new(seven))) }).await.unwrap().unwrap();
    assert!(!Arc::ptr_eq(&value, &changed));
}
