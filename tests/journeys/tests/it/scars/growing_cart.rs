//! medusa 13335: add-to-cart slows from 262 to 1045 ms as the cart grows.

use std::{collections::BTreeMap, fmt::Write};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use support::{Shape, Shop};

/// The group of [`Shape::Split`] that runs the cart.
const CART: usize = 1;
const LINES: usize = 60;

/// Guard: `cart/service.rs` asks for the facts of all lines at once (`facts`), so that adding one costs the same calls to
/// the other domains whether the cart has one line or many.
#[tokio::test(flavor = "multi_thread")]
async fn adding_to_a_full_cart_asks_no_more_than_adding_to_an_empty_one() -> Result<()> {
    let shop = Shop::builder().shape(Shape::Split).start().await?;
    let mut csv =
        "Handle,Title,Published,Option1 Name,Option1 Value,Variant Price,Variant Inventory Qty\n".to_owned();
    for n in 0..LINES {
        writeln!(csv, "thing-{n},Thing {n},true,Title,Default Title,5.00,9")?;
    }
    shop.import_products(&csv)?;
    let shopper = shop.shopper().await?;
    let mut costs = Vec::new();
    for n in 0..LINES {
        let sku = crate::shelf::sku(&shop, &format!("thing-{n}")).await?;
        let before = shop.calls_of(CART).await?;
        let cart =
            shopper.put(&format!("/api/v1/cart/items/{sku}"), &json!({"quantity": 1})).await?.expect(200)?;
        ensure!(cart["items"].as_array().is_some_and(|items| items.len() == n + 1), "{cart}");
        costs.push(grown(&before, &shop.calls_of(CART).await?));
    }
    let (first, last) = (costs.first().context("costs")?, costs.last().context("costs")?);
    ensure!(!first.is_empty(), "the calls are counted");
    ensure!(first == last, "one line: {first:?}; {LINES} lines: {last:?}");
    shop.finish().await
}

/// Calls by the cart's domains that came in between. What its process does in the background (consumers, jobs) asks
/// others, and is not counted.
fn grown(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let asked = ["catalog.skus", "pricing.prices", "inventory.availability"];
    after
        .iter()
        .filter(|(call, _)| asked.contains(&call.as_str()))
        .map(|(call, count)| (call.clone(), count - before.get(call).copied().unwrap_or(0)))
        .collect()
}
