//! Databases on TiDB that are used again.
//!
//! The server keeps the list of them, `test_lent.slot`, each with the folder it is lent to. It is free again when that
//! folder is gone and nobody is connected to it: a test that ended with work under way still writes for a moment.

use std::path::{Path, PathBuf};

use sea_orm::sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor, MySqlConnection, Row};
use sha2::{Digest, Sha256};

use crate::{TidbConfig, tidb::connect_options};

/// The table that migrations insert a row into, beside their own.
const SEEDED: &str = "category_tree";
/// Where the list is.
const LIST: &str =
    "CREATE TABLE IF NOT EXISTS test_lent.slot (name VARCHAR(32) PRIMARY KEY, folder VARCHAR(255) NOT NULL)";

type Outcome<T> = Result<T, sea_orm::sqlx::Error>;

/// The name of a database for `folder`.
pub(super) fn to(server: TidbConfig, folder: PathBuf) -> String {
    // Whoever asks may be on a runtime that must not be blocked by another one.
    let lending = std::thread::spawn(move || -> Outcome<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(lend(&server, &folder))
    });
    match lending.join() {
        Ok(Ok(name)) => name,
        Ok(Err(error)) => panic!("TiDB lends no database: {error}"),
        Err(_) => panic!("TiDB lends no database"),
    }
}

/// A name that follows from `folder`.
pub(super) fn fresh(folder: &Path) -> String {
    let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("test_{name}")
}

async fn lend(server: &TidbConfig, folder: &Path) -> Outcome<String> {
    let mut at = connect_options(server).connect().await?;
    at.execute("CREATE DATABASE IF NOT EXISTS test_lent").await?;
    at.execute(LIST).await?;
    // Held until this connection ends.
    let locked = at.fetch_one("SELECT GET_LOCK('test_lent', 600)").await?;
    if locked.try_get::<i64, _>(0)? != 1 {
        return Err(sea_orm::sqlx::Error::PoolTimedOut);
    }
    let mut lent = Vec::<(String, String)>::new();
    for row in at.fetch_all("SELECT name, folder FROM test_lent.slot ORDER BY name").await? {
        lent.push((row.try_get(0)?, row.try_get(1)?));
    }
    // Before any that is free: one may have become so since this folder got its own.
    if let Some((name, _)) = lent.iter().find(|(_, to)| Path::new(to) == folder) {
        return Ok(name.clone());
    }
    for (name, to) in &lent {
        if !Path::new(to).exists() && nobody_uses(&mut at, name).await? {
            take(&mut at, name, folder).await?;
            empty(&mut at, name).await?;
            at.close().await?;
            return Ok(name.clone());
        }
    }
    let name = format!("test_{:04}", lent.len());
    take(&mut at, &name, folder).await?;
    at.execute(AssertSqlSafe(format!("CREATE DATABASE IF NOT EXISTS {name}"))).await?;
    at.close().await?;
    Ok(name)
}

async fn nobody_uses(at: &mut MySqlConnection, name: &str) -> Outcome<bool> {
    let sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = ?";
    let row = sea_orm::sqlx::query(sql).bind(name).fetch_one(at).await?;
    Ok(row.try_get::<i64, _>(0)? == 0)
}

async fn take(at: &mut MySqlConnection, name: &str, folder: &Path) -> Outcome<()> {
    let sql = "REPLACE INTO test_lent.slot (name, folder) VALUES (?, ?)";
    let folder = folder.to_string_lossy().into_owned();
    sea_orm::sqlx::query(sql).bind(name).bind(folder).execute(at).await.map(drop)
}

/// As the migrations left it.
async fn empty(at: &mut MySqlConnection, name: &str) -> Outcome<()> {
    let sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_name <> 'seaql_migrations'";
    let mut tables = Vec::new();
    for row in sea_orm::sqlx::query(sql).bind(name).fetch_all(&mut *at).await? {
        tables.push(row.try_get::<String, _>(0)?);
    }
    if tables.is_empty() {
        return Ok(());
    }
    let any: Vec<String> =
        tables.iter().map(|table| format!("(SELECT '{table}' FROM {name}.`{table}` LIMIT 1)")).collect();
    for row in at.fetch_all(AssertSqlSafe(any.join(" UNION ALL "))).await? {
        let table: String = row.try_get(0)?;
        at.execute(AssertSqlSafe(format!("DELETE FROM {name}.`{table}`"))).await?;
    }
    if tables.iter().any(|table| table == SEEDED) {
        at.execute(AssertSqlSafe(format!("INSERT INTO {name}.{SEEDED} (id, version) VALUES (1, 1)"))).await?;
    }
    Ok(())
}
