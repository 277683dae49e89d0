//! The second level, as a cache sees it.

use std::{sync::OnceLock, time::Duration};

use kernel::Timestamp;

use super::{Meters, Outcome, Settings, jittered};
use crate::{
    Codec, Key, Redis,
    redis::{Changed, Claim, Found, Space, Stored},
};

/// What the second level has under a key.
pub(super) enum Fetched<V> {
    /// A value, or that there is none, and the moment before it was loaded.
    Value(Option<V>, Timestamp),
    /// Nothing; what is loaded now may be put there.
    Claim(Claim),
    /// Nothing.
    Nothing,
}

/// The second level of a cache: where it has a codec Redis keeps its values, else it only tells of changes.
pub(super) struct Far<K, V> {
    pub(super) redis: Redis,
    space: Space,
    text: fn(&K) -> String,
    codec: Option<Codec<V>>,
    ttl: Duration,
    negative_ttl: Duration,
    jitter: f64,
    meters: Meters,
}

impl<K, V> Far<K, V> {
    pub(super) fn new(redis: Redis, settings: &Settings, codec: Option<Codec<V>>) -> Self
    where
        K: Key,
    {
        let ttl = settings.far_ttl.unwrap_or(redis.config().l2_ttl);
        let negative_ttl = redis.config().l2_negative_ttl.min(ttl);
        Self {
            redis,
            space: Space { name: settings.name, version: settings.version, stored: codec.is_some() },
            text: K::text,
            codec,
            ttl,
            negative_ttl,
            jitter: settings.jitter,
            meters: Meters(OnceLock::new(), settings.name, "l2"),
        }
    }

    /// What Redis has under these keys, in their order; nothing at all where it is not asked.
    pub(super) async fn fetch(&self, keys: &[K], since: Timestamp) -> Vec<Fetched<V>> {
        let Some(codec) = &self.codec else { return Vec::new() };
        let texts: Vec<String> = keys.iter().map(self.text).collect();
        let Some(found) = self.redis.find(self.space, &texts, since).await else {
            self.meters.count(Outcome::Bypass, keys.len() as u64);
            return Vec::new();
        };
        found.into_iter().map(|found| self.read(codec, found)).collect()
    }

    fn read(&self, codec: &Codec<V>, found: Found) -> Fetched<V> {
        let (outcome, fetched) = match found {
            Found::Value(Stored { since, body: None }) => (Outcome::Negative, Fetched::Value(None, since)),
            Found::Value(Stored { since, body: Some(body) }) => match (codec.decode)(&body) {
                Some(value) => (Outcome::Hit, Fetched::Value(Some(value), since)),
                // Written by other code than this: as if it were not there.
                None => (Outcome::Miss, Fetched::Nothing),
            },
            Found::Claimed(claim) => (Outcome::Miss, Fetched::Claim(claim)),
            Found::Nothing => (Outcome::Miss, Fetched::Nothing),
        };
        self.meters.count(outcome, 1);
        fetched
    }

    /// Puts what was loaded where the claims still stand.
    pub(super) async fn fill<'a>(
        &self,
        loaded: impl IntoIterator<Item = (Claim, Option<&'a V>)>,
        since: Timestamp,
    ) where
        V: 'a,
    {
        let Some(codec) = &self.codec else { return };
        let mut values = Vec::new();
        for (claim, value) in loaded {
            let ttl = if value.is_some() { self.ttl } else { self.negative_ttl };
            let body = match value.map(codec.encode) {
                Some(None) => continue,
                Some(encoded) => encoded,
                None => None,
            };
            values.push((claim, Stored { since, body }, jittered(ttl, self.jitter)));
        }
        if !values.is_empty() {
            self.redis.fill(values).await;
        }
    }

    /// Notes that these keys changed.
    pub(super) fn changed(&self, keys: &[K]) -> Changed {
        self.redis.changed(self.space, keys.iter().map(self.text).collect())
    }

    /// Notes that everything changed.
    pub(super) fn changed_all(&self) {
        self.redis.changed_all(self.space);
    }
}
