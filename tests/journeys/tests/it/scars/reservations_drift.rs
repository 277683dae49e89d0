//! medusa 16569: concurrent reservations drift. medusa 12401: reserved quantity negative.

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use serde_json::json;
use support::{Client, Shop};

use crate::shelf::{fill, sku, until};

/// Guard: a hold leaves `reserved` by one transition only (`inventory/model.rs: transition`), decided under the buckets'
/// lock. Every order is cancelled twice at once, so a release that counts twice drives `reserved` below zero, and one that
/// is lost leaves it above.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_reserved_is_what_is_held_and_never_less_than_nothing() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let lamp = sku(&shop, "copper-lamp").await?;
    let admin = shop.admin().await?;
    let stock = async || -> Result<(i64, i64)> {
        let stock = admin.get(&format!("/api/v1/admin/stock/{lamp}")).await?.expect(200)?;
        let sum = |field: &str| {
            stock["items"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|place| place[field].as_i64())
                .sum::<i64>()
        };
        let (available, reserved) = (sum("available"), sum("reserved"));
        ensure!(available >= 0 && reserved >= 0 && available + reserved == 20, "{stock}");
        Ok((available, reserved))
    };
    let shoppers = try_join_all((0..6).map(|_| shop.shopper())).await?;
    try_join_all(shoppers.iter().zip(1_i64..).map(|(shopper, quantity)| {
        let (lamp, stock) = (&lamp, &stock);
        async move {
            let address = shopper.address("US").await?;
            for _ in 0..3 {
                // What others gave back comes with an event.
                let order = until(async || {
                    let placed = shopper.place(&address, lamp, quantity).await?;
                    stock().await?;
                    if placed.status == 409 {
                        ensure!(placed.code() == "inventory.out_of_stock", "{placed:?}");
                        return Ok(None);
                    }
                    placed.expect(201).map(Some)
                })
                .await?;
                let path = format!("/api/v1/orders/{}/cancel", order["id"].as_str().context("an id")?);
                let (first, twin) = (Client::key(), Client::key());
                let none = json!({});
                let (first, twin) = tokio::join!(
                    shopper.post_once(&path, &first, &none),
                    shopper.post_once(&path, &twin, &none)
                );
                for answer in [first?, twin?] {
                    ensure!(matches!(answer.status, 200 | 409), "{answer:?}");
                }
                stock().await?;
            }
            anyhow::Ok(())
        }
    }))
    .await?;
    until(async || Ok((stock().await? == (20, 0)).then_some(()))).await?;
    shop.finish().await
}
