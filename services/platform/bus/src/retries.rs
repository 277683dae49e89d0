//! Trying parked events again.

use std::{collections::BTreeSet, sync::Arc};

use contracts::Event;
use futures::{StreamExt, future::BoxFuture, stream};
use kernel::{Result, Shard};
use platform_db::Db;

use crate::{
    BusConfig,
    deliver::Courier,
    retry::{Due, ParkedSet, next_try},
    store::{self, Outcome},
};

/// Parked events that are retried in one round.
const ROUND: usize = 64;

/// The parked events of a subscription, and who delivers them.
pub(crate) struct Retries {
    name: &'static str,
    db: Db,
    config: Arc<BusConfig>,
    pub(crate) courier: Courier,
    pub(crate) parked: ParkedSet,
}

impl Retries {
    pub(crate) fn new(db: Db, config: Arc<BusConfig>, courier: Courier) -> Self {
        let name = courier.consumer.subscription();
        Self { name, db, config, courier, parked: ParkedSet::default() }
    }

    /// Takes over what the database holds of these shards, or of all: what other regions have parked neither fills the room
    /// nor stands before what is to be tried here.
    pub(crate) async fn reload(&mut self, shards: Option<&BTreeSet<Shard>>) -> Result<()> {
        let parked = store::parked(&self.db, self.name, shards, self.config.parked).await?;
        self.parked = ParkedSet::load(parked);
        Ok(())
    }

    /// Tries parked events of these shards whose time has come, one of each aggregate. False when there are none.
    pub(crate) async fn retry_due(&mut self, of: impl Fn(Shard) -> bool) -> Result<bool> {
        let due = self.parked.due(self.db.now(), ROUND, of);
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
}
