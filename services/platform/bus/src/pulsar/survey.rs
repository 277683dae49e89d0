//! Measures: what waits in the log and at the broker.

use std::{sync::Arc, time::Duration};

use kernel::Result;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{RELAY, site::Site};
use crate::{
    Consumer, store,
    watch::{State, gauge},
};

/// How often the broker is asked what waits there.
const ASK: Duration = Duration::from_secs(15);

/// Sets the gauges.
pub(crate) struct Survey {
    pub(crate) site: Arc<Site>,
    pub(crate) consumers: Vec<Arc<dyn Consumer>>,
}

impl Survey {
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let mut state = self.site.sight.state.subscribe();
        let mut next = Instant::now();
        while !stop.is_cancelled() {
            let now = Arc::clone(&state.borrow_and_update());
            self.relay(&now);
            if Instant::now() >= next {
                next = Instant::now() + ASK;
                if let Some(Err(failure)) = stop.run_until_cancelled(self.consumers(&now)).await {
                    tracing::debug!(?failure, "the broker does not tell what waits");
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                // The sender lives in `site`, which is held here.
                _ = state.changed() => {}
            }
        }
    }

    /// Events in the log that the broker has not acknowledged: grows while it is away.
    fn relay(&self, state: &State) {
        let ends = self.site.sight.ends.borrow();
        let waiting: i64 = state
            .positions(RELAY)
            .iter()
            .map(|(shard, pos)| ends.get(usize::from(shard.number())).map_or(0, |end| (end - pos).max(0)))
            .sum();
        metrics::gauge!("bus_relay_waiting").set(gauge(u64::try_from(waiting).unwrap_or(0)));
    }

    async fn consumers(&self, state: &State) -> Result<()> {
        let dead = store::count_dead(&self.site.db).await?;
        for consumer in &self.consumers {
            let name = consumer.subscription();
            metrics::gauge!("bus_dead_letters", "subscription" => name)
                .set(gauge(dead.get(name).copied().unwrap_or(0)));
            if let Some(backlog) = self.site.backlog(consumer.as_ref()).await? {
                metrics::gauge!("bus_lag", "subscription" => name)
                    .set(gauge(backlog.saturating_add(state.live(name))));
            }
        }
        Ok(())
    }
}
