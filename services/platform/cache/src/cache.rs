//! The cache.

mod caches;
mod far;
mod marks;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    hash::Hash,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use kernel::{Clock, Failure, Result, Timestamp};
use metrics::{Counter, counter};
use moka::Expiry;

pub use self::caches::Caches;
use self::{
    far::{Far, Fetched},
    marks::Marks,
};
use crate::since::{dated, took, wanted};

/// How often a load is repeated because its key was invalidated meanwhile; after that the last value, which is younger
/// than the caller's question, is returned uncached.
const ATTEMPTS: usize = 3;

/// How a cache behaves.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Name in metrics: `cache_requests_total{cache}`; also in Redis.
    pub name: &'static str,
    /// The most entries, negative ones included.
    pub capacity: u64,
    /// How long a value lives at most in a process that does not hear of changes.
    pub ttl: Duration,
    /// How long "there is none" lives at most there.
    pub negative_ttl: Duration,
    /// The part of a time to live that is random, 0 to 1: with 0.1 an entry lives 90 to 100 % of it.
    pub jitter: f64,
    /// How long a value lives at most in a process that hears of changes; `redis.l1_ttl` where it is not said.
    pub linked_ttl: Option<Duration>,
    /// How long Redis keeps a value at most; `redis.l2_ttl` where it is not said.
    pub far_ttl: Option<Duration>,
    /// Of the values' encoding in Redis: another number for another encoding.
    pub version: u32,
}

impl Settings {
    /// A cache of this name and size whose values live for `ttl`, negative entries a tenth of it; a tenth of each is random.
    pub fn new(name: &'static str, capacity: u64, ttl: Duration) -> Self {
        Self {
            name,
            capacity,
            ttl,
            negative_ttl: ttl / 10,
            jitter: 0.1,
            linked_ttl: None,
            far_ttl: None,
            version: 1,
        }
    }

    /// The same with another life for negative entries.
    #[must_use]
    pub fn negative_ttl(mut self, negative_ttl: Duration) -> Self {
        self.negative_ttl = negative_ttl;
        self
    }

    /// The same with this life where changes are heard of.
    #[must_use]
    pub fn linked_ttl(mut self, linked_ttl: Duration) -> Self {
        self.linked_ttl = Some(linked_ttl);
        self
    }

    /// The same with this life in Redis.
    #[must_use]
    pub fn far_ttl(mut self, far_ttl: Duration) -> Self {
        self.far_ttl = Some(far_ttl);
        self
    }
}

/// What is kept under a key.
#[derive(Clone, Debug)]
struct Entry<V> {
    /// `None`: there is none.
    value: Option<V>,
    /// Taken before the load began, or the `since` of the oldest entry of other caches that went into it.
    since: Timestamp,
    /// The key's invalidation stamp before the load began.
    stamp: (u64, u64),
    /// The epoch before the load began in which changes were heard of; 0 for none.
    link: u64,
}

#[derive(Clone, Copy, Debug)]
struct Life {
    ttl: Duration,
    negative_ttl: Duration,
    /// Of entries that belong to an epoch in which changes are heard of.
    linked_ttl: Duration,
    linked_negative_ttl: Duration,
    jitter: f64,
}

impl Life {
    /// Without the random part, and without hearing of changes.
    fn alone<V>(self, entry: &Entry<V>) -> Duration {
        if entry.value.is_some() { self.ttl } else { self.negative_ttl }
    }

    fn of<V>(self, entry: &Entry<V>) -> Duration {
        let whole = match (entry.link, entry.value.is_some()) {
            (0, _) => self.alone(entry),
            (_, true) => self.linked_ttl,
            (_, false) => self.linked_negative_ttl,
        };
        jittered(whole, self.jitter)
    }
}

/// A time less a random part of it.
fn jittered(time: Duration, jitter: f64) -> Duration {
    time.mul_f64(1.0 - jitter.clamp(0.0, 1.0) * rand::random::<f64>())
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

/// What became of a question to a level.
#[derive(Clone, Copy)]
enum Outcome {
    Hit,
    Negative,
    Miss,
    /// Redis was not asked, or did not answer.
    Bypass,
}

impl Outcome {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Hit, "hit"), (Self::Negative, "negative"), (Self::Miss, "miss"), (Self::Bypass, "bypass")];
}

/// `cache_requests_total{cache, level, result}` of one level.
struct Meters(OnceLock<[Counter; 4]>, &'static str, &'static str);

