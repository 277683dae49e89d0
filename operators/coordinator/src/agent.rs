//! What every process of a region does in the background.

mod observer;
mod snapshot;

use std::{sync::Arc, time::Duration};

use kernel::Timestamp;
use placement::{Instance, MapVersion, Wish, World, wish};
use platform_regions::Regions;
use tokio_util::sync::CancellationToken;

use self::observer::Observer;
pub use self::snapshot::{Snapshot, SnapshotError};
use crate::{Applied, Coordinator, Deed, Intent, Journal, JournalError, RegionConfig, Result, Scene};

/// Changes of an operation that are made one after the other before the map is looked at for other reasons.
const STRIDE: usize = 64;
/// How long a stopping process waits for what is being worked on, and for the journal to take its leases back.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// How often it looks whether that has ended.
const LEAVING: Duration = Duration::from_millis(20);

/// Follows the journal for a process of a region: publishes the map to [`Regions`] and keeps it on disk, holds the leases of
/// the shards whose background work is the region's, coordinates while it leads, and says what it sees of the other regions.
///
/// It decides nothing that others rely on: where it is late, or its database does not answer, everybody goes on with the map
/// they have.
pub struct Agent {
    journal: Arc<dyn Journal>,
    coordinator: Coordinator<dyn Journal>,
    regions: Regions,
    me: Instance,
    config: RegionConfig,
    snapshot: Option<Snapshot>,
    /// The version of the map that was kept on disk last.
    kept: Option<MapVersion>,
    trouble: bool,
}

impl Agent {
    /// An agent of the process `me`. `regions` must be that of the same region.
    pub fn new(
        journal: Arc<dyn Journal>,
        regions: Regions,
        me: Instance,
        config: RegionConfig,
        snapshot: Option<Snapshot>,
    ) -> Self {
        let coordinator = Coordinator::new(Arc::clone(&journal), me.clone(), config.lease);
        Self { journal, coordinator, regions, me, config, snapshot, kept: None, trouble: false }
    }

    /// Looks at the map for the first time, so that what starts after it knows whose work is whose.
    pub async fn begin(&mut self) {
        if let Err(error) = self.look().await {
            self.trouble = true;
            tracing::warn!(%error, "the map of regions cannot be read: the known one holds");
        }
    }

    /// Works until it is told to stop; then waits for what is being worked on and gives its leases back.
    pub async fn run(mut self, stop: CancellationToken) {
        let observer = match Observer::new(&self.journal, &self.regions, &self.me.region, &self.config) {
            Ok(observer) => Some(observer),
            Err(error) => {
                tracing::error!(%error, "the other regions cannot be looked at");
                None
            }
        };
        let observe = async {
            if let Some(mut observer) = observer {
                observer.run(&stop).await;
            }
        };
        let follow = async {
            while !stop.is_cancelled() {
                self.turn().await;
                stop.run_until_cancelled(tokio::time::sleep(self.config.poll)).await;
            }
        };
        tokio::join!(observe, follow);
        self.leave().await;
    }

    /// Looks once and does what there is to do.
    async fn turn(&mut self) {
        match self.step().await {
            Ok(()) if self.trouble => {
                self.trouble = false;
                tracing::info!("the map of regions is read again");
            }
            Ok(()) => {}
            Err(error) => {
                metrics::counter!("region_journal_failures_total").increment(1);
                if !std::mem::replace(&mut self.trouble, true) {
                    tracing::warn!(%error, "the map of regions cannot be read: the known one holds");
                }
            }
        }
    }

    async fn step(&mut self) -> Result<()> {
        let mut scene = self.look().await?;
        if scene.world.observed.shards.is_empty() {
            return Ok(());
        }
        self.announce(&scene.world).await?;
        if self.leases_are_due(&scene.world) {
            let busy = self.regions.busy_now();
            let held = self.journal.work(&self.me, self.config.lease, &busy).await?;
            let count = u32::try_from(held.len()).unwrap_or(u32::MAX);
            metrics::gauge!("region_leases_held").set(f64::from(count));
            scene = self.look().await?;
        }
        self.coordinate(&scene).await
    }

