//! The cache.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use kernel::{Clock, Failure, Result, Timestamp};
use metrics::counter;
use moka::Expiry;

/// Keys share this many invalidation counters: two keys on one counter cost a needless load, never a stale value.
const STRIPES: usize = 1024;
/// How often a load is repeated because its key was invalidated meanwhile; after that the last value, which is younger
/// than the caller's question, is returned uncached.
const ATTEMPTS: usize = 3;

/// How a cache behaves.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Name in metrics: `cache_requests_total{cache}`.
    pub name: &'static str,
    /// The most entries, negative ones included.
    pub capacity: u64,
    /// How long a value lives at most.
    pub ttl: Duration,
    /// How long "there is none" lives at most.
    pub negative_ttl: Duration,
    /// The part of a time to live that is random, 0 to 1: with 0.1 an entry lives 90 to 100 % of it.
    pub jitter: f64,
}

impl Settings {
    /// A cache of this name and size whose values live for `ttl`, negative entries a tenth of it; a tenth of each is random.
    pub fn new(name: &'static str, capacity: u64, ttl: Duration) -> Self {
        Self { name, capacity, ttl, negative_ttl: ttl / 10, jitter: 0.1 }
    }

    /// The same with another life for negative entries.
    #[must_use]
    pub fn negative_ttl(mut self, negative_ttl: Duration) -> Self {
        self.negative_ttl = negative_ttl;
        self
    }
}

/// What is kept under a key.
#[derive(Clone, Debug)]
struct Entry<V> {
    /// `None`: there is none.
    value: Option<V>,
    /// Taken before the load began.
    since: Timestamp,
    /// The key's invalidation stamp before the load began.
    stamp: (u64, u64),
}

#[derive(Clone, Copy, Debug)]
struct Life {
    ttl: Duration,
    negative_ttl: Duration,
    jitter: f64,
}

impl Life {
    fn of<V>(self, entry: &Entry<V>) -> Duration {
        let whole = if entry.value.is_some() { self.ttl } else { self.negative_ttl };
        whole.mul_f64(1.0 - self.jitter.clamp(0.0, 1.0) * rand::random::<f64>())
    }
}

impl<K, V> Expiry<K, Entry<V>> for Life {
    fn expire_after_create(&self, _: &K, entry: &Entry<V>, _: Instant) -> Option<Duration> {
        Some(self.of(entry))
    }

    fn expire_after_update(
        &self,
        _: &K,
        entry: &Entry<V>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(self.of(entry))
    }
}

/// A cache; a clone is another handle to the same one.
pub struct Cache<K, V> {
    inner: Arc<Inner<K, V>>,
}

struct Inner<K, V> {
    name: &'static str,
    entries: moka::future::Cache<K, Entry<V>>,
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    epoch: AtomicU64,
    stripes: Vec<AtomicU64>,
}

