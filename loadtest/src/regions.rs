//! Three regions under load, and what may happen to them: planned and not.
//!
//! The buyers are retrying clients in the sense of the specification of regions: they wait 300 ms for an answer, then ask
//! the next region with the same key. A *failed* request is a 5xx or a connection refused or broken; one that the client
//! gave up after its 300 ms is *late*.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use stack::Tidb;
use support::{Parts, REGIONS, Shape, Shop};

use crate::{
    Proof,
    audit::check,
    catalog::{UNITS, buyers, stock},
    traffic::{Acknowledged, Manner, Traffic, goes_on, longest_wait},
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
    /// On a TiDB, not on SQLite.
    pub tidb: bool,
}

/// What a client waits for an answer.
const ANSWER: Duration = Duration::from_millis(300);
/// A client gives up after so long: on SQLite a writer that is stopped holds everybody up.
const PATIENCE: Duration = Duration::from_secs(90);
/// An operation, a failover included, is over within this.
const OVER: Duration = Duration::from_secs(180);
/// Between two looks at the map.
const LOOK: Duration = Duration::from_millis(250);
/// How long traffic goes on after a case, so that what it left behind is seen.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// All shards of a shop as shipped.
const ALL_SHARDS: &str = "0-15";

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
}

impl Case {
    const ALL: [Self; 7] = [
        Self::Switchover,
        Self::Rebalance,
        Self::Killed,
        Self::Paused,
        Self::CoordinatorKilled,
        Self::KilledDuringMove,
        Self::Drill,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Switchover => "a switchover and back",
            Self::Rebalance => "b rebalance of all shards",
            Self::Killed => "c kill -9",
            Self::Paused => "d SIGSTOP, SIGCONT",
            Self::CoordinatorKilled => "e coordinator killed after each step",
            Self::KilledDuringMove => "f failover during a move",
            Self::Drill => "h drill",
        }
    }

    /// Whether it is done on purpose: then no request may fail.
    const fn is_planned(self) -> bool {
        matches!(self, Self::Switchover | Self::Rebalance | Self::Drill)
    }
}

