//! Apache Pulsar as the bus: the log is relayed to it by position, consumers take the events from there.
//!
//! - The relay publishes each shard's log in order: producer `relay-<shard>`, sequence id = position. The broker drops what it
//!   has already (deduplication), so a relay that starts over doubles nothing, and two relays do no harm.
//! - A domain has one partitioned topic; a shard's events always lie in partition `shard % partitions`. A message's key is its
//!   aggregate. A batch holds one shard's events and is keyed by the shard, which is what the broker shares work by: an
//!   aggregate never leaves its shard, so its events reach one process at a time, in order.
//! - A consumer's failure becomes a row in `retry`, as with the embedded bus, and the message is acknowledged: pauses of minutes
//!   and dead letters need no room in the broker. Where even that row cannot be written, the messages are given back.
//! - While the broker is away events stay in the log, which is not pruned before they are published.

#![expect(
    clippy::large_futures,
    reason = "the client's own futures are large; they run in a few tasks that live as long as the process"
)]

mod admin;
mod care;
mod foreign;
mod lanes;
mod leftover;
mod link;
mod message;
mod receive;
mod relay;
mod setup;
mod shard;
mod site;
mod survey;
mod topics;
mod trust;

use std::sync::Arc;

use async_trait::async_trait;
use kernel::{Page, Result, Shard};
use platform_db::Db;
use platform_regions::Regions;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::{care::Caretaker, receive::Receiver, relay::Relay, site::Site, survey::Survey};
pub(crate) use self::{
    leftover::{forget, leftovers},
    setup::setup,
};
pub(crate) use crate::subscriptions::RELAY;
use crate::{
    Bus, BusConfig, Consumer, DeadLetter, Pruned, Scope, Selection, Subscribed,
    beat::Beat,
    deliver::Courier,
    prune, regional, sequence, store, subscriptions,
    turn::{Seat, Turn},
    watch::Watcher,
};

/// Relays the log to a broker and brings the broker's events to the consumers of this process.
pub struct PulsarBus {
    site: Arc<Site>,
    consumers: Vec<Arc<dyn Consumer>>,
    seat: Seat,
}

impl PulsarBus {
    /// A bus over `db` and the broker of `config.pulsar`, to which it connects when it runs, in a process of this region.
    /// Refuses two consumers of one subscription, names that are too long, and a configuration that cannot work.
    pub fn new(
        db: Db,
        consumers: Vec<Arc<dyn Consumer>>,
        config: BusConfig,
        regions: Regions,
    ) -> Result<Self> {
        config.validate()?;
        let consumers = regional::named(consumers, &regions);
        subscriptions::check(&consumers, &[RELAY])?;
        let seat = Seat::new(&db, &config, &regions);
        let site = Arc::new(Site::new(db, config, regions)?);
        Ok(Self { site, consumers, seat })
    }

    fn spawn_all(&self, loops: &mut JoinSet<()>, stop: &CancellationToken) {
        let (site, token) = (Arc::clone(&self.site), stop.clone());
        loops.spawn(async move {
            let (db, config, regions) = (&site.db, &site.config, &site.regions);
            sequence::run(db, config, regions, &site.sight, Some(RELAY), &token).await;
        });
        // Looks at the log's ends and at what the database holds about subscriptions; reads no events.
        let (site, token) = (Arc::clone(&self.site), stop.clone());
        loops.spawn(async move {
            let (db, config, sight) = (&site.db, &site.config, &site.sight);
            let others_sequence = site.regions.me().is_some();
            let watcher = Watcher { db, config, sight, consumers: &[], others_sequence };
            watcher.run(&token).await;
        });
        let survey = Survey { site: Arc::clone(&self.site), consumers: self.consumers.clone() };
        let token = stop.clone();
        loops.spawn(async move { survey.run(&token).await });
        let mut relay = Relay::new(Arc::clone(&self.site), &self.seat);
        let token = stop.clone();
        loops.spawn(async move { relay.run(&token).await });
        for consumer in &self.consumers {
            let courier = |stop: &CancellationToken| Courier {
                consumer: Arc::clone(consumer),
                config: Arc::clone(&self.site.config),
                stop: stop.clone(),
            };
            let receiver = Receiver { site: Arc::clone(&self.site), courier: courier(stop) };
            let token = stop.clone();
            loops.spawn(async move { receiver.run(&token).await });
            let turn = Turn::new(consumer.subscription(), &self.seat);
            let beat = match consumer.scope() {
                Scope::Shop => Beat::of(&self.site.regions),
                Scope::Region => Beat::everywhere(),
            };
            let mut caretaker = Caretaker::new(Arc::clone(&self.site), courier(stop), (turn, beat));
            let token = stop.clone();
            loops.spawn(async move { caretaker.run(&token).await });
        }
    }

