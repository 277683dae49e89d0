//! vendure 3066: search shows stock after the last one is sold.

use anyhow::Result;
use support::Shop;

use crate::shelf::{fill, sku, until};

/// Guard: `inventory.availability_changed` when a SKU goes out of stock, consumed by search.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_one_sold_leaves_the_in_stock_filter() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let guest = shop.guest();
    let found = async |total: i64| {
        until(async || {
            let found = guest.get("/api/v1/search?q=book&in_stock=true").await?.expect(200)?;
            Ok((found["total"] == total).then_some(()))
        })
        .await
    };
    found(1).await?;
    let (shopper, book) = (shop.shopper().await?, sku(&shop, "last-book").await?);
    let address = shopper.address("US").await?;
    let placed = shopper.place(&address, &book, 1).await?.expect(201)?;
    found(0).await?;
    let path = format!("/api/v1/orders/{}/cancel", placed["id"].as_str().unwrap_or_default());
    shopper.post_once(&path, &support::Client::key(), &serde_json::json!({})).await?.expect(200)?;
    found(1).await?;
    shop.finish().await
}
