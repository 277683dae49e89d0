//! One look at the log for all subscriptions of the process.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use contracts::Event;
use kernel::{Result, Shard};
use platform_db::Db;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    BusConfig, Consumer,
    store::{self, Range},
    tail::Tail,
};

/// More new positions than this at once are left to the subscriptions to read.
const READ_AHEAD: i64 = 2_048;
/// Events that wait for the watcher.
const MOST_HEARD: usize = 8_192;
/// Dead letters are counted at every so many looks.
const COUNT_DEAD: u32 = 15;

/// What the watcher sees.
#[derive(Debug)]
pub(crate) struct Sight {
    /// The log's end, a position a shard.
    pub(crate) ends: watch::Sender<Vec<i64>>,
    /// What the database holds about subscriptions, as of the last regular look.
    pub(crate) state: watch::Sender<Arc<State>>,
    /// Asks for a regular look at once.
    pub(crate) look: Notify,
    pub(crate) tail: Tail,
    heard: Heard,
}

/// Subscriptions as they stand in the database.
#[derive(Debug, Default)]
pub(crate) struct State {
    cursors: HashMap<String, Vec<Option<i64>>>,
    live: HashMap<String, BTreeMap<Shard, u64>>,
}

impl State {
    /// A subscription's cursors; None when it has none yet.
    pub(crate) fn cursors(&self, subscription: &str) -> Option<Vec<i64>> {
        self.cursors.get(subscription)?.iter().copied().collect()
    }

    /// How many parked events of a subscription will be tried again.
    pub(crate) fn live(&self, subscription: &str) -> u64 {
        self.live_of(subscription, |_| true)
    }

    /// The same of some shards.
    pub(crate) fn live_of(&self, subscription: &str, of: impl Fn(Shard) -> bool) -> u64 {
        let live = self.live.get(subscription).into_iter().flatten();
        live.filter(|(shard, _)| of(**shard)).map(|(_, count)| *count).sum()
    }
}

#[cfg(feature = "pulsar")]
impl State {
    /// Whether a subscription has cursors, if only on some shards.
    pub(crate) fn has_cursors(&self, subscription: &str) -> bool {
        self.cursors.contains_key(subscription)
    }

    /// The positions of a subscription's cursors, on the shards where it has one.
    pub(crate) fn positions(&self, subscription: &str) -> Vec<(Shard, i64)> {
        let cursors = self.cursors.get(subscription).map(Vec::as_slice).unwrap_or_default();
        (0_u16..).zip(cursors).filter_map(|(number, pos)| Some((Shard::new(number), (*pos)?))).collect()
    }
}

impl Sight {
    pub(crate) fn new(shards: u16) -> Self {
        Self {
            ends: watch::Sender::new(vec![0; usize::from(shards)]),
            state: watch::Sender::new(Arc::default()),
            look: Notify::new(),
            tail: Tail::new(shards),
            heard: Heard::default(),
        }
    }

    /// Hears of events to which this process gave their positions.
    pub(crate) fn hear(&self, events: Vec<Event>) {
        self.heard.add(events);
    }
}

/// Events of this process' sequencer, for the watcher: they need not be read from the log.
#[derive(Debug, Default)]
struct Heard {
    some: Notify,
    events: Mutex<Vec<Event>>,
    /// Some were too many to be kept.
    missed: AtomicBool,
}

impl Heard {
    fn add(&self, mut events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let mut heard = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() + events.len() > MOST_HEARD {
            self.missed.store(true, Ordering::Relaxed);
            heard.clear();
        }
        heard.append(&mut events);
        self.some.notify_one();
    }

    /// What was heard since; None where that is not all that was told.
    fn take(&self) -> Option<Vec<Event>> {
        let mut heard = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = std::mem::take(&mut *heard);
        (!self.missed.swap(false, Ordering::Relaxed)).then_some(heard)
    }
}

/// Hears of what this process sequenced, and looks regularly for what other processes did.
pub(crate) struct Watcher<'a> {
    pub(crate) db: &'a Db,
    pub(crate) config: &'a BusConfig,
    pub(crate) sight: &'a Sight,
    pub(crate) consumers: &'a [Arc<dyn Consumer>],
    /// Other processes give positions all the time: the log's ends are looked at as often as the outbox.
    pub(crate) others_sequence: bool,
}

