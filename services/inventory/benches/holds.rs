//! Holds a second on one hot SKU, asked for at the contract by 64 tasks: `cargo bench -p inventory`.
//!
//! Each commit waits for the disk (`synchronous` is full) unless the name says otherwise.
#![allow(missing_docs, reason = "criterion's macros write public items")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run has nothing to say")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use contracts::{
    Ctx,
    catalog::SkuId,
    inventory::{HoldId, InitialStock, Inventory, Reserve},
    pricing::LineInput,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use inventory::{InventoryConfig, InventoryService};
use kernel::{Id, Shard, SystemClock, Timestamp};
use migrations::Migrator;
use platform_db::{Db, DbConfig, Synchronous};
use sea_orm_migration::MigratorTrait;

const TASKS: u64 = 64;

async fn service(folder: &std::path::Path, synchronous: Synchronous) -> Arc<InventoryService> {
    let config = DbConfig { synchronous, ..DbConfig::at(folder) };
    let db = Db::open(&config, Arc::new(SystemClock)).await.unwrap();
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
    InventoryService::new(db, None, InventoryConfig::default()).unwrap()
}

fn ctx() -> Ctx {
    Ctx::system("bench", Timestamp::from_micros(i64::MAX))
}

/// Reserves `holds` units, and confirms them where asked; returns how long it took.
#[expect(clippy::disallowed_methods, reason = "the tasks are awaited here")]
async fn buy(
    service: &Arc<InventoryService>,
    sku: SkuId,
    holds: u64,
    serial: &Arc<AtomicU64>,
    confirm: bool,
) -> Duration {
    let stop = serial.load(Ordering::Relaxed) + holds;
    let start = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (service, serial) = (Arc::clone(service), Arc::clone(serial));
            tokio::task::spawn(async move {
                loop {
                    let n = serial.fetch_add(1, Ordering::Relaxed);
                    if n >= stop {
                        return;
                    }
                    // As a caller derives it: from its own idempotency key, on its own shard.
                    let hold_id: HoldId =
                        Id::derive(Shard::new(u16::try_from(n % 16).unwrap()), &[&n.to_be_bytes()]);
                    let lines = vec![LineInput { sku_id: sku, quantity: 1 }];
                    service.reserve(&ctx(), Reserve { hold_id, lines, expires_at: None }).await.unwrap();
                    if confirm {
                        service.confirm(&ctx(), hold_id).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let took = start.elapsed();
    serial.store(stop + TASKS, Ordering::Relaxed);
    took
}

fn holds(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut group = c.benchmark_group("one hot sku");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(6));
    for (name, synchronous, confirm) in [
        ("reserve", Synchronous::Full, false),
        ("reserve, synchronous normal", Synchronous::Normal, false),
        ("reserve and confirm", Synchronous::Full, true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let service = runtime.block_on(service(folder.path(), synchronous));
        let sku: SkuId = Id::derive(Shard::new(1), &[b"hot"]);
        let stock = vec![InitialStock { sku_id: sku, quantity: 1_000_000_000 }];
        runtime.block_on(service.set_initial(&ctx(), stock)).unwrap();
        let serial = Arc::new(AtomicU64::new(0));
        group.bench_function(name, |bencher| {
            bencher.to_async(&runtime).iter_custom(|holds| {
                let (service, serial) = (Arc::clone(&service), Arc::clone(&serial));
                async move { buy(&service, sku, holds, &serial, confirm).await }
            });
        });
        assert!(runtime.block_on(service.reconcile(sku)).unwrap().is_balanced());
    }
    group.finish();
}

criterion_group!(benches, holds);
criterion_main!(benches);
