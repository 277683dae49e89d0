//! kill -9 at random moments.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use stack::Redis;
use support::{Parts, Shape, Shop};

use crate::{
    Proof,
    audit::check,
    catalog::{UNITS, buyers, stock},
    readiness::says,
    traffic::{Manner, Traffic},
};

/// Buyers do nothing but order; one waits as long as it takes.
const MANNER: Manner =
    Manner { every: Duration::ZERO, answer: Duration::from_secs(60), patience: Duration::from_secs(240) };

/// What is killed -9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// Every process of the shop.
    Shop,
    /// The Redis it runs over, which comes back with nothing.
    Redis,
}

/// How much.
#[derive(Clone, Debug)]
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
    /// What the shop runs on.
    pub parts: Parts,
}

/// Places and pays orders while the victim is killed and restarted, then checks: no acknowledged order is lost, none is
/// doubled, stock = initial − sold, every event consumed.
pub async fn run(size: Size, proof: &mut Proof, seed: u64) -> Result<()> {
    let (mut acknowledged, mut kills) = (0, 0);
    for run in 0..size.runs {
        eprintln!("run {} of {}", run + 1, size.runs);
        let (orders, killed) = one(&size, seed.wrapping_add(run))
            .await
            .with_context(|| format!("run with seed {seed}+{run}"))?;
        acknowledged += orders;
        kills += killed;
    }
    proof.figure("runs", size.runs);
    proof.figure("kills", kills);
    proof.figure("acknowledged orders", acknowledged);
    Ok(())
}

async fn one(size: &Size, seed: u64) -> Result<(usize, usize)> {
    let mut rng = StdRng::seed_from_u64(seed);
    let redis = (size.victim == Victim::Redis).then(Redis::start).transpose()?;
    let mut builder = Shop::builder().shape(size.shape).on(size.parts.clone());
    if let Some(redis) = &redis {
        builder = builder.set("REDIS__ENGINE", "redis").set("REDIS__NODES", json!([redis.address()]));
    }
    let mut shop = builder.start().await?;
    let skus = stock(&shop, 3, UNITS).await?;
    let buyers = buyers(&shop, 32).await?;
    let traffic = Traffic::new(shop.entrances(), buyers, skus, size.orders, MANNER, seed);
    let orders = tokio::spawn(traffic.clone().run());

    let mut kills = 0;
    while kills < size.kills && !traffic.is_over() {
        tokio::time::sleep(Duration::from_millis(rng.random_range(200..1_500))).await;
        match &redis {
            Some(redis) => {
                redis.kill()?;
                ensure!(says(shop.base(), Some("redis")).await?.serves, "the shop serves without Redis");
                redis.restart_wiped()?;
                says(shop.base(), None).await?;
            }
            None => {
                shop.kill()?;
                shop.restart().await?;
            }
        }
        kills += 1;
    }
    orders.await??;
    let acknowledged = traffic.known().len();
    ensure!(acknowledged == size.orders, "{acknowledged} orders of {} were acknowledged", size.orders);
    check(&shop, &traffic).await?;
    shop.finish().await?;
    Ok((acknowledged, kills))
}