    /// Whether the database says that nothing is under way.
    async fn database_quiet(&self) -> Result<bool> {
        let db = &self.site.db;
        let ends = db.log_ends().await?;
        let cursors = store::all_cursors(db).await?;
        let live = store::count_live(db).await?;
        let relayed = cursors.get(RELAY);
        let at_end = ends.iter().all(|(shard, end)| {
            let seen = relayed.and_then(|seen| seen.get(usize::from(shard.number())).copied().flatten());
            seen.unwrap_or(0) >= *end
        });
        let calm = self.consumers.iter().all(|consumer| {
            let name = consumer.subscription();
            !live.contains_key(name) && !cursors.contains_key(&store::replay_of(name))
        });
        Ok(at_end && calm && !store::outbox_waits(db).await? && db.log_ends().await? == ends)
    }
}

#[async_trait]
impl Bus for PulsarBus {
    async fn run(&self, shutdown: CancellationToken) {
        let mut loops = JoinSet::new();
        let stop = shutdown.child_token();
        self.spawn_all(&mut loops, &stop);
        subscriptions::run_to_end(loops, &stop).await;
    }

    fn subscriptions(&self) -> Vec<Subscribed> {
        subscriptions::of(&self.consumers)
    }

    async fn quiescent(&self) -> Result<bool> {
        if !self.database_quiet().await? {
            return Ok(false);
        }
        for consumer in &self.consumers {
            if self.site.backlog(consumer.as_ref()).await? != Some(0) {
                return Ok(false);
            }
        }
        // What was consumed meanwhile may have left retries or events behind.
        self.database_quiet().await
    }

    async fn dead_letters(&self, cursor: Option<&str>, limit: u32) -> Result<Page<DeadLetter>> {
        subscriptions::dead_letters(&self.site.db, cursor, limit).await
    }

    async fn replay_dead(&self, selection: Selection) -> Result<u64> {
        let revived = store::revive(&self.site.db, selection).await?;
        self.site.sight.look.notify_one();
        Ok(revived)
    }

    /// Events of a subscription come again from the log, not from the broker. The subscription `relay` stands for the broker
    /// itself: the log is published again from there on, which refills a broker that was lost.
    async fn replay(&self, subscription: &str, shard: Shard, from: i64) -> Result<()> {
        let db = &self.site.db;
        subscriptions::find(db, subscription, shard).await?;
        if subscription == RELAY {
            store::rewind(db, RELAY, shard, from).await?;
        } else {
            store::begin_replay(db, subscription, shard, from).await?;
        }
        self.site.sight.look.notify_one();
        Ok(())
    }

    fn trouble(&self) -> Option<String> {
        self.site.troubles.told()
    }

    /// What the relay has not published stays whatever its age. What a replay has still to bring stays as long as what a
    /// subscription has not seen: nobody may be there to take it.
    async fn prune(&self) -> Result<Pruned> {
        let db = &self.site.db;
        let mut published = store::cursors_of(db, RELAY).await?;
        for shard in db.every_shard() {
            published.entry(shard).or_insert(0);
        }
        let mut seen = store::least_replays(db).await?;
        for (shard, pos) in &published {
            seen.entry(*shard).and_modify(|least| *least = (*least).min(*pos)).or_insert(*pos);
        }
        prune::prune_behind(db, &self.site.config, &seen, &published).await
    }
}

impl std::fmt::Debug for PulsarBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.consumers.iter().map(|consumer| consumer.subscription()).collect();
        f.debug_struct("PulsarBus").field("subscriptions", &names).finish_non_exhaustive()
    }
}
