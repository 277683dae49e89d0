//! What a process knows of regions: the shard map in memory.
//!
//! Whoever polls the database publishes what was found; everybody else reads it here, without I/O. What is read may be
//! old: home is a preference and the database is the arbiter, so an old map costs milliseconds and never correctness.
//!
//! A shop without regions is [`Regions::single`]: every shard is at home here, and this process does all work.

use std::sync::Arc;

use kernel::{Region, Shard};
use placement::{RegionRow, World};
use tokio::sync::watch;

/// The map as this process knows it; clones see the same.
#[derive(Clone, Debug)]
pub struct Regions(Option<Arc<Known>>);

#[derive(Debug)]
struct Known {
    me: Region,
    world: watch::Sender<Arc<World>>,
}

/// Where a shard's requests are best served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// In this region.
    Here,
    /// In another one, that takes part.
    There(Region),
    /// In no region that takes part, or in none that is known.
    Nowhere,
}

impl Regions {
    /// A shop without regions.
    pub const fn single() -> Self {
        Self(None)
    }

    /// Region `me`, which knows nothing yet but `world`.
    pub fn of(me: Region, world: World) -> Self {
        Self(Some(Arc::new(Known { me, world: watch::Sender::new(Arc::new(world)) })))
    }

    /// This process' region; none in a shop without regions.
    pub fn me(&self) -> Option<&Region> {
        self.0.as_ref().map(|known| &known.me)
    }

    /// Everything that is known, of one moment; none in a shop without regions.
    pub fn world(&self) -> Option<Arc<World>> {
        self.0.as_ref().map(|known| known.world.borrow().clone())
    }

    /// Tells of every change; none in a shop without regions.
    pub fn changes(&self) -> Option<watch::Receiver<Arc<World>>> {
        self.0.as_ref().map(|known| known.world.subscribe())
    }

    /// What was found last. Does nothing in a shop without regions, and when an older map than the known one was found: an
    /// answer that was late.
    pub fn publish(&self, world: World) {
        let Some(known) = &self.0 else { return };
        known.world.send_if_modified(|current| {
            let later = (world.observed.version, world.observed.now)
                >= (current.observed.version, current.observed.now);
            if later {
                *current = Arc::new(world);
            }
            later
        });
    }

    /// Where `shard` is at home.
    pub fn home(&self, shard: Shard) -> Home {
        let Some(known) = &self.0 else { return Home::Here };
        let world = known.world.borrow();
        match world.observed.shards.get(&shard) {
            Some(row) if !world.desired.serves(&row.home) => Home::Nowhere,
            Some(row) if row.home == known.me => Home::Here,
            Some(row) => Home::There(row.home.clone()),
            None => Home::Nowhere,
        }
    }

    /// Whether the background work of `shard` is this region's: it holds the shard's lease, as far as is known.
    pub fn works(&self, shard: Shard) -> bool {
        let Some(known) = &self.0 else { return true };
        let world = known.world.borrow();
        world
            .observed
            .leases
            .get(&shard)
            .is_some_and(|lease| lease.holder.region == known.me && lease.held(world.observed.now))
    }

    /// What is stored about a region.
    pub fn region(&self, region: &Region) -> Option<RegionRow> {
        self.0.as_ref().and_then(|known| known.world.borrow().desired.regions.get(region).cloned())
    }
}