impl Watcher<'_> {
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let (mut next, mut poll_at) = (Instant::now(), Instant::now());
        let mut looks = 0;
        while !stop.is_cancelled() {
            // Where events were heard of, others may have sequenced some, too.
            let (outcome, stirs) = if Instant::now() >= next {
                next = Instant::now() + self.config.watch;
                poll_at = Instant::now() + self.config.poll;
                looks += 1;
                (self.look_around(looks % COUNT_DEAD == 1).await, false)
            } else if self.sight.heard.take().is_some_and(|heard| self.take_in(heard)) {
                (Ok(()), true)
            } else {
                poll_at = Instant::now() + self.config.poll;
                (self.look_ahead().await, false)
            };
            if let Err(failure) = outcome {
                tracing::warn!(?failure, "the log could not be looked at");
                stop.run_until_cancelled(tokio::time::sleep(self.config.poll)).await;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep_until(next) => {}
                () = tokio::time::sleep_until(poll_at), if self.others_sequence || stirs => {}
                () = self.sight.look.notified() => next = Instant::now(),
                () = self.sight.heard.some.notified() => {}
            }
        }
    }

    /// Takes over events that follow on what is known; false where they do not, or there are none.
    fn take_in(&self, heard: Vec<Event>) -> bool {
        let old = self.sight.ends.borrow().clone();
        let mut new = old.clone();
        for event in &heard {
            match new.get_mut(usize::from(event.shard.number())) {
                Some(end) if *end + 1 == event.pos => *end = event.pos,
                Some(end) if *end >= event.pos => {}
                _ => return false,
            }
        }
        let fresh = |event: &Event| {
            old.get(usize::from(event.shard.number())).is_some_and(|end| event.pos > *end)
                && self.consumers.iter().any(|consumer| consumer.topics().contains(&event.topic.as_str()))
        };
        let none = heard.is_empty();
        self.sight.tail.extend(&ranges(&old, &new), heard.into_iter().filter(fresh).collect());
        self.move_ends(new);
        !none
    }

    fn move_ends(&self, new: Vec<i64>) {
        self.sight.ends.send_if_modified(|ends| {
            let moved = *ends != new;
            *ends = new;
            moved
        });
    }

    /// The log's ends.
    async fn look_ahead(&self) -> Result<()> {
        let old = self.sight.ends.borrow().clone();
        let mut new = old.clone();
        for (shard, end) in self.db.log_ends().await? {
            if let Some(known) = new.get_mut(usize::from(shard.number())) {
                // Never backwards: this may have been read before more was heard.
                *known = end.max(*known);
            }
        }
        let ranges = ranges(&old, &new);
        let positions: i64 = ranges.iter().map(|range| range.to - range.from).sum();
        if positions > 0 && positions <= READ_AHEAD {
            let topics: BTreeSet<&'static str> =
                self.consumers.iter().flat_map(|c| c.topics().iter().copied()).collect();
            let topics: Vec<&'static str> = topics.into_iter().collect();
            let events = store::events(self.db, &topics, &ranges).await?;
            self.sight.tail.extend(&ranges, events);
        }
        self.move_ends(new);
        Ok(())
    }

    /// The log's ends and the subscriptions.
    async fn look_around(&self, count_dead: bool) -> Result<()> {
        self.look_ahead().await?;
        let state =
            State { cursors: store::all_cursors(self.db).await?, live: store::count_live(self.db).await? };
        self.measure(&state);
        self.sight.state.send_replace(Arc::new(state));
        if count_dead {
            let dead = store::count_dead(self.db).await?;
            for consumer in self.consumers {
                let subscription = consumer.subscription();
                let count = dead.get(subscription).copied().unwrap_or(0);
                metrics::gauge!("bus_dead_letters", "subscription" => subscription).set(gauge(count));
            }
        }
        Ok(())
    }

    fn measure(&self, state: &State) {
        let ends = self.sight.ends.borrow();
        for consumer in self.consumers {
            let subscription = consumer.subscription();
            let Some(cursors) = state.cursors(subscription) else { continue };
            let behind: i64 = ends.iter().zip(&cursors).map(|(end, cursor)| (end - cursor).max(0)).sum();
            let lag = u64::try_from(behind).unwrap_or(0).saturating_add(state.live(subscription));
            metrics::gauge!("bus_lag", "subscription" => subscription).set(gauge(lag));
        }
    }
}

pub(crate) fn gauge(value: u64) -> f64 {
    u32::try_from(value).map_or(f64::from(u32::MAX), f64::from)
}

/// What lies behind `from` up to `to`, by shard.
pub(crate) fn ranges(from: &[i64], to: &[i64]) -> Vec<Range> {
    (0_u16..)
        .zip(from.iter().zip(to))
        .filter(|(_, (from, to))| to > from)
        .map(|(number, (from, to))| Range { shard: Shard::new(number), from: *from, to: *to })
        .collect()
}