impl Meters {
    fn count(&self, outcome: Outcome, by: u64) {
        if by > 0 {
            let counters = self.0.get_or_init(|| {
                Outcome::ALL.map(|(_, result)| {
                    counter!("cache_requests_total", "cache" => self.1, "level" => self.2, "result" => result)
                })
            });
            counters[outcome as usize].increment(by);
        }
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
    life: Life,
    marks: Arc<Marks<K>>,
    meters: Meters,
    far: Option<Far<K, V>>,
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
    /// An empty cache of this process only. Values are cloned on every hit: make large ones an `Arc`.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        Self::build(&settings, clock, Arc::new(Marks::new()), None)
    }

    fn build(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        marks: Arc<Marks<K>>,
        far: Option<Far<K, V>>,
    ) -> Self {
        let config = far.as_ref().map(|far| far.redis.config());
        let linked_ttl = settings.linked_ttl.or(config.map(|config| config.l1_ttl)).unwrap_or(settings.ttl);
        let life = Life {
            ttl: settings.ttl,
            negative_ttl: settings.negative_ttl,
            linked_ttl,
            linked_negative_ttl: linked_ttl.min(config.map_or(linked_ttl, |config| config.l2_negative_ttl)),
            jitter: settings.jitter,
        };
        let entries = moka::future::Cache::builder()
            .name(settings.name)
            .max_capacity(settings.capacity)
            .expire_after(life)
            .build();
        let meters = Meters(OnceLock::new(), settings.name, "l1");
        Self { inner: Arc::new(Inner { name: settings.name, entries, clock, life, marks, meters, far }) }
    }

    /// The value under `key`, loaded when it is not there. `Ok(None)` from the loader is kept as well, for a shorter time.
    pub async fn get_or_load<F, Fut>(&self, key: &K, load: F) -> Result<Option<V>>
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<Option<V>>> + Send,
    {
        self.get_or_load_since(key, wanted(), load).await
    }

