//! Shared token buckets.

use std::time::Duration;

use platform_cache::{SharedBuckets, Taken};

use crate::{
    config, open,
    server::{Cluster, Server, any},
    until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_take_from_one_bucket() {
    let (_server, node) = any();
    taken(&[node], false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_cluster_too() {
    let cluster = Cluster::start();
    taken(&cluster.nodes(), true).await;
}

async fn taken(nodes: &[String], cluster: bool) {
    let config = config(nodes, cluster);
    // One every three seconds.
    let processes = [
        SharedBuckets::new(open(&config).await, "user", 20),
        SharedBuckets::new(open(&config).await, "user", 20),
    ];
    let mut granted = 0;
    for turn in 0..30 {
        match processes[turn % 2].take("u1").await {
            Taken::Granted => granted += 1,
            Taken::Refused(wait) => assert!(wait <= Duration::from_secs(3), "{wait:?}"),
            Taken::Unknown => panic!("Redis is there"),
        }
    }
    // Taking thirty takes less than six seconds.
    assert!((20..=22).contains(&granted), "{granted} granted of a bucket of 20");
    assert_eq!(processes[0].take("u2").await, Taken::Granted);
    let others = SharedBuckets::new(open(&config).await, "address", 20);
    assert_eq!(others.take("u1").await, Taken::Granted, "another kind is another bucket");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_nobody_knows() {
    let mut server = Server::start();
    let redis = open(&config(&[server.node()], false)).await;
    let buckets = SharedBuckets::new(redis.clone(), "user", 1);
    assert_eq!(buckets.take("u").await, Taken::Granted);
    assert!(matches!(buckets.take("u").await, Taken::Refused(_)));
    server.kill();
    until("it is noticed", async || redis.health().is_err()).await;
    assert_eq!(buckets.take("u").await, Taken::Unknown);
    server.restart_wiped();
    assert!(redis.connected(crate::LIMIT).await);
    assert_eq!(buckets.take("u").await, Taken::Granted, "a wiped Redis has full buckets");
}
