//! The caches of a process.

use std::{hash::Hash, sync::Arc};

use kernel::Clock;

use super::{Cache, Settings, far::Far, marks::Marks};
use crate::{Codec, Key, Redis};

/// Makes the caches of a process: alone, or over the Redis that it shares with others. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caches {
    clock: Arc<dyn Clock>,
    redis: Option<Redis>,
}

impl Caches {
    /// Caches over this Redis.
    pub fn new(clock: Arc<dyn Clock>, redis: Option<Redis>) -> Self {
        Self { clock, redis }
    }

    /// Caches of a process that is alone.
    pub fn alone(clock: Arc<dyn Clock>) -> Self {
        Self::new(clock, None)
    }

    /// The Redis, where there is one.
    pub fn redis(&self) -> Option<&Redis> {
        self.redis.as_ref()
    }

    /// A cache of this process only.
    pub fn local<K, V>(&self, settings: Settings) -> Cache<K, V>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        Cache::new(settings, Arc::clone(&self.clock))
    }

    /// A cache of this process whose invalidations all processes hear of.
    pub fn told<K, V>(&self, settings: Settings) -> Cache<K, V>
    where
        K: Key + Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        self.over(settings, None)
    }

    /// A cache whose values Redis keeps for all processes.
    pub fn shared<K, V>(&self, settings: Settings, codec: Codec<V>) -> Cache<K, V>
    where
        K: Key + Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        self.over(settings, Some(codec))
    }

    fn over<K, V>(&self, settings: Settings, codec: Option<Codec<V>>) -> Cache<K, V>
    where
        K: Key + Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let Some(redis) = &self.redis else { return self.local(settings) };
        let marks = Arc::new(Marks::<K>::new());
        let heard = Arc::clone(&marks);
        redis.listen(settings.name, move |line| match K::parse(line) {
            _ if line == "*" => heard.mark_all(),
            Some(key) => heard.mark(&key),
            None => heard.mark_all(),
        });
        let far = Far::new(redis.clone(), &settings, codec);
        Cache::build(&settings, Arc::clone(&self.clock), marks, Some(far))
    }
}
