//! The loop of one subscription: follow the log, retry what was parked, move the cursor.

use std::{sync::Arc, time::Duration};

use contracts::Event;
use futures::{StreamExt, future::BoxFuture, stream};
use kernel::{Result, Shard};
use platform_db::Db;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    BusConfig,
    deliver::{Courier, ParkedOf},
    retry::{Due, ParkedSet, next_try},
    store::{self, Outcome, Parked, Range, Round},
    turn::Turn,
    watch::{Sight, State, ranges},
};

/// How often the clock is asked whether a parked event is due.
const DUE: Duration = Duration::from_millis(100);
/// Parked events that are retried in one round.
const RETRIES: usize = 64;

/// A subscription at work.
pub(crate) struct Subscription {
    name: &'static str,
    topics: &'static [&'static str],
    db: Db,
    config: Arc<BusConfig>,
    sight: Arc<Sight>,
    courier: Courier,
    turn: Turn,
    stop: CancellationToken,
    /// Everything up to here was delivered, a position a shard. What lies between `written` and this is delivered again
    /// after a crash and has no second effect.
    seen: Vec<i64>,
    /// The cursor as it stands in the database.
    written: Vec<i64>,
    /// Since when they differ.
    moved: Option<Instant>,
    parked: ParkedSet,
}

impl Subscription {
    pub(crate) fn new(
        db: Db,
        config: Arc<BusConfig>,
        sight: Arc<Sight>,
        courier: Courier,
        turn: Turn,
    ) -> Self {
        let name = courier.consumer.subscription();
        let topics = courier.consumer.topics();
        let stop = courier.stop.clone();
        let (seen, written) = (Vec::new(), Vec::new());
        Self {
            name,
            topics,
            db,
            config,
            sight,
            courier,
            turn,
            stop,
            seen,
            written,
            moved: None,
            parked: ParkedSet::default(),
        }
    }

    /// Works until it is told to stop; then writes its cursor and gives its lease away.
    pub(crate) async fn run(&mut self) {
        let mut ends = self.sight.ends.subscribe();
        let mut state = self.sight.state.subscribe();
        while !self.stop.is_cancelled() {
            let outcome = self.step(&mut ends, &mut state).await;
            if let Err(failure) = outcome {
                tracing::warn!(subscription = self.name, ?failure, "events could not be delivered");
                let pause = self.config.watch.mul_f64(rand::random_range(0.5..1.0));
                self.stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            }
        }
        if let Err(failure) = self.finish().await {
            tracing::warn!(
                subscription = self.name,
                ?failure,
                "the cursor stays behind; what it missed has no second effect"
            );
        }
    }

    async fn finish(&mut self) -> Result<()> {
        self.write_cursor().await?;
        self.turn.give_up(&self.db).await
    }

    async fn step(
        &mut self,
        ends: &mut watch::Receiver<Vec<i64>>,
        state: &mut watch::Receiver<Arc<State>>,
    ) -> Result<()> {
        if self.written.is_empty() {
            self.reload().await?;
        }
        let looked = state.has_changed().unwrap_or(false).then(|| Arc::clone(&state.borrow_and_update()));
        if let Some(state) = looked {
            self.compare(&state).await?;
        }
        let end = ends.borrow_and_update().clone();
        let worked = if self.has_work(&end) && self.my_turn().await? {
            // Not one or the other: what was parked must not starve what is new, nor the other way round.
            self.retry_due().await? | self.advance(&end).await?
        } else {
            false
        };
        if self.moved.is_some_and(|since| since.elapsed() >= self.config.cursor) {
            self.write_cursor().await?;
        }
        if !worked {
            self.rest(ends, state).await;
        }
        Ok(())
    }

    fn has_work(&self, end: &[i64]) -> bool {
        (self.may_read() && self.seen.iter().zip(end).any(|(seen, end)| end > seen))
            || !self.parked.due(self.db.now(), 1).is_empty()
    }

    /// Too many parked events mean that something is down: reading on would only park more.
    fn may_read(&self) -> bool {
        self.parked.len() < usize::try_from(self.config.parked).unwrap_or(usize::MAX)
    }

    /// Whether this process may work now. Whoever begins takes the state from the database.
    async fn my_turn(&mut self) -> Result<bool> {
        let before = self.turn.works();
        let now = self.turn.take(&self.db).await?;
        if now && !before {
            self.reload().await?;
        }
        Ok(now)
    }

    async fn reload(&mut self) -> Result<()> {
        self.written = store::cursors(&self.db, self.name).await?;
        self.seen.clone_from(&self.written);
        self.moved = None;
        self.reload_parked().await
    }

    async fn reload_parked(&mut self) -> Result<()> {
        self.parked = ParkedSet::load(store::parked(&self.db, self.name, self.config.parked).await?);
        Ok(())
    }

    /// Takes over what somebody else changed: a rewound cursor, revived dead letters, or another process's work.
    async fn compare(&mut self, state: &State) -> Result<()> {
        if let Some(cursors) = state.cursors(self.name) {
            self.turn.observe(&cursors, self.seen.as_slice() != self.sight.ends.borrow().as_slice());
            if cursors != self.written {
                // The look may be older than the last write; the database knows.
                let now = store::cursors(&self.db, self.name).await?;
                for ((written, seen), now) in self.written.iter_mut().zip(&mut self.seen).zip(now) {
                    if *written != now {
                        (*written, *seen) = (now, now);
                    }
                }
            }
        }
        let live = usize::try_from(state.live(self.name)).unwrap_or(usize::MAX);
        let limit = usize::try_from(self.config.parked).unwrap_or(usize::MAX);
        if live.min(limit) != self.parked.len().min(limit) {
            self.reload_parked().await?;
        }
        Ok(())
    }

