//! The loop that gives events their positions.

use kernel::Result;
use platform_db::Db;
use platform_regions::Regions;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{BusConfig, beat::Beat, lag};

/// Sequences until it is told to stop, and then what waits: what was committed by then has its position. In a shop of
/// several regions the shards of this one, which also hears how far its events are behind: sequenced, and relayed where
/// there is a `relay`.
pub(crate) async fn run(
    db: &Db,
    config: &BusConfig,
    regions: &Regions,
    relay: Option<&'static str>,
    stop: &CancellationToken,
) {
    let drained = watch::Sender::new(Instant::now());
    tokio::join!(
        sequence(db, config, regions, &drained, stop),
        lag::tell(db, regions, relay, &drained, stop)
    );
}

async fn sequence(
    db: &Db,
    config: &BusConfig,
    regions: &Regions,
    drained: &watch::Sender<Instant>,
    stop: &CancellationToken,
) {
    let written = db.outbox_signal();
    let mut beat = Beat::of(regions);
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
        let began = Instant::now();
        match drain(db, config, &mut beat).await {
            Ok(true) => {
                drained.send_replace(began);
            }
            Ok(false) => {}
            Err(failure) => {
                tracing::warn!(?failure, "events were not sequenced");
                stop.run_until_cancelled(tokio::time::sleep(config.poll)).await;
            }
        }
    }
}

/// Takes what there is; false where some of it was left to another sequencer.
async fn drain(db: &Db, config: &BusConfig, beat: &mut Beat) -> Result<bool> {
    let full = usize::try_from(config.sequence).unwrap_or(usize::MAX);
    loop {
        let moved = match beat.shards() {
            None => db.sequence(None, config.sequence).await?,
            Some(shards) => {
                let _busy = beat.busy(shards.iter().copied());
                db.sequence(Some(shards), config.sequence).await?
            }
        };
        let Some(moved) = moved else { return Ok(false) };
        metrics::counter!("bus_sequenced_total").increment(u64::try_from(moved).unwrap_or(u64::MAX));
        if moved < full {
            return Ok(true);
        }
        beat.turn();
    }
}
