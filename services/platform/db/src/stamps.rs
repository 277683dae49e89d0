//! What changed in this process, for caches of documents that are made from several domains' rows.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use uuid::Uuid;

/// Slots; keys that share one only cost each other a load.
const SLOTS: usize = 1 << 14;

/// A counter a slot, moved after each commit of this process that [touched](crate::Tx::touch) a key of the slot.
#[derive(Clone, Debug)]
pub struct Stamps(Arc<[AtomicU64]>);

/// How the slots of some keys stood.
#[derive(Clone, Debug, Default)]
pub struct Stamp(Vec<(usize, u64)>);

impl Stamps {
    pub(crate) fn new() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }

    /// How the slots of `keys` stand. Taken before the rows are read, it holds as long as none of them changed here;
    /// what other processes change it sees only where somebody touches it here, so a document needs a time to live, too.
    pub fn take(&self, keys: impl IntoIterator<Item = Uuid>) -> Stamp {
        Stamp(keys.into_iter().map(slot).map(|slot| (slot, self.0[slot].load(Ordering::Acquire))).collect())
    }

    /// Whether none of the stamp's slots moved since it was taken.
    pub fn hold(&self, stamp: &Stamp) -> bool {
        stamp.0.iter().all(|&(slot, count)| self.0[slot].load(Ordering::Acquire) == count)
    }

    /// Says that `key` changed: by a commit here, or elsewhere where that is heard of.
    pub fn touch(&self, key: Uuid) {
        self.0[slot(key)].fetch_add(1, Ordering::Release);
    }
}

fn slot(key: Uuid) -> usize {
    let value = key.as_u128();
    // Ids are random in the middle: their ends are time and shard.
    usize::try_from((value >> 16) % SLOTS as u128).unwrap_or(0)
}
