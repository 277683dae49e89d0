//! kill -9 at random moments.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use stack::Redis;
use support::{Client, Shape, Shop};

use crate::{
    Proof,
    catalog::{Buyer, buyers, on_hand, stock},
};

/// What is killed -9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// Every process of the shop.
    Shop,
    /// The Redis it runs over, which comes back with nothing.
    Redis,
}

/// How much.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Runs, each on a fresh shop.
    pub runs: u64,
    /// Orders a run.
    pub orders: usize,
    /// kill -9 a run.
    pub kills: usize,
    /// How the shop is cut.
    pub shape: Shape,
    /// What is killed.
    pub victim: Victim,
}

/// What a client knows of an order it placed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) order: Option<String>,
    pub(crate) paid: bool,
}

/// Places and pays orders while the victim is killed and restarted, then checks: no acknowledged order is lost, none is
/// doubled, stock = initial − sold, every event consumed.
pub async fn run(size: Size, proof: &mut Proof, seed: u64) -> Result<()> {
    let (mut acknowledged, mut kills) = (0, 0);
    for run in 0..size.runs {
        eprintln!("run {} of {}", run + 1, size.runs);
        let (orders, killed) =
            one(size, seed.wrapping_add(run)).await.with_context(|| format!("run with seed {seed}+{run}"))?;
        acknowledged += orders;
        kills += killed;
    }
    proof.figure("runs", size.runs);
    proof.figure("kills", kills);
    proof.figure("acknowledged orders", acknowledged);
    Ok(())
}

pub(crate) const UNITS: i64 = 1_000_000;

async fn one(size: Size, seed: u64) -> Result<(usize, usize)> {
    let mut rng = StdRng::seed_from_u64(seed);
    let redis = (size.victim == Victim::Redis).then(Redis::start).transpose()?;
    let mut builder = Shop::builder().shape(size.shape);
    if let Some(redis) = &redis {
        builder = builder.set("REDIS__ENGINE", "redis").set("REDIS__NODES", json!([redis.address()]));
    }
    let mut shop = builder.start().await?;
    let skus = Arc::new(stock(&shop, 3, UNITS).await?);
    let buyers = Arc::new(buyers(&shop, 32).await?);
    let known: Arc<Mutex<BTreeMap<usize, Known>>> = Arc::default();
    let next = Arc::new(AtomicUsize::new(0));

    let workers: Vec<_> = (0..32)
        .map(|worker| {
            let (skus, buyers, known, next) = (skus.clone(), buyers.clone(), known.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= size.orders {
                        return anyhow::Ok(());
                    }
                    let found = place_and_pay(&buyers[worker], &skus[n % skus.len()], seed, n).await?;
                    known.lock().map_err(|_| anyhow::anyhow!("a worker panicked"))?.insert(n, found);
                }
            })
        })
        .collect();

    let mut kills = 0;
    while kills < size.kills && next.load(Ordering::Relaxed) < size.orders {
        tokio::time::sleep(Duration::from_millis(rng.random_range(200..1_500))).await;
        match &redis {
            Some(redis) => {
                redis.kill()?;
                says(&shop, "degraded").await?;
                redis.restart_wiped()?;
                says(&shop, "ready").await?;
            }
            None => {
                shop.kill()?;
                shop.restart().await?;
            }
        }
        kills += 1;
    }
    for worker in workers {
        worker.await??;
    }
    let known = known.lock().map_err(|_| anyhow::anyhow!("a worker panicked"))?.clone();
    check(&shop, &buyers, &skus, &known, size.orders).await?;
    shop.finish().await?;
    Ok((known.values().filter(|order| order.order.is_some()).count(), kills))
}

