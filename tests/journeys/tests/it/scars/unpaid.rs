//! An order that waits for its money.

use anyhow::{Context, Result};
use serde_json::json;
use support::{Client, Shop};

use crate::shelf::sku;

/// A new shopper, their order of one unit, and the payment opened for it.
pub(crate) async fn order_with_payment(shop: &Shop, slug: &str) -> Result<(Client, String, String)> {
    let (shopper, sku) = (shop.shopper().await?, sku(shop, slug).await?);
    let address = shopper.address("US").await?;
    let placed = shopper.place(&address, &sku, 1).await?.expect(201)?;
    let order = placed["id"].as_str().context("an id")?.to_owned();
    let path = format!("/api/v1/orders/{order}/payments");
    let payment =
        shopper.post_once(&path, &Client::key(), &json!({"channel": "sandbox"})).await?.expect(201)?;
    Ok((shopper, order, payment["id"].as_str().context("an id")?.to_owned()))
}
