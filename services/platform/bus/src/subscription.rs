//! The loop of one subscription: follow the log, retry what was parked, move the cursor.

use std::{sync::Arc, time::Duration};

use contracts::Event;
use kernel::{Result, Shard};
use platform_db::Db;
use platform_regions::Busy;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    BusConfig,
    beat::Beat,
    deliver::{Courier, ParkedOf},
    retries::Retries,
    store::{self, Parked, Range, Round},
    turn::Turn,
    watch::{Sight, State, ranges},
};

/// How often the clock is asked whether a parked event is due.
const DUE: Duration = Duration::from_millis(100);

/// A subscription at work.
pub(crate) struct Subscription {
    name: &'static str,
    topics: &'static [&'static str],
    db: Db,
    config: Arc<BusConfig>,
    sight: Arc<Sight>,
    retries: Retries,
    turn: Turn,
    beat: Beat,
    /// Batches whose cursors are not written.
    busy: Vec<Busy>,
    stop: CancellationToken,
    /// Everything up to here was delivered, a position a shard. What lies between `written` and this is delivered again
    /// after a crash and has no second effect.
    seen: Vec<i64>,
    /// The cursor as it stands in the database.
    written: Vec<i64>,
    /// Since when they differ.
    moved: Option<Instant>,
}

impl Subscription {
    pub(crate) fn new(
        db: Db,
        config: Arc<BusConfig>,
        sight: Arc<Sight>,
        courier: Courier,
        (turn, beat): (Turn, Beat),
    ) -> Self {
        let name = courier.consumer.subscription();
        let topics = courier.consumer.topics();
        let stop = courier.stop.clone();
        let (seen, written) = (Vec::new(), Vec::new());
        let retries = Retries::new(db.clone(), Arc::clone(&config), courier);
        let busy = Vec::new();
        Self { name, topics, db, config, sight, retries, turn, beat, busy, stop, seen, written, moved: None }
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
        if self.beat.turn() {
            // Others worked on the new shards until now.
            self.write_cursor().await?;
            self.written.clear();
        }
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
            let beat = &self.beat;
            let retried = self.retries.retry_due(|shard| beat.has(shard)).await?;
            self.advance(&end).await? | retried
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
        (self.may_read() && self.is_behind(end))
            || !self.retries.parked.due(self.db.now(), 1, |shard| self.beat.has(shard)).is_empty()
    }

    /// Whether events of its shards wait.
    fn is_behind(&self, end: &[i64]) -> bool {
        let behind = (0_u16..).zip(self.seen.iter().zip(end)).filter(|(_, (seen, end))| end > seen);
        behind.into_iter().any(|(number, _)| self.beat.has(Shard::new(number)))
    }

    /// Too many parked events mean that something is down: reading on would only park more.
    fn may_read(&self) -> bool {
        self.retries.parked.len() < usize::try_from(self.config.parked).unwrap_or(usize::MAX)
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
        self.busy.clear();
        self.retries.reload(self.beat.shards()).await
    }

    /// Takes over what somebody else changed: a rewound cursor, revived dead letters, or another process's work.
    async fn compare(&mut self, state: &State) -> Result<()> {
        if let Some(cursors) = state.cursors(self.name) {
            let behind = self.is_behind(&self.sight.ends.borrow());
            let mine = (0_u16..).zip(&cursors).filter(|(number, _)| self.beat.has(Shard::new(*number)));
            let mine: Vec<i64> = mine.map(|(_, cursor)| *cursor).collect();
            self.turn.observe(&mine, behind);
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
        let live = state.live_of(self.name, |shard| self.beat.has(shard));
        let live = usize::try_from(live).unwrap_or(usize::MAX);
        let limit = usize::try_from(self.config.parked).unwrap_or(usize::MAX);
        if live.min(limit) != self.retries.parked.len().min(limit) {
            self.retries.reload(self.beat.shards()).await?;
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
        self.busy.extend(self.beat.busy(ranges.iter().map(|range| range.shard)));
        let events = self.read(&ranges).await?;
        let Some(parked) = self.retries.courier.deliver(&events, &self.retries.parked, self.db.now()).await
        else {
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
        ranges.retain(|range| self.beat.has(range.shard));
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
            self.retries.parked.insert((row.shard, row.pos), row.attempts, row.next_at, aggregate);
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
                self.busy.clear();
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

    /// Waits for something to do.
    async fn rest(&mut self, ends: &mut watch::Receiver<Vec<i64>>, state: &mut watch::Receiver<Arc<State>>) {
        let cursor = self.moved.map(|since| since + self.config.cursor);
        let due = (!self.retries.parked.is_empty()).then(|| Instant::now() + DUE);
        let wake = cursor.into_iter().chain(due).min();
        tokio::select! {
            () = self.stop.cancelled() => {}
            // The senders live in `sight`, which is held here.
            _ = ends.changed() => {}
            _ = state.changed() => state.mark_changed(),
            () = self.beat.changed() => {}
            () = async { tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)).await }, if wake.is_some() => {}
        }
    }
}
