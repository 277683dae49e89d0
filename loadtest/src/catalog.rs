//! Products to buy.

use std::fmt::Write;

use anyhow::{Context, Result};
use support::{Client, Shop};

/// Units of each SKU where none may be sold out.
pub(crate) const UNITS: i64 = 1_000_000;

/// Imports `count` products of one SKU each with `units` units, and returns their SKU ids in order.
pub(crate) async fn stock(shop: &Shop, count: usize, units: i64) -> Result<Vec<String>> {
    stock_as(shop, "load", count, units).await
}

/// The same, with handles that begin with `name`.
pub(crate) async fn stock_as(shop: &Shop, name: &str, count: usize, units: i64) -> Result<Vec<String>> {
    let code = name.to_uppercase();
    let mut csv = String::from(
        "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Qty,Variant Price\n",
    );
    for n in 0..count {
        writeln!(
            csv,
            "{name}-{n},Load {n},<p>For load.</p>,Tester,Load,,true,Title,Default Title,{code}-{n},{units},19.99"
        )?;
    }
    shop.import_products(&csv)?;
    let guest = shop.guest();
    let mut skus = Vec::with_capacity(count);
    for n in 0..count {
        let product = guest.get(&format!("/api/v1/products/{name}-{n}")).await?.expect(200)?;
        skus.push(product["skus"][0]["id"].as_str().context("a product has a SKU")?.to_owned());
    }
    Ok(skus)
}

/// Units of a SKU: on hand and reserved, over all warehouses.
pub(crate) async fn on_hand(admin: &Client, sku: &str) -> Result<(i64, i64)> {
    let body = admin.get(&format!("/api/v1/admin/stock/{sku}")).await?.expect(200)?;
    let rows = body["items"].as_array().or_else(|| body.as_array()).context("stock is a list")?;
    let sum = |field: &str| rows.iter().filter_map(|row| row[field].as_i64()).sum();
    Ok((sum("on_hand"), sum("reserved")))
}

/// A shopper with an address.
pub(crate) struct Buyer {
    pub(crate) client: Client,
    pub(crate) address: String,
}

/// Opens `count` accounts with an address each.
pub(crate) async fn buyers(shop: &Shop, count: usize) -> Result<Vec<Buyer>> {
    use futures::{StreamExt, TryStreamExt, stream};
    stream::iter(0..count)
        .map(|_| async {
            let client = shop.shopper().await?;
            let address = client.address("US").await?;
            anyhow::Ok(Buyer { client, address })
        })
        .buffer_unordered(16)
        .try_collect()
        .await
}
