//! The embedded adapter: connections, the writers' lock file, backup.

mod group;
mod writer;

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use kernel::{Failure, Result};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement,
    sqlx::{
        ConnectOptions as _,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
    },
};

use crate::{DbConfig, DbResult, Synchronous, observe};

pub(crate) use self::writer::{Append, Queue};

pub(crate) const FILE: &str = "meridian.db";
const LOCK: &str = "meridian.lock";
/// Waits for writers that do not queue on the lock file, such as a person's `sqlite3`.
const BUSY: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Sqlite {
    readers: DatabaseConnection,
    writer: DatabaseConnection,
    lock: Arc<File>,
    file: PathBuf,
}

/// The right to write, until dropped.
pub(crate) struct Turn(Arc<File>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::error!(%error, "the writers' lock file cannot be unlocked");
        }
    }
}

impl Sqlite {
    pub(crate) async fn open(config: &DbConfig) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&config.data).map_err(Failure::internal)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(config.data.join(LOCK))
            .map_err(Failure::internal)?;
        let file = config.data.join(FILE);
        // For its owner only, also in a folder that others made; SQLite gives its other files the same rights.
        OpenOptions::new().create(true).append(true).mode(0o600).open(&file).map_err(Failure::internal)?;
        // The writer first: it creates the file and switches it to WAL, under the lock so that two starts do not meet.
        let lock = Arc::new(lock);
        let turn = take_turn(&lock).await?;
        let writer = connect(&file, 1, config.synchronous, false).await?;
        drop(turn);
        let readers = connect(&file, config.readers, config.synchronous, true).await?;
        Ok(Self { readers, writer, lock, file })
    }

    pub(crate) fn readers(&self) -> &DatabaseConnection {
        &self.readers
    }

    pub(crate) fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// Queues for the right to write. SQLite alone would let writers poll with sleeps; the lock file wakes them.
    pub(crate) async fn turn(&self) -> Result<Turn> {
        take_turn(&self.lock).await
    }

    /// Sets the gauges of the pools.
    pub(crate) fn measure(&self) {
        for (name, connection) in [("readers", &self.readers), ("writer", &self.writer)] {
            let pool = connection.get_sqlite_connection_pool();
            observe::pool(name, pool.size(), pool.num_idle());
        }
    }

    /// The number of shards that the database was made with: this one, where none is noted.
    pub(crate) async fn made_with(&self, shards: u16) -> Result<i64> {
        let _turn = self.turn().await?;
        let writer = &self.writer;
        let backend = writer.get_database_backend();
        writer
            .execute_raw(Statement::from_sql_and_values(
                backend,
                "INSERT INTO database_setting (name, value) VALUES ('shards', ?) ON CONFLICT (name) DO NOTHING",
                [i64::from(shards).into()],
            ))
            .await
            .db()?;
        let row = writer
            .query_one_raw(Statement::from_string(
                backend,
                "SELECT value FROM database_setting WHERE name = 'shards'",
            ))
            .await
            .db()?;
        Ok(row.map(|row| row.try_get_by_index(0)).transpose().db()?.unwrap_or_default())
    }

    pub(crate) async fn backup(&self, to: &Path) -> Result<()> {
        let target = to.to_str().ok_or_else(|| Failure::invalid("to", "the path must be UTF-8"))?;
        // VACUUM INTO reads one snapshot and writes a fresh file; it refuses a file that exists. The readers' pool would
        // refuse it, as it refuses everything that writes.
        let connection = connect(&self.file, 1, Synchronous::Full, false).await?;
        let backend = connection.get_database_backend();
        connection
            .execute_raw(Statement::from_sql_and_values(backend, "VACUUM INTO ?", [target.into()]))
            .await
            .db()?;
        connection.close().await.db()
    }

    pub(crate) async fn verify(file: &Path) -> Result<()> {
        if !file.exists() {
            return Err(Failure::not_found("database file"));
        }
        let connection = connect(file, 1, Synchronous::Full, true).await?;
        let backend = connection.get_database_backend();
        let row =
            connection.query_one_raw(Statement::from_string(backend, "PRAGMA integrity_check")).await.db()?;
        let verdict: String = row.map(|row| row.try_get_by_index(0)).transpose().db()?.unwrap_or_default();
        connection.close().await.db()?;
        if verdict == "ok" { Ok(()) } else { Err(Failure::internal(format!("integrity check: {verdict}"))) }
    }
}

async fn take_turn(lock: &Arc<File>) -> Result<Turn> {
    match lock.try_lock() {
        Ok(()) => return Ok(Turn(Arc::clone(lock))),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(Failure::internal(error)),
    }
    let waiting = Arc::clone(lock);
    tokio::task::spawn_blocking(move || waiting.lock())
        .await
        .map_err(Failure::internal)?
        .map_err(Failure::internal)?;
    Ok(Turn(Arc::clone(lock)))
}

async fn connect(
    file: &Path,
    connections: u32,
    synchronous: Synchronous,
    query_only: bool,
) -> Result<DatabaseConnection> {
    let file = file.to_path_buf();
    let mut options = ConnectOptions::new("sqlite::memory:");
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(10))
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |_| {
            SqliteConnectOptions::new()
                .filename(&file)
                .create_if_missing(!query_only)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(match synchronous {
                    Synchronous::Full => SqliteSynchronous::Full,
                    Synchronous::Normal => SqliteSynchronous::Normal,
                })
                .busy_timeout(BUSY)
                .foreign_keys(true)
                .statement_cache_capacity(1_024)
                .pragma("cache_size", "-65536")
                .pragma("temp_store", "memory")
                .pragma("mmap_size", "268435456")
                .pragma("wal_autocheckpoint", "4000")
                .pragma("query_only", if query_only { "on" } else { "off" })
                .disable_statement_logging()
        });
    let mut connection = Database::connect(options).await.db()?;
    observe::observe(&mut connection, "sqlite");
    Ok(connection)
}
