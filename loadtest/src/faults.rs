//! The servers and a process of the shop are hurt, one after the other, while orders are placed and paid; every service
//! runs in two processes, and clients try the other one with the same key.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use support::{Client, Shape, Shop};

use crate::{
    Proof, Servers,
    audit::check,
    catalog::{UNITS, buyers, stock},
    readiness::{RECOVERY, says},
    traffic::{Manner, Traffic, goes_on, longest_gap, longest_wait},
};

/// How much.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Orders in all.
    pub orders: usize,
    /// Time between one order and the next, whatever became of the first.
    pub every: Duration,
    /// How long a process of the shop is stopped by SIGSTOP.
    pub paused: Duration,
    /// How long each server is gone.
    pub gone: Duration,
}

/// What is hurt, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// kill -9, and started again on what it had stored.
    PulsarKilled,
    /// kill -9, and started again with nothing.
    RedisKilledAndWiped,
    /// SIGSTOP, then SIGCONT.
    TidbFrozen,
    /// SIGTERM, and started again.
    TidbRestarted,
    /// SIGSTOP to one of the two processes with every service, then SIGCONT.
    ProcessPaused,
}

impl Fault {
    const ALL: [Self; 5] = [
        Self::PulsarKilled,
        Self::RedisKilledAndWiped,
        Self::TidbFrozen,
        Self::TidbRestarted,
        Self::ProcessPaused,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::PulsarKilled => "Pulsar killed",
            Self::RedisKilledAndWiped => "Redis killed and wiped",
            Self::TidbFrozen => "TiDB frozen",
            Self::TidbRestarted => "TiDB restarted",
            Self::ProcessPaused => "process paused",
        }
    }

    /// The probe of readiness that tells of it. A paused process answers nothing.
    const fn probe(self) -> Option<&'static str> {
        match self {
            Self::PulsarKilled => Some("bus"),
            Self::RedisKilledAndWiped => Some("redis"),
            Self::TidbFrozen | Self::TidbRestarted => Some("database"),
            Self::ProcessPaused => None,
        }
    }

    /// Whether prices can be changed meanwhile, and be seen everywhere.
    const fn leaves_prices(self) -> bool {
        matches!(self, Self::PulsarKilled | Self::RedisKilledAndWiped)
    }

    /// How long it lasts.
    const fn lasts(self, size: Size) -> Duration {
        match self {
            Self::ProcessPaused => size.paused,
            _ => size.gone,
        }
    }

    fn hurt(self, site: &Site) -> Result<()> {
        match self {
            Self::PulsarKilled => site.servers.pulsar.kill(),
            Self::RedisKilledAndWiped => site.servers.redis.kill(),
            Self::TidbFrozen => site.servers.tidb.pause(),
            Self::TidbRestarted => site.servers.tidb.stop(),
            Self::ProcessPaused => site.shop.pause_group(PAUSED, false),
        }
    }

    fn heal(self, site: &Site) -> Result<()> {
        match self {
            Self::PulsarKilled => site.servers.pulsar.restart(),
            Self::RedisKilledAndWiped => site.servers.redis.restart_wiped(),
            Self::TidbFrozen => site.servers.tidb.resume(),
            Self::TidbRestarted => site.servers.tidb.restart(),
            Self::ProcessPaused => site.shop.pause_group(PAUSED, true),
        }
    }
}

/// An answer is waited for so long; then the same request goes to the other process.
const ANSWER: Duration = Duration::from_secs(2);
/// A client gives up after so long.
const PATIENCE: Duration = Duration::from_secs(120);
/// The process that is paused: the first entrance.
const PAUSED: usize = 1;
/// Longest time a process shows an old price: `pricing.cache_ttl` as shipped, and a little for looking.
const OLD_PRICE: Duration = Duration::from_secs(12);

/// Everything that can be hurt.
struct Site {
    servers: Servers,
    shop: Shop,
}