impl<K, V> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("name", &self.inner.name).finish_non_exhaustive()
    }
}

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// An empty cache. Values are cloned on every hit: make large ones an `Arc`.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let life = Life { ttl: settings.ttl, negative_ttl: settings.negative_ttl, jitter: settings.jitter };
        let entries = moka::future::Cache::builder()
            .name(settings.name)
            .max_capacity(settings.capacity)
            .expire_after(life)
            .build();
        Self {
            inner: Arc::new(Inner {
                name: settings.name,
                entries,
                clock,
                hasher: RandomState::new(),
                epoch: AtomicU64::new(0),
                stripes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            }),
        }
    }

    /// The value under `key`, loaded when it is not there. `Ok(None)` from the loader is kept as well, for a shorter time.
    pub async fn get_or_load<F, Fut>(&self, key: &K, load: F) -> Result<Option<V>>
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<Option<V>>> + Send,
    {
        self.get_or_load_since(key, Timestamp::from_micros(i64::MIN), load).await
    }

    /// As [`Cache::get_or_load`], but an entry whose load began before `since` is a miss.
    pub async fn get_or_load_since<F, Fut>(&self, key: &K, since: Timestamp, load: F) -> Result<Option<V>>
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<Option<V>>> + Send,
    {
        if let Some(entry) = self.fresh(key, since).await {
            self.count(if entry.value.is_some() { "hit" } else { "negative" }, 1);
            return Ok(entry.value);
        }
        self.count("miss", 1);
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let loading = async {
                let (stamp, since) = (self.stamp(key), self.inner.clock.now());
                Ok(Entry { value: load().await?, since, stamp })
            };
            let entry = self.inner.entries.try_get_with_by_ref(key, loading).await.map_err(shared)?;
            if entry.stamp == self.stamp(key) && entry.since >= since {
                return Ok(entry.value);
            }
            // Its load began too early: someone invalidated the key, or needs a younger one.
            self.inner.entries.invalidate(key).await;
            last = Some(entry);
        }
        // Invalidated faster than it loads: ask the source itself, for this caller only.
        match last {
            Some(_) => load().await,
            None => Ok(None),
        }
    }

    /// The values under `keys`; those that are missing are loaded in one call. What the loader leaves out is kept as
    /// "there is none". Keys without a value are not in the answer.
    pub async fn get_many_or_load<F, Fut>(&self, keys: &[K], load: F) -> Result<HashMap<K, V>>
    where
        F: FnOnce(Vec<K>) -> Fut + Send,
        Fut: Future<Output = Result<HashMap<K, V>>> + Send,
    {
        let mut found = HashMap::with_capacity(keys.len());
        let mut missing = Vec::new();
        let (mut hits, mut negatives) = (0, 0);
        for key in keys {
            match self.fresh(key, Timestamp::from_micros(i64::MIN)).await {
                Some(Entry { value: Some(value), .. }) => {
                    hits += 1;
                    found.insert(key.clone(), value);
                }
                Some(_) => negatives += 1,
                None => missing.push(key.clone()),
            }
        }
        self.count("hit", hits);
        self.count("negative", negatives);
        if missing.is_empty() {
            return Ok(found);
        }
        self.count("miss", missing.len() as u64);
        let since = self.inner.clock.now();
        let stamps: Vec<_> = missing.iter().map(|key| self.stamp(key)).collect();
        let mut loaded = load(missing.clone()).await?;
        for (key, stamp) in missing.into_iter().zip(stamps) {
            let value = loaded.remove(&key);
            if let Some(value) = &value {
                found.insert(key.clone(), value.clone());
            }
            if stamp == self.stamp(&key) {
                self.inner.entries.insert(key, Entry { value, since, stamp }).await;
            }
        }
        Ok(found)
    }

    /// Puts a value in that is known already, such as at a warm start; `since` is a moment before it was read.
    pub async fn insert(&self, key: K, value: V, since: Timestamp) {
        let stamp = self.stamp(&key);
        self.inner.entries.insert(key, Entry { value: Some(value), since, stamp }).await;
    }

    /// Forgets `key`, and what is being loaded for it now.
    pub async fn invalidate(&self, key: &K) {
        self.inner.stripes[self.stripe(key)].fetch_add(1, Ordering::SeqCst);
        self.inner.entries.invalidate(key).await;
    }

    /// Forgets everything, and what is being loaded now.
    pub fn invalidate_all(&self) {
        self.inner.epoch.fetch_add(1, Ordering::SeqCst);
        self.inner.entries.invalidate_all();
    }

    /// About how many entries there are.
    pub fn len(&self) -> u64 {
        self.inner.entries.entry_count()
    }

    /// Whether there seems to be no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    async fn fresh(&self, key: &K, since: Timestamp) -> Option<Entry<V>> {
        let entry = self.inner.entries.get(key).await?;
        if entry.stamp == self.stamp(key) && entry.since >= since {
            return Some(entry);
        }
        self.inner.entries.invalidate(key).await;
        None
    }

    fn stamp(&self, key: &K) -> (u64, u64) {
        let stripe = &self.inner.stripes[self.stripe(key)];
        (self.inner.epoch.load(Ordering::SeqCst), stripe.load(Ordering::SeqCst))
    }

    fn stripe(&self, key: &K) -> usize {
        // The remainder is below STRIPES.
        usize::try_from(self.inner.hasher.hash_one(key) % STRIPES as u64).unwrap_or(0)
    }

    fn count(&self, result: &'static str, by: u64) {
        if by > 0 {
            counter!("cache_requests_total", "cache" => self.inner.name, "result" => result).increment(by);
        }
    }
}