    /// As [`Cache::get_or_load`], but an entry whose load began before `since` is a miss.
    pub async fn get_or_load_since<F, Fut>(&self, key: &K, since: Timestamp, load: F) -> Result<Option<V>>
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<Option<V>>> + Send,
    {
        let since = since.max(wanted());
        if let Some(entry) = self.fresh(key, since).await {
            self.inner.meters.count(if entry.value.is_some() { Outcome::Hit } else { Outcome::Negative }, 1);
            took(entry.since);
            return Ok(entry.value);
        }
        self.inner.meters.count(Outcome::Miss, 1);
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let loading = self.fetch(key, since, &load);
            let entry = self.inner.entries.try_get_with_by_ref(key, loading).await.map_err(shared)?;
            if entry.stamp == self.inner.marks.of(key) && entry.since >= since {
                took(entry.since);
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

    /// An entry from Redis, or else from the loader. Stamp and epoch are taken first: what changes from here on is seen.
    async fn fetch<F, Fut>(&self, key: &K, since: Timestamp, load: &F) -> Result<Entry<V>>
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<Option<V>>> + Send,
    {
        let stamp = self.inner.marks.of(key);
        let Some(far) = &self.inner.far else {
            let (value, since) = dated(self.inner.clock.now(), Box::pin(load())).await;
            return Ok(Entry { value: value?, since, stamp, link: 0 });
        };
        let link = far.redis.link();
        let claim = match far.fetch(std::slice::from_ref(key), since).await.pop() {
            Some(Fetched::Value(value, since)) => return Ok(Entry { value, since, stamp, link }),
            Some(Fetched::Claim(claim)) => Some(claim),
            Some(Fetched::Nothing) | None => None,
        };
        let (value, since) = dated(self.inner.clock.now(), Box::pin(load())).await;
        let value = value?;
        if let Some(claim) = claim {
            far.fill([(claim, value.as_ref())], since).await;
        }
        Ok(Entry { value, since, stamp, link })
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
        let since = wanted();
        for key in keys {
            match self.fresh(key, since).await {
                Some(entry) => {
                    took(entry.since);
                    match entry.value {
                        Some(value) => {
                            hits += 1;
                            found.insert(key.clone(), value);
                        }
                        None => negatives += 1,
                    }
                }
                None => missing.push(key.clone()),
            }
        }
        self.inner.meters.count(Outcome::Hit, hits);
        self.inner.meters.count(Outcome::Negative, negatives);
        if missing.is_empty() {
            return Ok(found);
        }
        self.inner.meters.count(Outcome::Miss, missing.len() as u64);
        self.fetch_many(missing, load, &mut found).await?;
        Ok(found)
    }

    /// Adds to `found` what is under the keys that are missing here: from Redis, and else from the loader.
    async fn fetch_many<F, Fut>(&self, missing: Vec<K>, load: F, found: &mut HashMap<K, V>) -> Result<()>
    where
        F: FnOnce(Vec<K>) -> Fut + Send,
        Fut: Future<Output = Result<HashMap<K, V>>> + Send,
    {
        let stamps: Vec<_> = missing.iter().map(|key| self.inner.marks.of(key)).collect();
        let link = self.inner.far.as_ref().map_or(0, |far| far.redis.link());
        let fetched = match &self.inner.far {
            Some(far) => far.fetch(&missing, wanted()).await,
            None => Vec::new(),
        };
        let mut fetched = fetched.into_iter();
        let (mut rest, mut claims) = (Vec::new(), Vec::new());
        for (key, stamp) in missing.into_iter().zip(stamps) {
            match fetched.next() {
                Some(Fetched::Value(value, since)) => {
                    self.keep(key, Entry { value, since, stamp, link }, found).await;
                    continue;
                }
                Some(Fetched::Claim(claim)) => claims.push((key.clone(), claim)),
                Some(Fetched::Nothing) | None => {}
            }
            rest.push((key, stamp));
        }
        if rest.is_empty() {
            return Ok(());
        }
        let load = Box::pin(load(rest.iter().map(|(key, _)| key.clone()).collect()));
        let (loaded, since) = dated(self.inner.clock.now(), load).await;
        let mut loaded = loaded?;
        if let Some(far) = &self.inner.far {
            let values = claims.into_iter().map(|(key, claim)| (claim, loaded.get(&key)));
            far.fill(values, since).await;
        }
        for (key, stamp) in rest {
            let value = loaded.remove(&key);
            self.keep(key, Entry { value, since, stamp, link }, found).await;
        }
        Ok(())
    }

    async fn keep(&self, key: K, entry: Entry<V>, found: &mut HashMap<K, V>) {
        took(entry.since);
        if let Some(value) = &entry.value {
            found.insert(key.clone(), value.clone());
        }
        if entry.stamp == self.inner.marks.of(&key) {
            self.inner.entries.insert(key, entry).await;
        }
    }

    /// Puts a value in that is known already, such as at a warm start; `since` is a moment before it was read.
    pub async fn insert(&self, key: K, value: V, since: Timestamp) {
        let stamp = self.inner.marks.of(&key);
        self.inner.entries.insert(key, Entry { value: Some(value), since, stamp, link: 0 }).await;
    }

    /// Forgets `key`, and what is being loaded for it now: here, and in the processes that share or hear of this cache. With
    /// a Redis that answers they all have when this returns; else they do after `ttl`.
    pub async fn invalidate(&self, key: &K) {
        self.invalidate_many(std::slice::from_ref(key)).await;
    }

    /// Forgets these keys, as [`Cache::invalidate`] does, in few round trips.
    pub async fn invalidate_many(&self, keys: &[K]) {
        // Noted before it is forgotten here: whoever misses it here must not find the old one in Redis.
        let changed = self.inner.far.as_ref().map(|far| far.changed(keys));
        for key in keys {
            self.inner.marks.mark(key);
            self.inner.entries.invalidate(key).await;
        }
        if let (Some(far), Some(changed)) = (&self.inner.far, changed) {
            far.redis.deliver(changed).await;
        }
    }

    /// Forgets everything, and what is being loaded now; other processes soon.
    pub fn invalidate_all(&self) {
        if let Some(far) = &self.inner.far {
            far.changed_all();
        }
        self.inner.marks.mark_all();
        self.inner.entries.invalidate_all();
    }

    /// About how many entries there are in this process.
    pub fn len(&self) -> u64 {
        self.inner.entries.entry_count()
    }

    /// Whether there seems to be no entry in this process.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    async fn fresh(&self, key: &K, since: Timestamp) -> Option<Entry<V>> {
        let entry = self.inner.entries.get(key).await?;
        if entry.stamp == self.inner.marks.of(key) && entry.since >= since && self.believes(&entry) {
            return Some(entry);
        }
        self.inner.entries.invalidate(key).await;
        None
    }

    /// Whether a change of the entry would have been heard of, or it is young enough without.
    fn believes(&self, entry: &Entry<V>) -> bool {
        entry.link == 0
            || self.inner.far.as_ref().is_none_or(|far| far.redis.link() == entry.link)
            || self.inner.clock.now().since(entry.since) < self.inner.life.alone(entry)
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
