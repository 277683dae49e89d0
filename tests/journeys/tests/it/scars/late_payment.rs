//! mall: a late payment after cancellation is acknowledged and never refunded.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use support::{Client, Shop};

use super::unpaid::order_with_payment;
use crate::shelf::{available, fill, until};

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
    // Long enough for a busy machine to open the payment in time, and to see the order cancelled before the money comes.
    let shop =
        Shop::builder().set("ORDER__EXPIRY", "10s").set("PAYMENT__SANDBOX__LATE_BY", "15s").start().await?;
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

/// Guard: `order/settle.rs` refunds what it cannot revive (`Stock::Gone` leads to `sold_out`, and that to `send_back`).
#[tokio::test(flavor = "multi_thread")]
async fn paid_after_it_expired_and_sold_to_another_is_refunded() -> Result<()> {
    // The late money comes so long after the order has expired that the rival has bought and paid by then. Both orders
    // expire late enough for a busy machine to have opened their payments.
    let shop =
        Shop::builder().set("ORDER__EXPIRY", "15s").set("PAYMENT__SANDBOX__LATE_BY", "40s").start().await?;
    fill(&shop)?;
    let (shopper, order, payment) = order_with_payment(&shop, "last-book").await?;
    shopper
        .post(&format!("/api/v1/sandbox/payments/{payment}"), &json!({"outcome": "late"}))
        .await?
        .expect(202)?;
    when(&shopper, &order, "state", "cancelled").await?;
    until(async || Ok((available(&shop, "last-book").await? == 1).then_some(()))).await?;

    let (rival, bought, payment) = order_with_payment(&shop, "last-book").await?;
    rival
        .post(&format!("/api/v1/sandbox/payments/{payment}"), &json!({"outcome": "succeed"}))
        .await?
        .expect(202)?;
    when(&rival, &bought, "state", "paid").await?;
    let before = shopper.get(&format!("/api/v1/orders/{order}")).await?.expect(200)?;
    ensure!(before["payment_state"] == "unpaid", "the rival was first: {before}");

    let refunded = when(&shopper, &order, "payment_state", "refunded").await?;
    ensure!(refunded["state"] == "cancelled", "{refunded}");
    ensure!(rival.get(&format!("/api/v1/orders/{bought}")).await?.expect(200)?["state"] == "paid");
    ensure!(available(&shop, "last-book").await? == 0, "one unit, sold once");
    shop.finish().await
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
