//! Parked events of a subscription, as the process that works on it sees them.

use std::collections::{BTreeMap, HashMap, HashSet};

use kernel::{Shard, Timestamp};

use crate::{BusConfig, store::Waiting};

/// Parked events by place. While an aggregate has one here, its later events wait behind it.
#[derive(Debug, Default)]
pub(crate) struct ParkedSet {
    events: BTreeMap<(Shard, i64), Entry>,
    aggregates: HashMap<String, u32>,
}

#[derive(Clone, Debug)]
struct Entry {
    attempts: u32,
    next_at: Timestamp,
    aggregate: String,
}

/// A parked event whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) place: (Shard, i64),
    pub(crate) attempts: u32,
}

impl ParkedSet {
    /// What the database holds; an event that was pruned stands for itself.
    pub(crate) fn load(rows: Vec<Waiting>) -> Self {
        let mut set = Self::default();
        for row in rows {
            let aggregate = row.aggregate.unwrap_or_else(|| format!("pruned {} {}", row.shard, row.pos));
            set.insert((row.shard, row.pos), row.attempts, row.next_at, aggregate);
        }
        set
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether later events of the aggregate must wait.
    pub(crate) fn holds(&self, aggregate: &str) -> bool {
        self.aggregates.contains_key(aggregate)
    }

    pub(crate) fn insert(
        &mut self,
        place: (Shard, i64),
        attempts: u32,
        next_at: Timestamp,
        aggregate: String,
    ) {
        self.remove(place);
        *self.aggregates.entry(aggregate.clone()).or_default() += 1;
        self.events.insert(place, Entry { attempts, next_at, aggregate });
    }

    /// The event is through, or dead.
    pub(crate) fn remove(&mut self, place: (Shard, i64)) {
        let Some(entry) = self.events.remove(&place) else { return };
        if let Some(count) = self.aggregates.get_mut(&entry.aggregate) {
            *count -= 1;
            if *count == 0 {
                self.aggregates.remove(&entry.aggregate);
            }
        }
    }

    /// The event failed again.
    pub(crate) fn postpone(&mut self, place: (Shard, i64), attempts: u32, next_at: Timestamp) {
        if let Some(entry) = self.events.get_mut(&place) {
            entry.attempts = attempts;
            entry.next_at = next_at;
        }
    }

    /// The first event of each aggregate of these shards, where its time has come.
    pub(crate) fn due(&self, now: Timestamp, limit: usize, of: impl Fn(Shard) -> bool) -> Vec<Due> {
        let mut met: HashSet<&str> = HashSet::new();
        self.events
            .iter()
            .filter(|(_, entry)| met.insert(&entry.aggregate))
            .filter(|((shard, _), entry)| entry.next_at <= now && of(*shard))
            .map(|(place, entry)| Due { place: *place, attempts: entry.attempts })
            .take(limit)
            .collect()
    }
}

/// When an event that failed `attempts` times is tried again: the pause doubles, up to a limit, and half of it is random,
/// so that what failed together does not come back together.
pub(crate) fn next_try(config: &BusConfig, now: Timestamp, attempts: u32) -> Timestamp {
    let doublings = attempts.saturating_sub(config.quick_tries).min(30);
    let pause = config.backoff.saturating_mul(1 << doublings).min(config.longest_backoff);
    now.plus(pause.mul_f64(rand::random_range(0.5..1.0)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    #[test]
    fn only_the_first_event_of_an_aggregate_is_due() {
        let mut set = ParkedSet::default();
        let place = |pos| (Shard::new(0), pos);
        set.insert(place(1), 3, at(10), "a".to_owned());
        set.insert(place(2), 0, at(0), "a".to_owned());
        set.insert(place(3), 3, at(5), "b".to_owned());
        assert_eq!(set.due(at(5), 10, |_| true), [Due { place: place(3), attempts: 3 }]);
        assert_eq!(set.due(at(10), 10, |_| true).len(), 2);
        assert_eq!(set.due(at(10), 1, |_| true), [Due { place: place(1), attempts: 3 }]);
        set.remove(place(1));
        assert_eq!(set.due(at(0), 10, |_| true), [Due { place: place(2), attempts: 0 }]);
        assert!(set.holds("a"));
        set.remove(place(2));
        assert!(!set.holds("a"));
        set.postpone(place(3), 4, at(20));
        assert!(set.due(at(19), 10, |_| true).is_empty());
    }

    #[test]
    fn pauses_double_up_to_the_limit() {
        let config = BusConfig::default();
        for (attempts, longest) in [(3, 500), (4, 1_000), (7, 8_000), (19, 600_000), (u32::MAX, 600_000)] {
            let pause = next_try(&config, at(0), attempts).since(at(0));
            let longest = Duration::from_millis(longest);
            assert!(pause >= longest / 2 && pause <= longest, "{attempts}: {pause:?}");
        }
    }
}
