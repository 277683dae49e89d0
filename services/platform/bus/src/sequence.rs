//! The loop that gives events their positions.

use kernel::Result;
use platform_db::Db;
use tokio_util::sync::CancellationToken;

use crate::BusConfig;

/// Sequences until it is told to stop, and then what waits: what was committed by then has its position.
pub(crate) async fn run(db: &Db, config: &BusConfig, stop: &CancellationToken) {
    let written = db.outbox_signal();
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            // Other processes write without this signal.
            () = tokio::time::sleep(config.poll) => {}
            // Events that are about to be written come along in the same transaction.
            () = written.notified() => tokio::time::sleep(config.gather).await,
        }
        if let Err(failure) = drain(db, config).await {
            tracing::warn!(?failure, "events were not sequenced");
            stop.run_until_cancelled(tokio::time::sleep(config.poll)).await;
        }
    }
}

async fn drain(db: &Db, config: &BusConfig) -> Result<()> {
    let full = usize::try_from(config.sequence).unwrap_or(usize::MAX);
    loop {
        let moved = db.sequence_once(config.sequence).await?;
        metrics::counter!("bus_sequenced_total").increment(u64::try_from(moved).unwrap_or(u64::MAX));
        if moved < full {
            return Ok(());
        }
    }
}