    /// Reads the journal, tells everybody here, and keeps a map that is new. The first is: what is on disk may be of another
    /// database, whatever its version.
    async fn look(&mut self) -> Result<Scene> {
        let scene = self.journal.read().await?;
        let version = scene.world.observed.version;
        let published = self.regions.publish(scene.world.clone());
        let new = published && self.kept.replace(version) != Some(version);
        if new && let Some(snapshot) = self.snapshot.clone() {
            tracing::info!(%version, "the map of regions");
            let world = scene.world.clone();
            let kept = tokio::task::spawn_blocking(move || snapshot.keep(&world)).await;
            if let Err(error) =
                kept.map_err(|error| error.to_string()).and_then(|kept| kept.map_err(|e| e.to_string()))
            {
                tracing::warn!(error, "the map of regions was not kept on disk");
            }
        }
        Ok(scene)
    }

    /// Tells the map where this region is reached, where the configuration says so and the map does not.
    async fn announce(&self, world: &World) -> Result<()> {
        let Some(row) = world.desired.regions.get(&self.me.region) else { return Ok(()) };
        if self.config.endpoint.is_empty() || row.spec.endpoint == self.config.endpoint {
            return Ok(());
        }
        let mut spec = row.spec.clone();
        spec.endpoint.clone_from(&self.config.endpoint);
        if self.journal.put_region(&self.me.region, Some(row.version), &spec).await? == Applied::Yes {
            tracing::info!(endpoint = spec.endpoint, "this region told where it is reached");
        }
        Ok(())
    }

    /// Whether there is something to take or to give back, or a lease has lived for a third of its life.
    fn leases_are_due(&self, world: &World) -> bool {
        let now = world.observed.now;
        let soon = now.plus(self.config.lease.mul_f64(2.0 / 3.0));
        let busy = self.regions.busy_now();
        world.observed.shards.iter().any(|(shard, row)| {
            let lease = world.observed.leases.get(shard);
            match wish(&self.me, world.works(row, &self.me.region, now), lease, now) {
                Wish::Take => true,
                Wish::Release(_) => !busy.contains(shard),
                Wish::Renew(_) => lease.is_some_and(|lease| lease.expires_at <= soon),
                Wish::Nothing => false,
            }
        })
    }

    /// Leads, where nobody else does, and makes the changes there are to make.
    async fn coordinate(&mut self, scene: &Scene) -> Result<()> {
        if !self.leadership_is_due(scene) {
            return Ok(());
        }
        for _ in 0..STRIDE {
            match self.coordinator.tick().await {
                Ok(Deed::Nothing) => return Ok(()),
                Ok(Deed::Began(operation)) => tracing::info!(%operation, "an operation begins by itself"),
                Ok(Deed::Changed | Deed::Late) => {}
                Err(JournalError::Forbidden(why)) => {
                    // Nothing here asks for what is forbidden: the map was changed by hand.
                    tracing::error!(why, "the running operation cannot go on");
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            self.look().await?;
        }
        Ok(())
    }

    /// Whether the leadership has to be taken or renewed, or the leader has something to do.
    fn leadership_is_due(&self, scene: &Scene) -> bool {
        let now: Timestamp = scene.world.observed.now;
        let Some(lease) = scene.leader.as_ref().filter(|lease| lease.held(now)) else { return true };
        lease.holder == self.me
            && (lease.expires_at <= now.plus(self.config.lease / 2)
                || matches!(Intent::decide(scene), Intent::Begin(_) | Intent::Act(_)))
    }

    /// Gives everything back, once nothing is being worked on.
    async fn leave(&self) {
        let idle = async {
            while !self.regions.busy_now().is_empty() {
                tokio::time::sleep(LEAVING).await;
            }
        };
        if tokio::time::timeout(LEAVE_WITHIN, idle).await.is_err() {
            tracing::warn!("work goes on while the leases are given back; it has no second effect");
        }
        self.resign().await;
    }

    async fn resign(&self) {
        let resigned = tokio::time::timeout(LEAVE_WITHIN, self.journal.resign(&self.me)).await;
        if !matches!(resigned, Ok(Ok(()))) {
            tracing::warn!(?resigned, "the leases run out by themselves");
        }
    }
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("me", &self.me).finish_non_exhaustive()
    }
}
