//! Looks after a subscription's parked events and replays: one process at a time.

use std::{sync::Arc, time::Duration};

use kernel::Result;
use tokio_util::sync::CancellationToken;

use super::site::Site;
use crate::{
    beat::Beat,
    deliver::Courier,
    retries::Retries,
    store::{self, Parked, Range},
    turn::Turn,
    watch::State,
};

/// How often the clock is asked whether a parked event is due.
const DUE: Duration = Duration::from_millis(100);

/// Tries a subscription's parked events again and brings what is to be replayed, from the log.
pub(crate) struct Caretaker {
    name: &'static str,
    site: Arc<Site>,
    retries: Retries,
    turn: Turn,
    beat: Beat,
}

impl Caretaker {
    pub(crate) fn new(site: Arc<Site>, courier: Courier, (turn, beat): (Turn, Beat)) -> Self {
        let name = courier.consumer.subscription();
        let retries = Retries::new(site.db.clone(), Arc::clone(&site.config), courier);
        Self { name, site, retries, turn, beat }
    }

    /// Works whenever something is parked or to be replayed, until it is told to stop.
    pub(crate) async fn run(&mut self, stop: &CancellationToken) {
        let sight = Arc::clone(&self.site.sight);
        let mut state = sight.state.subscribe();
        while !stop.is_cancelled() {
            let now = Arc::clone(&state.borrow_and_update());
            let Some(busy) = self.look(&now, stop).await else { continue };
            tokio::select! {
                () = stop.cancelled() => {}
                // The sender lives in `sight`, which is held here.
                _ = state.changed() => {}
                () = tokio::time::sleep(DUE), if busy => {}
            }
        }
        if let Err(failure) = self.turn.give_up(&self.site.db).await {
            tracing::warn!(subscription = self.name, ?failure, "a lease runs out by itself");
        }
    }

    /// A step; None, after a pause, when it failed.
    async fn look(&mut self, state: &State, stop: &CancellationToken) -> Option<bool> {
        match self.step(state).await {
            Ok(busy) => Some(busy),
            Err(failure) => {
                tracing::warn!(subscription = self.name, ?failure, "parked events were not looked after");
                stop.run_until_cancelled(tokio::time::sleep(self.site.config.watch)).await;
                None
            }
        }
    }

    /// One look. True when there is something to come back to soon.
    async fn step(&mut self, state: &State) -> Result<bool> {
        self.beat.turn();
        let replaying = state.has_cursors(&store::replay_of(self.name));
        if state.live_of(self.name, |shard| self.beat.has(shard)) == 0 && !replaying {
            return Ok(false);
        }
        self.retries.reload(self.beat.shards()).await?;
        let overdue = self.retries.parked.due(self.site.db.now(), 1, |shard| self.beat.has(shard)).len();
        if !self.turn.take(&self.site.db).await? {
            // A holder that lives makes what is due fewer, or moves the replay.
            let mut still = vec![i64::try_from(self.retries.parked.len()).unwrap_or(i64::MAX)];
            still.extend(state.positions(&store::replay_of(self.name)).iter().map(|(_, pos)| *pos));
            self.turn.observe(&still, overdue > 0 || replaying);
            return Ok(false);
        }
        let mut worked = true;
        while worked {
            let beat = &self.beat;
            worked = self.retries.retry_due(|shard| beat.has(shard)).await?;
        }
        if replaying {
            self.replay(state).await?;
            // Tells the receivers, which wait for its end, and this loop.
            self.site.sight.look.notify_one();
        }
        Ok(!self.retries.parked.is_empty())
    }

    /// Delivers the next events of a replay, those of all shards that have one.
    async fn replay(&mut self, state: &State) -> Result<()> {
        let db = &self.site.db;
        if self.retries.parked.len() >= usize::try_from(self.site.config.parked).unwrap_or(usize::MAX) {
            return Ok(());
        }
        let ends = db.log_ends().await?;
        let mut from = state.positions(&store::replay_of(self.name));
        from.retain(|(shard, _)| self.beat.has(*shard));
        let mut moves: Vec<(Range, bool)> = Vec::with_capacity(from.len());
        let each = i64::from(self.site.config.batch) / i64::try_from(from.len().max(1)).unwrap_or(1);
        for (shard, pos) in from {
            let end = ends.get(&shard).copied().unwrap_or(0);
            let to = end.min(pos + each.max(1)).max(pos);
            moves.push((Range { shard, from: pos, to }, to >= end));
        }
        let ranges: Vec<Range> = moves.iter().map(|(range, _)| *range).collect();
        let courier = &self.retries.courier;
        let events = store::events(db, courier.consumer.topics(), &ranges).await?;
        let events: Vec<_> = events.into_iter().map(Arc::new).collect();
        let Some(failed) = courier.deliver(&events, &self.retries.parked, db.now()).await else {
            return Ok(());
        };
        let failed: Vec<Parked> = failed.into_iter().map(|(row, _)| row).collect();
        store::advance_replay(db, self.name, moves, failed).await
    }
}
