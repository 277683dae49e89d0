//! Holds a second on one hot SKU, asked for at the contract: what a shop's inventory carries without HTTP, orders and money.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use contracts::{
    Ctx,
    catalog::SkuId,
    inventory::{HoldId, InitialStock, Inventory, Reserve},
    pricing::LineInput,
};
use inventory::{InventoryConfig, InventoryService};
use kernel::{Id, Shard, SystemClock, Timestamp};
use migrations::Migrator;
use platform_db::{Db, DbConfig, Synchronous};
use sea_orm_migration::MigratorTrait;

use crate::{
    Proof,
    clients::{Client, Pace},
    told,
};

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
    measured.await??.tell(&format!("{name}, one SKU, at the contract"), proof);
    Ok(())
}

async fn measure(how: How) -> Result<Pace> {
    let service = service(&how.db, how.inventory).await.map_err(told)?;
    let sku: SkuId = Id::derive(Shard::new(1), &[b"hot"]);
    let stock = vec![InitialStock { sku_id: sku, quantity: 1_000_000_000 }];
    service.set_initial(&ctx(), stock).await.map_err(told)?;
    let serial = Arc::new(AtomicU64::new(0));
    let buyer =
        || Buyer { service: Arc::clone(&service), sku, serial: Arc::clone(&serial), confirm: how.confirm };
    let pace = Pace::of(std::iter::repeat_with(buyer).take(how.tasks).collect(), how.duration).await?;
    ensure!(service.reconcile(sku).await.map_err(told)?.is_balanced(), "the books do not balance");
    Ok(pace)
}

async fn service(config: &DbConfig, inventory: InventoryConfig) -> kernel::Result<Arc<InventoryService>> {
    let db = Db::open(config, Arc::new(SystemClock)).await?;
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await?;
    InventoryService::new(db, None, inventory)
}

/// One of many who want the same.
struct Buyer {
    service: Arc<InventoryService>,
    sku: SkuId,
    serial: Arc<AtomicU64>,
    confirm: bool,
}

impl Client for Buyer {
    /// One unit, under an id as a caller derives it: from its own key, on its own shard.
    async fn act(&mut self) -> Result<()> {
        let n = self.serial.fetch_add(1, Ordering::Relaxed);
        let hold_id: HoldId = Id::derive(Shard::new(u16::try_from(n % 16)?), &[&n.to_be_bytes()]);
        let lines = vec![LineInput { sku_id: self.sku, quantity: 1 }];
        self.service.reserve(&ctx(), Reserve { hold_id, lines, expires_at: None }).await.map_err(told)?;
        if self.confirm {
            self.service.confirm(&ctx(), hold_id).await.map_err(told)?;
        }
        Ok(())
    }
}

fn ctx() -> Ctx {
    Ctx::system("loadtest", Timestamp::from_micros(i64::MAX))
}