/// Waits until readiness says so; of a shop that is degraded, why.
async fn says(shop: &Shop, status: &str) -> Result<()> {
    let mut last = serde_json::Value::Null;
    for _ in 0..600 {
        last = shop.guest().get("/readyz").await?.expect(200)?;
        let of_redis = last["probes"].as_array().into_iter().flatten().find(|probe| probe["name"] == "redis");
        let why = of_redis.and_then(|probe| probe["reason"].as_str());
        if last["status"] == status && why.is_some() == (status == "degraded") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("readiness does not say {status}: {last}")
}

/// Places one order and asks the sandbox to pay it; retries with the same keys whatever happens, as a client must.
async fn place_and_pay(buyer: &Buyer, sku: &str, seed: u64, n: usize) -> Result<Known> {
    let body = json!({"address_id": buyer.address, "items": [{"sku_id": sku, "quantity": 1}]});
    let placed = retry(&buyer.client, "/api/v1/orders", &format!("place-{seed}-{n}"), &body, &[201]).await?;
    let order = placed["id"].as_str().context("an order has an id")?.to_owned();
    // Two of three pay.
    if n.is_multiple_of(3) {
        return Ok(Known { order: Some(order), paid: false });
    }
    let path = format!("/api/v1/orders/{order}/payments");
    let payment =
        retry(&buyer.client, &path, &format!("pay-{seed}-{n}"), &json!({"channel": "sandbox"}), &[201])
            .await?;
    let payment = payment["id"].as_str().context("a payment has an id")?;
    let outcome = if n.is_multiple_of(7) { "duplicate" } else { "succeed" };
    let path = format!("/api/v1/sandbox/payments/{payment}");
    // A 409 says that the answer of a try before was lost on its way: the payment has moved on.
    retry(&buyer.client, &path, &format!("simulate-{seed}-{n}"), &json!({"outcome": outcome}), &[202, 409])
        .await?;
    Ok(Known { order: Some(order), paid: true })
}

async fn retry(
    client: &Client,
    path: &str,
    key: &str,
    body: &serde_json::Value,
    wanted: &[u16],
) -> Result<serde_json::Value> {
    for _ in 0..600 {
        match client.post_once(path, key, body).await {
            Ok(answer) if wanted.contains(&answer.status) => return answer.json(),
            // The shop is down, or busy coming up.
            Err(_) => {}
            Ok(answer) if answer.status >= 500 => {}
            Ok(answer) => anyhow::bail!("{path}: unexpected answer {}: {}", answer.status, answer.text),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("{path}: no answer within a minute")
}

pub(crate) async fn check(
    shop: &Shop,
    buyers: &[Buyer],
    skus: &[String],
    known: &BTreeMap<usize, Known>,
    orders: usize,
) -> Result<()> {
    let paid = known.values().filter(|order| order.paid).count();
    let admin = shop.admin().await?;
    // Payments settle in the background.
    let mut settled = 0;
    for _ in 0..600 {
        settled = list(&admin, "/api/v1/admin/orders?state=paid").await?.len();
        if settled == paid {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ensure!(settled == paid, "{paid} orders were paid, {settled} are settled");
    let mut stored = 0;
    for buyer in buyers {
        stored += list(&buyer.client, "/api/v1/orders").await?.len();
    }
    ensure!(known.len() == orders, "every order was acknowledged");
    let distinct: BTreeSet<&str> = known.values().filter_map(|known| known.order.as_deref()).collect();
    ensure!(distinct.len() == orders, "{orders} keys were answered with {} orders", distinct.len());
    ensure!(stored == orders, "{orders} orders were acknowledged, {stored} are stored");
    for order in known.values().filter_map(|known| known.order.as_deref()) {
        admin.get(&format!("/api/v1/admin/orders/{order}")).await?.expect(200)?;
    }
    let (mut on_hand_in_all, mut reserved_in_all) = (0, 0);
    for sku in skus {
        let (here, reserved) = on_hand(&admin, sku).await?;
        on_hand_in_all += here;
        reserved_in_all += reserved;
    }
    let initial = UNITS * i64::try_from(skus.len())?;
    ensure!(
        on_hand_in_all == initial - i64::try_from(paid)?,
        "stock {on_hand_in_all} = {initial} - {paid} paid"
    );
    ensure!(
        reserved_in_all >= i64::try_from(orders - paid)?,
        "{reserved_in_all} units are held for unpaid orders"
    );
    Ok(())
}

/// All items of a list, page by page.
async fn list(client: &Client, path: &str) -> Result<Vec<serde_json::Value>> {
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let joint = if path.contains('?') { '&' } else { '?' };
        let next = cursor.as_ref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = client.get(&format!("{path}{joint}limit=100{next}")).await?.expect(200)?;
        items.extend(page["items"].as_array().cloned().unwrap_or_default());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(items),
        }
    }
}
