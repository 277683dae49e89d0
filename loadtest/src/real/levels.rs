//! The two levels of the caches: how long a hit takes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use kernel::SystemClock;
use platform_cache::{Cache, Caches, Codec, RedisConfig, RedisEngine, Settings};
use stack::Redis;

use crate::{Proof, told};

const KEYS: usize = 2_000;
/// A product's page as JSON is about so long.
const VALUE: usize = 2_000;
const LIFE: Duration = Duration::from_secs(300);

/// One process fills both levels; a second one finds everything in Redis first, and then in its own.
pub(super) async fn run(redis: &Redis, proof: &mut Proof) -> Result<()> {
    let (first, second) = (process(redis).await?, process(redis).await?);
    hits(&first, true).await?;
    for (level, name) in ["L2 hit (Redis)", "L1 hit (own)"].into_iter().enumerate() {
        let taken = hits(&second, false).await?;
        let micros = |quantile: f64| {
            let nanos = u32::try_from(taken.value_at_quantile(quantile)).unwrap_or(u32::MAX);
            (f64::from(nanos) / 100.0).round() / 10.0
        };
        proof.figure(&format!("{name}: p50 µs"), micros(0.5));
        proof.figure(&format!("{name}: p99 µs"), micros(0.99));
        ensure!(level == 0 || micros(0.5) < 1_000.0, "a hit in the own level asks nobody");
    }
    Ok(())
}

async fn process(redis: &Redis) -> Result<Cache<String, Arc<String>>> {
    let config =
        RedisConfig { engine: RedisEngine::Redis, nodes: vec![redis.address()], ..RedisConfig::default() };
    let redis = platform_cache::Redis::open(&config).map_err(told)?;
    if let Some(redis) = &redis {
        ensure!(redis.connected(Duration::from_secs(10)).await, "Redis is not reached");
    }
    let caches = Caches::new(Arc::new(SystemClock), redis);
    Ok(caches.shared(Settings::new("levels", 10_000, LIFE), Codec::json_shared()))
}

/// Asks for every key once; how long each took, in nanoseconds. Only who fills may have to load.
async fn hits(cache: &Cache<String, Arc<String>>, fills: bool) -> Result<Histogram<u64>> {
    let mut taken = Histogram::new(3)?;
    for n in 0..KEYS {
        let key = format!("key-{n}");
        let start = Instant::now();
        let found = cache.get_or_load(&key, async || Ok(fills.then(|| Arc::new("x".repeat(VALUE))))).await;
        taken.record(u64::try_from(start.elapsed().as_nanos())?)?;
        ensure!(found.map_err(told)?.is_some(), "{key} is in neither level");
    }
    Ok(taken)
}
