//! The database's own placement.

use std::collections::BTreeSet;

use coordinator::{Change, Leaders};
use kernel::{Region, Shard};
use placement::{Degraded, Jurisdiction, MapVersion, Placing, RegionRow, RegionSpec, Role, ShardRow, World};
use platform_db::testing;

use crate::suite::open;

/// TiDB's built-in store has no servers to place on; it keeps what it is told.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts TiDB: cargo xtask test --real"]
async fn leaders_follow_the_map_in_tidb() {
    let folder = tempfile::tempdir().unwrap();
    let config = testing::tidb(folder.path()).expect("MERIDIAN_TEST_TIDB names a server");
    let bench = open(&config, folder, None).await;
    let leaders = Leaders::of(bench.db.clone()).unwrap();
    assert!(leaders.servers().await.unwrap().is_empty(), "a server that nobody labelled is nowhere");
    let regions = || ["ap", "eu", "us"].into_iter().map(Region::new);
    let servers: BTreeSet<Region> = regions().collect();
    let mut world = World::default();
    let any = Jurisdiction::new("any");
    for region in regions() {
        let spec = RegionSpec {
            role: Role::Full,
            endpoint: String::new(),
            capacity: 16,
            weight: 1,
            jurisdictions: [any.clone()].into(),
            failover_ready: true,
            degraded: Degraded::default(),
        };
        world.desired.regions.insert(region, RegionRow::new(spec));
    }
    for shard in bench.db.every_shard() {
        let home = regions().nth(usize::from(shard.number() % 3)).unwrap();
        let row =
            ShardRow { home, jurisdiction: any.clone(), placing: Placing::Settled, version: MapVersion(1) };
        world.observed.shards.insert(shard, row);
    }
    let all = leaders.changes(&world, &servers).await.unwrap();
    let shards = usize::from(bench.db.shards());
    // Policies are the whole server's: another run of this test may have left them.
    let (policies, partitions): (Vec<_>, Vec<_>) =
        all.iter().partition(|change| matches!(change, Change::Policy { .. }));
    assert!(
        policies.len() <= 3 && partitions.len() == 17 * shards,
        "{} {}",
        policies.len(),
        partitions.len()
    );
    // One table's are enough to see.
    let orders = partitions
        .iter()
        .filter(|change| matches!(change, Change::Partition { table, .. } if table == "orders"));
    for change in policies.iter().chain(&orders.copied().collect::<Vec<_>>()) {
        leaders.make(change).await.unwrap();
    }
    assert_eq!(leaders.changes(&world, &servers).await.unwrap().len(), 16 * shards);
    // A shard moves: its partition follows, and no policy is new.
    world.observed.shards.get_mut(&Shard::new(4)).unwrap().home = Region::new("us");
    let moved: Vec<_> = leaders.changes(&world, &servers).await.unwrap();
    let of_orders: Vec<_> = moved
        .into_iter()
        .filter(|change| matches!(change, Change::Partition { table, .. } if table == "orders"))
        .collect();
    let expected = Change::Partition {
        table: "orders".to_owned(),
        name: "p4".to_owned(),
        policy: "meridian_us_any".to_owned(),
    };
    assert_eq!(of_orders, [expected]);
}
