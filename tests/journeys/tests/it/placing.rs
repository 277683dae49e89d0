//! Placing: keys, stock, quotes, cancelling, expiry.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use support::{Client, Shop};

use crate::shelf::{available, fill, sku, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_at_the_same_time_is_one_order() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let (shopper, book) = (shop.shopper().await?, sku(&shop, "linen-shirt").await?);
    let address = shopper.address("US").await?;
    let body = json!({"address_id": address, "items": [{"sku_id": book, "quantity": 1}]});
    let twins = (0..20).map(|_| shopper.post_once("/api/v1/orders", "twin", &body));
    let answers = futures::future::try_join_all(twins).await?;
    let first = answers[0].expect(201)?;
    for answer in &answers {
        ensure!(answer.expect(201)? == first, "{answer:?}");
    }
    ensure!(available(&shop, "linen-shirt").await? == 49, "one unit is held");
    let listed = shopper.get("/api/v1/orders").await?.expect(200)?;
    ensure!(listed["items"].as_array().is_some_and(|orders| orders.len() == 1), "{listed}");
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_lines_of_one_sku_are_one_demand_and_the_last_unit_is_sold_once() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let (shopper, book) = (shop.shopper().await?, sku(&shop, "last-book").await?);
    let address = shopper.address("US").await?;
    let line = json!({"sku_id": book, "quantity": 1});
    let twice = json!({"address_id": address, "items": [line, line]});
    let refused = shopper.post_once("/api/v1/orders", &Client::key(), &twice).await?;
    ensure!(refused.status == 409 && refused.code() == "inventory.out_of_stock", "{refused:?}");
    ensure!(!refused.pointers().is_empty(), "the line is named: {refused:?}");
    shopper.place(&address, &book, 1).await?.expect(201)?;
    let refused = shopper.place(&address, &book, 1).await?;
    ensure!(refused.status == 409 && refused.code() == "inventory.out_of_stock", "{refused:?}");
    ensure!(available(&shop, "last-book").await? == 0);
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rise_needs_consent_and_a_fall_passes_through() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let (shopper, lamp) = (shop.shopper().await?, sku(&shop, "copper-lamp").await?);
    let admin = shop.admin().await?;
    let address = shopper.address("US").await?;
    let items = json!([{"sku_id": lamp, "quantity": 1}]);
    let quote =
        shopper.post("/api/v1/quotes", &json!({"items": items, "address_id": address})).await?.expect(201)?;
    let order = json!({"address_id": address, "items": items, "quote": quote["quote"]});
    let set = |amount: i64| json!({"prices": [{"sku_id": lamp, "kind": "list", "price": {"amount": amount, "currency": "USD"}}]});

    let risen = admin.put("/api/v1/admin/prices", &set(6_999)).await?;
    ensure!(risen.status < 300, "{risen:?}");
    let refused = shopper.post_once("/api/v1/orders", &Client::key(), &order).await?;
    ensure!(refused.status == 409 && refused.code() == "pricing.price_rose", "{refused:?}");

    ensure!(admin.put("/api/v1/admin/prices", &set(4_999)).await?.status < 300);
    let placed = shopper.post_once("/api/v1/orders", &Client::key(), &order).await?.expect(201)?;
    ensure!(placed["totals"]["subtotal"]["amount"] == 4_999, "{placed}");

    let forged = json!({"address_id": address, "items": items, "quote": "AAAA"});
    let refused = shopper.post_once("/api/v1/orders", &Client::key(), &forged).await?;
    ensure!(refused.status == 422 && refused.code() == "pricing.quote_invalid", "{refused:?}");
    let other =
        json!({"address_id": address, "items": [{"sku_id": lamp, "quantity": 2}], "quote": quote["quote"]});
    let refused = shopper.post_once("/api/v1/orders", &Client::key(), &other).await?;
    ensure!(refused.status == 422 && refused.code() == "pricing.quote_invalid", "{refused:?}");
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_order_gives_its_stock_back_once() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let (shopper, book) = (shop.shopper().await?, sku(&shop, "last-book").await?);
    let address = shopper.address("US").await?;
    let placed = shopper.place(&address, &book, 1).await?.expect(201)?;
    let path = format!("/api/v1/orders/{}/cancel", placed["id"].as_str().context("an id")?);
    for _ in 0..3 {
        let cancelled = shopper
            .post_once(&path, &Client::key(), &json!({"reason": "changed my mind"}))
            .await?
            .expect(200)?;
        ensure!(cancelled["state"] == "cancelled", "{cancelled}");
    }
    until(async || Ok((available(&shop, "last-book").await? == 1).then_some(()))).await?;
    shopper.place(&address, &book, 1).await?.expect(201)?;
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_not_paid_expires_and_its_stock_goes_back() -> Result<()> {
    let shop = Shop::builder().set("ORDER__EXPIRY", "1s").start().await?;
    fill(&shop)?;
    let (shopper, book) = (shop.shopper().await?, sku(&shop, "last-book").await?);
    let address = shopper.address("US").await?;
    let placed = shopper.place(&address, &book, 1).await?.expect(201)?;
    let path = format!("/api/v1/orders/{}", placed["id"].as_str().context("an id")?);
    let expired = until(async || {
        let now = shopper.get(&path).await?.expect(200)?;
        Ok((now["state"] == "cancelled").then_some(now))
    })
    .await?;
    ensure!(expired["cancel_reason"] == "expired", "{expired}");
    until(async || Ok((available(&shop, "last-book").await? == 1).then_some(()))).await?;
    let late = shopper
        .post_once(&format!("{path}/payments"), &Client::key(), &json!({"channel": "sandbox"}))
        .await?;
    ensure!(late.status == 409, "{late:?}");
    shop.finish().await
}
