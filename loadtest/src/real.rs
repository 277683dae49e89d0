//! How fast the shop is on the real parts, which share the machine with it and with its clients: TiDB with its built-in store,
//! Pulsar, Redis.

mod by_hand;
mod events;
mod levels;

use std::time::Duration;

use anyhow::{Context, Result};
use kernel::SystemClock;
use migrations::Migrator;
use platform_db::{Db, DbConfig, EngineName, TidbConfig};
use sea_orm_migration::MigratorTrait;
use stack::Tidb;
use support::{Parts, Shop};

use crate::{Proof, Servers, holds, load, told};

/// How much.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Keep-alive clients.
    pub clients: usize,
    /// How long each measurement lasts.
    pub duration: Duration,
    /// Events that are sequenced and relayed.
    pub events: u32,
}

/// Measures everything in one run.
pub async fn run(size: Size, proof: &mut Proof) -> Result<()> {
    proof.figure("clients", size.clients);
    let servers = Servers::start().await?;
    orders(servers.parts(), size, proof).await?;
    let Servers { tidb, pulsar, redis } = servers;
    by_hand::run(tidb_config(&tidb, "by_hand")?, size, proof).await?;
    let config = |name: &str| tidb_config(&tidb, name);
    holds::on_tidb(config("together")?, config("alone")?, size.clients, size.duration, proof).await?;
    let folder = tempfile::tempdir()?;
    events::sequencing("SQLite", &open(&DbConfig::at(folder.path())).await?, size.events, proof).await?;
    events::sequencing("TiDB", &open(&config("sequencing")?).await?, size.events, proof).await?;
    events::relay(&pulsar, size.events, proof).await?;
    levels::run(&redis, proof).await
}

/// Orders at a shop on TiDB and Redis; its events stay in the log.
async fn orders(parts: Parts, size: Size, proof: &mut Proof) -> Result<()> {
    let shop = Shop::builder()
        .as_shipped()
        .on(Parts { pulsar: None, ..parts })
        .set("HTTP__RATE_LIMIT__ENABLED", "false")
        .set("TELEMETRY__FILTER", "warn")
        .start()
        .await?;
    for clients in [1, size.clients] {
        load::orders(&shop, clients, size.duration, &format!("orders on TiDB, {clients} clients"), proof)
            .await?;
    }
    shop.finish().await
}

/// A database of its own on this TiDB.
fn tidb_config(tidb: &Tidb, name: &str) -> Result<DbConfig> {
    let address = tidb.address();
    let (host, port) = address.rsplit_once(':').context("an address has a port")?;
    let tidb = TidbConfig {
        host: host.to_owned(),
        port: port.parse()?,
        database: format!("real_{name}"),
        ..TidbConfig::default()
    };
    Ok(DbConfig { engine: EngineName::Tidb, tidb, ..DbConfig::default() })
}

async fn open(config: &DbConfig) -> Result<Db> {
    let db = Db::open(config, std::sync::Arc::new(SystemClock)).await.map_err(told)?;
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.map_err(told)?;
    Ok(db)
}
