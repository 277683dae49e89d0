//! saleor 14298: retries hammer a dead endpoint.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use support::Shop;

use super::unpaid::order_with_payment;
use crate::{
    endpoint::Endpoint,
    shelf::{fill, until},
};

/// Guard: `payment/provider/deliver.rs` waits twice as long after every try (`backoff`) and gives a callback up after
/// `callback_tries` (`dead`). What the callback would have said is asked for (`payment/sync.rs`).
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_endpoint_is_called_ever_more_rarely_and_then_left_alone() -> Result<()> {
    let endpoint = Endpoint::failing(usize::MAX).await?;
    let shop = Shop::builder()
        .set("PAYMENT__SANDBOX__CALLBACK_URL", endpoint.url())
        .set("PAYMENT__SANDBOX__CALLBACK_AGAIN", "100ms")
        .set("PAYMENT__SANDBOX__CALLBACK_TRIES", 5)
        .set("PAYMENT__SANDBOX__POLL", "20ms")
        .start()
        .await?;
    fill(&shop)?;
    let (shopper, order, payment) = order_with_payment(&shop, "copper-lamp").await?;
    let path = format!("/api/v1/sandbox/payments/{payment}");
    shopper.post(&path, &json!({"outcome": "succeed"})).await?.expect(202)?;
    until(async || {
        let given_up = shop.number("SELECT count(*) FROM sandbox_callback WHERE dead = 1").await?;
        Ok((given_up == 1).then_some(()))
    })
    .await?;
    ensure!(endpoint.hits()? == 5, "{}", endpoint.hits()?);
    for (nth, pause) in endpoint.pauses()?.into_iter().enumerate() {
        // A timer may be a little early on the other side of a clock's tick, never by a tenth.
        let least = Duration::from_millis(90 << nth);
        ensure!(pause >= least, "try {} came after {pause:?}, not {least:?}", nth + 2);
    }
    until(async || {
        let order = shopper.get(&format!("/api/v1/orders/{order}")).await?.expect(200)?;
        Ok((order["state"] == "paid").then_some(()))
    })
    .await?;
    ensure!(endpoint.hits()? == 5, "given up is given up");
    shop.finish().await
}
