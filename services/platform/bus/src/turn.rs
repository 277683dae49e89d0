//! Whose turn it is: leases keep processes from doing the same work.

use std::time::Duration;

use kernel::{Region, Result, Shard};
use platform_db::Db;
use platform_regions::Regions;
use tokio::time::Instant;

use crate::BusConfig;

/// Whether this process works on a subscription. It does while it has the lease, and also when whoever has it stands
/// still: consuming twice has no second effect, so nobody waits for the lease of a process that was killed.
#[derive(Debug)]
pub(crate) struct Turn {
    name: String,
    shard: Shard,
    holder: String,
    ttl: Duration,
    stall: Duration,
    asked: Option<Instant>,
    works: bool,
    still: Option<(Vec<i64>, Instant)>,
}

/// Who takes turns, and for how long. Regions take no turns with each other: work leases say which shards are whose, and
/// who works without its lease because another stands still does so in its own region.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    holder: String,
    region: Option<Region>,
    ttl: Duration,
    stall: Duration,
}

impl Seat {
    pub(crate) fn new(db: &Db, config: &BusConfig, regions: &Regions) -> Self {
        Self {
            holder: db.ids().uuid(Shard::new(0)).to_string(),
            region: regions.me().cloned(),
            ttl: config.lease,
            stall: config.stall,
        }
    }
}

impl Turn {
    pub(crate) fn new(subscription: &str, at: &Seat) -> Self {
        Self::on_shard(subscription, Shard::new(0), at)
    }

    /// Turns that are taken shard by shard.
    pub(crate) fn on_shard(subscription: &str, shard: Shard, at: &Seat) -> Self {
        let place = at.region.as_ref().map(|region| format!("{region}/")).unwrap_or_default();
        Self {
            name: format!("bus/{place}{subscription}"),
            shard,
            holder: at.holder.clone(),
            ttl: at.ttl,
            stall: at.stall,
            asked: None,
            works: false,
            still: None,
        }
    }

    /// Whether this process works at the moment.
    pub(crate) fn works(&self) -> bool {
        self.works
    }

    /// Takes or renews the lease, when a third of its life has passed since the last time; asked only when there is work,
    /// so an idle process writes nothing.
    pub(crate) async fn take(&mut self, db: &Db) -> Result<bool> {
        if self.asked.is_none_or(|asked| asked.elapsed() >= self.ttl / 3) {
            self.works = db.lease(&self.name, self.shard, &self.holder, self.ttl).await?.is_some();
            self.asked = Some(Instant::now());
        }
        if !self.works && self.still.as_ref().is_some_and(|(_, since)| since.elapsed() >= self.stall) {
            tracing::info!(lease = self.name, "whoever has the lease stands still: going on without it");
            self.works = true;
        }
        Ok(self.works)
    }

    /// Sees where the cursor stands while somebody else works.
    pub(crate) fn observe(&mut self, cursors: &[i64], behind: bool) {
        if self.works || !behind {
            self.still = None;
        } else if self.still.as_ref().is_none_or(|(before, _)| before != cursors) {
            self.still = Some((cursors.to_vec(), Instant::now()));
        }
    }

    /// Gives the lease away, so that another process need not wait for its end.
    pub(crate) async fn give_up(&mut self, db: &Db) -> Result<()> {
        self.works = false;
        if self.asked.take().is_some() {
            db.release_lease(&self.name, self.shard, &self.holder).await?;
        }
        Ok(())
    }
}
