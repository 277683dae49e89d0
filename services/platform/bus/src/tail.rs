//! The end of the log in memory: subscriptions that keep up need not read it, each for itself, from the database.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use contracts::Event;

use crate::store::Range;

/// Events a shard keeps.
const KEPT: usize = 256;

/// The last events of every shard, of the topics that somebody in this process takes.
#[derive(Debug)]
pub(crate) struct Tail(Mutex<Vec<Span>>);

/// Everything behind `from` up to `to`.
#[derive(Clone, Debug, Default)]
struct Span {
    from: i64,
    to: i64,
    events: VecDeque<Arc<Event>>,
}

impl Tail {
    pub(crate) fn new(shards: u16) -> Self {
        Self(Mutex::new(vec![Span::default(); usize::from(shards)]))
    }

    /// Adds what the ranges hold; a range that does not follow on what is there replaces it.
    pub(crate) fn extend(&self, ranges: &[Range], events: Vec<Event>) {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for range in ranges {
            let Some(span) = spans.get_mut(usize::from(range.shard.number())) else { continue };
            if span.to != range.from {
                *span = Span { from: range.from, to: range.from, events: VecDeque::new() };
            }
            span.to = range.to;
        }
        for event in events {
            let Some(span) = spans.get_mut(usize::from(event.shard.number())) else { continue };
            if span.events.len() == KEPT
                && let Some(dropped) = span.events.pop_front()
            {
                span.from = dropped.pos;
            }
            span.events.push_back(Arc::new(event));
        }
    }

    /// The events of `topics` in the ranges, by shard and position; None when some are not here.
    pub(crate) fn events(&self, topics: &[&'static str], ranges: &[Range]) -> Option<Vec<Arc<Event>>> {
        let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for range in ranges {
            let span = spans.get(usize::from(range.shard.number()))?;
            if range.from < span.from || range.to > span.to {
                return None;
            }
            let start = span.events.partition_point(|event| event.pos <= range.from);
            let wanted = span.events.iter().skip(start).take_while(|event| event.pos <= range.to);
            found.extend(wanted.filter(|event| topics.contains(&event.topic.as_str())).cloned());
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use kernel::{Shard, Timestamp};

    use super::*;

    fn range(from: i64, to: i64) -> Range {
        Range { shard: Shard::new(1), from, to }
    }

    fn log(positions: std::ops::RangeInclusive<i64>) -> Vec<Event> {
        positions
            .map(|pos| Event {
                shard: Shard::new(1),
                pos,
                topic: if pos % 2 == 0 { "even" } else { "odd" }.to_owned(),
                aggregate: String::new(),
                at: Timestamp::default(),
                body: Vec::new(),
                trace: None,
            })
            .collect()
    }

    fn positions(tail: &Tail, topics: &[&'static str], from: i64, to: i64) -> Option<Vec<i64>> {
        Some(tail.events(topics, &[range(from, to)])?.iter().map(|event| event.pos).collect())
    }

    #[test]
    fn gives_what_it_has_and_nothing_else() {
        let tail = Tail::new(2);
        tail.extend(&[range(10, 14)], log(11..=14));
        tail.extend(&[range(14, 16)], log(15..=16));
        assert_eq!(positions(&tail, &["even"], 10, 15).unwrap(), [12, 14]);
        assert_eq!(positions(&tail, &["even", "odd"], 14, 16).unwrap(), [15, 16]);
        assert!(positions(&tail, &["even"], 9, 12).is_none(), "older than what is kept");
        assert!(positions(&tail, &["even"], 15, 17).is_none(), "newer");
        tail.extend(&[range(20, 21)], log(21..=21));
        assert!(positions(&tail, &["even"], 15, 16).is_none(), "a gap starts over");
        tail.extend(&[range(21, 421)], log(22..=421));
        assert!(positions(&tail, &["odd"], 20, 30).is_none());
        assert_eq!(positions(&tail, &["odd"], 417, 421).unwrap(), [419, 421]);
    }
}
