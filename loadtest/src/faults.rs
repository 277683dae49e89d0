//! The servers and a process of the shop are hurt, one after the other, while orders are placed and paid; every service
//! runs in two processes, and clients try the other one with the same key.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use stack::{Pulsar, Redis, Tidb};
use support::{Client, Parts, Shape, Shop};

use crate::{
    Proof,
    catalog::{Buyer, buyers, stock},
    crash::{Known, UNITS, check},
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

    /// Whether prices can be changed meanwhile.
    const fn leaves_the_database(self) -> bool {
        !matches!(self, Self::TidbFrozen | Self::TidbRestarted)
    }
}

/// An answer is waited for so long; then the same request goes to the other process.
const ANSWER: Duration = Duration::from_secs(2);
/// A client gives up after so long.
const PATIENCE: Duration = Duration::from_secs(120);
const RECOVERY: Duration = Duration::from_secs(60);
/// The process that is paused: the first entrance.
const PAUSED: usize = 1;
/// Longest time a process shows an old price: `pricing.cache_ttl` as shipped, and a little for looking.
const OLD_PRICE: Duration = Duration::from_secs(12);

struct Servers {
    tidb: Tidb,
    pulsar: Pulsar,
    redis: Redis,
}

/// What clients saw.
#[derive(Default)]
struct Seen {
    known: Mutex<BTreeMap<usize, Known>>,
    /// When each order was acknowledged, and how long its client had tried.
    acknowledged: Mutex<Vec<(Instant, Duration)>>,
    next: AtomicUsize,
}

/// Places and pays orders while one thing after the other is hurt; then checks that no acknowledged order is lost or
/// doubled, that stock = initial − sold, that every event had its one effect.
pub async fn run(size: Size, proof: &mut Proof, seed: u64) -> Result<()> {
    let servers =
        Arc::new(Servers { tidb: Tidb::start()?, pulsar: Pulsar::start()?, redis: Redis::start()? });
    let parts = Parts {
        pulsar: Some((servers.pulsar.url(), servers.pulsar.admin_url())),
        redis: Some(servers.redis.address()),
        tidb: Some(servers.tidb.address()),
    };
    let shop = Shop::builder().as_shipped().shape(Shape::Twice).on(parts).start().await?;
    let skus = Arc::new(stock(&shop, 3, UNITS).await?);
    let buyers = Arc::new(buyers(&shop, 32).await?);
    let seen = Arc::new(Seen::default());
    let orders = tokio::spawn(place_all(
        shop.entrances().to_vec(),
        buyers.clone(),
        skus.clone(),
        seen.clone(),
        size,
        seed,
    ));
    let mut amount = 1_999;
    for fault in Fault::ALL {
        let begin = Instant::now();
        ensure!(!orders.is_finished(), "the orders ended before: {}", fault.name());
        if let Some(probe) = fault.probe() {
            hurt(fault, &servers).await?;
            let why = says(&shop.entrances()[0], Some(probe)).await?;
            proof.figure(&format!("{}: readiness says", fault.name()), why);
            if fault.leaves_the_database() {
                amount += 1;
                let old = new_price(&shop, &skus[0], amount).await?;
                proof.figure(&format!("{}: old price shown, s", fault.name()), seconds(old));
                ensure!(old < OLD_PRICE, "an old price was shown for {old:?}");
            }
            tokio::time::sleep(size.gone.saturating_sub(begin.elapsed())).await;
            heal(fault, &servers).await?;
        } else {
            shop.pause_group(PAUSED, false)?;
            tokio::time::sleep(size.paused).await;
            shop.pause_group(PAUSED, true)?;
        }
        let healed = Instant::now();
        for entrance in shop.entrances() {
            says(entrance, None).await?;
        }
        proof.figure(&format!("{}: ready again after, s", fault.name()), seconds(healed.elapsed()));
        ensure!(!orders.is_finished(), "the orders ended during: {}", fault.name());
        told(&seen, fault, begin, proof)?;
    }
    orders.await??;
    let known = seen.known.lock().map_err(|_| panicked())?.clone();
    check(&shop, &buyers, &skus, &known, size.orders).await?;
    shop.finish().await?;
    proof.figure("faults", Fault::ALL.len());
    proof.figure("orders acknowledged", known.len());
    Ok(())
}

/// The servers are started and stopped by calls that wait.
async fn hurt(fault: Fault, servers: &Arc<Servers>) -> Result<()> {
    let servers = Arc::clone(servers);
    tokio::task::spawn_blocking(move || match fault {
        Fault::PulsarKilled => servers.pulsar.kill(),
        Fault::RedisKilledAndWiped => servers.redis.kill(),
        Fault::TidbFrozen => servers.tidb.pause(),
        Fault::TidbRestarted => servers.tidb.stop(),
        Fault::ProcessPaused => Ok(()),
    })
    .await?
}

async fn heal(fault: Fault, servers: &Arc<Servers>) -> Result<()> {
    let servers = Arc::clone(servers);
    tokio::task::spawn_blocking(move || match fault {
        Fault::PulsarKilled => servers.pulsar.restart(),
        Fault::RedisKilledAndWiped => servers.redis.restart_wiped(),
        Fault::TidbFrozen => servers.tidb.resume(),
        Fault::TidbRestarted => servers.tidb.restart(),
        Fault::ProcessPaused => Ok(()),
    })
    .await?
}

