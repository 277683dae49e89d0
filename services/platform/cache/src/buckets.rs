//! Token buckets that all processes share.

use std::time::Duration;

use crate::Redis;

/// What a bucket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// One was taken.
    Granted,
    /// It is empty; come again after this time.
    Refused(Duration),
    /// Redis cannot be asked: a process' own bucket decides.
    Unknown,
}

/// Buckets of one kind, one a key: each holds a minute's worth and refills evenly. A Redis that lost its memory has full
/// ones.
#[derive(Clone, Debug)]
pub struct SharedBuckets {
    redis: Redis,
    kind: &'static str,
    each: Duration,
}

impl SharedBuckets {
    /// Buckets of `per_minute` each, at least one; `kind` tells them apart from others.
    pub fn new(redis: Redis, kind: &'static str, per_minute: u32) -> Self {
        Self { redis, kind, each: Duration::from_secs(60) / per_minute.max(1) }
    }

    /// Takes one from the bucket of `key`.
    pub async fn take(&self, key: &str) -> Taken {
        // The bucket holds what a minute brings, whatever was rounded off.
        let full = Duration::from_secs(60).max(self.each);
        match self.redis.take(&format!("{}:{key}", self.kind), self.each, full).await {
            Some(None) => Taken::Granted,
            Some(Some(wait)) => Taken::Refused(wait),
            None => Taken::Unknown,
        }
    }
}
