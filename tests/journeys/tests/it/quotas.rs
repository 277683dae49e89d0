//! Stock of a shop of three regions: each sells its own part and borrows what it lacks.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use serde_json::json;
use support::{Client, REGIONS, Shop};

use crate::{
    regions::unhurried,
    shelf::{available, sku, until},
};

const UNITS: i64 = 100;
/// Shoppers of a region and orders that each of them places at once: far more than its part, and than there is in all.
const SHOPPERS: usize = 3;
const ORDERS: [usize; 3] = [10, 40, 10];

const SCARCE: &str = "\
Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Grams,Variant Inventory Qty,Variant Price,Variant Compare At Price,Image Src,Image Position\n\
scarce-print,Scarce Print,<p>A hundred were made.</p>,Saltworks,Art,paper,true,Title,Default Title,PRINT,100,100,30.00,,,\n";

/// Units available by region, as staff see them.
async fn by_region(admin: &Client, sku: &str) -> Result<BTreeMap<String, i64>> {
    let stock = admin.get(&format!("/api/v1/admin/stock/{sku}")).await?.expect(200)?;
    let parts = stock["items"][0]["regions"].as_array().with_context(|| stock.to_string())?;
    parts
        .iter()
        .map(|part| {
            let region = part["region"].as_str().context("a region")?;
            Ok((region.to_owned(), part["available"].as_i64().context("a number")?))
        })
        .collect()
}

async fn shopper_at(shop: &Shop, base: &str, name: &str) -> Result<(Client, String)> {
    let mut client = shop.guest().at(base);
    let email = format!("{name}@example.com");
    let account = json!({"email": email, "password": "correct horse battery", "name": "Test Shopper"});
    client.post("/api/v1/accounts", &account).await?.expect(201)?;
    client.log_in(&email, "correct horse battery").await?;
    let address = client.address("US").await?;
    Ok((client, address))
}

/// Whether an order was placed. What failed on the way is asked again, under its key.
async fn buys(shopper: &Client, address: &str, sku: &str) -> Result<bool> {
    let (key, body) =
        (Client::key(), json!({"address_id": address, "items": [{"sku_id": sku, "quantity": 1}]}));
    until(async || {
        let answer = shopper.post_once("/api/v1/orders", &key, &body).await?;
        match answer.status {
            201 => Ok(Some(true)),
            500.. => Ok(None),
            _ => {
                ensure!(answer.code() == "inventory.out_of_stock", "{}: {}", answer.status, answer.text);
                Ok(Some(false))
            }
        }
    })
    .await
}

/// Units reserved through a region: from its own part and in all.
async fn sold_by(base: &str) -> Result<(u64, u64)> {
    let text = Client::new(base).get("/metrics").await?.text;
    let count = |from: &str| {
        let name = format!("inventory_quota_units_total{{from=\"{from}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok()).unwrap_or(0)
    };
    Ok((count("local"), count("local") + count("borrowed")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_units_bought_at_once_through_three_regions_are_sold_exactly_once() -> Result<()> {
    let shop = unhurried().start().await?;
    // Imported by a process of no region: the job gives each region its part.
    shop.import_products(SCARCE)?;
    let (print, admin) = (sku(&shop, "scarce-print").await?, shop.admin().await?);
    let parts = until(async || {
        let parts = by_region(&admin, &print).await?;
        Ok(REGIONS.iter().all(|region| parts.get(*region).is_some_and(|units| *units > 30)).then_some(parts))
    })
    .await
    .context("each region has its part")?;
    ensure!(parts.values().sum::<i64>() == UNITS, "{parts:?}");

    let mut shoppers = Vec::new();
    for (region, base) in shop.entrances().iter().enumerate() {
        for n in 0..SHOPPERS {
            shoppers.push((region, shopper_at(&shop, base, &format!("print-{region}-{n}")).await?));
        }
    }
    let orders = shoppers.iter().flat_map(|(region, (shopper, address))| {
        (0..ORDERS[*region]).map(|_| buys(shopper, address, &print))
    });
    let outcomes = try_join_all(orders).await?;
    let sold = outcomes.iter().filter(|bought| **bought).count();
    ensure!(i64::try_from(sold)? == UNITS, "{sold} of {} orders were placed", outcomes.len());
    ensure!(available(&shop, "scarce-print").await? == 0);
    let (mut local, mut all) = (0, 0);
    for base in shop.entrances() {
        let (own, units) = sold_by(base).await?;
        eprintln!("{base}: {units} reserved, {own} of them from its own part");
        (local, all) = (local + own, all + units);
    }
    ensure!(all == 100 && local > 0, "{local} of {all} units from the regions' own parts");
    // Equations of stock hold, over all regions' parts and what was moved between them.
    shop.run_command(&["region", "verify"], None)?;
    shop.finish().await
}
