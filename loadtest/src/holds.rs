//! Holds a second on one hot SKU, asked for at the contract: what a shop's inventory carries without HTTP, orders and money.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use contracts::{
    Ctx,
    catalog::SkuId,
    inventory::{HoldId, InitialStock, Inventory, Reserve},
    pricing::LineInput,
};
use hdrhistogram::Histogram;
use inventory::{InventoryConfig, InventoryService};
use kernel::{Id, Shard, SystemClock, Timestamp};
use migrations::Migrator;
use platform_db::{Db, DbConfig, Synchronous};
use sea_orm_migration::MigratorTrait;

use crate::{Proof, load::milliseconds, told};

/// On SQLite, each commit waiting for the disk.
pub(crate) async fn run(tasks: usize, duration: Duration, proof: &mut Proof) -> Result<()> {
    for (name, confirm) in [("holds", false), ("holds, each confirmed", true)] {
        let folder = tempfile::tempdir()?;
        let db = DbConfig { synchronous: Synchronous::Full, ..DbConfig::at(folder.path()) };
        let how = How { db, inventory: InventoryConfig::default(), tasks, duration, confirm };
        figures(how, name, proof).await?;
    }
    Ok(())
}

/// On TiDB, gathered and one by one.
pub(crate) async fn on_tidb(
    together: DbConfig,
    alone: DbConfig,
    tasks: usize,
    duration: Duration,
    proof: &mut Proof,
) -> Result<()> {
    let one = InventoryConfig { group: 1, ..InventoryConfig::default() };
    for (name, db, inventory) in [
        ("holds on TiDB, in groups", together, InventoryConfig::default()),
        ("holds on TiDB, one by one", alone, one),
    ] {
        figures(How { db, inventory, tasks, duration, confirm: false }, name, proof).await?;
    }
    Ok(())
}

/// What is measured.
struct How {
    db: DbConfig,
    inventory: InventoryConfig,
    tasks: usize,
    duration: Duration,
    confirm: bool,
}

/// Measures on a runtime like the shop's.
async fn figures(how: How, name: &str, proof: &mut Proof) -> Result<()> {
    let measured =
        tokio::task::spawn_blocking(move || tokio::runtime::Runtime::new()?.block_on(measure(how)));
    let (rate, latencies) = measured.await??;
    proof.figure(&format!("{name}: a second, one SKU, at the contract"), rate.round());
    proof.figure(&format!("{name}: p99 ms"), milliseconds(&latencies, 0.99));
    Ok(())
}

/// Holds a second, and how long each took in µs.
async fn measure(how: How) -> Result<(f64, Histogram<u64>)> {
    let How { tasks, duration, confirm, .. } = how;
    let service = service(&how.db, how.inventory).await.map_err(told)?;
    let sku: SkuId = Id::derive(Shard::new(1), &[b"hot"]);
    let stock = vec![InitialStock { sku_id: sku, quantity: 1_000_000_000 }];
    service.set_initial(&ctx(), stock).await.map_err(told)?;
    let serial = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let workers: Vec<_> = (0..tasks)
        .map(|_| {
            let (service, serial) = (Arc::clone(&service), Arc::clone(&serial));
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while began.elapsed() < duration {
                    let start = Instant::now();
                    buy(&service, sku, serial.fetch_add(1, Ordering::Relaxed), confirm)
                        .await
                        .map_err(told)?;
                    latencies.push(start.elapsed());
                }
                anyhow::Ok(latencies)
            })
        })
        .collect();
    let mut latencies = Histogram::new(3)?;
    for worker in workers {
        for latency in worker.await?? {
            latencies.record(u64::try_from(latency.as_micros())?)?;
        }
    }
    let rate = f64::from(u32::try_from(latencies.len())?) / began.elapsed().as_secs_f64();
    ensure!(service.reconcile(sku).await.map_err(told)?.is_balanced(), "the books do not balance");
    Ok((rate, latencies))
}

async fn service(config: &DbConfig, inventory: InventoryConfig) -> kernel::Result<Arc<InventoryService>> {
    let db = Db::open(config, Arc::new(SystemClock)).await?;
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await?;
    InventoryService::new(db, None, inventory)
}

/// One unit, under an id as a caller derives it: from its own key, on its own shard.
async fn buy(service: &InventoryService, sku_id: SkuId, n: u64, confirm: bool) -> kernel::Result<()> {
    let shard = Shard::new(u16::try_from(n % 16).unwrap_or_default());
    let hold_id: HoldId = Id::derive(shard, &[&n.to_be_bytes()]);
    let lines = vec![LineInput { sku_id, quantity: 1 }];
    service.reserve(&ctx(), Reserve { hold_id, lines, expires_at: None }).await?;
    if confirm {
        service.confirm(&ctx(), hold_id).await?;
    }
    Ok(())
}

fn ctx() -> Ctx {
    Ctx::system("loadtest", Timestamp::from_micros(i64::MAX))
}
