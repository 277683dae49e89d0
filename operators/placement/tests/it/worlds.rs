//! Small worlds.

use std::{collections::BTreeSet, time::Duration};

use kernel::{Region, Shard, Timestamp};
use placement::{
    Degraded, Jurisdiction, MapVersion, Placing, RegionRow, RegionSpec, Role, ShardRow, Sighting, Verdict,
    Vitals, World,
};

pub(crate) fn region(name: &str) -> Region {
    Region::new(name)
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(0).plus(Duration::from_secs(seconds))
}

/// Regions as (name, capacity, weight, jurisdictions by space).
pub(crate) fn world(regions: &[(&str, u16, u16, &str)]) -> World {
    let mut world = World::default();
    for (name, capacity, weight, laws) in regions {
        let jurisdictions: BTreeSet<Jurisdiction> = laws.split(' ').map(Jurisdiction::new).collect();
        let spec = RegionSpec {
            endpoint: String::new(),
            role: Role::Full,
            capacity: *capacity,
            weight: *weight,
            jurisdictions,
            failover_ready: true,
            degraded: Degraded::default(),
        };
        world.desired.regions.insert(region(name), RegionRow::new(spec));
    }
    world.observed.now = at(1_000);
    world.observed.version = MapVersion(1);
    world
}

/// `count` more shards of a jurisdiction that live in `home`.
pub(crate) fn settle(world: &mut World, home: &str, law: &str, count: usize) {
    for _ in 0..count {
        let shard = Shard::new(u16::try_from(world.observed.shards.len()).unwrap());
        let row = ShardRow {
            home: region(home),
            jurisdiction: Jurisdiction::new(law),
            placing: Placing::Settled,
            version: MapVersion(1),
        };
        world.observed.shards.insert(shard, row);
    }
}

/// `observer` saw `subject` down from `since` on, last at `seen_at`.
pub(crate) fn down(world: &mut World, subject: &str, observer: &str, since: u64, seen_at: u64) {
    let sighting = Sighting { verdict: Verdict::Down, since: at(since), seen_at: at(seen_at) };
    world.observed.sightings.insert((region(subject), region(observer)), sighting);
}

/// What `name` says about itself now.
pub(crate) fn says(world: &mut World, name: &str, vitals: Vitals) {
    let now = world.observed.now;
    let itself = Sighting { verdict: Verdict::Up, since: now, seen_at: now };
    world.observed.sightings.insert((region(name), region(name)), itself);
    world.observed.vitals.insert(region(name), vitals);
}

/// Three regions with 32 slots each, twelve shards of one law spread evenly.
pub(crate) fn three() -> World {
    let mut world = world(&[("ap", 32, 1, "any"), ("eu", 32, 1, "any"), ("us", 32, 1, "any")]);
    for home in ["ap", "eu", "us"] {
        settle(&mut world, home, "any", 4);
    }
    world
}
