//! Three regions, each a process of its own, over one database.

use std::{collections::BTreeMap, sync::Arc};

use contracts::{
    catalog::SkuId,
    inventory::{AdjustReason, Inventory, RegionStock},
};
use inventory::{InventoryConfig, InventoryService};
use kernel::{Epoch, Region, Shard, Timestamp};
use placement::{
    Degraded, Instance, Jurisdiction, Lease, MapVersion, Placing, RegionRow, RegionSpec, Role, ShardRow,
    State, World,
};
use platform_regions::Regions;

use crate::fixture::*;

pub(crate) const NAMES: [&str; 3] = ["ap", "eu", "us"];
pub(crate) const AP: usize = 0;
pub(crate) const EU: usize = 1;
pub(crate) const US: usize = 2;

pub(crate) struct Three {
    /// A process without a region over the same database.
    pub(crate) f: Fixture,
    pub(crate) at: Vec<Arc<InventoryService>>,
    regions: Vec<Regions>,
    version: std::sync::atomic::AtomicU64,
}

/// A map of these regions; every shard is at home in the first that serves.
fn world(version: u64, weights: [u16; 3], states: [State; 3]) -> World {
    let mut world = World::default();
    world.observed.version = MapVersion(version);
    for ((name, weight), state) in NAMES.into_iter().zip(weights).zip(states) {
        let spec = RegionSpec {
            role: Role::Full,
            endpoint: String::new(),
            capacity: 16,
            weight,
            jurisdictions: [Jurisdiction::new(Jurisdiction::ANY)].into(),
            failover_ready: true,
            degraded: Degraded::default(),
        };
        world.desired.regions.insert(Region::new(name), RegionRow { state, ..RegionRow::new(spec) });
    }
    let home =
        NAMES.into_iter().zip(states).find(|(_, state)| state.serves()).map_or(NAMES[0], |(name, _)| name);
    for shard in (0..16).map(Shard::new) {
        let row = ShardRow {
            home: Region::new(home),
            jurisdiction: Jurisdiction::new(Jurisdiction::ANY),
            placing: Placing::Settled,
            version: MapVersion(version),
        };
        world.observed.shards.insert(shard, row);
        let holder = Instance::new(Region::new(home), "one");
        let lease = Lease { holder, epoch: Epoch(version), expires_at: Timestamp::from_micros(i64::MAX) };
        world.observed.leases.insert(shard, lease);
    }
    world
}

pub(crate) async fn three(config: InventoryConfig) -> Three {
    three_of([1, 1, 1], config).await
}

/// Three regions with these weights.
pub(crate) async fn three_of(weights: [u16; 3], config: InventoryConfig) -> Three {
    let f = with(config.clone()).await;
    let (mut at, mut regions) = (Vec::new(), Vec::new());
    for name in NAMES {
        let known = Regions::of(Region::new(name), world(1, weights, [State::Active; 3]));
        let db = open(f.folder.path(), f.clock.clone()).await;
        at.push(InventoryService::among(db, None, config.clone(), known.clone()).unwrap());
        regions.push(known);
    }
    Three { f, at, regions, version: 1.into() }
}

impl Three {
    /// Every process hears that the regions are in these states.
    pub(crate) fn hear(&self, states: [State; 3]) {
        let version = self.version.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        for regions in &self.regions {
            regions.publish(world(version, [1, 1, 1], states));
        }
    }

    /// Goods come in.
    pub(crate) async fn stock(&self, sku: SkuId, units: i64) {
        let inbound = adjustment(sku, AdjustReason::Inbound, units);
        self.at[AP].adjust(&self.f.ctx(), inbound).await.unwrap();
    }

    /// What each region has of a SKU, in all warehouses, after checking the books.
    pub(crate) async fn parts(&self, sku: SkuId) -> BTreeMap<String, RegionStock> {
        self.f.numbers(sku).await;
        let mut parts: BTreeMap<String, RegionStock> = BTreeMap::new();
        let views = self.at[AP].stock(&self.f.ctx(), sku).await.unwrap();
        for part in views.into_iter().flat_map(|view| view.regions) {
            let sum = parts.entry(part.region).or_default();
            sum.available += part.available;
            sum.reserved += part.reserved;
        }
        parts
    }

    /// Units available in each of the three regions, after checking the books.
    pub(crate) async fn available(&self, sku: SkuId) -> [i64; 3] {
        let parts = self.parts(sku).await;
        NAMES.map(|name| parts.get(name).map_or(0, |part| part.available))
    }

    /// Buys, confirmed, in a region; whether there was enough.
    pub(crate) async fn buy(&self, region: usize, name: &str, demand: &[(SkuId, i64)]) -> bool {
        let (service, ctx) = (&self.at[region], self.f.ctx());
        if service.reserve(&ctx, reserve(hold(name), demand)).await.is_err() {
            return false;
        }
        service.confirm(&ctx, hold(name)).await.unwrap();
        true
    }

    /// Lets every region divide what it should; units moved.
    pub(crate) async fn rebalance(&self) -> u64 {
        let mut units = 0;
        for service in &self.at {
            units += service.rebalance_all().await.unwrap();
        }
        units
    }
}
