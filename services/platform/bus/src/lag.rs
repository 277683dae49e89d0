//! How far the events of this process' region are behind.

use std::{collections::BTreeSet, time::Duration};

use kernel::{Result, Shard};
use platform_db::Db;
use platform_regions::Regions;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{beat::Beat, store};

/// How often it is told.
const LOOK: Duration = Duration::from_secs(1);

/// Tells in a shop of several regions how long the oldest event of this region's shards waits for its position or, where
/// there is a `relay`, for the broker. Told from outside of both: what hangs tells nothing. `drained` is when the sequencer
/// last began to take all there was; while that is new the outbox need not be looked at.
pub(crate) async fn tell(
    db: &Db,
    regions: &Regions,
    relay: Option<&'static str>,
    drained: &watch::Sender<Instant>,
    stop: &CancellationToken,
) {
    if regions.me().is_none() {
        return;
    }
    let mut beat = Beat::of(regions);
    let (mut lag, mut known) = (Duration::ZERO, Instant::now());
    loop {
        beat.turn();
        let fresh = drained.borrow().elapsed() < LOOK;
        match behind(db, beat.shards(), relay, fresh).await {
            Ok(now) => (lag, known) = (now, Instant::now()),
            Err(failure) => tracing::debug!(?failure, "how far events are behind is not known"),
        }
        // What could not be looked at goes on waiting.
        regions.relay_is_behind(lag + known.elapsed());
        if stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_none() {
            return;
        }
    }
}

/// The age of the oldest event that waits, of these shards or of all.
async fn behind(
    db: &Db,
    shards: Option<&BTreeSet<Shard>>,
    relay: Option<&'static str>,
    sequenced: bool,
) -> Result<Duration> {
    if shards.is_some_and(BTreeSet::is_empty) {
        return Ok(Duration::ZERO);
    }
    let mut oldest = if sequenced { None } else { store::oldest_waiting(db, shards).await? };
    if let Some(relay) = relay {
        oldest = oldest.into_iter().chain(store::oldest_behind(db, relay, shards).await?).min();
    }
    Ok(oldest.map_or(Duration::ZERO, |at| db.now().since(at)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kernel::{FakeClock, Timestamp};
    use migrations::Migrator;
    use platform_db::{DbResult, Rows, testing};
    use sea_orm::ConnectionTrait;
    use sea_orm_migration::MigratorTrait;

    use super::*;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Happened;

    impl contracts::EventBody for Happened {
        const TOPIC: &'static str = "test.happened.v1";
        fn aggregate(&self) -> String {
            "a".to_owned()
        }
    }

    async fn seconds(db: &Db, shards: &[u16], relay: Option<&'static str>) -> u64 {
        let shards = shards.iter().map(|number| Shard::new(*number)).collect();
        behind(db, Some(&shards), relay, false).await.unwrap().as_secs()
    }

    #[tokio::test]
    async fn the_oldest_event_that_waits_says_how_far_it_is_behind() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
        let db = Db::open(&testing::config(folder.path()), clock.clone()).await.unwrap();
        db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
        store::cursors(&db, "relay").await.unwrap();
        for shard in [1, 2] {
            let shard = Shard::new(shard);
            db.append(shard, Rows::new().event(&db, shard, &Happened).unwrap()).await.unwrap();
            clock.advance(Duration::from_secs(10));
        }
        assert_eq!(behind(&db, None, None, false).await.unwrap(), Duration::from_secs(20));
        assert_eq!(behind(&db, None, None, true).await.unwrap(), Duration::ZERO, "nothing is asked");
        let waits = [
            seconds(&db, &[2, 3], None).await,
            seconds(&db, &[3], None).await,
            seconds(&db, &[], None).await,
        ];
        assert_eq!(waits, [10, 0, 0]);

        // What has its position waits for the broker.
        while db.sequence_once(100).await.unwrap() > 0 {}
        assert_eq!(behind(&db, None, None, false).await.unwrap(), Duration::ZERO);
        assert_eq!(seconds(&db, &[1, 2, 3], Some("relay")).await, 20);
        let relayed = "UPDATE subscription_cursor SET pos = 1 WHERE subscription = 'relay' AND shard = 1";
        let relayed = db.write(Shard::new(1), (), move |tx, ()| {
            Box::pin(async move { tx.execute_unprepared(relayed).await.db().map(|_| ()) })
        });
        relayed.await.unwrap();
        assert_eq!(behind(&db, None, Some("relay"), true).await.unwrap(), Duration::from_secs(10));
        assert_eq!(seconds(&db, &[1], Some("relay")).await, 0);
    }
}
