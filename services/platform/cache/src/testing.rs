//! A Redis for tests (feature `testing`).

use std::time::Duration;

use crate::{Redis, RedisConfig, RedisEngine};

/// Longest wait for a server on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// The configuration of a process over these servers that takes no busy machine for a Redis that is down: what it kept is
/// believed on through any stall.
pub fn patient(nodes: &[String]) -> RedisConfig {
    RedisConfig {
        engine: RedisEngine::Redis,
        nodes: nodes.to_vec(),
        cluster: nodes.len() > 1,
        command_timeout: Duration::from_secs(10),
        lease: Duration::from_secs(60),
        ..RedisConfig::default()
    }
}

/// A process' handle, once it is connected.
///
/// # Panics
/// When it cannot be had.
pub async fn open(config: &RedisConfig) -> Redis {
    let redis = Redis::open(config);
    let Ok(Some(redis)) = redis else { panic!("no Redis by this configuration: {redis:?}") };
    assert!(redis.connected(LIMIT).await, "{:?}", redis.health());
    redis
}
