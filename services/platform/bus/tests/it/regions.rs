//! Buses of two regions over one database.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kernel::{Epoch, Region, Shard, Timestamp};
use placement::{
    Degraded, Desired, Instance, Jurisdiction, Lease, MapVersion, Observed, Placing, RegionRow, RegionSpec,
    Role, ShardRow, World,
};
use platform_bus::{Consumer, Scope};
use platform_db::Rows;
use platform_regions::Regions;

use crate::stand::{Engine, Fixture, Happened, Recorder, Running, change, eventually, fixture, number};

fn region(name: &str) -> Region {
    Region::new(name)
}

/// A map on which these regions hold the leases of these shards.
fn world(version: u64, leases: &[(u16, &str)]) -> World {
    let any = || Jurisdiction::new(Jurisdiction::ANY);
    let spec = || RegionSpec {
        role: Role::Full,
        endpoint: String::new(),
        capacity: 9,
        weight: 1,
        jurisdictions: [any()].into(),
        failover_ready: false,
        degraded: Degraded::default(),
    };
    let regions = ["eu", "us"].map(|name| (region(name), RegionRow::new(spec())));
    let row = |home: &str| ShardRow {
        home: region(home),
        jurisdiction: any(),
        placing: Placing::Settled,
        version: MapVersion(version),
    };
    let lease = |holder: &str| Lease {
        holder: Instance::new(region(holder), "one"),
        epoch: Epoch(version),
        expires_at: Timestamp::from_micros(i64::MAX),
    };
    World {
        desired: Desired { regions: regions.into(), ..Desired::default() },
        observed: Observed {
            version: MapVersion(version),
            shards: leases.iter().map(|(shard, home)| (Shard::new(*shard), row(home))).collect(),
            leases: leases.iter().map(|(shard, holder)| (Shard::new(*shard), lease(holder))).collect(),
            ..Observed::default()
        },
    }
}

struct Place {
    regions: Regions,
    once: Arc<Recorder>,
    each: Arc<Recorder>,
    running: Running,
}

impl Place {
    fn start(f: &Fixture, name: &str, world: World) -> Self {
        let (once, each) = (Recorder::new("test.once", &f.db), Recorder::regional("test.each", &f.db));
        let regions = Regions::of(region(name), world);
        let consumers: Vec<Arc<dyn Consumer>> = vec![once.clone(), each.clone()];
        let running = Running::of(&f.db, consumers, f.config.clone(), regions.clone());
        Self { regions, once, each, running }
    }
}

/// Events that nobody sequences here.
async fn write(f: &Fixture, shards: std::ops::Range<u16>, numbers: std::ops::Range<u32>) {
    for shard in shards {
        for n in numbers.clone() {
            let event = Happened { to: format!("s{shard}"), n };
            let rows = Rows::new().event(&f.db, Shard::new(shard), &event).unwrap();
            f.db.append(Shard::new(shard), rows).await.unwrap();
            f.clock.advance(Duration::from_millis(1));
        }
    }
}

