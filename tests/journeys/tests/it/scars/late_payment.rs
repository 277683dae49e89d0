//! mall: a late payment after cancellation is acknowledged and never refunded.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use support::{Client, Shop};

use crate::shelf::{available, fill, sku, until};

async fn order_with_payment(shop: &Shop, slug: &str) -> Result<(Client, String, String)> {
    let (shopper, sku) = (shop.shopper().await?, sku(shop, slug).await?);
    let address = shopper.address("US").await?;
    let placed = shopper.place(&address, &sku, 1).await?.expect(201)?;
    let order = placed["id"].as_str().context("an id")?.to_owned();
    let path = format!("/api/v1/orders/{order}/payments");
    let payment =
        shopper.post_once(&path, &Client::key(), &json!({"channel": "sandbox"})).await?.expect(201)?;
    Ok((shopper, order, payment["id"].as_str().context("an id")?.to_owned()))
}

async fn when(shopper: &Client, order: &str, field: &str, value: &str) -> Result<Value> {
    until(async || {
        let order = shopper.get(&format!("/api/v1/orders/{order}")).await?.expect(200)?;
        Ok((order[field] == value).then_some(order))
    })
    .await
    .with_context(|| format!("{field} = {value}"))
}

/// Guard: `order/settle.rs` reserves again for an order that merely expired.
#[tokio::test(flavor = "multi_thread")]
async fn paid_after_it_expired_is_revived_while_there_is_stock() -> Result<()> {
    let shop = Shop::builder().set("ORDER__EXPIRY", "2s").start().await?;
    fill(&shop)?;
    let (shopper, order, payment) = order_with_payment(&shop, "copper-lamp").await?;
    shopper
        .post(&format!("/api/v1/sandbox/payments/{payment}"), &json!({"outcome": "late"}))
        .await?
        .expect(202)?;
    when(&shopper, &order, "state", "cancelled").await?;
    when(&shopper, &order, "state", "paid").await?;
    ensure!(available(&shop, "copper-lamp").await? == 19);
    shop.finish().await
}

/// Guard: `order/settle.rs` refunds what it cannot revive.
#[tokio::test(flavor = "multi_thread")]
async fn paid_after_it_expired_and_sold_to_another_is_refunded() -> Result<()> {
    let shop = Shop::builder().set("ORDER__EXPIRY", "3s").start().await?;
    fill(&shop)?;
    let (shopper, order, payment) = order_with_payment(&shop, "last-book").await?;
    shopper
        .post(&format!("/api/v1/sandbox/payments/{payment}"), &json!({"outcome": "late"}))
        .await?
        .expect(202)?;
    let rival = shop.shopper().await?;
    let (address, book) = (rival.address("US").await?, sku(&shop, "last-book").await?);
    let bought = until(async || {
        let answer = rival.place(&address, &book, 1).await?;
        if answer.status == 201 { Ok(Some(answer.json()?)) } else { Ok(None) }
    })
    .await;
    // Either the rival got the freed unit and the late payer their money, or the late payer was first.
    if bought.is_ok() {
        let order = when(&shopper, &order, "payment_state", "refunded").await?;
        ensure!(order["state"] == "cancelled" || order["state"] == "closed", "{order}");
    } else {
        when(&shopper, &order, "state", "paid").await?;
    }
    Ok(())
}

/// Guard: the refund of a capture that comes after the shopper's own cancellation.
#[tokio::test(flavor = "multi_thread")]
async fn cancelled_while_paying_is_refunded_and_the_stock_goes_back() -> Result<()> {
    let shop = Shop::builder().start().await?;
    fill(&shop)?;
    let (shopper, order, payment) = order_with_payment(&shop, "last-book").await?;
    shopper
        .post(&format!("/api/v1/sandbox/payments/{payment}"), &json!({"outcome": "succeed"}))
        .await?
        .expect(202)?;
    let path = format!("/api/v1/orders/{order}/cancel");
    shopper.post_once(&path, &Client::key(), &json!({})).await?.expect(200)?;
    when(&shopper, &order, "state", "cancelled").await?;
    until(async || Ok((available(&shop, "last-book").await? == 1).then_some(()))).await?;
    let paid = shop.guest().with_token(shopper.token());
    until(async || {
        let payment = paid.get(&format!("/api/v1/payments/{payment}")).await?.expect(200)?;
        let settled = payment["state"] == "cancelled" || payment["refunded"] == payment["amount"];
        Ok(settled.then_some(()))
    })
    .await?;
    shop.finish().await
}
