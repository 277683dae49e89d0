//! Shared token buckets.

use std::time::{Duration, Instant};

use platform_cache::{SharedBuckets, Taken};

use stack::{Redis, RedisCluster};

use crate::{any, config, open, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn processes_take_from_one_bucket() {
    let (_server, node) = any();
    taken(&[node], false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn in_a_cluster_too() {
    let cluster = RedisCluster::start().unwrap();
    taken(&cluster.addresses(), true).await;
}

async fn taken(nodes: &[String], cluster: bool) {
    let config = config(nodes, cluster);
    // One every three seconds.
    let processes = [
        SharedBuckets::new(open(&config).await, "user", 20),
        SharedBuckets::new(open(&config).await, "user", 20),
    ];
    let start = Instant::now();
    let mut granted = 0;
    for turn in 0..30 {
        match processes[turn % 2].take("u1").await {
            Taken::Granted => granted += 1,
            Taken::Refused(wait) => assert!(wait <= Duration::from_secs(3), "{wait:?}"),
            Taken::Unknown => panic!("Redis is there"),
        }
    }
    // One comes back every three seconds; thirty are asked for.
    let refilled = usize::try_from(start.elapsed().as_secs() / 3 + 1).unwrap();
    assert!((20..=20 + refilled).contains(&granted), "{granted} granted of a bucket of 20");
    assert!(refilled >= 10 || granted < 30, "nobody was refused");
    assert_eq!(processes[0].take("u2").await, Taken::Granted);
    let others = SharedBuckets::new(open(&config).await, "address", 20);
    assert_eq!(others.take("u1").await, Taken::Granted, "another kind is another bucket");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn without_redis_nobody_knows() {
    let server = Redis::start().unwrap();
    let redis = open(&config(&[server.address()], false)).await;
    let buckets = SharedBuckets::new(redis.clone(), "user", 1);
    assert_eq!(buckets.take("u").await, Taken::Granted);
    assert!(matches!(buckets.take("u").await, Taken::Refused(_)));
    server.kill().unwrap();
    until("it is noticed", async || redis.health().is_err()).await;
    assert_eq!(buckets.take("u").await, Taken::Unknown);
    server.restart_wiped().unwrap();
    assert!(redis.connected(crate::LIMIT).await);
    assert_eq!(buckets.take("u").await, Taken::Granted, "a wiped Redis has full buckets");
}
