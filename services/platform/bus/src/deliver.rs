//! Events to their consumer: at once where their aggregates differ, in order where they do not.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use contracts::Event;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use kernel::{Failure, Result, Shard, Timestamp, code};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::{
    BusConfig, Consumer,
    retry::{ParkedSet, next_try},
    store::Parked,
};

/// Pause before the second quick try; doubles with each further one.
const QUICK: Duration = Duration::from_millis(20);

/// Delivers to one consumer.
pub(crate) struct Courier {
    pub(crate) consumer: Arc<dyn Consumer>,
    pub(crate) config: Arc<BusConfig>,
    pub(crate) stop: CancellationToken,
}

/// An event that was parked, with its aggregate.
pub(crate) type ParkedOf = (Parked, String);

impl Courier {
    /// Delivers a batch; events of aggregates that are parked already are parked behind them. Returns what is to be
    /// parked, or None when it was told to stop before all had their turn.
    pub(crate) async fn deliver(
        &self,
        events: &[Arc<Event>],
        parked: &ParkedSet,
        now: Timestamp,
    ) -> Option<Vec<ParkedOf>> {
        if events.len() > 1 && parked.is_empty() && self.consumer.gathers() && self.all_at_once(events).await
        {
            return Some(Vec::new());
        }
        let mut queues: HashMap<(Shard, &str), Vec<&Arc<Event>>> = HashMap::new();
        for event in events {
            queues.entry((event.shard, &event.aggregate)).or_default().push(event);
        }
        let mut deliveries: Vec<BoxFuture<'_, Option<Vec<ParkedOf>>>> = Vec::with_capacity(queues.len());
        for ((_, aggregate), queue) in queues {
            deliveries.push(Box::pin(self.in_order(queue, parked.holds(aggregate), now)));
        }
        let parked: Vec<Option<Vec<ParkedOf>>> =
            stream::iter(deliveries).buffer_unordered(self.config.concurrency).collect().await;
        Some(parked.into_iter().collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// The whole batch as one effect; false when that failed.
    async fn all_at_once(&self, events: &[Arc<Event>]) -> bool {
        let subscription = self.consumer.subscription();
        let consuming = AssertUnwindSafe(self.consumer.consume_all(events)).catch_unwind();
        match tokio::time::timeout(self.config.timeout, consuming).await {
            Ok(Ok(Ok(()))) => {
                metrics::counter!("bus_consumed_total", "subscription" => subscription)
                    .increment(events.len() as u64);
                true
            }
            Ok(Ok(Err(failure))) => {
                tracing::warn!(subscription, ?failure, "events were not consumed together; now one by one");
                false
            }
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(subscription, "events were not consumed together; now one by one");
                false
            }
        }
    }

    /// One aggregate's events: the first that fails is parked, and all behind it.
    async fn in_order(&self, queue: Vec<&Arc<Event>>, held: bool, now: Timestamp) -> Option<Vec<ParkedOf>> {
        let mut parked: Vec<ParkedOf> = Vec::new();
        for event in queue {
            if self.stop.is_cancelled() {
                return None;
            }
            let (attempts, error) = if held || !parked.is_empty() {
                (0, "waits behind an earlier event".to_owned())
            } else {
                match self.tries(event).await {
                    Ok(()) => continue,
                    Err((attempts, error)) => (attempts, error),
                }
            };
            let next_at = if attempts == 0 { now } else { next_try(&self.config, now, attempts) };
            let row = Parked { shard: event.shard, pos: event.pos, attempts, next_at, error };
            parked.push((row, event.aggregate.clone()));
        }
        Some(parked)
    }

    /// A few tries close together; a failure that looks as if it will stay gets only one.
    async fn tries(&self, event: &Event) -> Result<(), (u32, String)> {
        let mut pause = QUICK;
        let mut attempts = 0;
        loop {
            let Err(failure) = self.once(event).await else { return Ok(()) };
            attempts += 1;
            if attempts >= self.config.quick_tries || !is_transient(&failure) || self.stop.is_cancelled() {
                return Err((attempts, failure.to_string()));
            }
            self.count_retry();
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = pause.saturating_mul(2);
        }
    }

    /// One try; what the consumer says about its failure goes to the log with its cause.
    pub(crate) async fn once(&self, event: &Event) -> Result<()> {
        let span = consuming(self.consumer.subscription(), event);
        self.consume(event).instrument(span).await
    }

    async fn consume(&self, event: &Event) -> Result<()> {
        let subscription = self.consumer.subscription();
        let consuming = AssertUnwindSafe(self.consumer.consume(event)).catch_unwind();
        let outcome = match tokio::time::timeout(self.config.timeout, consuming).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Failure::internal("the consumer panicked")),
            Err(_) => {
                Err(Failure::new(code::TIMEOUT).detail(format!("took longer than {:?}", self.config.timeout)))
            }
        };
        match &outcome {
            Ok(()) => metrics::counter!("bus_consumed_total", "subscription" => subscription).increment(1),
            Err(failure) => {
                platform_trace::failed(failure.code());
                tracing::warn!(
                    subscription,
                    shard = event.shard.number(),
                    pos = event.pos,
                    topic = event.topic,
                    aggregate = event.aggregate,
                    ?failure,
                    "event was not consumed"
                );
            }
        }
        outcome
    }

    pub(crate) fn count_retry(&self) {
        metrics::counter!("bus_retries_total", "subscription" => self.consumer.subscription()).increment(1);
    }
}

/// Whether trying again in a moment may help. A consumer that took too long already had its time.
fn is_transient(failure: &Failure) -> bool {
    matches!(failure.status(), 409 | 425 | 429 | 500..) && !failure.is(code::TIMEOUT)
}

/// The span of one try, in the trace the event happened in.
pub(crate) fn consuming(subscription: &'static str, event: &Event) -> Span {
    let span = tracing::debug_span!(
        target: "meridian",
        parent: None,
        "consume",
        otel.name = subscription,
        otel.kind = "consumer",
        messaging.destination.name = event.topic,
        shard = event.shard.number(),
        pos = event.pos,
    );
    if let Some(trace) = &event.trace {
        platform_trace::continue_from(&span, trace);
    }
    span
}
