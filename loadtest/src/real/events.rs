//! Events: what their positions cost, and how fast they reach Pulsar and come back.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use async_trait::async_trait;
use contracts::{Event, EventBody};
use kernel::Shard;
use platform_bus::{BusConfig, BusEngine, Consumer, PulsarConfig};
use platform_db::{Db, DbConfig, Rows};
use platform_regions::Regions;
use serde::{Deserialize, Serialize};
use stack::Pulsar;
use tokio_util::sync::CancellationToken;

use super::open;
use crate::{Proof, told};

const SHARDS: u32 = 16;
/// Events of one append.
const TOGETHER: u32 = 100;
/// Events a second where the lag is looked at, and for how long.
const CALM: u32 = 200;
const LOOK: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(120);

/// As large as most of the shop's.
#[derive(Debug, Serialize, Deserialize)]
struct Happened {
    to: String,
    body: String,
}

impl EventBody for Happened {
    const TOPIC: &'static str = "test.happened.v1";

    fn aggregate(&self) -> String {
        self.to.clone()
    }
}

async fn publish(db: &Db, n: u32, count: u32) -> Result<()> {
    let shard = Shard::new(u16::try_from(n % SHARDS)?);
    let mut rows = Rows::new();
    for one in 0..count {
        let event = Happened { to: format!("a{}", (n + one) % 97), body: "x".repeat(400) };
        rows = rows.event(db, shard, &event).map_err(told)?;
    }
    db.append(shard, rows).await.map_err(told)
}

async fn fill(db: &Db, events: u32) -> Result<()> {
    for n in 0..events / TOGETHER {
        publish(db, n, TOGETHER).await?;
    }
    Ok(())
}

/// What giving positions costs: from a full outbox, in the sequencer's own batches.
pub(super) async fn sequencing(name: &str, db: &Db, events: u32, proof: &mut Proof) -> Result<()> {
    fill(db, events).await?;
    let (began, mut done) = (Instant::now(), 0_usize);
    loop {
        let now = db.sequence_once(BusConfig::default().sequence).await.map_err(told)?;
        if now == 0 {
            break;
        }
        done += now;
    }
    ensure!(done >= usize::try_from(events / TOGETHER * TOGETHER)?, "{done} events got positions");
    let each = began.elapsed().as_secs_f64() * 1e6 / f64::from(u32::try_from(done)?);
    proof.figure(&format!("sequencing on {name}: µs an event"), (each * 10.0).round() / 10.0);
    Ok(())
}

/// Notes how long after it happened each event arrived.
struct Stopwatch {
    db: Db,
    lags: Mutex<Vec<Duration>>,
}

#[async_trait]
impl Consumer for Stopwatch {
    fn subscription(&self) -> &'static str {
        "test.stopwatch"
    }

    fn topics(&self) -> &'static [&'static str] {
        &[Happened::TOPIC]
    }

    async fn consume(&self, event: &Event) -> kernel::Result<()> {
        let lag = self.db.now().since(event.at);
        self.lags.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(lag);
        Ok(())
    }
}

/// Relay and consumers over a Pulsar, from a log on SQLite: as fast as they go, and how late an event is when it is calm.
pub(super) async fn relay(pulsar: &Pulsar, events: u32, proof: &mut Proof) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let db = open(&DbConfig::at(folder.path())).await?;
    let config = config(pulsar);
    platform_bus::setup(&config).await.map_err(told)?;
    fill(&db, events).await?;
    while db.sequence_once(1_000).await.map_err(told)? > 0 {}
    let rate = |began: Instant| (f64::from(events) / began.elapsed().as_secs_f64()).round();
    let began = Instant::now();
    running(&db, Vec::new(), &config, async |_| Ok(())).await?;
    proof.figure("relay to Pulsar: events a second", rate(began));
    let watch = Arc::new(Stopwatch { db: db.clone(), lags: Mutex::default() });
    let taken = || std::mem::take(&mut *watch.lags.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let began = Instant::now();
    running(&db, vec![watch.clone() as Arc<dyn Consumer>], &config, async |db| {
        while watch.lags.lock().unwrap_or_else(std::sync::PoisonError::into_inner).len()
            < usize::try_from(events)?
        {
            ensure!(began.elapsed() < PATIENCE, "not all events came back");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        proof.figure("consumer from Pulsar: events a second", rate(began));
        taken();
        let mut tick = tokio::time::interval(Duration::from_secs(1) / CALM);
        for n in 0..CALM * u32::try_from(LOOK.as_secs())? {
            tick.tick().await;
            publish(db, n, 1).await?;
        }
        Ok(())
    })
    .await?;
    let mut lags = taken();
    lags.sort();
    ensure!(!lags.is_empty(), "no event came back");
    let at = |percent: usize| {
        let micros = u32::try_from(lags[(lags.len() - 1) * percent / 100].as_micros()).unwrap_or(u32::MAX);
        (f64::from(micros) / 100.0).round() / 10.0
    };
    proof.figure(&format!("lag through Pulsar at {CALM} events a second: p50 ms"), at(50));
    proof.figure(&format!("lag through Pulsar at {CALM} events a second: p99 ms"), at(99));
    Ok(())
}

fn config(pulsar: &Pulsar) -> BusConfig {
    let pulsar = PulsarConfig {
        url: pulsar.url(),
        admin_url: pulsar.admin_url(),
        cluster: pulsar.cluster().to_owned(),
        tenant: "meridian-load".to_owned(),
        topics: BTreeMap::from([("test".to_owned(), 3)]),
        ..PulsarConfig::default()
    };
    BusConfig { engine: BusEngine::Pulsar, pulsar, ..BusConfig::default() }
}

/// Lets a bus run while `work` is done, and until it is quiet.
async fn running(
    db: &Db,
    consumers: Vec<Arc<dyn Consumer>>,
    config: &BusConfig,
    work: impl AsyncFnOnce(&Db) -> Result<()>,
) -> Result<()> {
    let bus = platform_bus::open(db.clone(), consumers, config.clone(), Regions::single()).map_err(told)?;
    let stop = CancellationToken::new();
    let (running, token) = (Arc::clone(&bus), stop.clone());
    let task = tokio::spawn(async move { running.run(token).await });
    work(db).await?;
    let began = Instant::now();
    while !bus.quiescent().await.map_err(told)? {
        ensure!(began.elapsed() < PATIENCE, "the bus is never quiet: {:?}", bus.trouble());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.cancel();
    Ok(task.await?)
}
