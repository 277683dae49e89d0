//! Three regions under load, and what may happen to them: planned and not.
//!
//! The buyers are retrying clients in the sense of the specification of regions: they wait 300 ms for an answer, then ask
//! the next region with the same key. A *failed* request is a 5xx or a connection refused or broken; one that the client
//! gave up after its 300 ms is *late*.

mod cost;
mod site;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use stack::Tidb;
use support::{Parts, Shape, Shop, ShopBuilder};

use self::site::Site;
use crate::{
    Proof,
    audit::{check, not_oversold},
    catalog::{UNITS, buyers, stock, stock_as},
    history::Histories,
    traffic::{Acknowledged, LIMITED, Manner, Traffic, goes_on, longest_wait},
};

/// How much.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Retrying clients.
    pub buyers: usize,
    /// Time between one order and the next of all together, whatever became of the first.
    pub every: Duration,
    /// How long nothing happens at first: what the rest is compared with.
    pub calm: Duration,
    /// How long a region is stopped by SIGSTOP.
    pub paused: Duration,
    /// How long a region's lines are cut.
    pub cut: Duration,
    /// On a TiDB, not on SQLite; with it lines are cut, too.
    pub tidb: bool,
}

/// What a client waits for an answer.
const ANSWER: Duration = Duration::from_millis(300);
/// A client gives up after so long: on SQLite a writer that is stopped holds everybody up.
const PATIENCE: Duration = Duration::from_secs(90);
/// A limited offer has as many units as are wanted within about this time: it is sold out while a case is at its worst.
const SOLD_OUT_WITHIN: Duration = Duration::from_secs(4);
/// Fewest units of a limited offer.
const FEWEST: i64 = 6;
/// How long traffic goes on after a case, so that what it left behind is seen.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// A region's shards away, and back.
    Switchover,
    /// All shards to one region, and back to balance.
    Rebalance,
    /// kill -9.
    Killed,
    /// SIGSTOP, then SIGCONT.
    Paused,
    /// kill -9 to the coordinator after each step of a switchover.
    CoordinatorKilled,
    /// kill -9 to the target of a move that runs.
    KilledDuringMove,
    /// A failover of a healthy region, and back.
    Drill,
    /// Nothing passes between a region and the others.
    CutOff,
    /// What a region says to the others is lost.
    Unheard,
    /// Nothing passes between a region and the database.
    NoDatabase,
    /// What the database answers to a region is lost: it does not know what it committed.
    DatabaseUnheard,
}

impl Case {
    const AT_HAND: [Self; 7] = [
        Self::Switchover,
        Self::Rebalance,
        Self::Killed,
        Self::Paused,
        Self::CoordinatorKilled,
        Self::KilledDuringMove,
        Self::Drill,
    ];
    /// Those that need lines to cut.
    const CUTS: [Self; 4] = [Self::CutOff, Self::Unheard, Self::NoDatabase, Self::DatabaseUnheard];

    const fn name(self) -> &'static str {
        match self {
            Self::Switchover => "a switchover and back",
            Self::Rebalance => "b rebalance of all shards",
            Self::Killed => "c kill -9",
            Self::Paused => "d SIGSTOP, SIGCONT",
            Self::CoordinatorKilled => "e coordinator killed after each step",
            Self::KilledDuringMove => "f failover during a move",
            Self::Drill => "h drill",
            Self::CutOff => "g1 cut off from the other regions",
            Self::Unheard => "g2 heard by no other region",
            Self::NoDatabase => "g3 cut off from the database",
            Self::DatabaseUnheard => "g4 does not hear the database",
        }
    }

    /// Whether it leaves every region in service: then no request may fail. A drill does not: it fences a region, which then
    /// sends its clients on.
    const fn is_planned(self) -> bool {
        matches!(self, Self::Switchover | Self::Rebalance)
    }
}