fn all(recorder: &Recorder, shards: u16, count: usize) -> bool {
    (0..shards).all(|shard| recorder.numbers(&format!("s{shard}")).len() == count)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_works_on_its_shards_and_all_hear_what_is_for_each() {
    let f = fixture(Engine::Embedded).await;
    let leases = [(0, "eu"), (1, "us"), (2, "eu"), (3, "us")];
    let places = ["eu", "us"].map(|name| Place::start(&f, name, world(1, &leases)));
    assert_eq!(places[0].each.scope(), Scope::Region);
    write(&f, 0..4, 0..20).await;
    eventually("heard everywhere", async || places.iter().all(|place| all(&place.each, 4, 20))).await;
    let [eu, us] = &places;
    eu.running.quiet().await;
    let seen = |place: &Place| -> BTreeMap<u16, usize> {
        (0..4).map(|shard| (shard, place.once.numbers(&format!("s{shard}")).len())).collect()
    };
    assert_eq!(seen(eu), BTreeMap::from([(0, 20), (1, 0), (2, 20), (3, 0)]));
    assert_eq!(seen(us), BTreeMap::from([(0, 0), (1, 20), (2, 0), (3, 20)]));
    for place in places {
        place.running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_where_the_leases_go() {
    let f = fixture(Engine::Embedded).await;
    let (before, after) = ([(0, "eu"), (1, "us")], [(0, "us"), (1, "us")]);
    let [eu, us] = ["eu", "us"].map(|name| Place::start(&f, name, world(1, &before)));
    write(&f, 0..2, 0..10).await;
    eventually("consumed", async || eu.once.numbers("s0").len() == 10).await;
    // As after kill -9: nothing is given back, and only the map says who works.
    eu.running.kill().await;
    write(&f, 0..2, 10..20).await;
    eventually("its own", async || us.once.numbers("s1").len() == 20).await;
    assert!(us.once.numbers("s0").is_empty(), "not its shard yet");
    us.regions.publish(world(2, &after));
    eventually("taken over", async || eu.once.numbers("s0").len() + us.once.numbers("s0").len() == 20).await;
    us.running.quiet().await;
    let mut both = [eu.once.numbers("s0"), us.once.numbers("s0")].concat();
    both.sort_unstable();
    assert_eq!(both, (0..20).collect::<Vec<_>>(), "each once");
    us.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_region_has_parked_stops_no_other() {
    let f = fixture(Engine::Embedded).await;
    let leases = [(0, "eu"), (1, "us")];
    let [eu, us] = ["eu", "us"].map(|name| Place::start(&f, name, world(1, &leases)));
    // All behind the first wait for it: more than the five that a subscription may have parked.
    eu.once.breaks(0);
    write(&f, 0..1, 0..20).await;
    let (of_eu, of_us) = (
        "SELECT COUNT(*) FROM retry WHERE subscription = 'test.once' AND shard = 0",
        "SELECT COUNT(*) FROM retry WHERE subscription = 'test.once' AND shard = 1",
    );
    eventually("parked", async || number(&f.db, of_eu).await >= 5).await;
    // One after the other: the other region has time to see what is parked.
    for (n, count) in (0_u32..20).zip(1_usize..) {
        write(&f, 1..2, n..n + 1).await;
        eventually("consumed", async || us.once.numbers("s1").len() == count).await;
    }
    us.once.breaks(20);
    write(&f, 1..2, 20..21).await;
    eventually("parked", async || number(&f.db, of_us).await == 1).await;
    us.once.heals();
    eventually("tried again", async || {
        f.clock.advance(Duration::from_millis(100));
        us.once.numbers("s1").len() == 21
    })
    .await;
    assert_eq!(us.once.numbers("s0"), Vec::<u32>::new());
    eu.running.stop().await;
    us.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_is_busy_until_its_cursor_is_written() {
    let f = fixture(Engine::Embedded).await;
    let eu = Place::start(&f, "eu", world(1, &[(0, "eu"), (1, "eu")]));
    write(&f, 0..2, 0..5).await;
    eventually("consumed", async || all(&eu.once, 2, 5)).await;
    eventually("at rest", async || eu.regions.busy_now().is_empty()).await;
    eu.regions.publish(world(2, &[(0, "us"), (1, "us")]));
    write(&f, 0..2, 5..9).await;
    eu.running.stop().await;
    assert!(all(&eu.once, 2, 5), "what is not its own stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_get_no_position_are_behind() {
    let f = fixture(Engine::Embedded).await;
    let eu = Place::start(&f, "eu", world(1, &[(0, "eu"), (1, "us")]));
    // Somebody has the position that the next event of shard 0 wants: nothing of this region is sequenced.
    let log = "INSERT INTO event_log (shard, pos, topic, aggregate, at, body) VALUES (0, 1, 'x', 'x', 0, '')";
    change(&f.db, log).await;
    write(&f, 0..2, 0..1).await;
    f.clock.advance(Duration::from_secs(30));
    eventually("behind", async || eu.regions.relay_lag() >= Duration::from_secs(30)).await;
    change(&f.db, "DELETE FROM event_log WHERE shard = 0").await;
    // The other region's event waits for the other region.
    eventually("caught up", async || eu.regions.relay_lag() < Duration::from_secs(30)).await;
    assert_eq!(eu.once.numbers("s1"), Vec::<u32>::new());
    eu.running.stop().await;
}
