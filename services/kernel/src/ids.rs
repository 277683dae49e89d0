//! Where new ids come from.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use uuid::Uuid;

use crate::{
    Clock, Id, Kind, Shard,
    id::{shard_of, with_shard},
};

/// Mints ids: UUID version 7 with microseconds in `rand_a` (RFC 9562, section 6.2, method 3), 52 random bits, and the
/// shard in the last ten. Ids of one process sort in the order they were minted: a microsecond is used once, and when the
/// clock stands still or goes back the next free one is taken.
#[derive(Clone, Debug)]
pub struct Ids {
    clock: Arc<dyn Clock>,
    last: Arc<AtomicI64>,
}

impl Ids {
    /// Ids that take their time from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, last: Arc::default() }
    }

    /// A new id on `shard`.
    pub fn mint<K: Kind>(&self, shard: Shard) -> Id<K> {
        Id::from_uuid(self.uuid(shard))
    }

    /// A new id on the shard that `old` carries.
    pub fn anew(&self, old: Uuid) -> Uuid {
        self.uuid(shard_of(old))
    }

    /// A new id without a kind, for rows that no client sees.
    pub fn uuid(&self, shard: Shard) -> Uuid {
        let now = self.clock.now().micros();
        let previous = self.last.fetch_max(now, Ordering::Relaxed);
        let micros = if now > previous { now } else { self.last.fetch_add(1, Ordering::Relaxed) + 1 };
        let micros = u128::try_from(micros).unwrap_or(0);
        // 1,000 µs a millisecond spread over the 12 bits of rand_a.
        let fraction = (micros % 1_000) * 4_096 / 1_000;
        let random: u64 = rand::random();
        let value =
            ((micros / 1_000) << 80) | (7 << 76) | (fraction << 64) | (0b10 << 62) | u128::from(random >> 2);
        with_shard(Uuid::from_u128(value), shard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FakeClock, Timestamp};

    #[test]
    fn ids_sort_by_time_and_carry_version_and_shard() {
        let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_700_000_000_000_001)));
        let ids = Ids::new(clock.clone());
        let first = ids.uuid(Shard::new(5));
        assert!(first < ids.uuid(Shard::new(0)), "also while the clock stands still");
        clock.advance(std::time::Duration::from_micros(5));
        let second = ids.uuid(Shard::new(5));
        assert!(first < second);
        assert_eq!(first.get_version_num(), 7);
        assert_eq!(first.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(first.as_u128() & 1023, 5);
        let anew = ids.anew(first);
        assert!(anew > second);
        assert_eq!(anew.as_u128() & 1023, 5);
    }
}
