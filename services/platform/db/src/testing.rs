//! Databases for tests (feature `testing`).

mod lend;

use std::{path::Path, time::Duration};

use crate::{DbConfig, EngineName, Synchronous, TidbConfig};

/// The variable that names a TiDB, `host:port`: root without a password. `cargo xtask test --real` sets it.
pub const TIDB: &str = "MERIDIAN_TEST_TIDB";

/// A database for a test that has `folder` to itself: SQLite there, which does not wait for the disk; one on the TiDB that
/// `MERIDIAN_TEST_TIDB=host:port` names, where it is set. The same folder is the same database.
pub fn config(folder: &Path) -> DbConfig {
    tidb(folder).unwrap_or_else(|| sqlite(folder))
}

/// SQLite under `folder`.
pub fn sqlite(folder: &Path) -> DbConfig {
    DbConfig { synchronous: Synchronous::Normal, ..DbConfig::at(folder) }
}

/// A database on TiDB for as long as `folder` is there, and somebody connected to it; None where `MERIDIAN_TEST_TIDB` is not
/// set. To make tables takes seconds there, so databases are lent again, emptied.
///
/// # Panics
/// When the server cannot be used: a test that asks for one fails.
pub fn tidb(folder: &Path) -> Option<DbConfig> {
    tidb_at(&named()?, folder)
}

/// The same on the TiDB at this address; None where it is no address.
///
/// # Panics
/// When the server cannot be used.
pub fn tidb_at(address: &str, folder: &Path) -> Option<DbConfig> {
    let server = server(address)?;
    let database = lend::to(server.clone(), folder.to_path_buf());
    Some(on(TidbConfig { database, ..server }, folder))
}

/// A database on TiDB that nobody had before and that has no tables.
///
/// # Panics
/// When there is one of this name already.
pub fn new_tidb(folder: &Path) -> Option<DbConfig> {
    let server = server(&named()?)?;
    let database = lend::fresh(folder);
    Some(on(TidbConfig { database, ..server }, folder))
}

fn on(tidb: TidbConfig, folder: &Path) -> DbConfig {
    DbConfig { engine: EngineName::Tidb, readers: 4, tidb, ..sqlite(folder) }
}

fn named() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
    std::env::var(TIDB).ok()
}

fn server(address: &str) -> Option<TidbConfig> {
    let (host, port) = address.rsplit_once(':')?;
    Some(TidbConfig {
        host: host.to_owned(),
        port: port.parse().ok()?,
        connections: 12,
        // Tests share the server, and the machine with it.
        acquire: Duration::from_secs(30),
        statement: Duration::from_secs(30),
        deadline: Duration::from_secs(60),
        ..TidbConfig::default()
    })
}
