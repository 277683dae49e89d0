//! A region that was drained answers programs for a while yet.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use placement::{RegionRow, State};

/// When this process saw its region drained first.
#[derive(Debug)]
pub(crate) struct Linger {
    lasts: Duration,
    /// The version of the region's row that was seen, and when.
    since: Mutex<Option<(u64, Instant)>>,
}

impl Linger {
    pub(crate) fn new(lasts: Duration) -> Self {
        Self { lasts, since: Mutex::default() }
    }

    /// Whether a region that is out in this way still answers at `now`. Each time it is taken out counts anew.
    pub(crate) fn answers(&self, row: &RegionRow, now: Instant) -> bool {
        if row.state != State::Drained {
            return false;
        }
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, begin) = match *since {
            Some(seen) if seen.0 == row.version => seen,
            _ => *since.insert((row.version, now)),
        };
        now.saturating_duration_since(begin) < self.lasts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{region, world};

    #[test]
    fn only_a_drained_region_and_only_for_a_while() {
        let mut row = world(&["a"]).desired.regions.remove(&region("a")).unwrap();
        let (linger, begin) = (Linger::new(Duration::from_secs(60)), Instant::now());
        let later = |seconds| begin + Duration::from_secs(seconds);
        row.state = State::Fenced;
        assert!(!linger.answers(&row, begin));
        row.state = State::Drained;
        assert!(linger.answers(&row, begin) && linger.answers(&row, later(59)));
        assert!(!linger.answers(&row, later(60)));
        // Let back and drained again.
        row.version += 2;
        assert!(linger.answers(&row, later(61)) && !linger.answers(&row, later(121)));
        assert!(!Linger::new(Duration::ZERO).answers(&row, begin));
    }
}
