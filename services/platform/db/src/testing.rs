//! Databases for tests (feature `testing`).

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::{DbConfig, EngineName, Synchronous, TidbConfig};

/// The variable that names a TiDB, `host:port`: root without a password.
pub const TIDB: &str = "MERIDIAN_TEST_TIDB";

/// A database for a test that has `folder` to itself: SQLite there, which does not wait for the disk; a database of its
/// own on the TiDB that `MERIDIAN_TEST_TIDB=host:port` names, where it is set. The same folder is the same database.
pub fn config(folder: &Path) -> DbConfig {
    tidb(folder).unwrap_or_else(|| sqlite(folder))
}

/// SQLite under `folder`.
pub fn sqlite(folder: &Path) -> DbConfig {
    DbConfig { synchronous: Synchronous::Normal, ..DbConfig::at(folder) }
}

/// A database on TiDB for `folder`; None where `MERIDIAN_TEST_TIDB` is not set.
pub fn tidb(folder: &Path) -> Option<DbConfig> {
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
    let address = std::env::var(TIDB).ok()?;
    let (host, port) = address.rsplit_once(':')?;
    let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let tidb = TidbConfig {
        host: host.to_owned(),
        port: port.parse().ok()?,
        database: format!("test_{name}"),
        connections: 12,
        ..TidbConfig::default()
    };
    Some(DbConfig { engine: EngineName::Tidb, readers: 4, tidb, ..sqlite(folder) })
}
