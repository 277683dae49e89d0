//! What is known, and what takes its place.

use kernel::Timestamp;
use placement::{Degraded, Jurisdiction, MapVersion, Placing, RegionRow, RegionSpec, Role, ShardRow, State};

use super::*;

/// A map of this version at this moment, whose only shard is at home in `home`.
fn world(home: &str, version: u64, now: i64) -> World {
    let anywhere = Jurisdiction::new(Jurisdiction::ANY);
    let spec = RegionSpec {
        role: Role::Full,
        endpoint: String::new(),
        capacity: 1,
        weight: 1,
        jurisdictions: BTreeSet::from([anywhere.clone()]),
        failover_ready: true,
        degraded: Degraded::default(),
    };
    let row = ShardRow {
        home: Region::new(home),
        jurisdiction: anywhere,
        placing: Placing::Settled,
        version: MapVersion(version),
    };
    let mut world = World::default();
    world.desired.regions.insert(Region::new(home), RegionRow::new(spec));
    world.observed.shards.insert(Shard::new(0), row);
    world.observed.version = MapVersion(version);
    world.observed.now = Timestamp::from_micros(now);
    world
}

fn known(regions: &Regions) -> (MapVersion, Region) {
    let world = regions.world().unwrap();
    (world.observed.version, world.observed.shards[&Shard::new(0)].home.clone())
}

#[test]
fn what_was_known_at_the_start_gives_way_to_the_database() {
    let regions = Regions::of(Region::new("us"), world("eu", 30, 9));
    assert_eq!(regions.homed_here(), Some(Vec::new()));
    assert!(regions.publish(world("us", 1, 1)), "of another database");
    assert_eq!(known(&regions), (MapVersion(1), Region::new("us")));
    assert_eq!(regions.homed_here(), Some(vec![Shard::new(0)]));
}

#[test]
fn an_answer_that_is_late_counts_for_nothing() {
    let regions = Regions::of(Region::new("us"), World::default());
    assert!(regions.publish(world("us", 2, 5)));
    for late in [world("eu", 1, 6), world("eu", 2, 4)] {
        assert!(!regions.publish(late));
        assert_eq!(known(&regions), (MapVersion(2), Region::new("us")));
    }
    assert!(regions.publish(world("eu", 2, 6)));
    assert_eq!(known(&regions), (MapVersion(2), Region::new("eu")));
    assert!(!Regions::single().publish(world("us", 1, 1)));
}

#[test]
fn a_database_that_was_set_back_counts_after_a_while() {
    let regions = Regions::of(Region::new("us"), World::default());
    assert!(regions.publish(world("us", 9, 9)));
    assert!(!regions.publish(world("eu", 3, 3)), "it may be late");
    let long_ago = Instant::now().checked_sub(LATE + Duration::from_secs(1)).unwrap();
    *regions.0.as_ref().unwrap().read_at.lock().unwrap() = long_ago;
    assert!(regions.publish(world("eu", 3, 3)));
    assert_eq!(known(&regions), (MapVersion(3), Region::new("eu")));
    assert!(!regions.publish(world("us", 2, 9)), "from then on as before");
}

#[test]
fn a_region_is_out_by_the_map_alone() {
    let regions = Regions::of(Region::new("us"), World::default());
    assert!(!regions.is_out() && !Regions::single().is_out(), "nobody took it out");
    for (version, (state, out)) in (1..).zip([
        (State::Active, false),
        (State::Drained, true),
        (State::Fenced, true),
        (State::Cordoned, false),
    ]) {
        let mut world = world("us", version, 1);
        world.desired.regions.get_mut(&Region::new("us")).unwrap().state = state;
        assert!(regions.publish(world));
        assert_eq!(regions.is_out(), out, "{state:?}");
    }
}