/// Lets everything happen to three regions while orders are placed and paid, some of them of a few units that are sold out
/// meanwhile; then checks that no acknowledged order is lost or doubled, that nobody paid twice, that no unit was sold
/// twice and stock = initial − sold, that every event had its one effect. Fails also when a request fails during
/// something that was done on purpose.
pub async fn run(size: Size, proof: &mut Proof, seed: u64) -> Result<()> {
    let tidb = size.tidb.then(Tidb::start).transpose()?;
    let parts = Parts { tidb: tidb.as_ref().map(Tidb::address), ..Parts::default() };
    let regions = Shop::builder()
        .as_shipped()
        .set("HTTP__RATE_LIMIT__ENABLED", "false")
        .set("ACCOUNT__ACCESS_TOKEN_TTL", "2h")
        .shape(Shape::Regions)
        .on(parts);
    let mut failed = part(regions.clone(), &Case::AT_HAND, size, proof, seed).await?;
    if size.tidb {
        failed.extend(part(regions.with_links(), &Case::CUTS, size, proof, seed).await?);
    } else {
        cost::cost(proof).await?;
    }
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

/// Some cases, one after the other, on regions of their own; those done on purpose that failed requests.
async fn part(
    regions: ShopBuilder,
    cases: &[Case],
    size: Size,
    proof: &mut Proof,
    seed: u64,
) -> Result<Vec<String>> {
    let shop = regions.start().await?;
    let skus = stock(&shop, 10, UNITS).await?;
    let units = limited_units(size.every)?;
    let limited = stock_as(&shop, "few", cases.len(), units).await?;
    let buyers = buyers(&shop, size.buyers).await?;
    let manner = Manner { every: size.every, answer: ANSWER, patience: PATIENCE };
    let traffic = Traffic::new(shop.entrances(), buyers, skus, usize::MAX, manner, seed);
    let (histories, writers) = Histories::begin(&shop).await?;
    let orders = tokio::spawn(traffic.clone().run());
    let mut site = Site { shop };
    let begin = Instant::now();
    tokio::time::sleep(size.calm).await;
    let first = cases.first().map_or("", |case| case.name()).chars().take(1).collect::<String>();
    told(&format!("{first} before: calm"), &traffic, begin, json!({}), proof)?;
    let mut failed = Vec::new();
    for (case, few) in cases.iter().zip(&limited) {
        site.settle().await.with_context(|| format!("before: {}", case.name()))?;
        goes_on(&traffic, case.name())?;
        let begin = Instant::now();
        traffic.offer(Some(few.clone()));
        let more = site.suffer(*case, size).await.with_context(|| case.name())?;
        tokio::time::sleep(AFTERWARDS).await;
        traffic.offer(None);
        let requests = told(case.name(), &traffic, begin, more, proof)?;
        if case.is_planned() && requests > 0 {
            failed.push(format!("{}: {requests} requests failed", case.name()));
        }
    }
    site.settle().await?;
    traffic.stop();
    orders.await??;
    proof.figure(&format!("{first} histories"), histories.end(writers, &site.shop).await?);
    check(&site.shop, &traffic).await?;
    proof.figure(&format!("{first} limited offers"), offers(&site.shop, &traffic, &limited, units).await?);
    site.verify().await?;
    proof.figure(&format!("{first} orders acknowledged, none lost, none doubled"), traffic.known().len());
    site.shop.finish().await?;
    Ok(failed)
}

/// Units of a limited offer, at such a pace of orders.
fn limited_units(every: Duration) -> Result<i64> {
    let orders = SOLD_OUT_WITHIN.as_micros() / every.as_micros().max(1);
    Ok((i64::try_from(orders)? / i64::try_from(LIMITED)?).max(FEWEST))
}

/// What became of the limited offers. Fails where one was oversold, and when none was sold out: then it would prove nothing.
async fn offers(shop: &Shop, traffic: &Traffic, skus: &[String], units: i64) -> Result<Value> {
    let (mut sold, mut sold_out, mut heard) = (0, 0, 0);
    for sku in skus {
        let (its, refused) = not_oversold(shop, traffic, sku, units).await?;
        sold += its;
        sold_out += usize::from(its == units);
        heard += refused;
    }
    ensure!(heard > 0, "no limited offer was sold out");
    let there = units * i64::try_from(skus.len())?;
    Ok(
        json!({"offers": skus.len(), "sold out": sold_out, "units": there, "sold": sold, "turned away": heard}),
    )
}

/// What it was to clients, from `begin` to now; how many requests failed.
fn told(name: &str, traffic: &Traffic, begin: Instant, more: Value, proof: &mut Proof) -> Result<usize> {
    let acknowledged = traffic.acknowledged(begin);
    let (late, failed): (Vec<_>, Vec<_>) = traffic.misses(begin).into_iter().partition(|miss| miss.late());
    let kinds: BTreeSet<&str> = failed.iter().map(|miss| miss.what.as_str()).collect();
    let (gap, asked) = longest_wait(&acknowledged).unwrap_or((Duration::ZERO, begin));
    let mut figures = json!({
        "seconds": seconds(begin.elapsed()),
        "orders": acknowledged.len(),
        "failed requests": failed.len(),
        "why": kinds,
        "late requests": late.len(),
        "longest write gap of a client, s": seconds(gap),
        "it began after, s": seconds(asked.saturating_duration_since(begin)),
        "p99, ms": p99(&acknowledged)?,
    });
    if let (Some(figures), Value::Object(more)) = (figures.as_object_mut(), more) {
        figures.extend(more);
    }
    proof.figure(name, figures);
    Ok(failed.len())
}

/// Of the time from an order's first request to its acknowledgement, in milliseconds.
fn p99(acknowledged: &[Acknowledged]) -> Result<f64> {
    let mut latencies = Histogram::<u64>::new(3)?;
    for order in acknowledged {
        latencies.record(u64::try_from((order.at - order.asked).as_micros())?)?;
    }
    let micros = u32::try_from(latencies.value_at_quantile(0.99))?;
    Ok((f64::from(micros) / 10.0).round() / 100.0)
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100.0).round() / 100.0
}
