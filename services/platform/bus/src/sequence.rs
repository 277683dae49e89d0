//! The loop that gives events their positions.

use kernel::Result;
use platform_db::Db;
use platform_regions::Regions;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{BusConfig, beat::Beat};

/// Sequences until it is told to stop, and then what waits: what was committed by then has its position. In a shop of
/// several regions the shards of this one.
pub(crate) async fn run(db: &Db, config: &BusConfig, regions: &Regions, stop: &CancellationToken) {
    let written = db.outbox_signal();
    let mut beat = Beat::of(regions);
    let mut sound = Instant::now();
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            // Other processes write without this signal.
            () = tokio::time::sleep(config.poll) => {}
            // What the last holder of a shard left behind.
            () = beat.changed() => {}
            // Events that are about to be written come along in the same transaction.
            () = written.notified() => tokio::time::sleep(config.gather).await,
        }
        beat.turn();
        if let Err(failure) = drain(db, config, &mut beat).await {
            tracing::warn!(?failure, "events were not sequenced");
            regions.relay_is_behind(sound.elapsed());
            stop.run_until_cancelled(tokio::time::sleep(config.poll)).await;
        } else {
            sound = Instant::now();
            regions.relay_is_behind(std::time::Duration::ZERO);
        }
    }
}

async fn drain(db: &Db, config: &BusConfig, beat: &mut Beat) -> Result<()> {
    let full = usize::try_from(config.sequence).unwrap_or(usize::MAX);
    loop {
        let moved = match beat.shards() {
            None => db.sequence_once(config.sequence).await?,
            Some(shards) => {
                let _busy = beat.busy(shards.iter().copied());
                db.sequence_of(shards, config.sequence).await?
            }
        };
        metrics::counter!("bus_sequenced_total").increment(u64::try_from(moved).unwrap_or(u64::MAX));
        if moved < full {
            return Ok(());
        }
        beat.turn();
    }
}
