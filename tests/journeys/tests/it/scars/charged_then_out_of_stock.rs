//! vendure 3065: charged, then out of stock, order stuck. mall 998: the client sets the amount. mall 613: a member marks
//! any order paid.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use support::{Client, Shop};

use crate::shelf::{fill, sku};

/// Guard: stock is held from placing to expiry, so that whoever may pay has the goods; a second shopper is told at placing.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_can_pay_has_the_goods() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let book = sku(&shop, "last-book").await?;
    let (first, second) = (shop.shopper().await?, shop.shopper().await?);
    let (here, there) = (first.address("US").await?, second.address("US").await?);
    let (a, b) = tokio::join!(first.place(&here, &book, 1), second.place(&there, &book, 1));
    let mut statuses = [a?.status, b?.status];
    statuses.sort_unstable();
    ensure!(statuses == [201, 409], "{statuses:?}");
    shop.finish().await
}

/// Guard: amounts come from the order; unknown fields are refused; payments of others are 404.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_sets_no_amount_and_pays_no_order_of_others() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let (shopper, lamp) = (shop.shopper().await?, sku(&shop, "copper-lamp").await?);
    let address = shopper.address("US").await?;
    let cheap = json!({"address_id": address, "items": [{"sku_id": lamp, "quantity": 1, "unit_price": {"amount": 1, "currency": "USD"}}]});
    ensure!(shopper.post_once("/api/v1/orders", &Client::key(), &cheap).await?.status == 422);
    let placed = shopper.place(&address, &lamp, 1).await?.expect(201)?;
    let path = format!("/api/v1/orders/{}/payments", placed["id"].as_str().context("an id")?);
    let cheap = json!({"channel": "sandbox", "amount": {"amount": 1, "currency": "USD"}});
    ensure!(shopper.post_once(&path, &Client::key(), &cheap).await?.status == 422);
    let thief = shop.shopper().await?;
    ensure!(thief.post_once(&path, &Client::key(), &json!({"channel": "sandbox"})).await?.status == 404);
    let payment =
        shopper.post_once(&path, &Client::key(), &json!({"channel": "sandbox"})).await?.expect(201)?;
    ensure!(payment["amount"] == placed["totals"]["total"], "{payment}");
    shop.finish().await
}
