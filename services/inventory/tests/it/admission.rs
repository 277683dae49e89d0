//! Buyers of what is sold out are turned away early, and never for long where that is wrong.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use contracts::{
    Permission,
    inventory::{AdjustReason, HoldState, Inventory, code},
};
use inventory::{InventoryConfig, InventoryService};
use platform_cache::{Redis, testing};
use sea_orm::{ConnectionTrait, Statement};
use stack::Redis as Server;

use crate::fixture::*;

const LIMIT: Duration = Duration::from_secs(60);

async fn redis(server: &Server) -> Redis {
    testing::open(&testing::patient(&[server.address()])).await
}

/// Two processes over one database and one Redis.
async fn twins(f: &Fixture, server: &Server, admission: Duration) -> [Arc<InventoryService>; 2] {
    let config = InventoryConfig { admission, ..InventoryConfig::default() };
    let mut twins = Vec::new();
    for _ in 0..2 {
        let db = open(f.folder.path(), f.clock.clone()).await;
        twins.push(InventoryService::new(db, Some(&redis(server).await), config.clone()).unwrap());
    }
    twins.try_into().unwrap_or_else(|_| panic!("two were made"))
}

/// Puts units back without anybody being told.
async fn put_back_unseen(f: &Fixture, name: &str, units: i64) {
    let sql = "UPDATE stock_bucket SET available = available + ? WHERE sku_id = ?";
    f.db.schema(|connection| {
        let statement = Statement::from_sql_and_values(
            connection.get_database_backend(),
            sql,
            [units.into(), sku(name).uuid().into()],
        );
        Box::pin(async move { connection.execute_raw(statement).await.map(|_| ()) })
    })
    .await
    .unwrap();
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Asks for a unit under a name of its own.
async fn buys(f: &Fixture, from: &InventoryService, name: &str) -> bool {
    let order = hold(format!("{name} {:?}", Instant::now()));
    match from.reserve(&f.ctx(), reserve(order, &[(sku(name), 1)])).await {
        Ok(_) => true,
        Err(failure) if failure.is(code::OUT_OF_STOCK) => {
            assert_eq!(failure.fields()[0].detail, "sold out");
            false
        }
        Err(failure) => panic!("{failure:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn a_no_is_told_to_others_and_ends_when_stock_comes_back() {
    let (f, server) = (fixture().await, Server::start().unwrap());
    // So long that only the news of returning stock can end it.
    let [a, b] = twins(&f, &server, Duration::from_secs(60)).await;
    f.stock(sku("hot"), 1).await;
    let last = reserve(hold("last"), &[(sku("hot"), 1)]);
    a.reserve(&f.ctx(), last.clone()).await.unwrap();
    assert!(!buys(&f, &a, "hot").await);
    // Stock that nobody was told of: who says no has not asked the database.
    put_back_unseen(&f, "hot", 100_000).await;
    assert!(!buys(&f, &a, "hot").await);
    until("b has heard", async || !buys(&f, &b, "hot").await).await;
    // A hold that exists is found again, whatever is left.
    assert_eq!(b.reserve(&f.ctx(), last).await.unwrap().state, HoldState::Reserved);
    // Stock that is seen to come back opens the doors of both.
    b.release(&f.ctx(), hold("last")).await.unwrap();
    assert!(buys(&f, &b, "hot").await);
    until("a may sell again", async || buys(&f, &a, "hot").await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn goods_that_come_in_are_told_too() {
    let (f, server) = (fixture().await, Server::start().unwrap());
    let [a, b] = twins(&f, &server, Duration::from_secs(60)).await;
    f.stock(sku("hot"), 1).await;
    assert!(buys(&f, &a, "hot").await);
    assert!(!buys(&f, &a, "hot").await);
    assert!(!buys(&f, &b, "hot").await);
    let staff = f.staff(&[Permission::InventoryWrite]);
    a.adjust(&staff, adjustment(sku("hot"), AdjustReason::Inbound, 1)).await.unwrap();
    until("b may sell again", async || buys(&f, &b, "hot").await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn a_false_no_ends_by_itself() {
    let (f, server) = (fixture().await, Server::start().unwrap());
    let holds = Duration::from_secs(4);
    let [a, b] = twins(&f, &server, holds).await;
    f.stock(sku("hot"), 1).await;
    // No later than anybody says no: a stall in between makes that look older, never younger.
    let said = Instant::now();
    assert!(buys(&f, &a, "hot").await);
    assert!(!buys(&f, &b, "hot").await);
    // The news of what comes back now are lost: Redis is gone.
    server.kill().unwrap();
    put_back_unseen(&f, "hot", 1).await;
    assert!(!buys(&f, &b, "hot").await || said.elapsed() >= holds, "the database was not asked");
    until("b asks the database again", async || buys(&f, &b, "hot").await).await;
}
