//! A shop over Redis: the whole way, and without it when it is gone.

use anyhow::{Result, ensure};
use serde_json::json;
use stack::{Redis, RedisCluster};
use support::{Shape, Shop, ShopBuilder};

use crate::{
    buying::whole_way,
    shelf::{available, fill, product, sku, until},
};

fn over(nodes: &[String], shape: Shape) -> ShopBuilder {
    Shop::builder()
        .shape(shape)
        .set("REDIS__ENGINE", "redis")
        .set("REDIS__NODES", json!(nodes))
        .set("REDIS__PREFIX", "meridian")
        .set("REDIS__CLUSTER", nodes.len() > 1)
        .set("REDIS__COMMAND_TIMEOUT", "250ms")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn the_whole_way_in_one_process() -> Result<()> {
    let server = Redis::start()?;
    whole_way(over(&[server.address()], Shape::AllInOne)).await?;
    ensure!(!server.keys("meridian:prices*")?.is_empty(), "prices are kept in Redis");
    ensure!(!server.keys("meridian:account_sessions*")?.is_empty(), "sessions are kept in Redis");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn the_whole_way_in_three_processes_over_a_cluster() -> Result<()> {
    let cluster = RedisCluster::start()?;
    whole_way(over(&cluster.addresses(), Shape::Split)).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn a_shop_outlives_its_redis_and_shows_nothing_false_when_it_is_back() -> Result<()> {
    let server = Redis::start()?;
    let shop = over(&[server.address()], Shape::AllInOne).start().await?;
    fill(&shop)?;
    let lamp = sku(&shop, "copper-lamp").await?;
    let admin = shop.admin().await?;
    let shows = async |amount: i64| {
        until(async || {
            let lamp = product(&shop, "copper-lamp").await?;
            Ok((lamp["skus"][0]["price"]["amount"] == amount).then_some(()))
        })
        .await
    };
    let is = async |status: &str| {
        until(async || {
            let answer = shop.guest().get("/readyz").await?;
            // A probe of the database may be late on a busy machine.
            if answer.status != 200 {
                return Ok(None);
            }
            let health = answer.json()?;
            Ok((health["status"] == status).then_some(health))
        })
        .await
    };
    shows(5_999).await?;
    is("ready").await?;
    server.save()?;
    let shopper = shop.shopper().await?;
    let address = shopper.address("US").await?;
    let mut left = 20;
    for (wiped, amount) in [(false, 6_100), (true, 6_200)] {
        server.kill()?;
        let health = is("degraded").await?;
        ensure!(health.to_string().contains("Redis is not used"), "{health}");
        let price = json!({"prices": [{"sku_id": lamp, "kind": "list", "price": {"amount": amount, "currency": "USD"}}]});
        ensure!(admin.put("/api/v1/admin/prices", &price).await?.status < 300);
        shows(amount).await?;
        shopper.place(&address, &lamp, 7).await?.expect(201)?;
        left -= 7;
        until(async || Ok((available(&shop, "copper-lamp").await? == left).then_some(()))).await?;
        if wiped {
            server.restart_wiped()?
        } else {
            server.restart()?
        }
        is("ready").await?;
        let now = product(&shop, "copper-lamp").await?;
        ensure!(now["skus"][0]["price"]["amount"] == amount, "{now}");
        ensure!(now["skus"][0]["available"] == left, "{now}");
    }
    shop.finish().await
}