/// Lets everything happen to three regions while orders are placed and paid; then checks that no acknowledged order is lost
/// or doubled, that stock = initial − sold, that every event had its one effect. Fails also when a request fails during
/// something that was done on purpose.
pub async fn run(size: Size, proof: &mut Proof, seed: u64) -> Result<()> {
    let tidb = size.tidb.then(Tidb::start).transpose()?;
    let parts = Parts { tidb: tidb.as_ref().map(Tidb::address), ..Parts::default() };
    let shop = Shop::builder()
        .as_shipped()
        .set("HTTP__RATE_LIMIT__ENABLED", "false")
        .shape(Shape::Regions)
        .on(parts)
        .start()
        .await?;
    let skus = stock(&shop, 10, UNITS).await?;
    let buyers = buyers(&shop, size.buyers).await?;
    let manner = Manner { every: size.every, answer: ANSWER, patience: PATIENCE };
    let traffic = Traffic::new(shop.entrances(), buyers, skus, usize::MAX, manner, seed);
    let orders = tokio::spawn(traffic.clone().run());
    let mut site = Site { shop };
    let begin = Instant::now();
    tokio::time::sleep(size.calm).await;
    let calm = told("calm", &traffic, begin, json!({}), proof)?;
    let mut failed = Vec::new();
    for case in Case::ALL {
        site.settle().await.with_context(|| format!("before: {}", case.name()))?;
        goes_on(&traffic, case.name())?;
        let begin = Instant::now();
        let more = site.suffer(case, size).await.with_context(|| case.name())?;
        tokio::time::sleep(AFTERWARDS).await;
        let figures = told(case.name(), &traffic, begin, more, proof)?;
        if case.is_planned() && figures.failed > 0 {
            failed.push(format!("{}: {} requests failed", case.name(), figures.failed));
        }
    }
    site.settle().await?;
    traffic.stop();
    orders.await??;
    check(&site.shop, &traffic).await?;
    proof.figure("orders acknowledged", traffic.known().len());
    proof.figure("p99 without any of it, ms", calm.p99);
    site.shop.finish().await?;
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

struct Figures {
    failed: usize,
    p99: f64,
}

/// What it was to clients, from `begin` to now.
fn told(name: &str, traffic: &Traffic, begin: Instant, more: Value, proof: &mut Proof) -> Result<Figures> {
    let acknowledged = traffic.acknowledged(begin);
    let (late, failed): (Vec<_>, Vec<_>) = traffic.misses(begin).into_iter().partition(|miss| miss.late());
    let kinds: BTreeSet<&str> = failed.iter().map(|miss| miss.what.as_str()).collect();
    let p99 = p99(&acknowledged)?;
    let mut figures = json!({
        "seconds": seconds(begin.elapsed()),
        "orders": acknowledged.len(),
        "failed requests": failed.len(),
        "why": kinds,
        "late requests": late.len(),
        "longest write gap of a client, s": seconds(longest_wait(&acknowledged)),
        "p99, ms": p99,
    });
    if let (Some(figures), Value::Object(more)) = (figures.as_object_mut(), more) {
        figures.extend(more);
    }
    proof.figure(name, figures);
    Ok(Figures { failed: failed.len(), p99 })
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

/// The three regions, and a person at the command line.
struct Site {
    shop: Shop,
}

impl Site {
    /// `meridian region …`, as a program asks it; the first document that it prints.
    async fn region(&self, words: &[&str]) -> Result<Value> {
        let arguments = [&["region"], words, &["-o", "json"]].concat();
        let output = tokio::process::Command::from(self.shop.command(&arguments)?).output().await?;
        let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(
            output.status.success(),
            "meridian {arguments:?} ended with {}: {text} {said}",
            output.status
        );
        let first = serde_json::Deserializer::from_str(&text).into_iter().next();
        first.with_context(|| format!("meridian {arguments:?} printed nothing"))?.map_err(Into::into)
    }

    async fn status(&self) -> Result<Value> {
        self.region(&["status", "--shards"]).await
    }

    /// Waits until the map is so.
    async fn until(&self, what: &str, so: impl Fn(&Value) -> bool) -> Result<Duration> {
        let begin = Instant::now();
        loop {
            let status = self.status().await?;
            if so(&status) {
                return Ok(begin.elapsed());
            }
            if begin.elapsed() > OVER {
                bail!("not within {OVER:?}: {what}: {status}\n{}", self.shop.log());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Every region is let back, the map is balanced, everybody works at home.
    async fn settle(&mut self) -> Result<()> {
        self.until("no operation runs", |status| status["operation"].is_null()).await?;
        let status = self.status().await?;
        for region in items(&status, "regions") {
            let name = region["region"].as_str().context("a region has a name")?;
            match region["state"].as_str() {
                Some("fenced") => {
                    self.region(&["unfence", name]).await?;
                    self.region(&["uncordon", name]).await?;
                }
                Some("drained" | "cordoned") => {
                    self.region(&["uncordon", name]).await?;
                }
                _ => {}
            }
        }
        self.region(&["rebalance"]).await?;
        self.until("everybody works at home", |status| {
            let mut shards = items(status, "shards");
            shards.all(|shard| holder(shard) == shard["home"].as_str())
        })
        .await
        .map(|_| ())
    }

    async fn suffer(&mut self, case: Case, size: Size) -> Result<Value> {
        match case {
            Case::Switchover => {
                self.region(&["switchover", REGIONS[1]]).await?;
                self.region(&["uncordon", REGIONS[1]]).await?;
                self.region(&["rebalance"]).await.map(|_| json!({}))
            }
            Case::Rebalance => {
                self.region(&["move", ALL_SHARDS, "--to", REGIONS[0]]).await?;
                self.region(&["rebalance"]).await.map(|_| json!({}))
            }
            Case::Killed => {
                self.shop.kill_group(2)?;
                let figures = self.failed_over(2).await?;
                self.shop.start_group(2).await?;
                Ok(figures)
            }
            Case::Paused => {
                // SQLite has one writer: where it was stopped in the middle of a write, nobody can take over before it goes on.
                let begin = Instant::now();
                self.shop.pause_group(2, false)?;
                let taken_over = tokio::time::timeout(size.paused, self.failed_over(2)).await;
                tokio::time::sleep(size.paused.saturating_sub(begin.elapsed())).await;
                self.shop.pause_group(2, true)?;
                taken_over.unwrap_or_else(|_| Ok(json!({"taken over": "not before it went on"})))
            }
            Case::CoordinatorKilled => self.kill_coordinators().await,
            Case::KilledDuringMove => {
                self.region(&["move", ALL_SHARDS, "--to", REGIONS[1], "--no-wait"]).await?;
                self.shop.kill_group(1)?;
                let figures = self.failed_over(1).await?;
                self.shop.start_group(1).await?;
                Ok(figures)
            }
            Case::Drill => self.region(&["drill", REGIONS[0]]).await.map(|_| json!({})),
        }
    }

    /// Waits until others do the background work of a region that is gone, and until it is fenced and home to nothing.
    async fn failed_over(&self, region: usize) -> Result<Value> {
        let gone = REGIONS[region];
        let begin = Instant::now();
        let (work, homes) = tokio::try_join!(
            self.until("others do its work", |status| {
                items(status, "shards").all(|shard| holder(shard).is_some_and(|holder| holder != gone))
            }),
            self.until("the region is fenced and home to nothing", |status| {
                let region = items(status, "regions").find(|region| region["region"] == gone);
                region.is_some_and(|region| region["state"] == "fenced" && region["homes"] == 0)
            }),
        )?;
        self.until("others do its work for good", |status| {
            items(status, "shards").all(|shard| holder(shard).is_some_and(|holder| holder != gone))
        })
        .await?;
        Ok(json!({
            "background work resumed after, s": seconds(work),
            "new homes after, s": seconds(homes),
            "work in its new homes after, s": seconds(begin.elapsed()),
        }))
    }

    /// A switchover whose coordinator is killed at each new line of its journal.
    async fn kill_coordinators(&mut self) -> Result<Value> {
        let begun = self.region(&["switchover", REGIONS[0], "--no-wait"]).await?;
        let id = begun["id"].as_u64().context("an operation has a number")?;
        let begin = Instant::now();
        let (mut kills, mut lines) = (0, 0);
        loop {
            let status = self.status().await?;
            if status["operation"].is_null() {
                break;
            }
            ensure!(begin.elapsed() < OVER, "the switchover is not over: {status}");
            let now = items(&status["operation"], "timeline").count();
            let leader = status["leader"].as_str().and_then(|leader| leader.split_once('/'));
            let leader = leader.and_then(|(region, _)| REGIONS.iter().position(|known| *known == region));
            if let Some(leader) = leader.filter(|_| now > lines) {
                self.shop.kill_group(leader)?;
                self.shop.start_group(leader).await?;
                kills += 1;
                lines = now;
            }
        }
        let ended = self.region(&["timeline", &id.to_string()]).await?;
        Ok(json!({"coordinators killed": kills, "outcome": ended["outcome"]}))
    }
}

fn items<'a>(of: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    of[list].as_array().into_iter().flatten()
}

/// The region that does a shard's background work.
fn holder(shard: &Value) -> Option<&str> {
    let (region, _) = shard["holder"].as_str()?.split_once('/')?;
    Some(region)
}
