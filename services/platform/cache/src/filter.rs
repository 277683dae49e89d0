//! The filter of ids.

use std::{
    fmt,
    hash::Hash,
    sync::{PoisonError, RwLock},
};

use fastbloom::AtomicBloomFilter;

/// A Bloom filter over ids: it knows for certain that an id was never inserted, and is wrong about ids that it takes for
/// inserted as often as its false positive rate says. Until it was filled once it knows nothing.
///
/// An id must be inserted before anybody learns of it. Ids made by another process arrive late, with their event: whoever
/// asks must let ids pass that are younger than that lag (an id carries its time).
pub struct Filter {
    rate: f64,
    bits: RwLock<Bits>,
}

struct Bits {
    current: Option<AtomicBloomFilter>,
    /// Filled beside the current one; ids inserted meanwhile go into both.
    next: Option<AtomicBloomFilter>,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("rate", &self.rate)
            .field("filled", &self.is_filled())
            .finish_non_exhaustive()
    }
}

impl Filter {
    /// A filter that is wrong about one in `1 / rate` of the ids it was not given; knows nothing yet.
    pub fn new(rate: f64) -> Self {
        Self { rate: rate.clamp(1e-9, 0.5), bits: RwLock::new(Bits { current: None, next: None }) }
    }

    /// Whether it has been filled.
    pub fn is_filled(&self) -> bool {
        self.read(|bits| bits.current.is_some())
    }

    /// Whether `id` was certainly never inserted.
    pub fn is_absent(&self, id: &impl Hash) -> bool {
        self.read(|bits| bits.current.as_ref().is_some_and(|current| !current.contains(id)))
    }

    /// Adds an id; without effect before the first filling, which has to find the id itself.
    pub fn insert(&self, id: &impl Hash) {
        self.read(|bits| {
            for filter in bits.current.iter().chain(&bits.next) {
                filter.insert(id);
            }
        });
    }

    /// Begins to fill it anew, sized for `expected` ids (2 MB for a million at one in a thousand); the old content answers until [`Rebuild::finish`].
    /// A second rebuild begun meanwhile takes the first one's place.
    pub fn rebuild(&self, expected: usize) -> Rebuild<'_> {
        let next = AtomicBloomFilter::with_false_pos(self.rate).expected_items(expected.max(1024));
        self.bits.write().unwrap_or_else(PoisonError::into_inner).next = Some(next);
        Rebuild { filter: self }
    }

    fn read<T>(&self, ask: impl FnOnce(&Bits) -> T) -> T {
        ask(&self.bits.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A filling under way.
#[derive(Debug)]
pub struct Rebuild<'a> {
    filter: &'a Filter,
}

impl Rebuild<'_> {
    /// Adds an id that exists.
    pub fn insert(&self, id: &impl Hash) {
        self.filter.read(|bits| {
            if let Some(next) = &bits.next {
                next.insert(id);
            }
        });
    }

    /// Lets the new content answer.
    pub fn finish(self) {
        let mut bits = self.filter.bits.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(next) = bits.next.take() {
            bits.current = Some(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_is_absent_once_filled() {
        let filter = Filter::new(0.001);
        assert!(!filter.is_absent(&1));
        let rebuild = filter.rebuild(10_000);
        (0..10_000).for_each(|id| rebuild.insert(&id));
        filter.insert(&77_777); // comes while it is being filled
        rebuild.finish();
        assert!((0..10_000).all(|id| !filter.is_absent(&id)));
        assert!(!filter.is_absent(&77_777));
        let wrong = (100_000..200_000).filter(|id| !filter.is_absent(id)).count();
        assert!(wrong < 300, "{wrong} of 100,000 taken for present; one in a thousand was promised");
    }

    #[test]
    fn a_rebuild_forgets_what_is_gone() {
        let filter = Filter::new(0.001);
        let rebuild = filter.rebuild(10);
        rebuild.insert(&1);
        rebuild.finish();
        let rebuild = filter.rebuild(10);
        rebuild.insert(&2);
        assert!(!filter.is_absent(&1));
        rebuild.finish();
        assert!(filter.is_absent(&1) && !filter.is_absent(&2));
    }
}
