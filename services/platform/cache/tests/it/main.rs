//! The cache, alone and against real servers. `MERIDIAN_TEST_REDIS=host:port` names a running one for the tests that
//! leave it alone.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "starts servers and tells figures; has no platform to take time and tasks from"
)]

mod buckets;
mod conformance;
mod failures;
mod figures;
mod secrets;
mod sharing;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use kernel::{Result, SystemClock};
use platform_cache::{
    Cache, Caches, Codec, Redis, RedisConfig, Settings,
    testing::{self, open},
};
use stack::Redis as Server;

/// How long anything may take that is waited for.
const LIMIT: Duration = Duration::from_secs(60);
/// How long a value lives in a process that does not hear of changes.
const ALONE: Duration = Duration::from_millis(300);

/// The database: what is true, and how often it was asked.
#[derive(Clone, Default)]
struct Source {
    values: Arc<Mutex<HashMap<String, String>>>,
    loads: Arc<AtomicUsize>,
}

impl Source {
    fn set(&self, key: &str, value: &str) {
        self.values.lock().unwrap().insert(key.to_owned(), value.to_owned());
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    async fn read(&self, key: &str) -> Result<Option<String>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(self.values.lock().unwrap().get(key).cloned())
    }
}

/// What one process has.
struct Process {
    caches: Caches,
    cache: Cache<String, String>,
    source: Source,
}

impl Process {
    async fn get(&self, key: &str) -> Option<String> {
        self.cache.get_or_load(&key.to_owned(), || self.source.read(key)).await.unwrap()
    }

    /// Changes the truth and says so.
    async fn change(&self, key: &str, value: &str) {
        self.source.set(key, value);
        self.cache.invalidate(&key.to_owned()).await;
    }

    fn redis(&self) -> &Redis {
        self.caches.redis().unwrap()
    }

    async fn sees(&self, key: &str, value: &str) {
        until(&format!("{key} is {value}"), async || self.get(key).await.as_deref() == Some(value)).await;
    }
}

/// Waits until something holds.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A running server that somebody named, or one of our own.
fn any() -> (Option<Server>, String) {
    match std::env::var("MERIDIAN_TEST_REDIS") {
        Ok(node) if !node.is_empty() => (None, node),
        _ => {
            let server = Server::start().unwrap();
            let node = server.address();
            (Some(server), node)
        }
    }
}

fn config(nodes: &[String], cluster: bool) -> RedisConfig {
    RedisConfig { cluster, prefix: format!("test-{:016x}", rand()), ..testing::patient(nodes) }
}

/// A number that is another one each time.
fn rand() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

fn over(redis: Option<Redis>, source: &Source) -> Process {
    let caches = Caches::new(Arc::new(SystemClock), redis);
    let settings = Settings::new("words", 1_000, ALONE).negative_ttl(ALONE);
    let cache = caches.shared(settings, Codec::json());
    Process { caches, cache, source: source.clone() }
}

/// Another process over the same Redis.
async fn process(config: &RedisConfig, source: &Source) -> Process {
    over(Some(open(config).await), source)
}
