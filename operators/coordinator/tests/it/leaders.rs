//! The database's own placement.

use std::{collections::BTreeSet, sync::Arc};

use coordinator::{Change, Leaders};
use kernel::{Region, Shard, SystemClock};
use placement::{Degraded, Jurisdiction, MapVersion, Placing, RegionRow, RegionSpec, Role, ShardRow, World};
use platform_db::{Db, DbConfig, TidbConfig, testing};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::suite::open;

/// TiDB's built-in store has no servers to place on; it keeps what it is told.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts TiDB: cargo xtask test --real"]
async fn leaders_follow_the_map_in_tidb() {
    let folder = tempfile::tempdir().unwrap();
    let lent = testing::tidb(folder.path()).expect("MERIDIAN_TEST_TIDB names a server");
    let config = of_its_own(lent).await;
    let bench = open(&config, folder, None).await;
    let leaders = Leaders::of(bench.db.clone()).unwrap();
    assert!(leaders.servers().await.unwrap().is_empty(), "a server that nobody labelled is nowhere");
    assert!(leaders.stores().await.unwrap().is_empty(), "and nobody has to wait for it");
    let regions = || ["ap", "eu", "us"].into_iter().map(Region::new);
    let servers: BTreeSet<Region> = regions().collect();
    let mut world = World::default();
    let any = Jurisdiction::new(Jurisdiction::ANY);
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
    // Policies are the whole server's, with the database's name in theirs: another run of this test may have left them.
    let (policies, partitions): (Vec<&Change>, Vec<&Change>) =
        all.iter().partition(|change| matches!(change, Change::Policy { .. }));
    let (splits, partitions): (Vec<&Change>, Vec<&Change>) =
        partitions.into_iter().partition(|change| matches!(change, Change::Split { .. }));
    assert!(
        policies.len() <= 3 && splits.len() == 3 && partitions.len() == 17 * shards,
        "{} {} {}",
        policies.len(),
        splits.len(),
        partitions.len()
    );
    for region in ["ap", "eu"] {
        stock(&bench.db, region).await;
    }
    // One table's are enough to see.
    let orders = partitions
        .into_iter()
        .filter(|change| matches!(change, Change::Partition { table, .. } if table == "orders"));
    for change in policies.into_iter().chain(splits).chain(orders) {
        leaders.make(change).await.unwrap();
    }
    assert_eq!(leaders.changes(&world, &servers).await.unwrap().len(), 16 * shards);
    // Each region's stock is in its partition, what was there before too.
    stock(&bench.db, "us").await;
    for region in ["ap", "eu", "us"] {
        let sql =
            format!("SELECT COUNT(*) FROM stock_bucket PARTITION (at_{region}) WHERE region = '{region}'");
        assert_eq!(number(&bench.db, &sql).await, 1, "{region}");
    }
    assert_eq!(number(&bench.db, "SELECT COUNT(*) FROM stock_bucket").await, 3);
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
        policy: "meridian_leaders__us_any".to_owned(),
    };
    assert_eq!(of_orders, [expected]);
}

/// A fresh database: what this test changes in a schema nobody changes back.
async fn of_its_own(lent: DbConfig) -> DbConfig {
    let db = Db::open(&lent, Arc::new(SystemClock)).await.unwrap();
    for sql in ["DROP DATABASE IF EXISTS leaders", "CREATE DATABASE leaders"] {
        let done =
            db.schema(|session| Box::pin(async move { session.execute_unprepared(sql).await.map(drop) }));
        done.await.unwrap();
    }
    DbConfig { tidb: TidbConfig { database: "leaders".to_owned(), ..lent.tidb }, ..lent }
}

/// A unit of something in a region.
async fn stock(db: &Db, region: &str) {
    let sql = "INSERT INTO stock_bucket (sku_id, region, warehouse_id, n, available, reserved, unavailable, version, \
               updated_at, taken) VALUES (?, ?, ?, 0, 1, 0, 0, 1, 0, 0)";
    let nobody = vec![0_u8; 16];
    let values = [nobody.clone().into(), region.into(), nobody.into()];
    let statement = Statement::from_sql_and_values(DbBackend::MySql, sql, values);
    let schema = db.schema(|session| Box::pin(async move { session.execute_raw(statement).await.map(drop) }));
    schema.await.unwrap();
}

async fn number(db: &Db, sql: &str) -> i64 {
    let row = db.read().query_one_raw(Statement::from_string(DbBackend::MySql, sql)).await.unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}
