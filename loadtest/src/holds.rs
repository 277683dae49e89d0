//! Holds a second on one hot SKU, asked for at the contract: what a shop's inventory carries without HTTP, orders and money.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, ensure};
use contracts::{
    Ctx,
    catalog::SkuId,
    inventory::{HoldId, InitialStock, Inventory, Reserve},
    pricing::LineInput,
};
use hdrhistogram::Histogram;
use inventory::{InventoryConfig, InventoryService};
use kernel::{Failure, Id, Shard, SystemClock, Timestamp};
use migrations::Migrator;
use platform_db::{Db, DbConfig, Synchronous};
use sea_orm_migration::MigratorTrait;

use crate::{Proof, load::milliseconds};

/// Measures it on a runtime like the shop's, each commit waiting for the disk.
pub(crate) async fn run(tasks: usize, duration: Duration, proof: &mut Proof) -> Result<()> {
    for (name, confirm) in [("holds", false), ("holds, each confirmed", true)] {
        let measured = tokio::task::spawn_blocking(move || {
            tokio::runtime::Runtime::new()?.block_on(measure(tasks, duration, confirm))
        });
        let (rate, latencies) = measured.await??;
        proof.figure(&format!("{name}: a second, one SKU, at the contract"), rate.round());
        proof.figure(&format!("{name}: p99 ms"), milliseconds(&latencies, 0.99));
    }
    Ok(())
}

/// Holds a second, and how long each took in µs.
async fn measure(tasks: usize, duration: Duration, confirm: bool) -> Result<(f64, Histogram<u64>)> {
    let folder = tempfile::tempdir()?;
    let service = service(folder.path()).await.map_err(told)?;
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

async fn service(folder: &Path) -> kernel::Result<Arc<InventoryService>> {
    let config = DbConfig { synchronous: Synchronous::Full, ..DbConfig::at(folder) };
    let db = Db::open(&config, Arc::new(SystemClock)).await?;
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await?;
    InventoryService::new(db, None, InventoryConfig::default())
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

/// A failure with its cause: nobody else sees it here.
fn told(failure: Failure) -> anyhow::Error {
    anyhow!("{failure:?}")
}