/// One order each `size.every`, whatever became of the ones before.
async fn place_all(
    entrances: Vec<String>,
    buyers: Arc<Vec<Buyer>>,
    skus: Arc<Vec<String>>,
    seen: Arc<Seen>,
    size: Size,
    seed: u64,
) -> Result<()> {
    let begin = Instant::now();
    let workers: Vec<_> = (0..buyers.len())
        .map(|worker| {
            let (entrances, buyers, skus, seen) =
                (entrances.clone(), buyers.clone(), skus.clone(), seen.clone());
            tokio::spawn(async move {
                loop {
                    let n = seen.next.fetch_add(1, Ordering::Relaxed);
                    if n >= size.orders {
                        return anyhow::Ok(());
                    }
                    let due = begin + size.every * u32::try_from(n)?;
                    tokio::time::sleep_until(due.into()).await;
                    let found =
                        place_and_pay(&entrances, &buyers[worker], &skus[n % skus.len()], &seen, seed, n);
                    let found = found.await?;
                    seen.known.lock().map_err(|_| panicked())?.insert(n, found);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await??;
    }
    Ok(())
}

async fn place_and_pay(
    entrances: &[String],
    buyer: &Buyer,
    sku: &str,
    seen: &Seen,
    seed: u64,
    n: usize,
) -> Result<Known> {
    let doors: Vec<Client> = entrances.iter().map(|base| buyer.client.clone().at(base)).collect();
    let begin = Instant::now();
    let body = json!({"address_id": buyer.address, "items": [{"sku_id": sku, "quantity": 1}]});
    let placed = retry(&doors, "/api/v1/orders", &format!("place-{seed}-{n}"), &body, &[201]).await?;
    let now = Instant::now();
    seen.acknowledged.lock().map_err(|_| panicked())?.push((now, now - begin));
    let order = placed["id"].as_str().context("an order has an id")?.to_owned();
    // Two of three pay.
    if n.is_multiple_of(3) {
        return Ok(Known { order: Some(order), paid: false });
    }
    let path = format!("/api/v1/orders/{order}/payments");
    let opened =
        retry(&doors, &path, &format!("pay-{seed}-{n}"), &json!({"channel": "sandbox"}), &[201]).await?;
    let path = format!("/api/v1/sandbox/payments/{}", opened["id"].as_str().context("a payment has an id")?);
    // A 409 says that the answer of a try before was lost on its way: the payment has moved on.
    let key = format!("simulate-{seed}-{n}");
    retry(&doors, &path, &key, &json!({"outcome": "succeed"}), &[202, 409]).await?;
    Ok(Known { order: Some(order), paid: true })
}

/// The same request with the same key, at one door after the other.
async fn retry(doors: &[Client], path: &str, key: &str, body: &Value, wanted: &[u16]) -> Result<Value> {
    let begin = Instant::now();
    for door in doors.iter().cycle() {
        match tokio::time::timeout(ANSWER, door.post_once(path, key, body)).await {
            Ok(Ok(answer)) if wanted.contains(&answer.status) => return answer.json(),
            Ok(Ok(answer)) if answer.status < 500 => {
                bail!("{path}: unexpected answer {}: {}", answer.status, answer.text)
            }
            // Not reached, no answer in time, or one that says to come again.
            _ => {}
        }
        if begin.elapsed() > PATIENCE {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("{path}: no answer within {PATIENCE:?}")
}

/// Waits until readiness names this probe, and returns its reason; without a probe, until nothing is wrong.
async fn says(entrance: &str, probe: Option<&str>) -> Result<String> {
    let begin = Instant::now();
    let mut last = Value::Null;
    while begin.elapsed() < RECOVERY {
        if let Ok(answer) = Client::new(entrance).get("/readyz").await {
            last = answer.json()?;
            let wrong: Vec<&Value> =
                last["probes"].as_array().into_iter().flatten().filter(|p| p["ok"] == false).collect();
            match probe {
                None if wrong.is_empty() && last["status"] == "ready" => return Ok(String::new()),
                Some(name) => {
                    if let Some(found) = wrong.iter().find(|p| p["name"] == name) {
                        return Ok(found["reason"].as_str().unwrap_or_default().to_owned());
                    }
                }
                None => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("readiness of {entrance} does not tell {probe:?}: {last}")
}

/// Changes a price at one process; how long the others showed the old one.
async fn new_price(shop: &Shop, sku: &str, amount: i64) -> Result<Duration> {
    let price =
        json!({"prices": [{"sku_id": sku, "kind": "list", "price": {"amount": amount, "currency": "USD"}}]});
    let answer = shop.admin().await?.put("/api/v1/admin/prices", &price).await?;
    ensure!(answer.status < 300, "{}: {}", answer.status, answer.text);
    let begin = Instant::now();
    for entrance in shop.entrances() {
        let guest = Client::new(entrance);
        loop {
            let product = guest.get("/api/v1/products/load-0").await?.expect(200)?;
            if product["skus"][0]["price"]["amount"] == amount {
                break;
            }
            ensure!(begin.elapsed() < RECOVERY, "the price stays old: {product}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(begin.elapsed())
}

/// What a fault was to clients.
fn told(seen: &Seen, fault: Fault, begin: Instant, proof: &mut Proof) -> Result<()> {
    let mut acknowledged = seen.acknowledged.lock().map_err(|_| panicked())?.clone();
    acknowledged.retain(|(at, _)| *at >= begin);
    acknowledged.sort_unstable();
    let mut last = begin;
    let (mut gap, mut wait) = (Duration::ZERO, Duration::ZERO);
    for (at, tried) in acknowledged {
        gap = gap.max(at - last);
        wait = wait.max(tried);
        last = at;
    }
    proof.figure(&format!("{}: longest time without an acknowledged order, s", fault.name()), seconds(gap));
    proof.figure(&format!("{}: longest wait of a client for its order, s", fault.name()), seconds(wait));
    Ok(())
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100.0).round() / 100.0
}

fn panicked() -> anyhow::Error {
    anyhow::anyhow!("a worker panicked")
}
