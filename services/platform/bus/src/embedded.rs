//! The embedded bus: follows the event log in the database.

use std::sync::Arc;

use async_trait::async_trait;
use kernel::{Page, Result, Shard};
use platform_db::Db;
use platform_regions::Regions;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    Bus, BusConfig, Consumer, DeadLetter, Pruned, Scope, Selection, Subscribed,
    beat::Beat,
    deliver::Courier,
    prune, regional, sequence, store,
    subscription::Subscription,
    subscriptions,
    turn::{Seat, Turn},
    watch::{Sight, Watcher},
};

/// Follows `event_log` for the consumers of this process, and sequences what was written.
pub struct EmbeddedBus {
    db: Db,
    consumers: Vec<Arc<dyn Consumer>>,
    config: Arc<BusConfig>,
    sight: Arc<Sight>,
    regions: Regions,
    seat: Seat,
}

impl EmbeddedBus {
    /// A bus over `db`, whose clock also says when a retry is due, in a process of this region. Refuses two consumers of one subscription, names that
    /// are too long, and a configuration that cannot work.
    pub fn new(
        db: Db,
        consumers: Vec<Arc<dyn Consumer>>,
        config: BusConfig,
        regions: Regions,
    ) -> Result<Self> {
        config.validate()?;
        let consumers = regional::named(consumers, &regions);
        subscriptions::check(&consumers, &[])?;
        let seat = Seat::new(&db, &config, &regions);
        let sight = Arc::new(Sight::new(db.shards()));
        Ok(Self { db, consumers, config: Arc::new(config), sight, regions, seat })
    }

    fn spawn_all(&self, loops: &mut JoinSet<()>, stop: &CancellationToken) {
        let (db, config, token) = (self.db.clone(), Arc::clone(&self.config), stop.clone());
        let (regions, sight) = (self.regions.clone(), Arc::clone(&self.sight));
        loops.spawn(async move { sequence::run(&db, &config, &regions, &sight, None, &token).await });
        let (db, config, token) = (self.db.clone(), Arc::clone(&self.config), stop.clone());
        let (sight, consumers) = (Arc::clone(&self.sight), self.consumers.clone());
        let others_sequence = self.regions.me().is_some();
        loops.spawn(async move {
            let watcher =
                Watcher { db: &db, config: &config, sight: &sight, consumers: &consumers, others_sequence };
            watcher.run(&token).await;
        });
        for consumer in &self.consumers {
            let turn = Turn::new(consumer.subscription(), &self.seat);
            let beat = match consumer.scope() {
                Scope::Shop => Beat::of(&self.regions),
                Scope::Region => Beat::everywhere(),
            };
            let courier = Courier {
                consumer: Arc::clone(consumer),
                config: Arc::clone(&self.config),
                stop: stop.clone(),
            };
            let (db, config, sight) = (self.db.clone(), Arc::clone(&self.config), Arc::clone(&self.sight));
            let mut subscription = Subscription::new(db, config, sight, courier, (turn, beat));
            loops.spawn(async move { subscription.run().await });
        }
    }
}

#[async_trait]
impl Bus for EmbeddedBus {
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
        let ends = self.db.log_ends().await?;
        let cursors = store::all_cursors(&self.db).await?;
        let live = store::count_live(&self.db).await?;
        for consumer in &self.consumers {
            let name = consumer.subscription();
            let seen = cursors.get(name);
            let at_end = ends.iter().all(|(shard, end)| {
                let seen = seen.and_then(|seen| seen.get(usize::from(shard.number())).copied().flatten());
                seen.unwrap_or(0) >= *end
            });
            if !at_end || live.contains_key(name) {
                return Ok(false);
            }
        }
        // What was consumed has been written by now. Nothing waits in the outbox, and nothing left it meanwhile.
        Ok(!store::outbox_waits(&self.db).await? && self.db.log_ends().await? == ends)
    }

    async fn dead_letters(&self, cursor: Option<&str>, limit: u32) -> Result<Page<DeadLetter>> {
        subscriptions::dead_letters(&self.db, cursor, limit).await
    }

    async fn replay_dead(&self, selection: Selection) -> Result<u64> {
        let revived = store::revive(&self.db, selection).await?;
        self.sight.look.notify_one();
        Ok(revived)
    }

    async fn replay(&self, subscription: &str, shard: Shard, from: i64) -> Result<()> {
        subscriptions::find(&self.db, subscription, shard).await?;
        store::rewind(&self.db, subscription, shard, from).await?;
        self.sight.look.notify_one();
        Ok(())
    }

    async fn prune(&self) -> Result<Pruned> {
        prune::prune(&self.db, &self.config).await
    }
}

impl std::fmt::Debug for EmbeddedBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.consumers.iter().map(|consumer| consumer.subscription()).collect();
        f.debug_struct("EmbeddedBus").field("subscriptions", &names).finish_non_exhaustive()
    }
}
