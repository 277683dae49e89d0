//! The loop that gives events their positions.

use std::{collections::BTreeSet, time::Duration};

use kernel::{Failure, Result, Shard};
use platform_db::Db;
use platform_regions::Regions;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{BusConfig, beat::Beat, lag, watch::Sight};

/// On TiDB, after a turn, the sequencer rests so many times as long as the turn took: turns are dear there, and events of
/// several writes share one.
const REST: u32 = 4;
/// But no longer than this: consumers wait for it.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// Sequences until it is told to stop, and then what waits: what was committed by then has its position. `sight` hears of
/// the events. In a shop of several regions the shards of this one, which also hears how far its events are behind:
/// sequenced, and relayed where there is a `relay`.
pub(crate) async fn run(
    db: &Db,
    config: &BusConfig,
    regions: &Regions,
    sight: &Sight,
    relay: Option<&'static str>,
    stop: &CancellationToken,
) {
    let drained = watch::Sender::new(Instant::now());
    let sequencer = Sequencer { db, config, sight, drained: &drained, beat: Beat::of(regions) };
    tokio::join!(sequencer.run(stop), lag::tell(db, regions, relay, &drained, stop));
}

struct Sequencer<'a> {
    db: &'a Db,
    config: &'a BusConfig,
    sight: &'a Sight,
    /// When it last began to take everything that there was.
    drained: &'a watch::Sender<Instant>,
    beat: Beat,
}

impl Sequencer<'_> {
    async fn run(mut self, stop: &CancellationToken) {
        let outbox = self.db.outbox();
        let (mut all_at, mut rested) = (Instant::now(), Instant::now());
        while !stop.is_cancelled() {
            let mut written = None;
            tokio::select! {
                () = stop.cancelled() => break,
                // Other processes write, too.
                () = tokio::time::sleep_until(all_at) => {}
                // What the last holder of a shard left behind.
                () = self.beat.changed() => {}
                () = outbox.written() => {
                    // Events that are about to be written come along in the same transaction.
                    let until = rested.max(Instant::now() + self.config.gather);
                    stop.run_until_cancelled(tokio::time::sleep_until(until)).await;
                    written = outbox.take();
                }
            }
            if self.beat.turn() {
                written = None;
            }
            let began = Instant::now();
            let outcome = self.drain(written.as_ref()).await;
            rested = Instant::now() + self.rest(began.elapsed());
            all_at = match outcome {
                Ok(_) if written.is_some() => all_at,
                Ok(all) => {
                    if all {
                        self.drained.send_replace(began);
                    }
                    began + self.config.poll
                }
                Err(failure) => self.give_up(&failure, stop).await,
            };
        }
        self.beat.turn();
        if let Err(failure) = self.drain(None).await {
            tracing::warn!(?failure, "events wait for the next start");
        }
    }

    /// After a turn that failed; when everything is to be looked at again.
    async fn give_up(&self, failure: &Failure, stop: &CancellationToken) -> Instant {
        tracing::warn!(?failure, "events were not sequenced");
        stop.run_until_cancelled(tokio::time::sleep(self.config.poll)).await;
        Instant::now()
    }

    /// How long to rest after a turn that took so long.
    fn rest(&self, took: Duration) -> Duration {
        if self.db.sequences_remotely() {
            took.saturating_mul(REST).min(LONGEST_REST)
        } else {
            Duration::ZERO
        }
    }

    /// Takes what there is, of these shards or of all; false where some of it was left to another sequencer.
    async fn drain(&mut self, written: Option<&BTreeSet<Shard>>) -> Result<bool> {
        let full = usize::try_from(self.config.sequence).unwrap_or(usize::MAX);
        loop {
            let moved = match (self.beat.shards(), written) {
                (None, None) => self.db.sequence(None, self.config.sequence).await?,
                (Some(ours), None) => {
                    let _busy = self.beat.busy(ours.iter().copied());
                    self.db.sequence(Some(ours), self.config.sequence).await?
                }
                (ours, Some(written)) => {
                    let shards = ours.map_or_else(|| written.clone(), |ours| ours & written);
                    let _busy = self.beat.busy(shards.iter().copied());
                    self.db.sequence_written(&shards, self.config.sequence).await?
                }
            };
            let Some(events) = moved else { return Ok(false) };
            let moved = events.len();
            metrics::counter!("bus_sequenced_total").increment(u64::try_from(moved).unwrap_or(u64::MAX));
            self.sight.hear(events);
            if moved < full {
                return Ok(true);
            }
            self.beat.turn();
        }
    }
}
