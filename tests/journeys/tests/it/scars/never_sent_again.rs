//! hyperswitch 3408: a failed event never sent again.

use anyhow::{Result, ensure};
use serde_json::json;
use support::{Shape, Shop};

use super::unpaid::order_with_payment;
use crate::{
    endpoint::Endpoint,
    shelf::{available, fill, until},
};

/// Guard: `payment/provider/deliver.rs` keeps a callback until it got the reply it wants. Nobody asks the provider here
/// (`sync_after` is an hour), so that the callback alone pays the order.
#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_failed_is_made_again() -> Result<()> {
    let endpoint = Endpoint::failing(3).await?;
    let shop = Shop::builder()
        .set("PAYMENT__SANDBOX__CALLBACK_URL", endpoint.url())
        .set("PAYMENT__SANDBOX__CALLBACK_AGAIN", "50ms")
        // Who is slow to take it has not failed.
        .set("PAYMENT__PROVIDER_TIMEOUT", "30s")
        .set("PAYMENT__SYNC_AFTER", "1h")
        .set("PAYMENT__SYNC_LONGEST", "1h")
        .start()
        .await?;
    endpoint.pass_on_to(format!("{}/api/v1/payments/callbacks/sandbox", shop.base()))?;
    fill(&shop)?;
    let (shopper, order, payment) = order_with_payment(&shop, "copper-lamp").await?;
    let path = format!("/api/v1/sandbox/payments/{payment}");
    shopper.post(&path, &json!({"outcome": "succeed"})).await?.expect(202)?;
    until(async || {
        let order = shopper.get(&format!("/api/v1/orders/{order}")).await?.expect(200)?;
        Ok((order["state"] == "paid").then_some(()))
    })
    .await?;
    until(async || {
        let waiting = shop.number("SELECT count(*) FROM sandbox_callback").await?;
        Ok((waiting == 0).then_some(()))
    })
    .await?;
    ensure!(endpoint.hits()? == 4, "three failed, the fourth was taken: {}", endpoint.hits()?);
    shop.finish().await
}

/// Guard: `platform/bus` parks an event whose consumer failed and brings it again. The stock's process is gone while the
/// order hears of its money, and comes back later.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_consumer_failed_is_brought_again() -> Result<()> {
    let mut shop = Shop::builder()
        .shape(Shape::Split)
        // The process below must be gone by then, on a busy machine too.
        .set("PAYMENT__SANDBOX__CALLBACK_DELAY", "8s")
        .set("PAYMENT__SYNC_AFTER", "1h")
        .set("PAYMENT__SYNC_LONGEST", "1h")
        .start()
        .await?;
    fill(&shop)?;
    let (shopper, order, payment) = order_with_payment(&shop, "copper-lamp").await?;
    let path = format!("/api/v1/sandbox/payments/{payment}");
    shopper.post(&path, &json!({"outcome": "succeed"})).await?.expect(202)?;
    // The group with the inventory; the callback goes to payment, which stays.
    shop.kill_group(0)?;
    until(async || {
        let parked = shop.number("SELECT count(*) FROM retry WHERE subscription = 'order.settle'").await?;
        Ok((parked == 1).then_some(()))
    })
    .await?;
    shop.start_group(0).await?;
    until(async || {
        let order = shopper.get(&format!("/api/v1/orders/{order}")).await?.expect(200)?;
        Ok((order["state"] == "paid").then_some(()))
    })
    .await?;
    ensure!(available(&shop, "copper-lamp").await? == 19);
    shop.finish().await
}
