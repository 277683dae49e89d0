//! Token buckets per user, key and address: a process' own, and where there is a Redis those that all processes share.
//!
//! The own bucket is asked first: who is refused there costs no round trip, and while Redis is down it decides alone.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use contracts::UserId;
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use kernel::{Failure, Result, code};
use platform_cache::{Redis, SharedBuckets, Taken};
use sha2::{Digest, Sha256};

use crate::RateLimitConfig;

/// How many takes pass between two looks at the size of a store.
const LOOK_EVERY: u32 = 1_024;
/// Buckets that callers share while a store is full.
const SHARED_BUCKETS: u64 = 1_024;

/// The three kinds of limits.
pub(crate) struct Limits {
    hasher: RandomState,
    users: Option<Limit>,
    keys: Option<Limit>,
    addresses: Option<Limit>,
}

/// A limit: this process' buckets, and those of all processes.
struct Limit {
    own: Buckets,
    shared: Option<SharedBuckets>,
}

impl Limits {
    pub(crate) fn new(config: &RateLimitConfig, redis: Option<&Redis>) -> Self {
        let limit = |kind: &'static str, per_minute: u32| {
            let limit = NonZeroU32::new(per_minute).filter(|_| config.enabled)?;
            let shared = redis.map(|redis| SharedBuckets::new(redis.clone(), kind, per_minute));
            Some(Limit { own: Buckets::new(limit, config.max_keys), shared })
        };
        Self {
            hasher: RandomState::new(),
            users: limit("user", config.per_user),
            keys: limit("key", config.per_key),
            addresses: limit("address", config.per_address),
        }
    }

    pub(crate) async fn user(&self, user: UserId) -> Result<()> {
        self.take(self.users.as_ref(), &user, || user.to_string()).await
    }

    pub(crate) async fn key(&self, token: &str) -> Result<()> {
        // A token is nobody's business but its owner's.
        self.take(self.keys.as_ref(), &token, || hex::encode(&Sha256::digest(token)[..16])).await
    }

    pub(crate) async fn address(&self, address: IpAddr) -> Result<()> {
        match address.to_canonical() {
            IpAddr::V4(v4) => self.take(self.addresses.as_ref(), &v4, || v4.to_string()).await,
            // One customer commonly holds a whole /64.
            IpAddr::V6(v6) => {
                let net = v6.to_bits() >> 64;
                self.take(self.addresses.as_ref(), &net, || format!("{net:016x}")).await
            }
        }
    }

    async fn take(
        &self,
        limit: Option<&Limit>,
        key: &(impl Hash + Sync),
        name: impl FnOnce() -> String + Send,
    ) -> Result<()> {
        let Some(limit) = limit else { return Ok(()) };
        limit.own.take(self.hasher.hash_one(key))?;
        match &limit.shared {
            None => Ok(()),
            Some(shared) => match shared.take(&name()).await {
                Taken::Granted | Taken::Unknown => Ok(()),
                Taken::Refused(wait) => Err(refused(wait)),
            },
        }
    }
}

fn refused(wait: Duration) -> Failure {
    Failure::new(code::RATE_LIMITED)
        .retry_after(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1))
}

struct Buckets {
    own: DefaultKeyedRateLimiter<u64>,
    shared: DefaultKeyedRateLimiter<u64>,
    clock: DefaultClock,
    max_keys: usize,
    taken: AtomicU32,
    full: AtomicBool,
}

impl Buckets {
    fn new(per_minute: NonZeroU32, max_keys: usize) -> Self {
        let quota = Quota::per_minute(per_minute);
        Self {
            own: RateLimiter::keyed(quota),
            shared: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            max_keys,
            taken: AtomicU32::new(0),
            full: AtomicBool::new(false),
        }
    }

    fn take(&self, key: u64) -> Result<()> {
        if self.taken.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK_EVERY) {
            self.sweep();
        }
        let answer = if self.full.load(Ordering::Relaxed) {
            self.shared.check_key(&(key % SHARED_BUCKETS))
        } else {
            self.own.check_key(&key)
        };
        answer.map_err(|not_yet| refused(not_yet.wait_time_from(self.clock.now())))
    }

    /// Drops buckets that are full again: they say nothing. The store stays bounded, whatever addresses are made up.
    fn sweep(&self) {
        if self.own.len() >= self.max_keys {
            self.own.retain_recent();
        }
        self.full.store(self.own.len() >= self.max_keys, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn limits(per_address: u32, max_keys: usize) -> Limits {
        Limits::new(&RateLimitConfig { per_address, max_keys, ..RateLimitConfig::default() }, None)
    }

    #[tokio::test]
    async fn refuses_what_is_over_and_says_when_to_come_back() {
        let limits = limits(2, 100);
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        limits.address(a).await.unwrap();
        limits.address(a).await.unwrap();
        let refused = limits.address(a).await.unwrap_err();
        assert!(refused.is(code::RATE_LIMITED));
        assert!((1..=31).contains(&refused.problem().retry_after.unwrap()));
        limits.address(b).await.unwrap();
    }

    #[tokio::test]
    async fn neighbours_in_a_64_share_a_bucket() {
        let limits = limits(1, 100);
        limits.address(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1).into()).await.unwrap();
        assert!(limits.address(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 9, 9, 9, 9).into()).await.is_err());
        limits.address(Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 1).into()).await.unwrap();
    }

    #[tokio::test]
    async fn the_store_stays_bounded() {
        let limits = limits(1_000, 2_000);
        for n in 0..20_000_u32 {
            let _ = limits.address(IpAddr::from(n.to_be_bytes())).await;
        }
        let own = limits.addresses.as_ref().unwrap().own.own.len();
        assert!(own <= 2_000 + usize::try_from(LOOK_EVERY).unwrap(), "{own}");
    }

    #[tokio::test]
    async fn can_be_turned_off() {
        let limits = Limits::new(
            &RateLimitConfig { enabled: false, per_address: 1, ..RateLimitConfig::default() },
            None,
        );
        for _ in 0..10 {
            limits.address(IpAddr::from([10, 0, 0, 1])).await.unwrap();
        }
    }

    /// Two processes: together they let through what one may, and what each may alone while Redis is down.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts a Redis server: cargo xtask test --real"]
    async fn processes_limit_together() {
        let server = stack::Redis::start().unwrap();
        let config = platform_cache::testing::patient(&[server.address()]);
        let mut processes = Vec::new();
        for _ in 0..2 {
            let redis = platform_cache::testing::open(&config).await;
            let limits =
                Limits::new(&RateLimitConfig { per_key: 4, ..RateLimitConfig::default() }, Some(&redis));
            processes.push((limits, redis));
        }
        let through = async |token: &str| {
            let mut through = 0;
            for turn in 0..12 {
                through += usize::from(processes[turn % 2].0.key(token).await.is_ok());
            }
            through
        };
        assert_eq!(through("a secret token").await, 4);
        let keys = server.keys("*:bucket:key:*").unwrap();
        assert!(keys.len() == 1 && !keys[0].contains("secret"), "{keys:?}");
        assert_eq!(through("another token").await, 4);
        server.kill().unwrap();
        let start = std::time::Instant::now();
        while processes.iter().any(|(_, redis)| redis.health().is_ok()) {
            assert!(start.elapsed() < Duration::from_secs(60));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut alone = 0;
        for turn in 0..12 {
            alone += usize::from(processes[turn % 2].0.key("a third token").await.is_ok());
        }
        assert_eq!(alone, 8);
    }
}