/// Places and pays orders while one thing after the other is hurt; then checks that no acknowledged order is lost or
/// doubled, that stock = initial − sold, that every event had its one effect.
pub async fn run(size: Size, proof: &mut Proof, seed: u64) -> Result<()> {
    let site = Arc::new(Site::start().await?);
    let skus = stock(&site.shop, 3, UNITS).await?;
    let buyers = buyers(&site.shop, 32).await?;
    let manner = Manner { every: size.every, answer: ANSWER, patience: PATIENCE };
    let traffic = Traffic::new(site.shop.entrances(), buyers, skus, size.orders, manner, seed);
    let orders = tokio::spawn(traffic.clone().run());
    for fault in Fault::ALL {
        suffer(fault, &site, &traffic, size, proof).await?;
    }
    orders.await??;
    check(&site.shop, &traffic).await?;
    proof.figure("faults", Fault::ALL.len());
    proof.figure("orders acknowledged", traffic.known().len());
    let site = Arc::into_inner(site).context("nobody else holds the site")?;
    site.shop.finish().await
}

impl Site {
    async fn start() -> Result<Self> {
        let servers = Servers::start().await?;
        let shop = Shop::builder().as_shipped().shape(Shape::Twice).on(servers.parts()).start().await?;
        Ok(Self { servers, shop })
    }
}

/// One fault from its begin until everything is well again.
async fn suffer(
    fault: Fault,
    site: &Arc<Site>,
    traffic: &Traffic,
    size: Size,
    proof: &mut Proof,
) -> Result<()> {
    let name = fault.name();
    goes_on(traffic, name)?;
    let begin = Instant::now();
    blocking(site, move |site| fault.hurt(site)).await?;
    if let Some(probe) = fault.probe() {
        let told = says(&site.shop.entrances()[0], Some(probe)).await?;
        proof.figure(&format!("{name}: readiness says"), told.reason);
    }
    if fault.leaves_prices() {
        let old = new_price(&site.shop, &traffic.skus[0]).await?;
        proof.figure(&format!("{name}: old price shown, s"), seconds(old));
        ensure!(old < OLD_PRICE, "an old price was shown for {old:?}");
    }
    tokio::time::sleep(fault.lasts(size).saturating_sub(begin.elapsed())).await;
    blocking(site, move |site| fault.heal(site)).await?;
    let healed = Instant::now();
    for entrance in site.shop.entrances() {
        says(entrance, None).await?;
    }
    proof.figure(&format!("{name}: ready again after, s"), seconds(healed.elapsed()));
    goes_on(traffic, name)?;
    // Readiness may come back before the clients that wait have their answers.
    let acknowledged = loop {
        let acknowledged = traffic.acknowledged(begin);
        if acknowledged.iter().any(|order| order.asked > healed) {
            break acknowledged;
        }
        ensure!(healed.elapsed() < PATIENCE, "{name}: no order since it is healed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let gap = longest_gap(&acknowledged, begin, Instant::now());
    proof.figure(&format!("{name}: longest time without an acknowledged order, s"), seconds(gap));
    let (wait, _) = longest_wait(&acknowledged).unwrap_or((Duration::ZERO, begin));
    proof.figure(&format!("{name}: longest wait of a client for its order, s"), seconds(wait));
    Ok(())
}

/// The servers are started and stopped by calls that wait.
async fn blocking(site: &Arc<Site>, call: impl FnOnce(&Site) -> Result<()> + Send + 'static) -> Result<()> {
    let site = Arc::clone(site);
    tokio::task::spawn_blocking(move || call(&site)).await?
}

/// Raises a price by a cent at one process; how long the others showed the old one.
async fn new_price(shop: &Shop, sku: &str) -> Result<Duration> {
    const PRODUCT: &str = "/api/v1/products/load-0";
    let now = shop.guest().get(PRODUCT).await?.expect(200)?;
    let now = now["skus"][0]["price"]["amount"].as_i64().context("a SKU has a price")?;
    let price =
        json!({"prices": [{"sku_id": sku, "kind": "list", "price": {"amount": now + 1, "currency": "USD"}}]});
    let answer = shop.admin().await?.put("/api/v1/admin/prices", &price).await?;
    ensure!(answer.status < 300, "{}: {}", answer.status, answer.text);
    let begin = Instant::now();
    for entrance in shop.entrances() {
        let guest = Client::new(entrance);
        loop {
            let product = guest.get(PRODUCT).await?.expect(200)?;
            if product["skus"][0]["price"]["amount"] == now + 1 {
                break;
            }
            ensure!(begin.elapsed() < RECOVERY, "the price stays old: {product}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(begin.elapsed())
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100.0).round() / 100.0
}