/// The failure that several waiters share, as each one's own.
fn shared(failure: Arc<Failure>) -> Failure {
    Arc::try_unwrap(failure).unwrap_or_else(|failure| {
        let copy = Failure::from(failure.problem());
        match failure.cause() {
            Some(cause) => copy.because(cause.to_string()),
            None => copy,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::future::join_all;
    use kernel::{FakeClock, code};
    use tokio::sync::Notify;

    use super::*;

    fn cache() -> (Cache<u32, u32>, Arc<FakeClock>) {
        let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_000)));
        (Cache::new(Settings::new("test", 100, Duration::from_secs(60)), clock.clone()), clock)
    }

    #[tokio::test]
    async fn many_callers_make_one_load() {
        let (cache, _) = cache();
        let loads = AtomicUsize::new(0);
        let answers = join_all((0..50).map(|_| {
            cache.get_or_load(&1, || async {
                loads.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok(Some(7))
            })
        }))
        .await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() == Some(7)));
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn errors_reach_every_waiter_and_are_not_kept() {
        let (cache, _) = cache();
        let loads = AtomicUsize::new(0);
        let fail = || async {
            loads.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Err(Failure::new(code::UNAVAILABLE).because("down"))
        };
        for answer in join_all((0..10).map(|_| cache.get_or_load(&1, fail))).await {
            let failure = answer.unwrap_err();
            assert!(failure.is(code::UNAVAILABLE));
            assert_eq!(failure.cause().unwrap().to_string(), "down");
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);
        assert_eq!(cache.get_or_load(&1, || async { Ok(Some(1)) }).await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn that_there_is_none_is_kept() {
        let (cache, _) = cache();
        assert_eq!(cache.get_or_load(&1, || async { Ok(None) }).await.unwrap(), None);
        assert_eq!(cache.get_or_load(&1, || async { Ok(Some(1)) }).await.unwrap(), None);
        cache.invalidate(&1).await;
        assert_eq!(cache.get_or_load(&1, || async { Ok(Some(1)) }).await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn a_load_that_began_before_the_invalidation_is_not_believed() {
        let (cache, _) = cache();
        let (started, go_on) = (Notify::new(), Notify::new());
        let loads = AtomicUsize::new(0);
        let load = || async {
            if loads.fetch_add(1, Ordering::SeqCst) == 0 {
                started.notify_one();
                go_on.notified().await;
                Ok(Some(1)) // what the database said before the change
            } else {
                Ok(Some(2))
            }
        };
        let change = async {
            started.notified().await;
            cache.invalidate(&1).await;
            go_on.notify_one();
        };
        let (answer, ()) = tokio::join!(cache.get_or_load(&1, load), change);
        assert_eq!(answer.unwrap(), Some(2));
        assert_eq!(cache.get_or_load(&1, || async { Ok(Some(9)) }).await.unwrap(), Some(2));
    }

    #[tokio::test]
    async fn an_entry_older_than_asked_for_is_a_miss() {
        let (cache, clock) = cache();
        cache.get_or_load(&1, || async { Ok(Some(1)) }).await.unwrap();
        clock.advance(Duration::from_micros(10));
        let now = clock.now();
        assert_eq!(cache.get_or_load_since(&1, now, || async { Ok(Some(2)) }).await.unwrap(), Some(2));
        assert_eq!(cache.get_or_load_since(&1, now, || async { Ok(Some(3)) }).await.unwrap(), Some(2));
    }

    #[tokio::test]
    async fn many_keys_load_only_what_is_missing() {
        let (cache, _) = cache();
        cache.insert(1, 10, Timestamp::from_micros(0)).await;
        let found = cache
            .get_many_or_load(&[1, 2, 3], |missing| async move {
                assert_eq!(missing, [2, 3]);
                Ok(HashMap::from([(2, 20)]))
            })
            .await
            .unwrap();
        assert_eq!(found, HashMap::from([(1, 10), (2, 20)]));
        let again = cache.get_many_or_load(&[1, 2, 3], |_| async { panic!("3 is known to be absent") }).await;
        assert_eq!(again.unwrap().len(), 2);
        cache.invalidate_all();
        let none = cache.get_many_or_load(&[1], |_| async { Ok(HashMap::new()) }).await.unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn lives_differ_and_negative_ones_are_shorter() {
        let life = Life { ttl: Duration::from_secs(100), negative_ttl: Duration::from_secs(10), jitter: 0.1 };
        let entry = |value| Entry { value, since: Timestamp::default(), stamp: (0, 0) };
        let lives: Vec<_> = (0..100).map(|_| life.of(&entry(Some(1)))).collect();
        assert!(lives.iter().all(|life| (90.0..=100.0).contains(&life.as_secs_f64())));
        assert!(lives.iter().any(|life| *life != lives[0]));
        assert!(life.of(&entry(None::<i32>)) <= Duration::from_secs(10));
    }
}
