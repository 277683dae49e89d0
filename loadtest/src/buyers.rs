//! Many buyers, few units.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::json;
use support::{Answer, Client, Parts, Shape, Shop};

use crate::{
    Proof,
    catalog::{buyers, on_hand, stock},
};

/// How long a client asks for the same order.
const ANSWERED: Duration = Duration::from_secs(60);
/// How soon it asks again.
const AGAIN: Duration = Duration::from_millis(200);

/// How many.
#[derive(Clone, Debug)]
pub struct Size {
    /// Buyers, all at once.
    pub buyers: usize,
    /// Units of the hot SKU.
    pub units: i64,
    /// SKUs that are bought together in different orders.
    pub skus: usize,
    /// How the shop is cut.
    pub shape: Shape,
    /// What it runs on.
    pub parts: Parts,
}

/// `buyers` buyers want one unit each of one SKU with `units` units: exactly `units` orders. Then they want several SKUs
/// at once, named in different order by each: nobody waits for ever and the last units are sold.
pub async fn run(size: Size, proof: &mut Proof, seed: u64) -> Result<()> {
    let shop = Shop::builder().shape(size.shape).on(size.parts).start().await?;
    let skus = stock(&shop, size.skus + 1, size.units).await?;
    let (hot, together) = skus.split_first().ok_or_else(|| anyhow::anyhow!("at least one SKU"))?;
    eprintln!("opening {} accounts …", size.buyers);
    let buyers = Arc::new(buyers(&shop, size.buyers).await?);

    let placed = all_at_once(&buyers, |_| json!([{"sku_id": hot, "quantity": 1}])).await?;
    proof.figure("buyers", size.buyers);
    proof.figure("units", size.units);
    proof.figure("orders of the hot SKU", placed);
    ensure!(i64::try_from(placed)? == size.units, "{placed} orders for {} units", size.units);
    let admin = shop.admin().await?;
    ensure!(on_hand(&admin, hot).await? == (size.units, size.units), "every unit is reserved");

    let placed = all_at_once(&buyers, |n| {
        let mut rng = StdRng::seed_from_u64(seed ^ n as u64);
        let mut lines: Vec<_> =
            together.iter().map(|sku| json!({"sku_id": sku, "quantity": rng.random_range(1..=3)})).collect();
        lines.shuffle(&mut rng);
        json!(lines)
    })
    .await?;
    proof.figure("orders of several SKUs", placed);
    // Whoever wants one of each last unit gets it, as long as every SKU has one.
    let mut singles = 0;
    loop {
        let lines: Vec<_> = together.iter().map(|sku| json!({"sku_id": sku, "quantity": 1})).collect();
        let body = json!({"address_id": buyers[0].address, "items": lines});
        let answer = buyers[0].client.post_once("/api/v1/orders", &Client::key(), &body).await?;
        if answer.status != 201 {
            ensure!(answer.code() == "inventory.out_of_stock", "{}", answer.text);
            break;
        }
        singles += 1;
    }
    let mut least = i64::MAX;
    for sku in together {
        let (on_hand, reserved) = on_hand(&admin, sku).await?;
        ensure!(on_hand == size.units && reserved <= size.units, "{sku}: {reserved} of {on_hand} reserved");
        least = least.min(on_hand - reserved);
    }
    proof.figure("last units sold one by one", singles);
    ensure!(together.is_empty() || least == 0, "{least} units of every SKU are left unsold");
    shop.finish().await
}

/// Orders as a client does that hears 503 or 504: again, with the same key, until it is answered.
async fn ask(client: &Client, key: &str, body: &serde_json::Value) -> Result<Answer> {
    let begun = Instant::now();
    loop {
        let answer = client.post_once("/api/v1/orders", key, body).await?;
        if !matches!(answer.status, 503 | 504) || begun.elapsed() > ANSWERED {
            return Ok(answer);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Every buyer orders at the same moment; how many got an order. Any answer but 201 and out-of-stock fails.
async fn all_at_once(
    buyers: &Arc<Vec<crate::catalog::Buyer>>,
    items: impl Fn(usize) -> serde_json::Value,
) -> Result<usize> {
    let orders = buyers.iter().enumerate().map(|(n, buyer)| {
        let body = json!({"address_id": buyer.address, "items": items(n)});
        async move { ask(&buyer.client, &Client::key(), &body).await }
    });
    let mut placed = 0;
    for answer in futures::future::join_all(orders).await {
        let answer = answer?;
        match answer.status {
            201 => placed += 1,
            409 if answer.code() == "inventory.out_of_stock" => {}
            other => anyhow::bail!("unexpected answer {other}: {}", answer.text),
        }
    }
    Ok(placed)
}
