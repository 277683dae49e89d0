//! How far a shard's log is published.

use std::collections::VecDeque;

use contracts::Event;

/// A shard's progress: `written` ≤ `acked` ≤ `sent`.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The cursor as it stands in the database.
    pub(crate) written: i64,
    /// The broker has acknowledged everything up to here.
    pub(crate) acked: i64,
    /// Everything up to here was sent.
    pub(crate) sent: i64,
    chunks: VecDeque<Chunk>,
    /// Number of the first chunk.
    first: u64,
}

#[derive(Debug)]
struct Chunk {
    to: i64,
    open: usize,
}

impl Progress {
    /// Begins anew at a position; what was sent behind it counts no more.
    pub(crate) fn reset(&mut self, pos: i64) {
        (self.written, self.acked, self.sent) = (pos, pos, pos);
        self.first += u64::try_from(self.chunks.len()).unwrap_or_default();
        self.chunks.clear();
    }

    /// What lies behind `sent` up to `to` goes out in so many parts. Returns the chunk's number.
    pub(crate) fn send(&mut self, to: i64, parts: usize) -> u64 {
        let number = self.first + u64::try_from(self.chunks.len()).unwrap_or_default();
        self.chunks.push_back(Chunk { to, open: parts });
        self.sent = to;
        self.settle();
        number
    }

    /// A part of a chunk was acknowledged.
    pub(crate) fn acknowledge(&mut self, chunk: u64) {
        let place = chunk.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        if let Some(chunk) = place.and_then(|place| self.chunks.get_mut(place)) {
            chunk.open = chunk.open.saturating_sub(1);
        }
        self.settle();
    }

    /// Parts may be acknowledged in any order; the position moves over chunks that are whole.
    fn settle(&mut self) {
        while self.chunks.front().is_some_and(|chunk| chunk.open == 0) {
            if let Some(chunk) = self.chunks.pop_front() {
                self.acked = chunk.to;
                self.first += 1;
            }
        }
    }
}

/// Longest part, in bytes of bodies; brokers take 5 MiB.
const BYTES: usize = 1024 * 1024;

/// Cuts one producer's events into what is sent as one message each. `last` is the last sequence id that the broker has seen of
/// this producer: of what it should have already only the last event is sent, alone, and its acknowledgement as a duplicate
/// proves that all before it are stored. (A batch that reaches over that point would be dropped whole.)
pub(crate) fn parts<'a>(events: &[&'a Event], last: i64, most: usize) -> Vec<Vec<&'a Event>> {
    let known = events.partition_point(|event| event.pos <= last);
    let (known, new) = events.split_at(known);
    let mut parts: Vec<Vec<&Event>> = known.last().map(|event| vec![*event]).into_iter().collect();
    let mut part: Vec<&Event> = Vec::new();
    let mut bytes = 0;
    for event in new {
        if part.len() == most || (!part.is_empty() && bytes + event.body.len() > BYTES) {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        part.push(event);
        bytes += event.body.len();
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use kernel::{Shard, Timestamp};

    use super::*;

    #[test]
    fn the_position_waits_for_every_part_before_it() {
        let mut shard = Progress::default();
        shard.reset(10);
        let (one, two) = (shard.send(20, 2), shard.send(30, 1));
        shard.acknowledge(two);
        shard.acknowledge(one);
        assert_eq!((shard.acked, shard.sent), (10, 30));
        shard.acknowledge(one);
        assert_eq!(shard.acked, 30);
        shard.send(40, 0);
        assert_eq!(shard.acked, 40, "pruned positions need no acknowledgement");
        let old = shard.send(50, 1);
        shard.reset(15);
        let new = shard.send(20, 1);
        shard.acknowledge(old);
        assert_eq!(
            (shard.written, shard.acked, shard.sent),
            (15, 15, 20),
            "what was sent before counts no more"
        );
        shard.acknowledge(new);
        assert_eq!(shard.acked, 20);
    }

    fn log(positions: impl IntoIterator<Item = i64>, bytes: usize) -> Vec<Event> {
        positions
            .into_iter()
            .map(|pos| Event {
                shard: Shard::new(1),
                pos,
                topic: String::new(),
                aggregate: String::new(),
                at: Timestamp::default(),
                body: vec![0; bytes],
                trace: None,
            })
            .collect()
    }

    fn cut(events: &[Event], last: i64, most: usize) -> Vec<Vec<i64>> {
        let events: Vec<&Event> = events.iter().collect();
        parts(&events, last, most).iter().map(|part| part.iter().map(|event| event.pos).collect()).collect()
    }

    #[test]
    fn no_part_reaches_over_what_the_broker_has() {
        let events = log([3, 4, 7, 8, 9], 1);
        assert_eq!(cut(&events, -1, 2), [vec![3, 4], vec![7, 8], vec![9]]);
        assert_eq!(cut(&events, 7, 10), [vec![7], vec![8, 9]], "what it has is asked for by its last event");
        assert_eq!(cut(&events, 99, 10), [vec![9]]);
        assert_eq!(cut(&log([1, 2, 3], BYTES - 1), 0, 10), [vec![1], vec![2], vec![3]]);
        assert!(cut(&[], 5, 10).is_empty());
    }
}
