//! Which shards are being worked on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kernel::Shard;

/// How many batches of each shard are under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(Arc<Mutex<BTreeMap<Shard, usize>>>);

/// A batch under way.
#[derive(Debug)]
#[must_use]
pub struct Busy {
    counts: Counts,
    shards: Vec<Shard>,
}

impl Counts {
    pub(crate) fn begin(&self, shards: impl IntoIterator<Item = Shard>) -> Busy {
        let shards: Vec<Shard> = shards.into_iter().collect();
        let mut counts = self.lock();
        for shard in &shards {
            *counts.entry(*shard).or_default() += 1;
        }
        drop(counts);
        Busy { counts: self.clone(), shards }
    }

    pub(crate) fn now(&self) -> BTreeSet<Shard> {
        self.lock().keys().copied().collect()
    }

    /// A count is changed in one step: a panic leaves it whole.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Shard, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        for shard in &self.shards {
            if let Some(count) = counts.get_mut(shard) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(shard);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_busy_until_its_last_batch_ends() {
        let counts = Counts::default();
        let (one, two) = (Shard::new(1), Shard::new(2));
        let first = counts.begin([one, two]);
        let second = counts.begin([one]);
        drop(first);
        assert_eq!(counts.now(), BTreeSet::from([one]));
        drop(second);
        assert!(counts.now().is_empty());
    }
}
