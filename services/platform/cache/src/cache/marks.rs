//! What was invalidated.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

/// Keys share this many invalidation counters: two keys on one counter cost a needless load, never a stale value.
const STRIPES: usize = 1024;

/// What was invalidated, by counters.
pub(super) struct Marks<K> {
    hasher: RandomState,
    epoch: AtomicU64,
    stripes: Vec<AtomicU64>,
    keys: std::marker::PhantomData<fn(&K)>,
}

impl<K: Hash> Marks<K> {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            epoch: AtomicU64::new(0),
            stripes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            keys: std::marker::PhantomData,
        }
    }

    /// The key's stamp: another one after it was invalidated.
    pub(super) fn of(&self, key: &K) -> (u64, u64) {
        let stripe = &self.stripes[self.stripe(key)];
        (self.epoch.load(Ordering::SeqCst), stripe.load(Ordering::SeqCst))
    }

    pub(super) fn mark(&self, key: &K) {
        self.stripes[self.stripe(key)].fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn mark_all(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    fn stripe(&self, key: &K) -> usize {
        // The remainder is below STRIPES.
        usize::try_from(self.hasher.hash_one(key) % STRIPES as u64).unwrap_or(0)
    }
}