    /// Delivers the next batch. False when there is none.
    async fn advance(&mut self, end: &[i64]) -> Result<bool> {
        if !self.may_read() {
            return Ok(false);
        }
        let ranges = self.window(end);
        if ranges.is_empty() {
            return Ok(false);
        }
        let events = self.read(&ranges).await?;
        let Some(parked) = self.courier.deliver(&events, &self.parked, self.db.now()).await else {
            return Ok(false);
        };
        for range in &ranges {
            if let Some(seen) = self.seen.get_mut(usize::from(range.shard.number())) {
                *seen = range.to;
            }
        }
        self.moved.get_or_insert_with(Instant::now);
        if !parked.is_empty() {
            self.park(parked).await?;
        }
        Ok(true)
    }

    /// The next positions, shared among the shards that have some.
    fn window(&self, end: &[i64]) -> Vec<Range> {
        let mut ranges = ranges(&self.seen, end);
        let shards = i64::try_from(ranges.len()).unwrap_or(i64::MAX).max(1);
        let each = (i64::from(self.config.batch) / shards).max(1);
        for range in &mut ranges {
            range.to = range.to.min(range.from + each);
        }
        ranges
    }

    async fn read(&self, ranges: &[Range]) -> Result<Vec<Arc<Event>>> {
        if let Some(events) = self.sight.tail.events(self.topics, ranges) {
            return Ok(events);
        }
        Ok(store::events(&self.db, self.topics, ranges).await?.into_iter().map(Arc::new).collect())
    }

    /// Parks events and moves the cursor past them in one write.
    async fn park(&mut self, parked: Vec<ParkedOf>) -> Result<()> {
        let rows: Vec<Parked> = parked.iter().map(|(row, _)| row.clone()).collect();
        self.write(rows).await?;
        for (row, aggregate) in parked {
            self.parked.insert((row.shard, row.pos), row.attempts, row.next_at, aggregate);
        }
        Ok(())
    }

    async fn write_cursor(&mut self) -> Result<()> {
        if self.moved.is_some() { self.write(Vec::new()).await } else { Ok(()) }
    }

    async fn write(&mut self, parked: Vec<Parked>) -> Result<()> {
        let moves = ranges(&self.written, &self.seen);
        let round = Round { subscription: self.name, moves, parked };
        match store::write_round(&self.db, round).await {
            Ok(true) => {
                self.written.clone_from(&self.seen);
                self.moved = None;
                Ok(())
            }
            Ok(false) => self.reload().await,
            Err(failure) => {
                // Whether it was written is not known, and events that should be parked must not be passed over.
                self.written.clear();
                Err(failure)
            }
        }
    }

    /// Tries parked events whose time has come, one of each aggregate. False when there are none.
    async fn retry_due(&mut self) -> Result<bool> {
        let due = self.parked.due(self.db.now(), RETRIES);
        if due.is_empty() {
            return Ok(false);
        }
        let places: Vec<(Shard, i64)> = due.iter().map(|due| due.place).collect();
        let events = store::events_at(&self.db, &places).await?;
        let mut tries: Vec<BoxFuture<'_, ((Shard, i64), Outcome)>> = Vec::with_capacity(due.len());
        for due in due {
            let event = events.iter().find(|event| (event.shard, event.pos) == due.place);
            tries.push(Box::pin(self.try_again(due, event)));
        }
        let outcomes: Vec<_> = stream::iter(tries).buffer_unordered(self.config.concurrency).collect().await;
        store::note_retries(&self.db, self.name, outcomes.clone()).await?;
        for (place, outcome) in outcomes {
            match outcome {
                Outcome::Failed { attempts, next_at, dead: false, .. } => {
                    self.parked.postpone(place, attempts, next_at)
                }
                Outcome::Done | Outcome::Failed { .. } => self.parked.remove(place),
            }
        }
        Ok(true)
    }

    async fn try_again(&self, due: Due, event: Option<&Event>) -> ((Shard, i64), Outcome) {
        let Some(event) = event else {
            tracing::error!(subscription = self.name, "a parked event is no longer in the log");
            return (due.place, Outcome::Done);
        };
        self.courier.count_retry();
        let Err(failure) = self.courier.once(event).await else { return (due.place, Outcome::Done) };
        let attempts = due.attempts.saturating_add(1);
        let dead = attempts >= self.config.tries;
        if dead {
            tracing::error!(
                subscription = self.name,
                shard = event.shard.number(),
                pos = event.pos,
                topic = event.topic,
                attempts,
                "event became a dead letter"
            );
        }
        let next_at = next_try(&self.config, self.db.now(), attempts);
        (due.place, Outcome::Failed { attempts, next_at, error: failure.to_string(), dead })
    }

    /// Waits for something to do.
    async fn rest(&mut self, ends: &mut watch::Receiver<Vec<i64>>, state: &mut watch::Receiver<Arc<State>>) {
        let cursor = self.moved.map(|since| since + self.config.cursor);
        let due = (!self.parked.is_empty()).then(|| Instant::now() + DUE);
        let wake = cursor.into_iter().chain(due).min();
        tokio::select! {
            () = self.stop.cancelled() => {}
            // The senders live in `sight`, which is held here.
            _ = ends.changed() => {}
            _ = state.changed() => state.mark_changed(),
            () = async { tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)).await }, if wake.is_some() => {}
        }
    }
}
